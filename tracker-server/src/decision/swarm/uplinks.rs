//! What follows from what uplinks carry: how far a peer's word on its own is believed, and which links it brings.
//!
//! A peer says what it measured. What its neighbours report counts more: a viewer's word is believed up to
//! [`BELIEVED_TIMES`] the rate at which they received from it, and every word in proportion to its success. While they have
//! not reported, it is believed up to so many times what a usual viewer sends. So a boast brings a few links and leases
//! more than others have, and only what receivers saw brings others.

use swarm_core::tracker_message::Role;
use swarm_core::{PeerId, Timestamp};

use super::super::balance::{Balance, Part};
use super::super::directory::{Directory, Record};
use super::super::graph::{Change, Need, places_for};
use super::super::success::SUCCESS_MAX;
use super::Swarm;
use crate::limits::{BELIEVED_TIMES, UPLINK_UNKNOWN_BPS};

/// What counts of a viewer when links are given.
pub(super) fn need(directory: &Directory, balance: &Balance, peer: PeerId) -> Need {
    let is_short = directory.record(peer).is_some_and(|record| record.is_short());
    Need { is_short, uplink_bps: balance.uplink_bps(peer) }
}

impl Swarm {
    /// Brings the sums up to date with what is known of a peer.
    pub(super) fn reassess(&mut self, peer: PeerId) {
        // A viewer that visits is counted in its own room.
        let is_counted = |record: &&Record| record.role == Role::Initial || !record.is_visitor;
        let part = self.directory.record(peer).filter(is_counted).map(|record| Part {
            uplink_bps: self.believed_bps(peer, record.role, record.uplink_bps),
            is_initial: record.role == Role::Initial,
            is_playing: record.is_playing(),
        });
        self.balance.set(peer, part);
    }

    /// A peer's upload capacity as far as it is believed, bits a second; 0 if not known.
    fn believed_bps(&self, peer: PeerId, role: Role, said_bps: u64) -> u64 {
        let success = u64::from(self.successes.of(peer));
        self.bounded_bps(peer, role, said_bps).saturating_mul(success) / u64::from(SUCCESS_MAX)
    }

    /// The links that an initial peer is to have here: over all rooms as many as its uplink carries.
    pub(super) fn places(&self, initial: PeerId) -> usize {
        let rooms = self.around.rooms.max(1);
        let uplink_bps = self.balance.uplink_bps(initial).saturating_mul(u64::from(rooms));
        let places = places_for(uplink_bps, self.balance.media_bps());
        (places / usize::try_from(rooms).unwrap_or(usize::MAX)).max(1)
    }

    /// A viewer's word as far as it is within what receivers saw, and this room's share of what an initial peer carries. A
    /// usual viewer carries a player.
    pub(super) fn bounded_bps(&self, peer: PeerId, role: Role, said_bps: u64) -> u64 {
        if role == Role::Initial {
            return said_bps / u64::from(self.around.rooms.max(1));
        }
        let usual_bps = UPLINK_UNKNOWN_BPS.max(self.balance.media_bps());
        let seen_bps = self.successes.seen_bps(peer).unwrap_or(0);
        said_bps.min(seen_bps.max(usual_bps).saturating_mul(BELIEVED_TIMES))
    }

    /// Looks after the links of a peer that has just reported, by what uplinks carry and by who is short.
    pub(super) fn follow_uplinks(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        rng: &mut fastrand::Rng,
    ) -> Vec<Change> {
        let places = self.places(peer);
        let (directory, balance, graph) = (&self.directory, &self.balance, &mut self.graph);
        let need = |peer| need(directory, balance, peer);
        let Some(record) = directory.record(peer) else { return Vec::new() };
        let mut changes = graph.rotate(now, need, rng);
        if record.role == Role::Initial {
            changes.extend(graph.widen(now, peer, places, need, rng));
            return changes;
        }
        if record.is_visitor {
            return changes;
        }
        // Where the publisher carries everybody, nobody depends on strong neighbours.
        let mean = if balance.is_rich() { 0 } else { balance.mean_bps() };
        let uplink_bps = |peer| match balance.uplink_bps(peer) {
            0 => mean,
            known => known,
        };
        changes.extend(graph.balance(now, peer, uplink_bps, mean, rng));
        if record.is_short() {
            for initial in directory.initial() {
                if graph.initial_count(peer) == 0 {
                    changes.extend(graph.link_wanted(now, peer, *initial).into_iter().flatten());
                }
            }
        }
        changes
    }
}
