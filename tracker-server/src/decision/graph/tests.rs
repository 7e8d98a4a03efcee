//! The graph as a whole: its degrees, its width, and what is left of both while peers come and go.

mod crowds;
mod initial;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::limits::{
    DEGREE_MIN, INITIAL_DEGREE_MAX, INITIAL_PER_VIEWER_MAX, INITIAL_SUBNET_SHARE, INITIAL_WANTED_MAX,
    MEDIA_UNKNOWN_BPS, ROTATED_SHARE, ROTATION_MS, SETTLE_MS, WANTED_HOLD_MS, WANTED_MAX,
};

const INITIAL: PeerId = PeerId(u64::MAX);

/// A subnet that only this peer is in.
fn alone(peer: u64) -> Subnet {
    let [.., a, b, c, d] = peer.to_be_bytes();
    Subnet::of([0x2001, 0xdb8, u16::from_be_bytes([c, d]), u16::from_be_bytes([a, b]), 0, 0, 0, 1].into())
}

/// A graph, its chance, and the neighbours that peers know of from what they were told.
struct Swarm {
    graph: Graph,
    rng: fastrand::Rng,
    now: Timestamp,
    told: BTreeMap<PeerId, BTreeSet<PeerId>>,
    unlinks: usize,
}

impl Swarm {
    fn new(seed: u64) -> Self {
        let (graph, rng) = (Graph::default(), fastrand::Rng::with_seed(seed));
        Self { graph, rng, now: Timestamp::ZERO, told: BTreeMap::new(), unlinks: 0 }
    }

    fn grown(count: u64, seed: u64) -> Self {
        let mut swarm = Self::new(seed);
        (1..=count).for_each(|peer| swarm.join(peer));
        swarm
    }

    /// A viewer from a subnet of its own.
    fn join(&mut self, peer: u64) {
        self.join_from(peer, alone(peer));
    }

    fn join_from(&mut self, peer: u64, subnet: Subnet) {
        let changes = self.graph.join_viewer(self.now, PeerId(peer), subnet, &mut self.rng);
        self.hear(changes);
    }

    fn join_initial(&mut self, peer: PeerId) {
        let changes = self.graph.join_initial(self.now, peer, (alone(0), INITIAL_DEGREE), &mut self.rng);
        self.hear(changes);
    }

    fn leave(&mut self, peer: PeerId) {
        let departure = self.graph.leave(self.now, peer, |_| Need::default(), &mut self.rng);
        let known = self.told.remove(&peer).unwrap_or_default();
        assert_eq!(known, departure.neighbours.iter().copied().collect());
        for neighbour in departure.neighbours {
            self.told.entry(neighbour).or_default().remove(&peer);
        }
        self.hear(departure.changes);
    }

    fn settle(&mut self) {
        self.now = self.now + std::time::Duration::from_millis(u64::from(SETTLE_MS));
        for peer in self.viewers() {
            let changes = self.graph.settle(self.now, peer, &mut self.rng);
            self.hear(changes);
        }
    }

    fn rotate(&mut self, after_ms: u32, uplink_bps: impl Fn(PeerId) -> u64) -> usize {
        self.now = self.now + std::time::Duration::from_millis(u64::from(after_ms));
        let need = |peer| Need { is_short: false, uplink_bps: uplink_bps(peer) };
        let changes = self.graph.rotate(self.now, need, &mut self.rng);
        let count = changes.iter().filter(|change| matches!(change, Change::Linked(..))).count();
        self.hear(changes);
        count
    }

    fn hear(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Linked(left, right) => {
                    for (peer, other) in [(left, right), (right, left)] {
                        assert!(self.told.entry(peer).or_default().insert(other), "linked twice");
                    }
                }
                Change::Unlinked(left, right) => {
                    self.unlinks += 1;
                    for (peer, other) in [(left, right), (right, left)] {
                        assert!(self.told.entry(peer).or_default().remove(&other), "was not linked");
                    }
                }
            }
        }
    }

    fn viewers(&self) -> Vec<PeerId> {
        self.graph.viewers.members().to_vec()
    }

    fn degrees(&self) -> Vec<usize> {
        self.viewers().into_iter().map(|peer| self.graph.degree(peer)).collect()
    }

    /// Links from `from` to the farthest viewer by regular links; `None` if some cannot be reached.
    fn eccentricity(&self, from: PeerId) -> Option<usize> {
        let mut seen = BTreeSet::from([from]);
        let mut queue = VecDeque::from([(from, 0)]);
        let mut farthest = 0;
        while let Some((peer, distance)) = queue.pop_front() {
            farthest = distance;
            for link in self.graph.links(peer).filter(|link| link.kind.is_regular()) {
                if seen.insert(link.peer) {
                    queue.push_back((link.peer, distance + 1));
                }
            }
        }
        (seen.len() == self.graph.viewers.len()).then_some(farthest)
    }

    /// What must hold at any moment.
    fn check(&self) {
        let graph = &self.graph;
        for (peer, node) in &graph.nodes {
            let known = self.told.get(peer).cloned().unwrap_or_default();
            assert_eq!(graph.neighbours(*peer).collect::<BTreeSet<_>>(), known, "{peer} was told otherwise");
            assert_eq!(node.links.len(), known.len(), "a link twice at {peer}");
            for link in &node.links {
                assert_eq!(graph.kind(link.peer, *peer), Some(link.kind), "one-sided at {peer}");
            }
            let degree = graph.degree(*peer);
            assert!(node.is_initial || degree == DEGREE_TARGET || graph.below.members().contains(peer));
        }
        let degrees = self.degrees();
        let count = degrees.len();
        if count <= DEGREE_TARGET + 1 {
            assert!(degrees.iter().all(|degree| *degree + 1 == count), "no full mesh: {degrees:?}");
        }
        if count > 16 {
            assert!(degrees.iter().all(|degree| (DEGREE_MIN..=16).contains(degree)), "{degrees:?}");
            let mean = degrees.iter().sum::<usize>() as f64 / count as f64;
            assert!((11.5..=12.5).contains(&mean), "{count} viewers: mean degree {mean}");
            let exact = degrees.iter().filter(|degree| (11..=13).contains(*degree)).count();
            assert!(exact * 100 >= count * 95, "{count} viewers: {degrees:?}");
        }
        if let Some(first) = graph.viewers.members().first() {
            assert!(self.eccentricity(*first).is_some(), "{count} viewers fell apart");
        }
    }
}

#[test]
fn a_small_swarm_is_a_full_mesh_and_the_next_one_splits_its_links() {
    let mut swarm = Swarm::grown(DEGREE_TARGET as u64 + 1, 1);
    swarm.check();
    assert_eq!(swarm.unlinks, 0);
    swarm.join(99);
    assert_eq!(swarm.unlinks, DEGREE_TARGET / 2);
    assert!(swarm.degrees().iter().all(|degree| *degree == DEGREE_TARGET));
    swarm.leave(PeerId(3));
    swarm.check();
}

#[test]
fn a_swarm_that_grows_is_regular_at_every_size_and_gives_up_few_links() {
    for seed in 0..2 {
        let mut swarm = Swarm::new(seed);
        for peer in 1..=1000 {
            swarm.join(peer);
            if peer < 100 || peer % 100 == 0 {
                swarm.check();
            }
        }
        let per_join = swarm.unlinks as f64 / 1000.0;
        println!("{per_join} unlinks a join while 1,000 viewers come");
        assert!(per_join <= 2.6, "{per_join} unlinks a join");
    }
}

#[test]
fn nobody_is_far_from_anybody() {
    for (count, distance_max) in [(30, 3), (100, 4), (1000, 5)] {
        let swarm = Swarm::grown(count, 7);
        let farthest = swarm.viewers().into_iter().map(|peer| swarm.eccentricity(peer)).max().flatten();
        assert!(farthest.is_some_and(|farthest| farthest <= distance_max), "{count}: {farthest:?}");
    }
}

#[test]
fn a_viewer_that_still_waits_when_the_crowd_has_come_is_given_its_links() {
    let mut swarm = Swarm::grown(300, 2);
    assert!(swarm.degrees().iter().any(|degree| *degree < DEGREE_TARGET - 1));
    swarm.settle();
    swarm.check();
    let lacking = swarm.degrees().into_iter().filter(|degree| *degree != DEGREE_TARGET).count();
    assert_eq!(lacking, 0);
}

#[test]
fn steady_churn_keeps_the_graph_and_costs_few_links() {
    let mut swarm = Swarm::grown(100, 3);
    swarm.unlinks = 0;
    for newcomer in 1000..1400 {
        let leaver = swarm.graph.viewers.draw(&mut swarm.rng).unwrap();
        swarm.leave(leaver);
        swarm.check();
        swarm.join(newcomer);
        swarm.check();
    }
    let per_join = swarm.unlinks as f64 / 400.0;
    println!("{per_join} unlinks a join and leave in steady churn");
    assert!(per_join <= 1.0, "{per_join}");
    let farthest = swarm.viewers().into_iter().map(|peer| swarm.eccentricity(peer)).max().flatten();
    assert!(farthest.is_some_and(|farthest| farthest <= 4), "{farthest:?}");
}

#[test]
fn a_swarm_of_which_most_leave_at_once_stays_whole() {
    let mut swarm = Swarm::grown(400, 4);
    for peer in 1..=390 {
        swarm.leave(PeerId(peer));
        swarm.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whoever_comes_and_goes_the_graph_is_regular_and_whole(
        seed in any::<u64>(),
        steps in prop::collection::vec((0u32..100, 1u64..40), 1..24),
        growth in 20u32..80,
    ) {
        let mut swarm = Swarm::new(seed);
        swarm.join_initial(INITIAL);
        let mut newcomer = 0;
        for (chance, count) in steps {
            for _ in 0..count {
                if chance < growth {
                    newcomer += 1;
                    swarm.join(newcomer);
                } else if let Some(leaver) = swarm.graph.viewers.draw(&mut swarm.rng) {
                    swarm.leave(leaver);
                }
                swarm.check();
            }
            if chance % 5 == 0 {
                swarm.settle();
                swarm.check();
            }
        }
    }
}

#[test]
fn a_want_adds_a_link_on_top_and_the_oldest_gives_way_after_a_while() {
    let mut swarm = Swarm::grown(200, 5);
    let taker = PeerId(200);
    let want = |swarm: &mut Swarm| -> usize {
        let providers = (1..200).map(PeerId);
        let mut linked = 0;
        for provider in providers {
            if let Some(changes) = swarm.graph.link_wanted(swarm.now, taker, provider) {
                swarm.hear(changes);
                linked += 1;
            }
        }
        linked
    };
    assert_eq!(want(&mut swarm), WANTED_MAX);
    swarm.check();
    swarm.now = Timestamp::from_millis(u64::from(WANTED_HOLD_MS));
    assert_eq!(want(&mut swarm), WANTED_MAX, "each in place of an old one");
    assert_eq!(swarm.graph.links(taker).filter(|link| link.kind == Kind::Wanted).count(), WANTED_MAX);
    swarm.check();
    assert_eq!(swarm.graph.link_wanted(swarm.now, taker, taker), None);
    assert_eq!(swarm.graph.link_wanted(swarm.now, taker, PeerId(9999)), None);
}

#[test]
fn the_same_seed_makes_the_same_graph() {
    assert_eq!(Swarm::grown(50, 7).told, Swarm::grown(50, 7).told);
    assert_ne!(Swarm::grown(50, 7).told, Swarm::grown(50, 8).told);
}
