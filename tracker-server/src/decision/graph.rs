//! Who is a neighbour of whom: a near-regular random graph, kept so while peers come and go (DESIGN §7).
//!
//! A newcomer is linked to viewers chosen at random with a preference for those that have few links, and to
//! the initial peers while these have room. Links of initial peers are counted apart: they are the way the
//! content enters the swarm, the graph among viewers is how it spreads.
//!
//! No link is ever taken away from peers that use it, so that the number of links a newcomer gets decides
//! the mean: each brings as many as it gets. [`DEGREE_MIN`] a newcomer would fill every peer up to
//! [`DEGREE_MAX`] and leave the next one only the latest comers to choose from, which makes a chain of the
//! graph; so once the mean has reached the target, a newcomer gets half the target.
//!
//! The degrees so reached lie between half the target and [`DEGREE_MAX`], the latest comers lowest, and any
//! viewer is a few links from any other. Equal degrees for all would need links to be taken away again.
//!
//! Not in here: nearness in playhead and the rotation of initial peers among many viewers.

use std::collections::BTreeMap;

use swarm_core::PeerId;

use super::draw;
use crate::limits::{DEGREE_MAX, DEGREE_MIN, DEGREE_TARGET, DEGREE_WANT_MAX, INITIAL_DEGREE_MAX};

/// Candidates drawn for one link, of which the one with the fewest links is taken. Two would already keep
/// the graph near-regular ("the power of two choices"); always the least of all would link each newcomer to
/// the newcomers before it and so make a chain.
const SAMPLE: usize = 3;

/// Draws in vain before the search turns from sampling to a scan.
const DRAWS_MAX: usize = 12;

#[derive(Debug, Default)]
struct Node {
    is_initial: bool,
    /// Position in `viewers`, for a viewer.
    index: usize,
    viewers: Vec<PeerId>,
    initial: Vec<PeerId>,
}

/// The graph of one swarm.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: BTreeMap<PeerId, Node>,
    /// The viewers, in no order, to draw from.
    viewers: Vec<PeerId>,
    /// The initial peers, in the order they came.
    initial: Vec<PeerId>,
    /// Links between viewers.
    link_count: usize,
}

/// What follows when a peer leaves.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Departure {
    /// Who was linked to it.
    pub neighbours: Vec<PeerId>,
    /// New links that make up for those lost; the first of each pair is the one that lacked it.
    pub introduced: Vec<(PeerId, PeerId)>,
}

impl Graph {
    /// Whether two peers are neighbours.
    pub fn is_linked(&self, left: PeerId, right: PeerId) -> bool {
        self.nodes
            .get(&left)
            .is_some_and(|node| node.viewers.contains(&right) || node.initial.contains(&right))
    }

    /// The neighbours of a peer, the viewers first.
    pub fn neighbours(&self, peer: PeerId) -> impl Iterator<Item = PeerId> + '_ {
        self.nodes.get(&peer).into_iter().flat_map(|node| node.viewers.iter().chain(&node.initial)).copied()
    }

    /// Enters a viewer and returns its first neighbours, initial peers before others.
    pub fn join_viewer(&mut self, peer: PeerId, rng: &mut fastrand::Rng) -> Vec<PeerId> {
        let is_below_target = self.link_count * 2 <= self.viewers.len() * DEGREE_TARGET;
        let wanted = if self.viewers.len() <= DEGREE_TARGET {
            DEGREE_TARGET
        } else if is_below_target {
            DEGREE_MIN
        } else {
            DEGREE_TARGET / 2
        };
        self.nodes.insert(peer, Node { index: self.viewers.len(), ..Node::default() });
        self.viewers.push(peer);
        let mut neighbours: Vec<PeerId> =
            self.initial.iter().copied().filter(|initial| self.has_initial_room(*initial)).collect();
        for initial in &neighbours {
            self.add(peer, *initial);
        }
        neighbours.extend(self.fill(peer, wanted, rng));
        neighbours
    }

    /// Enters an initial peer and returns its first neighbours: viewers at random, never other initial
    /// peers, which have nothing to give one another.
    pub fn join_initial(&mut self, peer: PeerId, rng: &mut fastrand::Rng) -> Vec<PeerId> {
        self.nodes.insert(peer, Node { is_initial: true, ..Node::default() });
        self.initial.push(peer);
        let neighbours = draw::some(rng, &self.viewers, INITIAL_DEGREE_MAX);
        for viewer in &neighbours {
            self.add(*viewer, peer);
        }
        neighbours
    }

    /// Takes a peer out, gives new links to those left with fewer than [`DEGREE_MIN`], and its place at the
    /// initial peers to viewers that have none there.
    pub fn leave(&mut self, peer: PeerId, rng: &mut fastrand::Rng) -> Departure {
        let Some(node) = self.nodes.remove(&peer) else { return Departure::default() };
        if node.is_initial {
            self.initial.retain(|initial| *initial != peer);
        } else {
            self.link_count -= node.viewers.len();
            self.viewers.swap_remove(node.index);
            if let Some(moved) = self.viewers.get(node.index).and_then(|moved| self.nodes.get_mut(moved)) {
                moved.index = node.index;
            }
        }
        let neighbours: Vec<PeerId> = node.viewers.iter().chain(&node.initial).copied().collect();
        for neighbour in &neighbours {
            if let Some(other) = self.nodes.get_mut(neighbour) {
                other.viewers.retain(|linked| *linked != peer);
                other.initial.retain(|linked| *linked != peer);
            }
        }
        let mut introduced = Vec::new();
        if !node.is_initial {
            for lacking in node.viewers {
                let given = self.fill(lacking, DEGREE_MIN, rng);
                introduced.extend(given.into_iter().map(|other| (lacking, other)));
            }
        }
        introduced.extend(node.initial.into_iter().filter_map(|initial| {
            let viewer = self.without_initial(initial, rng)?;
            self.add(viewer, initial);
            Some((viewer, initial))
        }));
        Departure { neighbours, introduced }
    }

    /// Links two peers because one holds what the other wants, if both have room. Whether it did.
    pub fn link(&mut self, taker: PeerId, provider: PeerId) -> bool {
        let (Some(left), Some(right)) = (self.nodes.get(&taker), self.nodes.get(&provider)) else {
            return false;
        };
        let has_room = match (left.is_initial, right.is_initial) {
            (false, true) => self.has_initial_room(provider),
            (false, false) => left.viewers.len() < DEGREE_WANT_MAX && right.viewers.len() < DEGREE_WANT_MAX,
            (true, _) => false,
        };
        let is_new = taker != provider && has_room && !self.is_linked(taker, provider);
        if is_new {
            self.add(taker, provider);
        }
        is_new
    }

    /// Links a viewer to others until it has `wanted` viewers; returns the new ones.
    fn fill(&mut self, peer: PeerId, wanted: usize, rng: &mut fastrand::Rng) -> Vec<PeerId> {
        let mut given = Vec::new();
        while self.degree(peer) < wanted {
            let Some(other) = self.draw(peer, rng) else { break };
            self.add(peer, other);
            given.push(other);
        }
        given
    }

    /// A viewer with room and few links, not `peer` and not its neighbour.
    fn draw(&self, peer: PeerId, rng: &mut fastrand::Rng) -> Option<PeerId> {
        let is_free =
            |other: PeerId| other != peer && self.degree(other) < DEGREE_MAX && !self.is_linked(peer, other);
        let mut best: Option<(usize, PeerId)> = None;
        let mut found = 0;
        for _ in 0..DRAWS_MAX {
            let other = draw::one(rng, &self.viewers)?;
            if is_free(other) {
                let degree = self.degree(other);
                best = best.filter(|(least, _)| *least <= degree).or(Some((degree, other)));
                found += 1;
            }
            if found == SAMPLE {
                break;
            }
        }
        let scan = || {
            let (before, behind) = self.viewers.split_at(draw::index(rng, self.viewers.len())?);
            behind.iter().chain(before).copied().find(|other| is_free(*other))
        };
        best.map(|(_, other)| other).or_else(scan)
    }

    fn without_initial(&self, initial: PeerId, rng: &mut fastrand::Rng) -> Option<PeerId> {
        if !self.has_initial_room(initial) {
            return None;
        }
        let (before, behind) = self.viewers.split_at(draw::index(rng, self.viewers.len())?);
        behind.iter().chain(before).copied().find(|viewer| !self.is_linked(*viewer, initial))
    }

    fn has_initial_room(&self, initial: PeerId) -> bool {
        self.degree(initial) < INITIAL_DEGREE_MAX
    }

    /// Viewers linked to a peer.
    fn degree(&self, peer: PeerId) -> usize {
        self.nodes.get(&peer).map_or(0, |node| node.viewers.len())
    }

    /// Links a viewer with a viewer or an initial peer.
    fn add(&mut self, viewer: PeerId, other: PeerId) {
        let is_initial = self.nodes.get(&other).is_some_and(|node| node.is_initial);
        if let Some(node) = self.nodes.get_mut(&viewer) {
            let list = if is_initial { &mut node.initial } else { &mut node.viewers };
            list.push(other);
        }
        if let Some(node) = self.nodes.get_mut(&other) {
            node.viewers.push(viewer);
        }
        self.link_count += usize::from(!is_initial);
    }
}

#[cfg(test)]
mod tests;
