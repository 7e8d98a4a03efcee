//! Which viewers an initial peer is linked to.
//!
//! It has as many *places* as its uplink carries viewers, at least [`INITIAL_DEGREE`] and at most
//! [`INITIAL_DEGREE_MAX`]. While there are places every viewer gets one, but none gets more than
//! [`INITIAL_PER_VIEWER_MAX`] initial peers. When there are more viewers than places, the places *rotate*:
//!
//! * A few at a time, one in [`ROTATED_SHARE`] each [`ROTATION_MS`], and none before it was held that long. What is injected
//!   goes only where a link stands and has carried enough to know its rate, so most must stay.
//! * Out of the half with the smaller uplinks, of viewers that are not short, the longest held first. What is injected to a
//!   viewer spreads as fast as that viewer sends, so the strongest are worth most at the root and stay there.
//! * To viewers whose subnet has no more places than that of the loser, so that a crowd from one subnet does not push
//!   the others out. For the same reason a newcomer that finds no place free takes one of a subnet that has more than one
//!   in [`INITIAL_SUBNET_SHARE`].
//! * To viewers that are short, then to those that had their turn least often, among some drawn by chance the one with the
//!   biggest uplink. So everybody gets a turn, and strong viewers are found and kept.
//!
//! An initial peer whose places become fewer, because its uplink is believed less, gives up some each time.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use swarm_core::{PeerId, Timestamp};

use super::super::draw;
use super::super::network::Subnet;
use super::{Change, Graph, Kind};
use crate::limits::{
    INITIAL_DEGREE, INITIAL_DEGREE_MAX, INITIAL_PER_VIEWER_MAX, INITIAL_SUBNET_SHARE, MEDIA_UNKNOWN_BPS,
    ROTATED_SHARE, ROTATION_MS, UPLINK_UNKNOWN_BPS, WIDENED_MAX,
};

/// Viewers looked at for a place that is free.
const SAMPLE: usize = 8;

/// What counts of a viewer when links are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Need {
    /// Whether its player has hardly anything ahead.
    pub is_short: bool,
    /// Its upload capacity as far as it is believed, bits a second; 0 if not known.
    pub uplink_bps: u64,
}

/// The links that an initial peer is to have: to as many viewers as its uplink carries at the rate of the media. 0 stands
/// for what is not known.
pub(crate) fn places_for(uplink_bps: u64, media_bps: u64) -> usize {
    let rate = if media_bps == 0 { MEDIA_UNKNOWN_BPS } else { media_bps };
    usize::try_from(uplink_bps / rate).unwrap_or(usize::MAX).clamp(INITIAL_DEGREE, INITIAL_DEGREE_MAX)
}

impl Graph {
    /// An initial peer is to have `places` links: further viewers are linked to it, short ones first.
    pub(crate) fn widen(
        &mut self,
        now: Timestamp,
        initial: PeerId,
        places: usize,
        need: impl Fn(PeerId) -> Need,
        rng: &mut fastrand::Rng,
    ) -> Vec<Change> {
        let Some(node) = self.nodes.get_mut(&initial).filter(|node| node.is_initial) else {
            return Vec::new();
        };
        let is_wider = places > node.places_max;
        node.places_max = places;
        if is_wider {
            let room = places.saturating_sub(self.places(initial)).min(WIDENED_MAX);
            for _ in 0..room.min(self.viewers.len()) {
                if !self.refill(now, initial, &need, rng) {
                    break;
                }
            }
        }
        self.take_changes()
    }

    /// Gives some places at initial peers to viewers without one, if it is time.
    pub(crate) fn rotate(
        &mut self,
        now: Timestamp,
        need: impl Fn(PeerId) -> Need,
        rng: &mut fastrand::Rng,
    ) -> Vec<Change> {
        let interval = Duration::from_millis(u64::from(ROTATION_MS));
        for initial in self.initial.clone() {
            let Some(node) = self.nodes.get_mut(&initial).filter(|node| node.next_rotation <= now) else {
                continue;
            };
            node.next_rotation = now + interval;
            let mut places: Vec<_> = node.links.iter().filter(|link| link.kind == Kind::Initial).collect();
            if places.len() < node.places_max {
                continue;
            }
            let surplus = places.len() - node.places_max;
            let rotated = places.len() / ROTATED_SHARE;
            places.sort_by_key(|link| known(need(link.peer).uplink_bps));
            places.truncate(places.len() / 2);
            places.retain(|link| link.since + interval <= now && !need(link.peer).is_short);
            places.sort_by_key(|link| link.since);
            let mut losing: Vec<PeerId> = places.iter().map(|link| link.peer).take(rotated).collect();
            let kept = losing.split_off(surplus.min(losing.len()));
            losing.into_iter().for_each(|loser| self.unlink(loser, initial));
            for loser in kept.into_iter().take(self.without_initial.len()) {
                let taken = self.places_by_subnet(initial);
                let places = |peer: PeerId| self.subnet(peer).and_then(|subnet| taken.get(&subnet)).copied();
                let loser_places = places(loser);
                let may_win = |viewer: PeerId| places(viewer) <= loser_places;
                let Some(winner) = self.successor(may_win, &need, rng) else { continue };
                self.link(now, winner, initial, Kind::Initial);
                self.unlink(loser, initial);
            }
        }
        self.take_changes()
    }

    /// Links a newcomer to initial peers that have room, those with the fewest links first.
    pub(super) fn link_initial(&mut self, now: Timestamp, peer: PeerId) {
        let mut initial: Vec<PeerId> = self
            .initial
            .iter()
            .copied()
            .filter(|initial| self.places(*initial) < self.places_max(*initial))
            .collect();
        initial.sort_by_key(|initial| self.places(*initial));
        initial.truncate(INITIAL_PER_VIEWER_MAX);
        let is_full = initial.is_empty();
        for initial in initial {
            self.link(now, peer, initial, Kind::Initial);
        }
        if is_full {
            self.claim(now, peer);
        }
    }

    /// Gives a newcomer a place of the subnet that has most of them at an initial peer, if that is too many.
    fn claim(&mut self, now: Timestamp, peer: PeerId) {
        let Some(own) = self.subnet(peer) else { return };
        for initial in self.initial.clone() {
            let places = self.links(initial).filter(|link| link.kind == Kind::Initial);
            let mut taken: Vec<Subnet> = places.map(|link| link.subnet).collect();
            taken.sort_unstable();
            let runs = taken.chunk_by(|left, right| left == right);
            let Some((subnet, count)) = runs.map(|run| (run[0], run.len())).max_by_key(|(_, count)| *count)
            else {
                continue;
            };
            let own_count = taken.iter().filter(|subnet| **subnet == own).count();
            if count <= self.places_max(initial) / INITIAL_SUBNET_SHARE || count <= own_count + 1 {
                continue;
            }
            let places = self.links(initial).filter(|link| link.kind == Kind::Initial);
            let longest = places.filter(|link| link.subnet == subnet).min_by_key(|link| link.since);
            let Some(loser) = longest.map(|link| link.peer) else { continue };
            self.link(now, peer, initial, Kind::Initial);
            self.unlink(loser, initial);
            return;
        }
    }

    /// Places at an initial peer, by the subnets of those that have them.
    pub(super) fn places_by_subnet(&self, initial: PeerId) -> BTreeMap<Subnet, usize> {
        let mut taken = BTreeMap::new();
        for link in self.links(initial).filter(|link| link.kind == Kind::Initial) {
            *taken.entry(link.subnet).or_default() += 1;
        }
        taken
    }

    /// Links an initial peer that comes to viewers by chance: those without any first, and of each subnet one after the
    /// other.
    pub(super) fn first_viewers(&mut self, now: Timestamp, peer: PeerId, rng: &mut fastrand::Rng) {
        let mut viewers = draw::some(rng, self.viewers.members(), self.viewers.len());
        let mut turns: BTreeMap<Option<Subnet>, usize> = BTreeMap::new();
        viewers.sort_by_cached_key(|viewer| {
            let turn = turns.entry(self.subnet(*viewer)).or_default();
            *turn += 1;
            (self.initial_count(*viewer), *turn)
        });
        for viewer in viewers.into_iter().take(self.places_max(peer)) {
            if self.has_place(peer, viewer) {
                self.link(now, peer, viewer, Kind::Initial);
            }
        }
    }

    /// Gives a place that is free to a viewer without an initial peer, or to any that may have another. Whether there was
    /// one.
    pub(super) fn refill(
        &mut self,
        now: Timestamp,
        initial: PeerId,
        need: &impl Fn(PeerId) -> Need,
        rng: &mut fastrand::Rng,
    ) -> bool {
        let places_per_subnet = self.places_max(initial) / INITIAL_SUBNET_SHARE;
        let taken = self.places_by_subnet(initial);
        let is_few = |viewer: PeerId| {
            let places = self.subnet(viewer).and_then(|subnet| taken.get(&subnet)).copied();
            places.unwrap_or_default() < places_per_subnet
        };
        let viewer = self
            .successor(is_few, need, rng)
            .or_else(|| self.successor(|_| true, need, rng))
            .or_else(|| self.viewers.draw_where(rng, |viewer| self.has_place(initial, viewer)));
        let viewer = viewer.filter(|viewer| self.has_place(initial, *viewer));
        if let Some(viewer) = viewer {
            self.link(now, viewer, initial, Kind::Initial);
        }
        viewer.is_some()
    }

    /// Whether an initial peer has a place, and a viewer is in want of one there.
    pub(super) fn has_place(&self, initial: PeerId, viewer: PeerId) -> bool {
        let is_visitor = self.nodes.get(&viewer).is_some_and(|node| node.is_visitor);
        !is_visitor
            && self.places(initial) < self.places_max(initial)
            && self.initial_count(viewer) < INITIAL_PER_VIEWER_MAX
            && self.kind(viewer, initial) != Some(Kind::Initial)
    }

    /// A viewer without initial peer that `may_win`: one that is short, then one that had its turn least often, then the one
    /// with the biggest uplink.
    fn successor(
        &self,
        may_win: impl Fn(PeerId) -> bool,
        need: impl Fn(PeerId) -> Need,
        rng: &mut fastrand::Rng,
    ) -> Option<PeerId> {
        let drawn = (0..SAMPLE).filter_map(|_| self.without_initial.draw(rng));
        let best = drawn.filter(|viewer| may_win(*viewer)).min_by_key(|viewer| {
            let turns = self.nodes.get(viewer).map_or(u32::MAX, |node| node.turns);
            let need = need(*viewer);
            (!need.is_short, turns, Reverse(known(need.uplink_bps)))
        });
        best.or_else(|| self.without_initial.draw_where(rng, &may_win))
    }

    fn places(&self, initial: PeerId) -> usize {
        self.initial_count(initial)
    }

    pub(super) fn places_max(&self, initial: PeerId) -> usize {
        self.nodes.get(&initial).map_or(0, |node| node.places_max)
    }

    /// Places that a viewer has at initial peers, or an initial peer has given.
    pub(crate) fn initial_count(&self, peer: PeerId) -> usize {
        self.nodes.get(&peer).map_or(0, |node| node.count(|kind| kind == Kind::Initial))
    }
}

/// The capacity taken for a peer.
const fn known(uplink_bps: u64) -> u64 {
    if uplink_bps == 0 { UPLINK_UNKNOWN_BPS } else { uplink_bps }
}
