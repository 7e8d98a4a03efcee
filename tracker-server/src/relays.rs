//! Relays (TURN servers) for peers that joined, with credentials that expire.
//!
//! The form is that of coturn's `use-auth-secret` (draft-uberti-behave-turn-rest-00): the user name is
//! `EXPIRY:PEER`, EXPIRY in seconds since 1970; the password is the base64 of HMAC-SHA1 of it under a secret that
//! tracker and relay share. The relay needs no list of users, and its log says which peer used it.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use swarm_core::PeerId;
use swarm_core::tracker_message::IceServer;

use crate::limits::RELAY_LIFETIME;

/// Relays that peers are given.
#[derive(Clone, Default)]
pub struct Relays {
    /// Those with a user name and a password that are the same for everybody.
    pub fixed: Vec<IceServer>,
    /// Addresses of those that share [`secret`](Self::secret).
    pub urls: Vec<String>,
    /// The secret of these.
    pub secret: Option<String>,
}

impl fmt::Debug for Relays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relays").field("urls", &self.urls).finish_non_exhaustive()
    }
}

impl Relays {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.fixed.is_empty() && (self.urls.is_empty() || self.secret.is_none())
    }

    /// What a peer is given now.
    pub(crate) fn of(&self, peer: PeerId) -> Vec<IceServer> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.until(peer, (now + RELAY_LIFETIME).as_secs())
    }

    fn until(&self, peer: PeerId, expiry_s: u64) -> Vec<IceServer> {
        let secret = self.secret.as_ref().filter(|_| !self.urls.is_empty());
        let minted = secret.and_then(|secret| {
            let username = format!("{expiry_s}:{peer}");
            let credential = password(secret, &username)?;
            Some(IceServer {
                urls: self.urls.clone(),
                username: Some(username),
                credential: Some(credential),
            })
        });
        minted.into_iter().chain(self.fixed.iter().cloned()).collect()
    }
}

/// The password of a user; HMAC takes keys of any length, so there is always one.
fn password(secret: &str, username: &str) -> Option<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(username.as_bytes());
    Some(BASE64.encode(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_that_coturn_computes() {
        let relays = Relays {
            fixed: Vec::new(),
            urls: vec!["turn:t:3478".into(), "turns:t:443".into()],
            secret: Some("north".into()),
        };
        let given = relays.until(PeerId(0x0123_4567_89ab_cdef), 1_700_000_000);
        let expected = IceServer {
            urls: vec!["turn:t:3478".into(), "turns:t:443".into()],
            username: Some("1700000000:0123456789abcdef".into()),
            credential: Some("UY+gV9nPxo/XYynt7w3HOjqueE4=".into()),
        };
        assert_eq!(given, [expected]);
    }

    #[test]
    fn without_a_secret_nothing_is_minted_and_what_is_fixed_is_given() {
        let fixed = IceServer {
            urls: vec!["turn:t".into()],
            username: Some("u".into()),
            credential: Some("c".into()),
        };
        let relays = Relays { fixed: vec![fixed.clone()], urls: vec!["turn:x".into()], secret: None };
        assert_eq!(relays.of(PeerId(1)), [fixed]);
        assert!(Relays::default().is_empty() && !relays.is_empty());
        assert!(!format!("{:?}", Relays { secret: Some("hush".into()), ..relays }).contains("hush"));
    }
}
