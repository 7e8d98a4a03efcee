//! Who sends which segment to whom, for a short while (M5): leases upon the requests of peers.
//!
//! An assignment is advice with an end: the source is not told, the taker asks it, and the tracker counts
//! the lease as load until it ends. The tracker never schedules every transfer; only those asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_core::{PeerId, Timestamp};

use super::success::SUCCESS_MAX;
use crate::limits::{INITIAL_LEASES_PER_TAKER_MAX, LEASE_MS, LEASES_PER_SOURCE_MAX, UPLINK_UNKNOWN_BPS};

/// A peer that could send a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The peer.
    pub peer: PeerId,
    /// Whether it is an initial peer: those are asked last, since their upload is what injects.
    pub is_initial: bool,
    /// Its upload capacity, bits a second; 0 if not known.
    pub uplink_bps: u64,
    /// How well it serves, 0 to [`SUCCESS_MAX`].
    pub success: u32,
    /// Whether it is in the taker's network.
    pub is_near: bool,
}

impl Candidate {
    /// How long one more lease beside `lease_count` others would take, if all segments were of one length: in
    /// no unit, for comparison.
    fn load(&self, lease_count: usize) -> u64 {
        let uplink = if self.uplink_bps == 0 { UPLINK_UNKNOWN_BPS } else { self.uplink_bps };
        // Even a source that fails most of the time is better than none.
        let success = u64::from(self.success.clamp(SUCCESS_MAX / 20, SUCCESS_MAX));
        let load = (lease_count as u64 + 1).saturating_mul(1 << 40)
            / (uplink / u64::from(SUCCESS_MAX) * success).max(1);
        // A network of its own is a quarter better, not more: what has room comes first.
        if self.is_near { load / 4 * 3 } else { load }
    }
}

#[derive(Debug)]
struct Lease {
    taker: PeerId,
    segment: u32,
    until: Timestamp,
}

/// The leases of one swarm. Bounded by [`LEASES_PER_SOURCE_MAX`] for each peer.
#[derive(Debug, Default)]
pub(super) struct Assignments {
    by_source: BTreeMap<PeerId, Vec<Lease>>,
}

impl Assignments {
    /// Chooses who sends `segment` to `taker` and notes the lease; `None` if nobody has room.
    ///
    /// The candidate with the least load for its uplink and success, viewers before initial peers, ties by
    /// chance. A taker that asks again while a lease stands has not been served: somebody else is chosen if
    /// there is anybody else.
    ///
    /// An initial peer is not chosen for a segment that an initial peer is sending already: whoever gets it there
    /// will spread it, and a crowd that comes at once must not fall upon the publisher.
    pub(super) fn choose(
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
            let lease_count = leases.len();
            let has_room = lease_count < LEASES_PER_SOURCE_MAX
                && (!candidate.is_initial || self.has_initial_room(candidate.peer, taker, segment));
            if !has_room {
                continue;
            }
            let score = (has_failed, candidate.is_initial, candidate.load(lease_count), rng.u32(..));
            if best.as_ref().is_none_or(|(least, _)| score < *least) {
                best = Some((score, candidate.peer));
            }
        }
        let (_, source) = best?;
        let until = now + Duration::from_millis(u64::from(LEASE_MS));
        self.by_source.entry(source).or_default().push(Lease { taker, segment, until });
        Some(source)
    }

    fn has_initial_room(&self, initial: PeerId, taker: PeerId, segment: u32) -> bool {
        let leases = self.by_source.get(&initial).map_or(&[][..], Vec::as_slice);
        leases.iter().all(|lease| lease.segment != segment)
            && leases.iter().filter(|lease| lease.taker == taker).count() < INITIAL_LEASES_PER_TAKER_MAX
    }

    /// Forgets a peer that left, as a source and as a taker.
    pub(super) fn remove(&mut self, peer: PeerId, neighbours: &[PeerId]) {
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
        Candidate { peer: PeerId(peer), is_initial: false, uplink_bps, success: SUCCESS_MAX, is_near: false }
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
    fn of_a_crowd_that_wants_the_same_one_is_sent_to_the_initial_peer_and_none_takes_all_its_leases() {
        let mut assignments = Assignments::default();
        let mut rng = fastrand::Rng::with_seed(1);
        let initial = [Candidate { is_initial: true, ..viewer(1, 0) }];
        let mut chosen = Vec::new();
        for taker in 100..200 {
            for segment in 0..8 {
                if assignments.choose(Timestamp::ZERO, PeerId(taker), segment, &initial, &mut rng).is_some() {
                    chosen.push((taker, segment));
                }
            }
        }
        let first_takers = (0..8).map(|segment| (100 + u64::from(segment / 4), segment)).collect::<Vec<_>>();
        assert_eq!(chosen, first_takers);
        let holder = [initial[0], viewer(2, 0)];
        assert_eq!(assignments.choose(Timestamp::ZERO, PeerId(300), 0, &holder, &mut rng), Some(PeerId(2)));
    }

    #[test]
    fn a_source_that_fails_gets_less_and_one_in_the_same_network_a_little_more() {
        let mut assignments = Assignments::default();
        let failing = Candidate { success: 0, ..viewer(1, 10_000_000) };
        let near = Candidate { is_near: true, ..viewer(3, 10_000_000) };
        let candidates = [failing, viewer(2, 10_000_000), near];
        let chosen: Vec<_> =
            (0..14).filter_map(|segment| choose(&mut assignments, 0, segment, &candidates)).collect();
        let count = |peer| chosen.iter().filter(|chosen| **chosen == peer).count();
        assert_eq!((count(1), count(2), count(3)), (0, 6, 8));
        assert_eq!(choose(&mut assignments, 0, 99, &[failing]), Some(1), "better than nobody");
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
