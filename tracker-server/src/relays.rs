//! Relays (TURN servers) for peers that joined, with credentials that expire.
//!
//! The form is that of coturn's `use-auth-secret` (draft-uberti-behave-turn-rest-00): the user name is
//! `EXPIRY:USER`, EXPIRY in seconds since 1970; the password is the base64 of HMAC-SHA1 of it under a secret that
//! tracker and relay share. The relay needs no list of users.
//!
//! USER stands for the network address that a peer came from. However often a person joins, the relay's quota for a user then bounds
//! what one address takes of it. It is 8 bytes of HMAC-SHA1 of the address under the same secret, in hexadecimal digits: all
//! trackers that share the secret name an address alike, and a user name does not show it.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use swarm_core::tracker_message::IceServer;

use crate::decision::network::Site;
use crate::limits::RELAY_LIFETIME;

/// Bytes of the code that stands for an address: two addresses of a million have the same one with probability 10⁻⁷.
const USER_BYTES: usize = 8;

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

    /// What a peer at a site is given now.
    pub(crate) fn of(&self, site: Site) -> Vec<IceServer> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.until(site, (now + RELAY_LIFETIME).as_secs())
    }

    fn until(&self, site: Site, expiry_s: u64) -> Vec<IceServer> {
        let secret = self.secret.as_ref().filter(|_| !self.urls.is_empty());
        let minted = secret.and_then(|secret| {
            let user = code(secret, &format!("address {}", site.address()))?;
            let username = format!("{expiry_s}:{}", HEXLOWER.encode(user.get(..USER_BYTES)?));
            let credential = BASE64.encode(&code(secret, &username)?);
            Some(IceServer {
                urls: self.urls.clone(),
                username: Some(username),
                credential: Some(credential),
            })
        });
        minted.into_iter().chain(self.fixed.iter().cloned()).collect()
    }
}

/// The code of a text under the secret. HMAC takes keys of any length, so there is always one.
fn code(secret: &str, text: &str) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(text.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(address: &str) -> Site {
        Site::of(address.parse().unwrap())
    }

    #[test]
    fn an_address_has_one_name_and_a_network_of_ipv6_too() {
        let relays = Relays { fixed: Vec::new(), urls: vec!["turn:t".into()], secret: Some("north".into()) };
        let user = |address: &str, expiry_s| {
            let username = relays.until(site(address), expiry_s).remove(0).username.unwrap();
            username.split_once(':').unwrap().1.to_owned()
        };
        assert_eq!(user("192.0.2.7", 1), user("192.0.2.7", 2));
        assert_eq!(user("2001:db8::1", 1), user("2001:db8::ffff:1", 1));
        assert_ne!(user("192.0.2.7", 1), user("192.0.2.8", 1));
        assert_ne!(user("2001:db8::1", 1), user("2001:db8:0:1::1", 1));
    }

    #[test]
    fn credentials_are_those_that_coturn_computes() {
        let relays = Relays {
            fixed: Vec::new(),
            urls: vec!["turn:t:3478".into(), "turns:t:443".into()],
            secret: Some("north".into()),
        };
        let given = relays.until(site("192.0.2.7"), 1_700_000_000);
        let expected = IceServer {
            urls: vec!["turn:t:3478".into(), "turns:t:443".into()],
            username: Some("1700000000:d673603ffe5d2dde".into()),
            credential: Some("LKDSBrIIuTrJvpMKT23miekdkV4=".into()),
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
        assert_eq!(relays.of(site("192.0.2.7")), [fixed]);
        assert!(Relays::default().is_empty() && !relays.is_empty());
        assert!(!format!("{:?}", Relays { secret: Some("hush".into()), ..relays }).contains("hush"));
    }
}
