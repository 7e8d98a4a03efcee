//! What siblings say to one another, how they recognise one another, and the frames in which it travels.
//!
//! ```text
//! host   → guest   nonce, 32 bytes
//! guest  → host    nonce, 32 bytes · digest of both, 32 bytes
//! host   → guest   digest of both, 32 bytes
//! then both ways   digest of number and body, 16 bytes · body: postcard of one message
//! ```
//! Digests are keyed: the first two with the key that both read from a file, the others with one that is made from it and both
//! nonces. So a frame of another connection, of the other direction, or out of order is none.

use std::net::IpAddr;

use blake3::Hash;
use serde::{Deserialize, Serialize};
use swarm_core::limits::{RUNS_MAX, TRACKER_MESSAGE_BYTES_MAX};
use swarm_core::tracker_message::SegmentRun;
use swarm_core::{PeerId, SwarmId};

use crate::limits::SIBLING_SWARMS_MAX;

/// Bytes of a nonce, and of the digests of a greeting.
const NONCE_BYTES: usize = 32;

/// Bytes of the digest of a frame.
const DIGEST_BYTES: usize = 16;

/// Bytes of a key file, at least: what cannot be guessed.
const KEY_FILE_BYTES_MIN: usize = 16;

/// From the tracker that has a peer's socket, the *guest's side*, to one where the peer is a guest, the *host*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToHost {
    /// A peer comes.
    Attach(Box<Guest>),
    /// A peer said this: `have`, `report` or `signal`.
    Request { guest: u64, text: String },
    /// A peer left.
    Detach { guest: u64 },
    /// The sender is there.
    Probe,
}

/// The other way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromHost {
    /// The swarms that have peers there, in place of those told before.
    Swarms(Vec<SwarmId>),
    /// A guest is to be sent this: `connect`, `unlink`, `gone` or `signal`.
    Deliver { guest: u64, text: String },
    /// A guest is no longer one.
    Dismissed { guest: u64 },
    /// The sender is there.
    Probe,
}

/// A peer that is to be a guest, as a viewer: nobody proves to a host what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Guest {
    /// Names it on this connection.
    pub(crate) guest: u64,
    pub(crate) swarm: SwarmId,
    pub(crate) peer: PeerId,
    pub(crate) address: IpAddr,
    pub(crate) uplink_bps: u64,
    pub(crate) have: Vec<SegmentRun>,
    pub(crate) playhead: Option<u32>,
}

/// A frame or a greeting that is none of a sibling's. The connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SiblingError {
    /// Another key.
    #[error("it has another key; give both the same --sibling-key")]
    Key,
    /// Damaged, repeated, or of another connection.
    #[error("a frame does not belong to this connection")]
    Digest,
    /// More than siblings have to say.
    #[error("it sends more than a sibling has to")]
    TooMuch,
    /// Not what this version says.
    #[error("a frame is none that this version of the tracker knows")]
    Malformed,
}

/// The key that siblings share.
#[derive(Clone, PartialEq, Eq)]
pub struct SiblingKey([u8; 32]);

impl std::fmt::Debug for SiblingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SiblingKey")
    }
}

impl SiblingKey {
    /// The key of a file with this text; none if it can be guessed.
    pub fn of_text(text: &str) -> Option<Self> {
        let text = text.trim_start_matches('\u{feff}').trim();
        let is_long = text.len() >= KEY_FILE_BYTES_MIN;
        is_long
            .then(|| Self(blake3::derive_key("tributary 2026 trackers that are siblings", text.as_bytes())))
    }

    fn digest(&self, what: &[u8], host: &[u8; NONCE_BYTES], guest: &[u8; NONCE_BYTES]) -> Hash {
        blake3::keyed_hash(&self.0, &[what, host.as_slice(), guest.as_slice()].concat())
    }
}

/// A host's end of a greeting.
pub(crate) struct HostGreeting {
    key: SiblingKey,
    nonce: [u8; NONCE_BYTES],
}

impl HostGreeting {
    /// The nonce is drawn at random.
    pub(crate) const fn new(key: SiblingKey, nonce: [u8; NONCE_BYTES]) -> Self {
        Self { key, nonce }
    }

    /// What is sent first.
    pub(crate) fn challenge(&self) -> Vec<u8> {
        self.nonce.to_vec()
    }

    /// Reads the answer. Returns what is sent then, and the sealed ways.
    pub(crate) fn answered(self, answer: &[u8]) -> Result<(Vec<u8>, Seals), SiblingError> {
        let (nonce, digest) = answer.split_at_checked(NONCE_BYTES).ok_or(SiblingError::Malformed)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| SiblingError::Malformed)?;
        let digest: [u8; NONCE_BYTES] = digest.try_into().map_err(|_| SiblingError::Malformed)?;
        // Compared in constant time.
        if self.key.digest(b"guest", &self.nonce, &nonce) != Hash::from_bytes(digest) {
            return Err(SiblingError::Key);
        }
        let own = self.key.digest(b"host", &self.nonce, &nonce).as_bytes().to_vec();
        Ok((own, Seals::new(&self.key, &self.nonce, &nonce, true)))
    }
}

/// A guest's end of a greeting.
pub(crate) struct GuestGreeting {
    key: SiblingKey,
    host: [u8; NONCE_BYTES],
    nonce: [u8; NONCE_BYTES],
}

impl GuestGreeting {
    /// Reads the challenge. The nonce is drawn at random.
    pub(crate) fn new(
        key: SiblingKey,
        challenge: &[u8],
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Self, SiblingError> {
        let host = challenge.try_into().map_err(|_| SiblingError::Malformed)?;
        Ok(Self { key, host, nonce })
    }

    /// What is answered.
    pub(crate) fn answer(&self) -> Vec<u8> {
        let digest = self.key.digest(b"guest", &self.host, &self.nonce);
        [self.nonce.as_slice(), digest.as_bytes()].concat()
    }

    /// Reads the host's digest. Returns the sealed ways.
    pub(crate) fn confirmed(self, confirmation: &[u8]) -> Result<Seals, SiblingError> {
        let digest: [u8; NONCE_BYTES] = confirmation.try_into().map_err(|_| SiblingError::Malformed)?;
        if self.key.digest(b"host", &self.host, &self.nonce) != Hash::from_bytes(digest) {
            return Err(SiblingError::Key);
        }
        Ok(Seals::new(&self.key, &self.host, &self.nonce, false))
    }
}

/// Makes and reads the frames of one connection.
#[derive(Debug)]
pub(crate) struct Seals {
    key: [u8; 32],
    is_host: bool,
    sent: u64,
    received: u64,
}

impl Seals {
    fn new(key: &SiblingKey, host: &[u8; NONCE_BYTES], guest: &[u8; NONCE_BYTES], is_host: bool) -> Self {
        let key = *key.digest(b"frames", host, guest).as_bytes();
        Self { key, is_host, sent: 0, received: 0 }
    }

    fn digest(&self, is_of_host: bool, number: u64, body: &[u8]) -> [u8; DIGEST_BYTES] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[u8::from(is_of_host)]).update(&number.to_le_bytes()).update(body);
        let mut digest = [0; DIGEST_BYTES];
        hasher.finalize_xof().fill(&mut digest);
        digest
    }

    /// The frame of a message.
    pub(crate) fn seal(&mut self, message: &impl Serialize) -> Vec<u8> {
        self.sent += 1;
        // These types have no form that postcard cannot write.
        let body = postcard::to_stdvec(message).unwrap_or_default();
        let digest = self.digest(self.is_host, self.sent, &body);
        [digest.as_slice(), &body].concat()
    }

    /// The message of a frame.
    pub(crate) fn open<M: Bounded>(&mut self, frame: &[u8]) -> Result<M, SiblingError> {
        let (digest, body) = frame.split_at_checked(DIGEST_BYTES).ok_or(SiblingError::Malformed)?;
        self.received += 1;
        // Who can guess one of 2^128 digests has not to be told apart by time.
        if self.digest(!self.is_host, self.received, body) != digest {
            return Err(SiblingError::Digest);
        }
        let (message, rest) = postcard::take_from_bytes::<M>(body).map_err(|_| SiblingError::Malformed)?;
        if rest.is_empty() && message.is_within_limits() { Ok(message) } else { Err(SiblingError::Malformed) }
    }
}

/// A message with limits.
pub(crate) trait Bounded: for<'a> Deserialize<'a> {
    /// Whether lists and texts are as short as siblings make them.
    fn is_within_limits(&self) -> bool;
}

impl Bounded for ToHost {
    fn is_within_limits(&self) -> bool {
        match self {
            Self::Attach(guest) => guest.have.len() <= RUNS_MAX,
            Self::Request { text, .. } => text.len() <= TRACKER_MESSAGE_BYTES_MAX,
            Self::Detach { .. } | Self::Probe => true,
        }
    }
}

impl Bounded for FromHost {
    fn is_within_limits(&self) -> bool {
        match self {
            Self::Swarms(swarms) => swarms.len() <= SIBLING_SWARMS_MAX,
            Self::Deliver { text, .. } => text.len() <= TRACKER_MESSAGE_BYTES_MAX,
            Self::Dismissed { .. } | Self::Probe => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SiblingKey {
        SiblingKey::of_text(text).unwrap()
    }

    fn greeted(host: SiblingKey, guest: SiblingKey) -> Result<(Seals, Seals), SiblingError> {
        let host = HostGreeting::new(host, [1; 32]);
        let guest = GuestGreeting::new(guest, &host.challenge(), [2; 32])?;
        let (confirmation, host) = host.answered(&guest.answer())?;
        Ok((host, guest.confirmed(&confirmation)?))
    }

    fn pair() -> (Seals, Seals) {
        greeted(key("a secret of both trackers"), key(" a secret of both trackers\n")).unwrap()
    }

    #[test]
    fn siblings_with_the_same_key_understand_one_another() {
        let (mut host, mut guest) = pair();
        for number in 0..3 {
            let message = ToHost::Detach { guest: number };
            assert_eq!(host.open::<ToHost>(&guest.seal(&message)), Ok(message));
            let message = FromHost::Dismissed { guest: number };
            assert_eq!(guest.open::<FromHost>(&host.seal(&message)), Ok(message));
        }
    }

    #[test]
    fn another_key_is_refused_by_both_sides_and_a_short_one_is_none() {
        let (one, other) = (key("a secret of both trackers"), key("another secret, as long"));
        assert_eq!(greeted(one.clone(), other.clone()).unwrap_err(), SiblingError::Key);
        let guest = GuestGreeting::new(one, &[1; 32], [2; 32]).unwrap();
        assert_eq!(guest.confirmed(&[0; 32]).unwrap_err(), SiblingError::Key);
        assert!(SiblingKey::of_text("  too short      \n").is_none());
        let marked = key("\u{feff}a secret of both trackers\r\n");
        assert!(marked == key("a secret of both trackers"), "marks of other systems do not matter");
    }

    #[test]
    fn frames_that_come_again_or_from_the_other_side_or_changed_are_none() {
        let (mut host, mut guest) = pair();
        let frame = guest.seal(&ToHost::Detach { guest: 1 });
        let own = host.seal(&FromHost::Dismissed { guest: 1 });
        assert_eq!(host.open::<FromHost>(&own), Err(SiblingError::Digest));
        let (mut host, _) = pair();
        assert!(host.open::<ToHost>(&frame).is_ok());
        assert_eq!(host.open::<ToHost>(&frame), Err(SiblingError::Digest));
        let (mut host, mut guest) = pair();
        let mut frame = guest.seal(&ToHost::Detach { guest: 1 });
        frame.push(0);
        assert_eq!(host.open::<ToHost>(&frame), Err(SiblingError::Digest));
        assert_eq!(host.open::<ToHost>(&[0; 3]), Err(SiblingError::Malformed));
    }

    #[test]
    fn what_is_longer_than_siblings_make_it_is_refused() {
        let (mut host, mut guest) = pair();
        let text = "x".repeat(TRACKER_MESSAGE_BYTES_MAX + 1);
        let frame = guest.seal(&ToHost::Request { guest: 1, text });
        assert_eq!(host.open::<ToHost>(&frame), Err(SiblingError::Malformed));
        let swarms = vec![SwarmId([0; 32]); SIBLING_SWARMS_MAX + 1];
        let (mut host, mut guest) = pair();
        assert_eq!(
            guest.open::<FromHost>(&host.seal(&FromHost::Swarms(swarms))),
            Err(SiblingError::Malformed)
        );
    }
}
