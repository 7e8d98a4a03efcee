//! Resume tokens: how a peer shows that a peer id is its own.
//!
//! A token is the peer id followed by its keyed BLAKE3 digest, so that the tracker keeps nothing for peers
//! that are away. Whoever holds the key can make tokens; a tracker that keeps its secret over a restart
//! gives every peer its old id back.

use std::fmt;

use swarm_core::{Challenge, PeerId};

use super::outgoing::ConnectionId;

/// Hexadecimal digits of a peer id at the front of a token.
const ID_DIGITS: usize = 16;

/// The key under which tokens are made.
#[derive(Clone)]
pub struct ResumeKey([u8; 32]);

impl fmt::Debug for ResumeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeKey(…)")
    }
}

impl ResumeKey {
    /// The key that follows from an operator's secret, or from bytes drawn at random.
    pub fn from_secret(secret: &[u8]) -> Self {
        Self(blake3::derive_key("tributary 2026 tracker resume token", secret))
    }

    /// A key for another purpose that follows from the same secret.
    pub fn derived(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, &self.0)
    }

    /// The token of a peer.
    pub fn token(&self, peer: PeerId) -> String {
        format!("{peer}{}", self.digest(peer).to_hex())
    }

    /// The peer that a token belongs to; `None` if it was not made under this key.
    pub fn peer(&self, token: &str) -> Option<PeerId> {
        let (id, digest) = token.split_at_checked(ID_DIGITS)?;
        let peer = id.parse().ok()?;
        let claimed = blake3::Hash::from_hex(digest).ok()?;
        // `blake3::Hash` compares in constant time.
        (claimed == self.digest(peer)).then_some(peer)
    }

    /// What a connection asks an initial peer to sign. `seed` differs from one life of the tracker to the next, though
    /// the key may be the same.
    pub fn challenge(&self, seed: u64, connection: ConnectionId) -> Challenge {
        let about =
            [b"challenge of a connection".as_slice(), &seed.to_le_bytes(), &connection.0.to_le_bytes()];
        Challenge(*blake3::keyed_hash(&self.0, &about.concat()).as_bytes())
    }

    fn digest(&self, peer: PeerId) -> blake3::Hash {
        blake3::keyed_hash(&self.0, &peer.0.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_its_peer_back() {
        let key = ResumeKey::from_secret(b"secret");
        let token = key.token(PeerId(7));
        assert_eq!(key.peer(&token), Some(PeerId(7)));
        assert_eq!(ResumeKey::from_secret(b"secret").peer(&token), Some(PeerId(7)));
    }

    #[test]
    fn a_token_of_another_key_or_another_peer_is_refused() {
        let key = ResumeKey::from_secret(b"secret");
        let token = key.token(PeerId(7));
        assert_eq!(ResumeKey::from_secret(b"other").peer(&token), None);
        let stolen = format!("{}{}", PeerId(8), &token[ID_DIGITS..]);
        assert_eq!(key.peer(&stolen), None);
    }

    #[test]
    fn no_two_connections_and_no_two_lives_are_asked_the_same() {
        let key = ResumeKey::from_secret(b"secret");
        let challenges =
            [(1, 1), (1, 2), (2, 1)].map(|(seed, number)| key.challenge(seed, ConnectionId(number)));
        assert!(challenges[0] != challenges[1] && challenges[0] != challenges[2], "{challenges:?}");
        assert_eq!(key.challenge(1, ConnectionId(1)), challenges[0]);
    }

    #[test]
    fn text_that_is_no_token_is_refused() {
        let key = ResumeKey::from_secret(b"secret");
        for text in ["", "0000000000000007", "ü".repeat(40).as_str(), "x".repeat(80).as_str()] {
            assert_eq!(key.peer(text), None, "{text}");
        }
    }
}
