//! The graph as a whole: its degrees, its width, and what is left of both while peers come and go.

use std::collections::{BTreeSet, VecDeque};

use super::*;

fn grown(count: u64, seed: u64) -> (Graph, fastrand::Rng) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut graph = Graph::default();
    for peer in 1..=count {
        graph.join_viewer(PeerId(peer), &mut rng);
    }
    (graph, rng)
}

/// Links from `from` to the farthest viewer; `None` if some cannot be reached.
fn eccentricity(graph: &Graph, from: PeerId) -> Option<usize> {
    let mut seen = BTreeSet::from([from]);
    let mut queue = VecDeque::from([(from, 0)]);
    let mut farthest = 0;
    while let Some((peer, distance)) = queue.pop_front() {
        farthest = distance;
        for next in graph.nodes[&peer].viewers.iter().copied() {
            if seen.insert(next) {
                queue.push_back((next, distance + 1));
            }
        }
    }
    (seen.len() == graph.viewers.len()).then_some(farthest)
}

fn check(graph: &Graph) {
    let mut ends = 0;
    for (peer, node) in &graph.nodes {
        let distinct: BTreeSet<_> = graph.neighbours(*peer).collect();
        assert_eq!(distinct.len(), node.viewers.len() + node.initial.len(), "a link twice at {peer}");
        assert!(!distinct.contains(peer));
        assert!(distinct.iter().all(|other| graph.is_linked(*other, *peer)), "one-sided at {peer}");
        if !node.is_initial {
            assert_eq!(graph.viewers[node.index], *peer);
            ends += node.viewers.len();
        }
    }
    assert_eq!(ends, graph.link_count * 2);
}

fn degrees(graph: &Graph) -> Vec<usize> {
    graph.viewers.iter().map(|peer| graph.degree(*peer)).collect()
}

#[test]
fn a_small_swarm_is_a_full_mesh() {
    let (graph, _) = grown(DEGREE_TARGET as u64 + 1, 1);
    check(&graph);
    assert!(degrees(&graph).iter().all(|degree| *degree == DEGREE_TARGET));
}

#[test]
fn a_grown_swarm_is_near_regular_and_nobody_is_far_from_anybody() {
    for (count, distance_max) in [(30, 3), (100, 4), (1000, 6)] {
        for seed in 0..5 {
            let (graph, _) = grown(count, seed);
            check(&graph);
            let degrees = degrees(&graph);
            let mean = degrees.iter().sum::<usize>() as f64 / degrees.len() as f64;
            assert!(degrees.iter().all(|degree| (DEGREE_TARGET / 2..=DEGREE_MAX).contains(degree)));
            assert!((11.0..=13.0).contains(&mean), "{count} peers, seed {seed}: mean degree {mean}");
            for peer in graph.viewers.iter().take(20) {
                let farthest = eccentricity(&graph, *peer);
                assert!(farthest.is_some_and(|farthest| farthest <= distance_max), "{count}: {farthest:?}");
            }
        }
    }
}

#[test]
fn a_swarm_stays_whole_while_peers_come_and_go() {
    for seed in 0..5 {
        let (mut graph, mut rng) = grown(60, seed);
        for newcomer in 1000..1600 {
            let leaver = graph.viewers[rng.usize(..graph.viewers.len())];
            let departure = graph.leave(leaver, &mut rng);
            assert!(departure.neighbours.iter().all(|peer| graph.degree(*peer) >= DEGREE_MIN));
            assert!(departure.introduced.iter().all(|(left, right)| graph.is_linked(*left, *right)));
            graph.join_viewer(PeerId(newcomer), &mut rng);
        }
        check(&graph);
        assert!(degrees(&graph).iter().all(|degree| *degree <= DEGREE_MAX));
        assert!(eccentricity(&graph, graph.viewers[0]).is_some(), "seed {seed}");
    }
}

#[test]
fn an_initial_peer_takes_the_first_comers_and_refills_when_one_leaves() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut graph = Graph::default();
    graph.join_initial(PeerId(1000), &mut rng);
    for peer in 1..=40 {
        let neighbours = graph.join_viewer(PeerId(peer), &mut rng);
        assert_eq!(neighbours.contains(&PeerId(1000)), peer <= INITIAL_DEGREE_MAX as u64);
    }
    let departure = graph.leave(PeerId(1), &mut rng);
    let refill = departure.introduced.iter().find(|(_, other)| *other == PeerId(1000)).unwrap();
    assert!((33..=40).contains(&refill.0.0));
    assert_eq!(graph.degree(PeerId(1000)), INITIAL_DEGREE_MAX);
    check(&graph);
}

#[test]
fn an_initial_peer_that_comes_late_is_introduced_to_viewers_only() {
    let (mut graph, mut rng) = grown(40, 4);
    let first = graph.join_initial(PeerId(1000), &mut rng);
    let second = graph.join_initial(PeerId(1001), &mut rng);
    assert_eq!((first.len(), second.len()), (INITIAL_DEGREE_MAX, INITIAL_DEGREE_MAX));
    assert!(!graph.is_linked(PeerId(1000), PeerId(1001)));
    let departure = graph.leave(PeerId(1000), &mut rng);
    assert_eq!(departure.neighbours.len(), INITIAL_DEGREE_MAX);
    assert!(departure.introduced.is_empty());
    check(&graph);
}

#[test]
fn a_want_links_two_peers_once_and_only_up_to_the_limit() {
    let (mut graph, _) = grown(200, 5);
    let taker = PeerId(200);
    let linked = (1..200).filter(|provider| graph.link(taker, PeerId(*provider))).count();
    assert!(linked > 0);
    assert_eq!(graph.degree(taker), DEGREE_WANT_MAX);
    assert!(!graph.link(taker, taker));
    assert!(!graph.link(taker, PeerId(9999)));
    check(&graph);
}

#[test]
fn the_same_seed_makes_the_same_graph() {
    let links = |seed| {
        let (graph, _) = grown(50, seed);
        graph.nodes.into_iter().map(|(peer, node)| (peer, node.viewers)).collect::<Vec<_>>()
    };
    assert_eq!(links(7), links(7));
    assert_ne!(links(7), links(8));
}
