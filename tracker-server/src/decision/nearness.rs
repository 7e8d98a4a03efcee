//! Nearness in playhead: who plays nearly the same is worth a link, since what one has just got the other wants
//! next: two thirds of the links are by chance, one third near.
//!
//! A viewer that reports its playhead may exchange one link for one with a viewer that plays nearer. The exchange
//! is a [swap](Graph::swap) between two links, so that everybody keeps its number of links; at most [`NEAR_MAX`]
//! of a viewer's links are of this kind, so that two thirds stay random; one change in [`NEAR_INTERVAL_MS`].
//!
//! There is no distance that counts as near. The viewer nearest to a peer is worth a link to it until the peer
//! has [`NEAR_MAX`] others that are nearly as near, whichever way they came to be its neighbours. So in a crowd
//! that plays the same nothing is exchanged, nor in a tiny swarm, nor for who plays nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swarm_core::{PeerId, Timestamp};

use super::draw;
use super::graph::{Change, Graph, Kind, Link};
use crate::limits::{NEAR_CANDIDATES_MAX, NEAR_INTERVAL_MS, NEAR_MAX, NEAR_SLACK_SEGMENTS};

/// Ways looked at to exchange two links.
const DRAWS_MAX: usize = 8;

/// Where the viewers of one swarm play.
#[derive(Debug, Default)]
pub(super) struct Nearness {
    playheads: BTreeMap<PeerId, u32>,
    by_segment: BTreeSet<(u32, PeerId)>,
    /// When a viewer last changed a link; only of viewers that did.
    changed: BTreeMap<PeerId, Timestamp>,
}

impl Nearness {
    /// Notes which segment a viewer plays, if it does.
    pub(super) fn moved(&mut self, peer: PeerId, playhead: Option<u32>) {
        if self.playheads.get(&peer).copied() == playhead {
            return;
        }
        if let Some(before) = self.playheads.remove(&peer) {
            self.by_segment.remove(&(before, peer));
        }
        if let Some(segment) = playhead {
            self.playheads.insert(peer, segment);
            self.by_segment.insert((segment, peer));
        }
    }

    /// Forgets a viewer.
    pub(super) fn remove(&mut self, peer: PeerId) {
        self.moved(peer, None);
        self.changed.remove(&peer);
    }

    /// Exchanges a link of `peer` for one with a viewer that plays nearer, if there is one and it is time.
    pub(super) fn improve(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        graph: &mut Graph,
        rng: &mut fastrand::Rng,
    ) -> Vec<Change> {
        let Some(at) = self.playheads.get(&peer).copied().filter(|_| self.is_due(now, peer)) else {
            return Vec::new();
        };
        for (segment, other) in self.around(at, peer) {
            let distance = segment.abs_diff(at).saturating_add(NEAR_SLACK_SEGMENTS);
            let reach = distance.saturating_add(segment.abs_diff(at));
            let regular = graph.links(peer).filter(|link| link.kind.is_regular());
            if regular.filter(|link| self.distance(at, link.peer) <= reach).count() >= NEAR_MAX {
                break;
            }
            if !self.is_due(now, other) {
                continue;
            }
            let gives = self.to_give(graph, peer, at, reach);
            let other_gives = self.to_give(graph, other, segment, distance);
            for _ in 0..DRAWS_MAX {
                let drawn = draw::one(rng, &gives).zip(draw::one(rng, &other_gives));
                let Some((give, other_give)) = drawn else { break };
                if let Some(changes) = graph.swap(now, (peer, give), (other, other_give)) {
                    self.changed.insert(peer, now);
                    self.changed.insert(other, now);
                    return changes;
                }
            }
        }
        Vec::new()
    }

    fn is_due(&self, now: Timestamp, peer: PeerId) -> bool {
        let interval = Duration::from_millis(u64::from(NEAR_INTERVAL_MS));
        self.changed.get(&peer).is_none_or(|changed| *changed + interval <= now)
    }

    /// Viewers by their distance from `peer`, which plays `at`; some of them.
    fn around(&self, at: u32, peer: PeerId) -> Vec<(u32, PeerId)> {
        let here = (at, peer);
        let side = NEAR_CANDIDATES_MAX / 2;
        let before = self.by_segment.range(..here).rev().take(side);
        let behind = self.by_segment.range(here..).filter(|found| **found != here).take(side);
        let mut found: Vec<_> = before.chain(behind).copied().collect();
        found.sort_by_key(|(segment, _)| segment.abs_diff(at));
        found
    }

    fn distance(&self, at: u32, other: PeerId) -> u32 {
        self.playheads.get(&other).map_or(u32::MAX, |segment| segment.abs_diff(at))
    }

    /// Neighbours that a viewer playing `at` would give up for one within `reach`: those farther away, by chance
    /// chosen; once it has its share of near ones, only the farthest of these.
    fn to_give(&self, graph: &Graph, peer: PeerId, at: u32, reach: u32) -> Vec<PeerId> {
        let is_far = |link: &Link| self.distance(at, link.peer) > reach;
        let of = |kind| graph.links(peer).filter(move |link| link.kind == kind);
        if of(Kind::Near).count() < NEAR_MAX {
            return of(Kind::Random).filter(is_far).map(|link| link.peer).collect();
        }
        let farthest = of(Kind::Near).filter(is_far).max_by_key(|link| self.distance(at, link.peer));
        farthest.map(|link| link.peer).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::network::Subnet;
    use crate::limits::DEGREE_TARGET;
    use std::collections::VecDeque;

    /// Viewers `1..=count` of a grown graph, playing where `playhead` says.
    fn playing(count: u64, playhead: impl Fn(u64) -> Option<u32>) -> (Nearness, Graph, fastrand::Rng) {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut nearness, mut graph) = (Nearness::default(), Graph::default());
        let subnet = Subnet::of([192, 0, 2, 0].into());
        for peer in 1..=count {
            graph.join_viewer(Timestamp::ZERO, PeerId(peer), subnet, &mut rng);
        }
        for peer in 1..=count {
            graph.settle(Timestamp::from_millis(60_000), PeerId(peer), &mut rng);
            nearness.moved(PeerId(peer), playhead(peer));
        }
        (nearness, graph, rng)
    }

    /// Lets everybody report once an interval; how many links were exchanged in each.
    fn exchanges(
        nearness: &mut Nearness,
        graph: &mut Graph,
        rng: &mut fastrand::Rng,
        rounds: std::ops::Range<u64>,
        count: u64,
    ) -> Vec<usize> {
        let round = |round: u64| -> usize {
            let now = Timestamp::from_millis((round + 10) * u64::from(NEAR_INTERVAL_MS));
            let improved =
                (1..=count).filter(|peer| !nearness.improve(now, PeerId(*peer), graph, rng).is_empty());
            improved.count()
        };
        rounds.map(round).collect()
    }

    /// Ten segments apart, so that slack does not blur who is near, and in no relation to who came when.
    fn apart(peer: u64) -> u32 {
        u32::try_from(peer * 157 % 307).unwrap() * 10
    }

    /// Neighbours of a viewer among the eight or so that play nearest to `at`, if all play [`apart`].
    fn near_count(graph: &Graph, peer: u64, at: u32) -> usize {
        graph.neighbours(PeerId(peer)).filter(|other| apart(other.0).abs_diff(at) <= 40).count()
    }

    fn degrees(graph: &Graph, count: u64) -> Vec<usize> {
        (1..=count).map(|peer| graph.neighbours(PeerId(peer)).count()).collect()
    }

    fn reached(graph: &Graph) -> usize {
        let mut seen = BTreeSet::from([PeerId(1)]);
        let mut queue = VecDeque::from([PeerId(1)]);
        while let Some(peer) = queue.pop_front() {
            queue.extend(graph.neighbours(peer).filter(|other| seen.insert(*other)));
        }
        seen.len()
    }

    #[test]
    fn viewers_that_play_apart_find_near_ones_and_keep_their_degree_and_random_links() {
        let (mut nearness, mut graph, mut rng) = playing(300, |peer| Some(apart(peer)));
        let before = degrees(&graph, 300);
        let near_before = (1..=300).map(|peer| near_count(&graph, peer, apart(peer))).sum::<usize>();
        let exchanged = exchanges(&mut nearness, &mut graph, &mut rng, 0..12, 300);
        let near_after = (1..=300).map(|peer| near_count(&graph, peer, apart(peer))).sum::<usize>();
        println!("near neighbours {near_before} → {near_after} of 300 viewers, exchanges {exchanged:?}");
        assert_eq!(degrees(&graph, 300), before);
        assert!(near_before < 300 && near_after >= 900, "{near_before} → {near_after}");
        assert!(exchanged.last().is_some_and(|last| *last <= 15), "no end: {exchanged:?}");
        for peer in 1..=300 {
            let kinds = |kind| graph.links(PeerId(peer)).filter(|link| link.kind == kind).count();
            assert!(kinds(Kind::Near) <= NEAR_MAX && kinds(Kind::Random) >= DEGREE_TARGET - NEAR_MAX);
        }
        assert_eq!(reached(&graph), 300);
    }

    #[test]
    fn a_viewer_changes_one_link_in_an_interval_at_most() {
        let (mut nearness, mut graph, mut rng) = playing(300, |peer| Some(apart(peer)));
        let now = Timestamp::from_millis(100_000);
        assert!(!nearness.improve(now, PeerId(7), &mut graph, &mut rng).is_empty());
        assert!(nearness.improve(now, PeerId(7), &mut graph, &mut rng).is_empty());
        let later = Timestamp::from_millis(100_000 + u64::from(NEAR_INTERVAL_MS));
        assert!(!nearness.improve(later, PeerId(7), &mut graph, &mut rng).is_empty());
    }

    #[test]
    fn a_viewer_that_seeks_leaves_its_near_ones_for_nearer_ones() {
        let (mut nearness, mut graph, mut rng) = playing(300, |peer| Some(apart(peer)));
        exchanges(&mut nearness, &mut graph, &mut rng, 0..8, 300);
        assert!(near_count(&graph, 20, apart(20)) >= 3);
        nearness.moved(PeerId(20), Some(2500));
        exchanges(&mut nearness, &mut graph, &mut rng, 8..20, 300);
        let near = near_count(&graph, 20, 2500);
        assert!(near >= 3, "{near} near neighbours after a seek");
    }

    #[test]
    fn a_crowd_that_plays_the_same_or_nothing_stays_as_it_is() {
        for playhead in [Some(3), None] {
            let (mut nearness, mut graph, mut rng) = playing(300, |_| playhead);
            assert_eq!(exchanges(&mut nearness, &mut graph, &mut rng, 0..3, 300), [0, 0, 0]);
        }
    }

    #[test]
    fn who_left_is_forgotten() {
        let (mut nearness, mut graph, mut rng) = playing(50, |peer| Some(apart(peer)));
        exchanges(&mut nearness, &mut graph, &mut rng, 0..3, 50);
        (1..=50).for_each(|peer| nearness.remove(PeerId(peer)));
        assert!(
            nearness.playheads.is_empty() && nearness.by_segment.is_empty() && nearness.changed.is_empty()
        );
    }
}
