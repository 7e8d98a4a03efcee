//! Who is a neighbour of whom: a regular random graph of viewers, further links of strong viewers, and the initial
//! peers' links.
//!
//! ```text
//! kind      between                  how many                          kept by
//! Random    viewers                  12 a viewer, with Near            regular
//! Near      viewers, by playhead     at most 4 of these 12             nearness, through `swap`
//! Strong    viewers, one is strong   at most 28 with the regular ones  strong
//! Wanted    a taker and a provider   at most 4 a viewer, on top        wanted
//! Initial   viewer and initial peer  64 to 1,000 an initial peer, by   initial
//!                                    its uplink; 2 a viewer
//! ```
//!
//! No subnet takes all places of a peer: a viewer has at most [`LINKS_PER_SUBNET_MAX`] regular links with a subnet
//! other than its own while there are others to link it with, and an initial peer keeps three quarters of its places
//! for the others. So whoever opens many connections from one place surrounds nobody.
//!
//! A regular graph is what spreads a content evenly: 100 peers, *sim*: random links, 8 on average → 1.20 of the
//! bound, exactly 8 each → 1.03. Links of initial peers are counted apart: they are the way the content enters
//! the swarm, the graph among viewers is how it spreads.
//!
//! This module owns the links themselves; what is to be added and given up is decided in the modules named
//! above, and in `by_chance`, which takes the place of `regular` in a simulation that shows what regularity is
//! worth. Each of their operations returns the changes that the peers must hear of, in order.

mod apart;
mod by_chance;
mod initial;
mod moving;
mod near;
mod regular;
mod strong;
mod visitors;
mod wanted;

use std::collections::BTreeMap;

use apart::Apart;
pub(super) use initial::{Need, places_for};
use swarm_core::{PeerId, Timestamp};

use super::network::Subnet;
use super::pool::Pool;
use super::token_bucket::{Rate, TokenBucket};
use crate::limits::{
    DEGREE_TARGET, INITIAL_DEGREE, LINK_SIGNAL_BURST_BYTES, LINK_SIGNAL_RATE_BYTES_PER_S,
    LINKS_PER_SUBNET_MAX,
};

/// Bytes of signals that one end of a link may send the other.
const SIGNAL_RATE: Rate = Rate { per_s: LINK_SIGNAL_RATE_BYTES_PER_S, burst: LINK_SIGNAL_BURST_BYTES };

/// How viewers come to be neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wiring {
    /// Everybody has as many links as everybody else. What trackers do.
    #[default]
    Regular,
    /// Everybody is given some others by chance: what the simulator compares with.
    ByChance,
}

/// Why two peers are linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Chosen by chance.
    Random,
    /// Chosen because they play nearly the same.
    Near,
    /// One of them is strong, and the other was undersupplied.
    Strong,
    /// One wanted what the other holds.
    Wanted,
    /// One of them is an initial peer.
    Initial,
}

impl Kind {
    /// Whether the link is one of those that the graph keeps at the target.
    pub(super) const fn is_regular(self) -> bool {
        match self {
            Self::Random | Self::Near => true,
            Self::Strong | Self::Wanted | Self::Initial => false,
        }
    }

    /// Whether the link shares the uplinks of two viewers for as long as both are there.
    const fn is_among_viewers(self) -> bool {
        self.is_regular() || matches!(self, Self::Strong)
    }
}

/// A link as one of its ends sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    /// The other end.
    pub peer: PeerId,
    /// Why they are linked.
    pub kind: Kind,
    /// Since when.
    pub since: Timestamp,
    /// Where the other end comes from.
    subnet: Subnet,
    /// What this end may still send the other.
    signals: TokenBucket,
}

/// Whether a signal may pass from one peer to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignalVerdict {
    /// It may.
    Pass,
    /// It may not: the tracker made no link between them.
    NoLink,
    /// It may not yet: the sender has used up the budget of the link. There is room after this many ms.
    Overrun(u32),
}

/// What two peers are to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// They are neighbours now; the first makes the offer.
    Linked(PeerId, PeerId),
    /// They are no longer.
    Unlinked(PeerId, PeerId),
}

/// What follows when a peer leaves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Departure {
    /// Who was linked to it.
    pub neighbours: Vec<PeerId>,
    /// How its place is filled.
    pub changes: Vec<Change>,
}

#[derive(Debug)]
struct Node {
    is_initial: bool,
    /// Whether it is a viewer of another room: it has regular links only.
    is_visitor: bool,
    subnet: Subnet,
    /// When it came, or lost a neighbour.
    waits_since: Timestamp,
    links: Vec<Link>,
    /// How often a viewer was given an initial peer.
    turns: u32,
    /// When an initial peer may exchange viewers again.
    next_rotation: Timestamp,
    /// Links that an initial peer is to have, apart from those on top.
    places_max: usize,
    /// Links that a strong viewer is to have with viewers; 0 of one that is not strong.
    strong_degree: usize,
}

impl Node {
    fn count(&self, is_meant: impl Fn(Kind) -> bool) -> usize {
        self.links.iter().filter(|link| is_meant(link.kind)).count()
    }
}

/// The graph of one swarm.
#[derive(Debug, Default)]
pub(super) struct Graph {
    wiring: Wiring,
    apart: Apart,
    /// Rooms among which what is said on top of an initial peer's places is shared.
    rooms: usize,
    nodes: BTreeMap<PeerId, Node>,
    viewers: Pool,
    /// Viewers that have fewer regular links than the target.
    below: Pool,
    /// Viewers without any initial peer.
    without_initial: Pool,
    /// Strong viewers that have fewer links than they are to have.
    strong: Pool,
    /// The initial peers, in the order they came.
    initial: Vec<PeerId>,
    /// What has been changed and not yet been told.
    changes: Vec<Change>,
}

impl Graph {
    /// A graph without anybody.
    pub(super) fn new(wiring: Wiring) -> Self {
        Self { wiring, ..Self::default() }
    }

    /// Whether two peers are neighbours.
    pub(super) fn is_linked(&self, left: PeerId, right: PeerId) -> bool {
        self.kind(left, right).is_some()
    }

    /// The links of a peer.
    pub(super) fn links(&self, peer: PeerId) -> impl Iterator<Item = Link> + '_ {
        self.nodes.get(&peer).into_iter().flat_map(|node| node.links.iter().copied())
    }

    /// The neighbours of a peer.
    pub(super) fn neighbours(&self, peer: PeerId) -> impl Iterator<Item = PeerId> + '_ {
        self.links(peer).map(|link| link.peer)
    }

    /// Counts a signal of `bytes` towards the budget of its link, if there is one.
    pub(super) fn admit_signal(
        &mut self,
        now: Timestamp,
        from: PeerId,
        to: PeerId,
        bytes: u32,
    ) -> SignalVerdict {
        let links = self.nodes.get_mut(&from).map(|node| &mut node.links);
        let Some(link) = links.and_then(|links| links.iter_mut().find(|link| link.peer == to)) else {
            return SignalVerdict::NoLink;
        };
        match link.signals.take(SIGNAL_RATE, now, bytes) {
            Ok(()) => SignalVerdict::Pass,
            Err(retry_after_ms) => SignalVerdict::Overrun(retry_after_ms),
        }
    }

    /// Enters a viewer: its initial peers first, then its place among the viewers.
    pub(super) fn join_viewer(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        subnet: Subnet,
        rng: &mut fastrand::Rng,
    ) -> Vec<Change> {
        let waiting = self.below.len();
        self.enter(now, peer, subnet, false);
        self.link_initial(now, peer);
        self.link_viewers(now, peer, waiting, rng);
        self.take_changes()
    }

    /// Enters an initial peer that is to have `places` links, and links viewers to it; never other initial peers, which
    /// have nothing to give one another.
    pub(super) fn join_initial(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        (subnet, places): (Subnet, usize),
        rng: &mut fastrand::Rng,
    ) -> Vec<Change> {
        self.enter(now, peer, subnet, true);
        self.nodes.get_mut(&peer).into_iter().for_each(|node| node.places_max = places);
        self.first_viewers(now, peer, rng);
        self.take_changes()
    }

    /// Takes a peer out and makes up for it: the neighbours it leaves behind are linked with one another, and
    /// its place at an initial peer goes to a viewer that has none.
    pub(super) fn leave(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        need: impl Fn(PeerId) -> Need,
        rng: &mut fastrand::Rng,
    ) -> Departure {
        let Some(node) = self.nodes.remove(&peer) else { return Departure::default() };
        self.initial.retain(|initial| *initial != peer);
        for pool in [&mut self.viewers, &mut self.below, &mut self.without_initial, &mut self.strong] {
            pool.set(peer, false);
        }
        for link in &node.links {
            if let Some(other) = self.nodes.get_mut(&link.peer) {
                other.links.retain(|back| back.peer != peer);
                other.waits_since = now;
            }
            self.note(link.peer);
        }
        let neighbours = node.links.iter().map(|link| link.peer).collect();
        if !node.is_initial {
            let of = |is_meant: fn(Kind) -> bool| {
                node.links.iter().filter(move |link| is_meant(link.kind)).map(|link| link.peer)
            };
            match self.wiring {
                _ if !self.is_crowd() => {}
                Wiring::Regular => self.close_gap(now, of(Kind::is_regular), rng),
                Wiring::ByChance => of(Kind::is_regular).for_each(|orphan| self.draw_links(now, orphan, rng)),
            }
            for initial in of(|kind| kind == Kind::Initial) {
                self.refill(now, initial, &need, rng);
            }
        }
        Departure { neighbours, changes: self.take_changes() }
    }

    /// Regular links of a viewer.
    fn degree(&self, peer: PeerId) -> usize {
        self.nodes.get(&peer).map_or(0, |node| node.count(Kind::is_regular))
    }

    fn kind(&self, left: PeerId, right: PeerId) -> Option<Kind> {
        self.links(left).find(|link| link.peer == right).map(|link| link.kind)
    }

    /// Whether a regular link between two viewers could be added.
    fn is_free(&self, left: PeerId, right: PeerId) -> bool {
        left != right && !self.kind(left, right).is_some_and(Kind::is_regular)
    }

    fn subnet(&self, peer: PeerId) -> Option<Subnet> {
        self.nodes.get(&peer).map(|node| node.subnet)
    }

    /// Whether a link between two viewers leaves both with neighbours from many subnets: neither may have its share of
    /// the other's subnet yet. Viewers of one subnet may have any number of links with one another.
    fn is_diverse(&self, left: PeerId, right: PeerId) -> bool {
        let (Some(left), Some(right)) = (self.nodes.get(&left), self.nodes.get(&right)) else { return true };
        let has_room = |node: &Node, subnet: Subnet| {
            let near = node.links.iter().filter(|link| link.kind.is_regular() && link.subnet == subnet);
            near.count() < LINKS_PER_SUBNET_MAX
        };
        left.subnet == right.subnet || (has_room(left, right.subnet) && has_room(right, left.subnet))
    }

    fn enter(&mut self, now: Timestamp, peer: PeerId, subnet: Subnet, is_initial: bool) {
        let node = Node {
            is_initial,
            is_visitor: false,
            subnet,
            waits_since: now,
            links: Vec::new(),
            turns: 0,
            next_rotation: now,
            places_max: INITIAL_DEGREE,
            strong_degree: 0,
        };
        self.nodes.insert(peer, node);
        if is_initial {
            self.initial.push(peer);
        } else {
            self.viewers.set(peer, true);
            self.note(peer);
        }
    }

    /// Links two peers that are not linked, or that are for another reason, which then counts no longer.
    fn link(&mut self, now: Timestamp, left: PeerId, right: PeerId, kind: Kind) {
        if !self.is_linked(left, right) {
            self.changes.push(Change::Linked(left, right));
        }
        for (peer, other) in [(left, right), (right, left)] {
            let Some(subnet) = self.subnet(other) else { continue };
            let Some(node) = self.nodes.get_mut(&peer) else { continue };
            match node.links.iter_mut().find(|link| link.peer == other) {
                Some(link) => link.kind = kind,
                None => {
                    let signals = TokenBucket::new(SIGNAL_RATE, now);
                    node.links.push(Link { peer: other, kind, since: now, subnet, signals });
                }
            }
            node.turns += u32::from(kind == Kind::Initial);
            self.note(peer);
        }
    }

    fn unlink(&mut self, left: PeerId, right: PeerId) {
        for (peer, other) in [(left, right), (right, left)] {
            if let Some(node) = self.nodes.get_mut(&peer) {
                node.links.retain(|link| link.peer != other);
            }
            self.note(peer);
        }
        self.changes.push(Change::Unlinked(left, right));
    }

    /// Brings the sets up to date with the links of a peer.
    fn note(&mut self, peer: PeerId) {
        let Some(node) = self.nodes.get(&peer).filter(|node| !node.is_initial) else { return };
        self.below.set(peer, node.count(Kind::is_regular) < DEGREE_TARGET);
        let is_without = !node.is_visitor && node.count(|kind| kind == Kind::Initial) == 0;
        self.without_initial.set(peer, is_without);
        self.strong.set(peer, node.count(Kind::is_among_viewers) < node.strong_degree);
    }

    fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }
}

#[cfg(test)]
mod tests;
