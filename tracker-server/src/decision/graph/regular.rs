//! The regular random graph: every viewer has [`DEGREE_TARGET`] links, whoever comes and goes.
//!
//! A newcomer *splits* links: u–v is given up for u–newcomer–v, which leaves the degrees of u and v as they
//! were. When a peer goes, the neighbours it leaves behind are linked with one another. Both keep the graph as
//! random as it was (Law and Siu, "Distributed construction of random expander networks", INFOCOM 2003).
//!
//! Each split gives up a link, in a crowd one that is just being built; so links are saved where one event makes
//! up for another, by letting some viewers *wait* below the target:
//!
//! * Whoever lost one neighbour waits with eleven links for a newcomer that needs twelve.
//! * A newcomer may start with [`DEGREE_MIN`] and get the rest from those after it. Half of what it then starts
//!   with comes from others that wait, the other half from two splits instead of six. Fewer are not possible:
//!   each newcomer adds six links to the swarm, and one that starts with eight has given up two. One in
//!   [`WAITING_SHARE`] viewers may wait like this; if only a handful could, the graph would become a chain of
//!   newcomers, each linked to the ones before it.
//!
//! Who still waits after [`SETTLE_MS`] is [settled](Graph::settle): paired with others that wait, or by splits.
//!
//! A swarm with room for everybody at everybody is a full mesh.
//!
//! Neighbours are looked for in other subnets first; only if that cannot be, any will do. Who came when there was nobody
//! else [exchanges](Graph::settle) such neighbours later.

use std::time::Duration;

use swarm_core::{PeerId, Timestamp};

use super::super::network::Subnet;
use super::{Change, Graph, Kind, Wiring};
use crate::limits::{
    DEGREE_MIN, DEGREE_TARGET, LINKS_PER_SUBNET_MAX, ORPHANED_SHARE, SETTLE_MS, WAITING_SHARE,
};

/// Which neighbours will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// Those that leave both ends with neighbours from many subnets.
    Diverse,
    /// Any.
    Any,
}

/// Choices of which the best is taken. Of links to split that is the oldest: it has served longest, while a new
/// one may not even be built.
const SAMPLE: usize = 3;

/// Draws before the search turns to a scan, which only tiny swarms need.
const DRAWS_MAX: usize = 24;

impl Graph {
    /// Gives a viewer that has waited for links long enough those that it lacks.
    pub(crate) fn settle(&mut self, now: Timestamp, peer: PeerId, rng: &mut fastrand::Rng) -> Vec<Change> {
        let patience = Duration::from_millis(u64::from(SETTLE_MS));
        let is_due = |since: Timestamp| since + patience <= now;
        let is_waiting =
            self.nodes.get(&peer).is_some_and(|node| !node.is_initial && is_due(node.waits_since));
        if is_waiting && self.wiring == Wiring::Regular && self.is_crowd() {
            self.fill(now, peer, rng);
        }
        self.disperse(now, peer, rng);
        self.take_changes()
    }

    /// Takes a viewer out of a crowd: one that has too many neighbours of one subnet, since it came when there was
    /// nobody else, exchanges one of them with a viewer of another subnet. These two are linked, and so are the two
    /// of the crowd.
    fn disperse(&mut self, now: Timestamp, peer: PeerId, rng: &mut fastrand::Rng) {
        let Some((subnet, given)) = self.crowding(peer) else { return };
        let exchange = |other: PeerId| {
            if self.subnet(other) == Some(subnet) || !self.will_do(peer, other, Choice::Diverse) {
                return None;
            }
            let of_crowd = self.links(other).filter(|link| link.kind.is_regular() && link.subnet == subnet);
            of_crowd.map(|link| link.peer).find(|taken| self.is_free(given, *taken))
        };
        let found = self.viewers.draw_where(rng, |other| exchange(other).is_some());
        let Some((other, taken)) = found.and_then(|other| Some((other, exchange(other)?))) else { return };
        self.link(now, peer, other, Kind::Random);
        self.link(now, given, taken, Kind::Random);
        self.unlink(peer, given);
        self.unlink(other, taken);
    }

    /// The subnet, other than its own, of which a viewer has too many neighbours, and the one it has had longest.
    fn crowding(&self, peer: PeerId) -> Option<(Subnet, PeerId)> {
        let node = self.nodes.get(&peer).filter(|node| !node.is_initial)?;
        let regular =
            || node.links.iter().filter(|link| link.kind.is_regular() && link.subnet != node.subnet);
        let of = |subnet| regular().filter(move |link| link.subnet == subnet);
        let crowding =
            regular().map(|link| link.subnet).find(|s| of(*s).count() > LINKS_PER_SUBNET_MAX + 1)?;
        of(crowding).min_by_key(|link| link.since).map(|link| (crowding, link.peer))
    }

    /// Finds a newcomer's place; `waiting` viewers were below the target when it came.
    pub(super) fn place(&mut self, now: Timestamp, peer: PeerId, waiting: usize, rng: &mut fastrand::Rng) {
        if self.is_mesh() {
            return self.complete(now);
        }
        let room = self.viewers.len() / WAITING_SHARE;
        if waiting * 2 >= room {
            let direct = DEGREE_TARGET - DEGREE_MIN + waiting.saturating_sub(room);
            for _ in 0..direct.min(DEGREE_TARGET) {
                let Some(other) = self.least_lacking(peer, rng) else { break };
                self.link(now, peer, other, Kind::Random);
            }
        }
        // The newcomer itself counts as one that is below.
        let wanted = if self.below.len() <= room { DEGREE_MIN } else { DEGREE_TARGET };
        while self.degree(peer) + 2 <= wanted && self.splice(now, peer, peer, Choice::Diverse, rng) {}
        if self.degree(peer) < wanted {
            self.fill(now, peer, rng);
        }
    }

    /// Makes up for a peer that left `orphans` behind.
    pub(super) fn close_gap(
        &mut self,
        now: Timestamp,
        orphans: impl Iterator<Item = PeerId>,
        rng: &mut fastrand::Rng,
    ) {
        if self.is_mesh() {
            return self.complete(now);
        }
        for orphan in orphans {
            let may_wait = self.below.len() * ORPHANED_SHARE <= self.viewers.len();
            if !may_wait || self.degree(orphan) + 1 < DEGREE_TARGET {
                self.fill(now, orphan, rng);
            }
        }
    }

    fn is_mesh(&self) -> bool {
        self.viewers.len() <= DEGREE_TARGET + 1
    }

    /// Links everybody with everybody.
    fn complete(&mut self, now: Timestamp) {
        let viewers = self.viewers.members().to_vec();
        for (index, later) in viewers.iter().enumerate() {
            for earlier in &viewers[..index] {
                if self.is_free(*later, *earlier) {
                    self.link(now, *later, *earlier, Kind::Random);
                }
            }
        }
    }

    /// Brings a viewer up to the target if that can be; one link may remain lacking, since ends come in pairs.
    fn fill(&mut self, now: Timestamp, peer: PeerId, rng: &mut fastrand::Rng) {
        for choice in [Choice::Diverse, Choice::Any] {
            while self.degree(peer) < DEGREE_TARGET && self.fill_one(now, peer, choice, rng) {}
        }
    }

    /// Gives a viewer one more link, or two. Whether there was one.
    fn fill_one(&mut self, now: Timestamp, peer: PeerId, choice: Choice, rng: &mut fastrand::Rng) -> bool {
        self.pair(now, peer, choice, rng)
            || (self.degree(peer) + 2 <= DEGREE_TARGET && self.splice(now, peer, peer, choice, rng))
            || self
                .below
                .draw_where(rng, |other| other != peer)
                .is_some_and(|other| self.splice(now, peer, other, choice, rng))
    }

    fn will_do(&self, left: PeerId, right: PeerId, choice: Choice) -> bool {
        self.is_free(left, right) && (choice == Choice::Any || self.is_diverse(left, right))
    }

    /// Links a viewer with another that lacks a link. Whether there was one.
    fn pair(&mut self, now: Timestamp, peer: PeerId, choice: Choice, rng: &mut fastrand::Rng) -> bool {
        let other = self.below.draw_where(rng, |other| self.will_do(peer, other, choice));
        if let Some(other) = other {
            self.link(now, peer, other, Kind::Random);
        }
        other.is_some()
    }

    /// Of some that lack links, the one that lacks fewest: it soon waits no more, and makes room for another.
    fn least_lacking(&self, peer: PeerId, rng: &mut fastrand::Rng) -> Option<PeerId> {
        let will_do = |other| self.will_do(peer, other, Choice::Diverse);
        let drawn = (0..SAMPLE).filter_map(|_| self.below.draw_where(rng, will_do));
        drawn.max_by_key(|other| self.degree(*other))
    }

    /// Gives up a link u–v for `left`–u and `right`–v; a split, if both are the same. Whether there was one.
    fn splice(
        &mut self,
        now: Timestamp,
        left: PeerId,
        right: PeerId,
        choice: Choice,
        rng: &mut fastrand::Rng,
    ) -> bool {
        let Some((near_left, near_right)) = self.link_to_give_up(left, right, choice, rng) else {
            return false;
        };
        self.link(now, left, near_left, Kind::Random);
        self.link(now, right, near_right, Kind::Random);
        self.unlink(near_left, near_right);
        true
    }

    fn link_to_give_up(
        &self,
        left: PeerId,
        right: PeerId,
        choice: Choice,
        rng: &mut fastrand::Rng,
    ) -> Option<(PeerId, PeerId)> {
        let is_meant = |from: PeerId, to: PeerId| self.is_free(left, from) && self.is_free(right, to);
        let is_chosen =
            |from: PeerId, to: PeerId| self.will_do(left, from, choice) && self.will_do(right, to, choice);
        let mut found: Vec<(Timestamp, PeerId, PeerId)> = Vec::new();
        for _ in 0..DRAWS_MAX {
            let from = self.viewers.draw(rng)?;
            let Some(link) = self.draw_link(from, rng) else { continue };
            if link.kind == Kind::Random && is_meant(from, link.peer) {
                found.push((link.since, from, link.peer));
            }
            if found.len() == SAMPLE {
                break;
            }
        }
        // Where somebody comes from is looked at last, and of few: it takes longest.
        found.sort_by_key(|(since, ..)| *since);
        let oldest =
            found.into_iter().map(|(_, from, to)| (from, to)).find(|(from, to)| is_chosen(*from, *to));
        oldest.or_else(|| {
            self.viewers.round(rng).find_map(|from| {
                let mut links = self.links(from).filter(|link| link.kind.is_regular());
                links.find(|link| is_chosen(from, link.peer)).map(|link| (from, link.peer))
            })
        })
    }

    fn draw_link(&self, peer: PeerId, rng: &mut fastrand::Rng) -> Option<super::Link> {
        super::super::draw::one(rng, &self.nodes.get(&peer)?.links)
    }
}
