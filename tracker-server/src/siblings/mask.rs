//! Ids of a sibling's peers, as this tracker calls them.
//!
//! A digest with a key of this connection alone: who knows both ids of some peers, because one of its viewers is linked with
//! them, learns nothing of the others. So a sibling cannot choose the id that one of its peers gets here.

use blake3::Hash;
use swarm_core::PeerId;

/// The key of one connection.
#[derive(Clone)]
pub(crate) struct Mask([u8; 32]);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// The key is drawn at random.
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// What a peer of the sibling is called here.
    pub(crate) fn of(&self, peer: PeerId) -> PeerId {
        let digest: Hash = blake3::keyed_hash(&self.0, &peer.0.to_le_bytes());
        let first = digest.as_bytes().first_chunk::<8>().copied();
        PeerId(u64::from_le_bytes(first.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_peer_do_not_tell_those_of_another() {
        let mask = Mask::new([3; 32]);
        let (known, victim) = (PeerId(7), PeerId(0xfeed));
        // With numbers that were only combined, one pair told what to ask for.
        let difference = known.0 ^ mask.of(known).0;
        assert_ne!(mask.of(PeerId(victim.0 ^ difference)), victim);
        assert_eq!(mask.of(known), mask.of(known), "a peer that comes again is the same");
        assert_ne!(mask.of(known), Mask::new([4; 32]).of(known), "another connection has other ids");
    }
}
