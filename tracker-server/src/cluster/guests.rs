//! Members of other trackers, at the home of their swarm.

use std::collections::{BTreeSet, HashMap};

use crate::decision::{ConnectionId, Room};
use crate::engine::TrackerId;

/// A member of another tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guest {
    pub(crate) tracker: TrackerId,
    pub(crate) member: u64,
    pub(crate) room: Room,
    /// Of the home for which it came.
    pub(crate) epoch: u64,
}

/// All guests, by the connections that stand for them in the decisions.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    guests: HashMap<ConnectionId, Guest>,
    connections: HashMap<(TrackerId, u64), ConnectionId>,
    /// Members that came here with a socket of their own. Their trackers were told, and have not said yet that they are gone.
    moved: BTreeSet<(TrackerId, u64)>,
}

impl Guests {
    /// Number of guests.
    pub(crate) fn len(&self) -> usize {
        self.guests.len()
    }

    /// Enters a guest, or brings one up to date.
    pub(crate) fn admit(&mut self, connection: ConnectionId, guest: Guest) {
        self.connections.insert((guest.tracker, guest.member), connection);
        self.guests.insert(connection, guest);
    }

    /// The guest that a connection stands for.
    pub(crate) fn of(&self, connection: ConnectionId) -> Option<Guest> {
        self.guests.get(&connection).copied()
    }

    /// The connection that stands for a member of another tracker.
    pub(crate) fn connection(&self, tracker: TrackerId, member: u64) -> Option<ConnectionId> {
        self.connections.get(&(tracker, member)).copied()
    }

    /// The guests that `is_meant`, in the order in which they came.
    pub(crate) fn which(&self, is_meant: impl Fn(&Guest) -> bool) -> Vec<ConnectionId> {
        let meant = self.guests.iter().filter(|(_, guest)| is_meant(guest));
        let mut meant: Vec<ConnectionId> = meant.map(|(connection, _)| *connection).collect();
        meant.sort_unstable();
        meant
    }

    /// A guest came here with a socket of its own.
    pub(super) fn note_moved(&mut self, guest: Guest) {
        self.moved.insert((guest.tracker, guest.member));
    }

    /// Whether a member of another tracker came here with a socket of its own.
    pub(crate) fn has_moved(&self, tracker: TrackerId, member: u64) -> bool {
        self.moved.contains(&(tracker, member))
    }

    /// Forgets those that moved and of which their trackers know no more.
    pub(crate) fn forget_moved(&mut self, is_gone: impl Fn(TrackerId, u64) -> bool) {
        self.moved.retain(|(tracker, member)| !is_gone(*tracker, *member));
    }

    /// Forgets a guest.
    pub(crate) fn forget(&mut self, connection: ConnectionId) -> Option<Guest> {
        let guest = self.guests.remove(&connection)?;
        self.connections.remove(&(guest.tracker, guest.member));
        Some(guest)
    }
}
