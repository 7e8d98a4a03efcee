//! Peers that take part in other rooms of their swarm beside their own.
//!
//! To the decisions a *visit* is a connection of its own, with no socket: what the visited room says about links goes to
//! the peer's own connection, and what the peer says about itself goes to the rooms that it visits as well. So a room
//! knows nothing of rooms, and the home of a visited room may be anywhere.
//!
//! Two peers may be introduced in two rooms. Their link stands until both rooms have taken it back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swarm_core::tracker_message::{PeerRequest, PeerRequestBody};
use swarm_core::{PeerId, Timestamp};

use super::outgoing::ConnectionId;
use super::room::Room;
use super::tracker::LinkNote;

/// A visit that its own room has not named again for this long ends: the word that it should may have been lost.
const KEPT_FOR: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Visit {
    owner: ConnectionId,
    room: Room,
    /// When the peer's own room named it last.
    named_at: Timestamp,
    /// Peers that the visited room has linked with the visitor.
    links: BTreeSet<PeerId>,
}

/// What follows from the rooms that a peer is to visit.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Itinerary {
    /// Visits that are to begin.
    pub begin: Vec<Room>,
    /// Connections of visits that are to end.
    pub end: Vec<ConnectionId>,
}

/// Whom a request concerns.
#[derive(Debug, Default, PartialEq)]
pub struct Split {
    /// What the rooms that its sender visits are told, by the connections of the visits.
    pub visits: Vec<(ConnectionId, PeerRequest)>,
    /// Whether it concerns a visited room alone.
    pub is_elsewhere: bool,
}

/// All visits of the peers of one tracker.
#[derive(Debug, Default)]
pub struct Visits {
    visits: BTreeMap<ConnectionId, Visit>,
    by_owner: BTreeMap<ConnectionId, Vec<ConnectionId>>,
}

impl Visits {
    /// Number of visits.
    pub fn len(&self) -> usize {
        self.visits.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.visits.is_empty()
    }

    /// Whose visit a connection stands for.
    pub fn owner(&self, connection: ConnectionId) -> Option<ConnectionId> {
        self.visits.get(&connection).map(|visit| visit.owner)
    }

    /// The room that a connection visits.
    pub fn room(&self, connection: ConnectionId) -> Option<Room> {
        self.visits.get(&connection).map(|visit| visit.room)
    }

    /// The visits of a peer.
    pub fn of(&self, owner: ConnectionId) -> &[ConnectionId] {
        self.by_owner.get(&owner).map_or(&[], Vec::as_slice)
    }

    /// A peer's own room names all rooms that the peer is to visit.
    pub fn name(&mut self, now: Timestamp, owner: ConnectionId, rooms: &[Room]) -> Itinerary {
        let mut itinerary = Itinerary { begin: rooms.to_vec(), end: Vec::new() };
        for connection in self.of(owner).to_vec() {
            let Some(visit) = self.visits.get_mut(&connection) else { continue };
            if rooms.contains(&visit.room) {
                visit.named_at = now;
                itinerary.begin.retain(|room| *room != visit.room);
            } else {
                itinerary.end.push(connection);
            }
        }
        itinerary
    }

    /// A visit begins under a connection of its own.
    pub fn begin(&mut self, now: Timestamp, owner: ConnectionId, connection: ConnectionId, room: Room) {
        self.visits.insert(connection, Visit { owner, room, named_at: now, links: BTreeSet::new() });
        self.by_owner.entry(owner).or_default().push(connection);
    }

    /// A visit ends. Returns the peers that its owner is not linked with any more; `is_linked` says whether its own room
    /// links it with a peer.
    pub fn end(&mut self, connection: ConnectionId, is_linked: impl Fn(PeerId) -> bool) -> Vec<PeerId> {
        let Some(Visit { owner, links, .. }) = self.visits.remove(&connection) else { return Vec::new() };
        if let Some(others) = self.by_owner.get_mut(&owner) {
            others.retain(|other| *other != connection);
            if others.is_empty() {
                self.by_owner.remove(&owner);
            }
        }
        links.into_iter().filter(|peer| !is_linked(*peer) && !self.is_visiting(owner, *peer)).collect()
    }

    /// The visits that nobody has named for too long.
    pub fn stale(&self, now: Timestamp) -> Vec<ConnectionId> {
        let stale = self.visits.iter().filter(|(_, visit)| visit.named_at + KEPT_FOR <= now);
        stale.map(|(connection, _)| *connection).collect()
    }

    /// Whether a peer is linked with another through a room that it visits.
    pub fn is_visiting(&self, owner: ConnectionId, peer: PeerId) -> bool {
        self.through(owner, peer).is_some()
    }

    fn through(&self, owner: ConnectionId, peer: PeerId) -> Option<ConnectionId> {
        let has_link = |connection: &&ConnectionId| {
            self.visits.get(connection).is_some_and(|visit| visit.links.contains(&peer))
        };
        self.of(owner).iter().find(has_link).copied()
    }

    /// What a request of a peer means to the rooms that it visits; `is_linked` says whether its own room links it with a
    /// peer.
    pub fn split(
        &self,
        owner: ConnectionId,
        request: &PeerRequest,
        is_linked: impl Fn(PeerId) -> bool,
    ) -> Split {
        let visits = self.of(owner);
        if visits.is_empty() {
            return Split::default();
        }
        match &request.body {
            PeerRequestBody::Signal { to, .. } => {
                match self.through(owner, *to).filter(|_| !is_linked(*to)) {
                    Some(visit) => Split { visits: vec![(visit, request.clone())], is_elsewhere: true },
                    None => Split::default(),
                }
            }
            PeerRequestBody::Report { .. } | PeerRequestBody::Have { .. } => {
                let all = visits.iter().map(|visit| (*visit, request.clone()));
                Split { visits: all.collect(), is_elsewhere: false }
            }
            PeerRequestBody::Hello { .. }
            | PeerRequestBody::Join { .. }
            | PeerRequestBody::Want { .. }
            | PeerRequestBody::Leave => Split::default(),
        }
    }

    /// A visited room says something to a visitor. Returns the connection of the peer if it is to hear it; `is_linked` says
    /// whether the peer's own room links it with another.
    pub fn hear(
        &mut self,
        connection: ConnectionId,
        note: LinkNote,
        is_linked: impl Fn(ConnectionId, PeerId) -> bool,
    ) -> Option<ConnectionId> {
        let visit = self.visits.get_mut(&connection)?;
        let owner = visit.owner;
        let is_heard = match note {
            LinkNote::Linked(peer) => {
                visit.links.insert(peer);
                true
            }
            LinkNote::Unlinked(peer) => {
                visit.links.remove(&peer) && !is_linked(owner, peer) && !self.is_visiting(owner, peer)
            }
            LinkNote::Signal => true,
            // Answers of a room that the peer did not ask.
            LinkNote::Nothing | LinkNote::State => false,
        };
        is_heard.then_some(owner)
    }

    /// Whether a peer is to hear what its own room says: not that a link is taken back which a visited room keeps.
    pub fn is_heard_at_home(&self, owner: ConnectionId, note: LinkNote) -> bool {
        !matches!(note, LinkNote::Unlinked(peer) if self.is_visiting(owner, peer))
    }
}

#[cfg(test)]
mod tests {
    use swarm_core::SwarmId;
    use swarm_core::tracker_message::Signal;

    use super::*;

    const OWNER: ConnectionId = ConnectionId(1);
    const VISIT: ConnectionId = ConnectionId(2);
    const OTHER: ConnectionId = ConnectionId(3);
    const ROOM: Room = Room::new(SwarmId([1; 32]), 1);
    const OTHER_ROOM: Room = Room::new(SwarmId([1; 32]), 2);
    const PEER: PeerId = PeerId(9);
    const NOW: Timestamp = Timestamp::ZERO;

    fn visits() -> Visits {
        let mut visits = Visits::default();
        visits.begin(NOW, OWNER, VISIT, ROOM);
        visits.begin(NOW, OWNER, OTHER, OTHER_ROOM);
        visits
    }

    fn nobody(_: ConnectionId, _: PeerId) -> bool {
        false
    }

    fn signal(to: PeerId) -> PeerRequest {
        PeerRequest { id: 5, body: PeerRequestBody::Signal { to, signal: Signal::EndOfCandidates } }
    }

    #[test]
    fn a_signal_goes_to_the_room_that_made_the_link() {
        let mut visits = visits();
        assert_eq!(visits.split(OWNER, &signal(PEER), |_| false), Split::default());
        assert_eq!(visits.hear(OTHER, LinkNote::Linked(PEER), nobody), Some(OWNER));
        let split = visits.split(OWNER, &signal(PEER), |_| false);
        assert_eq!(split, Split { visits: vec![(OTHER, signal(PEER))], is_elsewhere: true });
        assert_eq!(visits.split(OWNER, &signal(PEER), |_| true), Split::default(), "its own room first");
        assert_eq!(visits.split(VISIT, &signal(PEER), |_| false), Split::default(), "no peer");
    }

    #[test]
    fn what_a_peer_says_of_itself_is_said_in_all_rooms() {
        let visits = visits();
        let have = PeerRequest { id: 1, body: PeerRequestBody::Have { gained: vec![], dropped: vec![] } };
        let split = visits.split(OWNER, &have, |_| false);
        assert_eq!(split.visits.iter().map(|(visit, _)| *visit).collect::<Vec<_>>(), [VISIT, OTHER]);
        assert!(!split.is_elsewhere);
        let want = PeerRequest { id: 1, body: PeerRequestBody::Want { segments: vec![] } };
        assert_eq!(visits.split(OWNER, &want, |_| false), Split::default());
    }

    #[test]
    fn a_link_that_two_rooms_made_stands_until_both_take_it_back() {
        let mut visits = visits();
        visits.hear(VISIT, LinkNote::Linked(PEER), nobody);
        visits.hear(OTHER, LinkNote::Linked(PEER), nobody);
        assert_eq!(visits.hear(VISIT, LinkNote::Unlinked(PEER), nobody), None);
        assert!(!visits.is_heard_at_home(OWNER, LinkNote::Unlinked(PEER)));
        assert_eq!(visits.hear(OTHER, LinkNote::Unlinked(PEER), |_, _| true), None, "its own room keeps it");
        assert!(visits.is_heard_at_home(OWNER, LinkNote::Unlinked(PEER)));
        visits.hear(OTHER, LinkNote::Linked(PEER), nobody);
        assert_eq!(visits.hear(OTHER, LinkNote::Unlinked(PEER), nobody), Some(OWNER));
        assert_eq!(visits.hear(OTHER, LinkNote::Unlinked(PEER), nobody), None, "it is told once");
        assert_eq!(visits.hear(OTHER, LinkNote::State, nobody), None, "it did not ask");
    }

    #[test]
    fn visits_begin_and_end_as_rooms_are_named_or_forgotten() {
        let mut visits = visits();
        let third = Room::new(ROOM.swarm, 7);
        let itinerary = visits.name(NOW, OWNER, &[ROOM, third]);
        assert_eq!(itinerary, Itinerary { begin: vec![third], end: vec![OTHER] });
        visits.hear(OTHER, LinkNote::Linked(PEER), nobody);
        visits.hear(OTHER, LinkNote::Linked(PeerId(8)), nobody);
        visits.hear(VISIT, LinkNote::Linked(PeerId(8)), nobody);
        assert_eq!(visits.end(OTHER, |_| false), [PEER], "the other link is that of a second room as well");
        let later = NOW + KEPT_FOR;
        assert_eq!(visits.stale(later), [VISIT]);
        visits.name(later, OWNER, &[ROOM]);
        assert!(visits.stale(later).is_empty());
        visits.end(VISIT, |_| false);
        assert!(visits.is_empty() && visits.of(OWNER).is_empty());
    }
}
