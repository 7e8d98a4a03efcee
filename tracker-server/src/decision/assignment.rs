//! Who sends which segment to whom, for a short while (M5): leases upon the requests of peers.
//!
//! An assignment is advice with an end: the source is not told, the taker asks it, and the tracker counts
//! the lease as load until it ends. The tracker never schedules every transfer; only those asked for.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use swarm_core::{PeerId, Timestamp};

use crate::limits::{LEASE_MS, LEASES_PER_SOURCE_MAX, UPLINK_UNKNOWN_BPS};

/// A peer that could send a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The peer.
    pub peer: PeerId,
    /// Whether it is an initial peer: those are asked last, since their upload is what injects.
    pub is_initial: bool,
    /// Its upload capacity, bits a second; 0 if not known.
    pub uplink_bps: u64,
}

#[derive(Debug)]
struct Lease {
    taker: PeerId,
    segment: u32,
    until: Timestamp,
}

/// The leases of one swarm. Bounded by [`LEASES_PER_SOURCE_MAX`] for each peer.
#[derive(Debug, Default)]
pub struct Assignments {
    by_source: BTreeMap<PeerId, Vec<Lease>>,
}

impl Assignments {
    /// Chooses who sends `segment` to `taker` and notes the lease; `None` if nobody has room.
    ///
    /// The candidate with the least load for its uplink, viewers before initial peers, ties by chance. A
    /// taker that asks again while a lease stands has not been served: somebody else is chosen if there is
    /// anybody else.
    pub fn choose(
        &mut self,
        now: Timestamp,
        taker: PeerId,
        segment: u32,
        candidates: &[Candidate],
        rng: &mut fastrand::Rng,
    ) -> Option<PeerId> {
        let mut best = None;
        for candidate in candidates {
            let leases = self.by_source.entry(candidate.peer).or_default();
            leases.retain(|lease| now < lease.until);
            let before = leases.len();
            leases.retain(|lease| lease.taker != taker || lease.segment != segment);
            let has_failed = leases.len() < before;
            if leases.len() >= LEASES_PER_SOURCE_MAX {
                continue;
            }
            let uplink = if candidate.uplink_bps == 0 { UPLINK_UNKNOWN_BPS } else { candidate.uplink_bps };
            // Seconds of upload that the lease would wait for, if all segments were of one length.
            let load = (leases.len() as u64 + 1).saturating_mul(1 << 40) / uplink;
            let score = Reverse((has_failed, candidate.is_initial, load, rng.u32(..)));
            if best.as_ref().is_none_or(|(least, _)| score > *least) {
                best = Some((score, candidate.peer));
            }
        }
        let (_, source) = best?;
        let until = now + Duration::from_millis(u64::from(LEASE_MS));
        self.by_source.entry(source).or_default().push(Lease { taker, segment, until });
        Some(source)
    }

    /// Forgets a peer that left, as a source and as a taker.
    pub fn remove(&mut self, peer: PeerId, neighbours: &[PeerId]) {
        self.by_source.remove(&peer);
        for neighbour in neighbours {
            if let Some(leases) = self.by_source.get_mut(neighbour) {
                leases.retain(|lease| lease.taker != peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKER: PeerId = PeerId(100);

    fn viewer(peer: u64, uplink_bps: u64) -> Candidate {
        Candidate { peer: PeerId(peer), is_initial: false, uplink_bps }
    }

    fn choose(
        assignments: &mut Assignments,
        now_ms: u64,
        segment: u32,
        candidates: &[Candidate],
    ) -> Option<u64> {
        let mut rng = fastrand::Rng::with_seed(1);
        let now = Timestamp::from_millis(now_ms);
        assignments.choose(now, TAKER, segment, candidates, &mut rng).map(|peer| peer.0)
    }

    #[test]
    fn load_is_shared_in_proportion_to_uplink() {
        let mut assignments = Assignments::default();
        let candidates = [viewer(1, 30_000_000), viewer(2, 10_000_000)];
        let chosen: Vec<_> =
            (0..8).filter_map(|segment| choose(&mut assignments, 0, segment, &candidates)).collect();
        assert_eq!(chosen.iter().filter(|peer| **peer == 1).count(), 6);
    }

    #[test]
    fn an_initial_peer_is_asked_only_when_nobody_else_holds_the_segment() {
        let mut assignments = Assignments::default();
        let initial = Candidate { is_initial: true, ..viewer(1, 1_000_000_000) };
        assert_eq!(choose(&mut assignments, 0, 0, &[initial, viewer(2, 1_000_000)]), Some(2));
        assert_eq!(choose(&mut assignments, 0, 1, &[initial]), Some(1));
    }

    #[test]
    fn a_segment_asked_for_again_gets_another_source() {
        let mut assignments = Assignments::default();
        let candidates = [viewer(1, 50_000_000), viewer(2, 1_000_000)];
        assert_eq!(choose(&mut assignments, 0, 5, &candidates), Some(1));
        assert_eq!(choose(&mut assignments, 1000, 5, &candidates), Some(2));
        let only = [viewer(2, 1_000_000)];
        assert_eq!(choose(&mut assignments, 2000, 5, &only), Some(2));
    }

    #[test]
    fn a_source_takes_no_more_than_its_share_until_leases_end() {
        let mut assignments = Assignments::default();
        let candidates = [viewer(1, 0)];
        let max = u32::try_from(LEASES_PER_SOURCE_MAX).unwrap();
        assert!((0..max).all(|segment| choose(&mut assignments, 0, segment, &candidates).is_some()));
        assert_eq!(choose(&mut assignments, u64::from(LEASE_MS) - 1, max, &candidates), None);
        assert_eq!(choose(&mut assignments, u64::from(LEASE_MS), max, &candidates), Some(1));
    }

    #[test]
    fn a_peer_that_left_leaves_no_load_behind() {
        let mut assignments = Assignments::default();
        let candidates = [viewer(1, 0)];
        for segment in 0..16 {
            choose(&mut assignments, 0, segment, &candidates);
        }
        assignments.remove(TAKER, &[PeerId(1)]);
        assert_eq!(choose(&mut assignments, 0, 99, &candidates), Some(1));
        assignments.remove(PeerId(1), &[]);
        assert!(assignments.by_source.is_empty());
    }
}
