//! Rooms: the tracker's decisions about them, carried out as a tracker does that is alone.

use std::collections::BTreeMap;

use swarm_core::Timestamp;
use swarm_core::tracker_message::{PeerRequest, PeerRequestBody, TrackerMessage, TrackerMessageBody};
use tracker_server::ROOM_INTERVAL;
use tracker_server::decision::{ConnectionId, Itinerary, Outgoing, Room, Tracker};

use crate::tracking::TrackerEvent;
use crate::world::{Event, World};

impl World {
    /// A request reaches the tracker: it goes to the room of its sender, and to those that the sender visits.
    pub(crate) fn request(&mut self, connection: ConnectionId, request: PeerRequest) {
        let now = Timestamp::from_micros(self.now);
        let Some(tracker) = &mut self.tracker else { return };
        let is_join = matches!(request.body, PeerRequestBody::Join { .. });
        if is_join && let Some(node) = self.connections.get(&connection) {
            let viewer = node.checked_sub(self.scenario.initial_peers as usize);
            let number = viewer.map_or(0, |viewer| viewer % self.scenario.rooms as usize);
            tracker.direct(connection, u32::try_from(number).unwrap_or_default());
        }
        let split = self.visits.split(connection, &request, |peer| tracker.is_linked(connection, peer));
        let mut outgoing = Vec::new();
        if split.is_elsewhere {
            match tracker.charge(now, connection, (request.id, &request.body)) {
                Ok(()) => {
                    let ok = TrackerMessage { id: Some(request.id), body: TrackerMessageBody::Ok };
                    outgoing.push((connection, Outgoing::Send(ok)));
                }
                Err(refusal) => return self.deliver(refusal),
            }
        }
        for (visit, request) in split.visits {
            outgoing.extend(tracker.handle(now, visit, request));
        }
        if !split.is_elsewhere {
            outgoing.extend(tracker.handle(now, connection, request));
        }
        self.deliver(outgoing);
        if is_join && self.scenario.rooms > 1 {
            self.arrange_if_lacking(connection);
        }
    }

    /// A room that has just opened, or has too few peers that visit others, is looked after at once.
    fn arrange_if_lacking(&mut self, connection: ConnectionId) {
        let Some(tracker) = &self.tracker else { return };
        let count = tracker.rooms(self.content.swarm).count();
        let is_lacking =
            tracker.joined_room(connection).is_some_and(|room| tracker.is_lacking_visitors(room));
        if count != self.rooms_arranged || is_lacking {
            self.rooms_arranged = count;
            self.arrange();
        }
    }

    /// What a tracker does about rooms at every [`ROOM_INTERVAL`].
    pub(crate) fn arrange_again(&mut self) {
        self.arrange();
        let interval = u64::try_from(ROOM_INTERVAL.as_micros()).unwrap_or(u64::MAX);
        self.queue.push(self.now + interval, Event::Tracker(TrackerEvent::Rooms));
    }

    fn arrange(&mut self) {
        let now = Timestamp::from_micros(self.now);
        let Some(tracker) = &mut self.tracker else { return };
        let rooms: BTreeMap<u32, (u32, u32)> = tracker.rooms(self.content.swarm).collect();
        for (connection, rooms) in tracker.arrange(now, self.content.swarm, &rooms) {
            let Itinerary { begin, end } = self.visits.name(now, connection, &rooms);
            end.into_iter().for_each(|visit| self.end_visit(visit));
            begin.into_iter().for_each(|room| self.begin_visit(connection, room));
        }
    }

    fn begin_visit(&mut self, connection: ConnectionId, room: Room) {
        let now = Timestamp::from_micros(self.now);
        let Some(tracker) = &mut self.tracker else { return };
        let Some((passport, said)) = tracker.introduction(connection) else { return };
        self.opened += 1;
        let visit = ConnectionId(self.opened);
        self.visits.begin(now, connection, visit, room);
        tracker.adopt_visitor(now, visit, passport);
        let outgoing = tracker.rejoin(now, visit, (room, said));
        self.deliver(outgoing);
    }

    fn end_visit(&mut self, visit: ConnectionId) {
        let now = Timestamp::from_micros(self.now);
        let (Some(tracker), Some(owner)) = (&mut self.tracker, self.visits.owner(visit)) else { return };
        let lost = self.visits.end(visit, |peer| tracker.is_linked(owner, peer));
        let unlinked = lost.into_iter().map(|peer| TrackerMessageBody::Unlink { peer });
        let mut outgoing: Vec<_> = unlinked.map(|body| (owner, Outgoing::notice(body))).collect();
        outgoing.extend(tracker.disconnected(now, visit));
        self.deliver(outgoing);
    }

    /// The connection of a peer closed: its visits end.
    pub(crate) fn end_visits(&mut self, connection: ConnectionId) {
        self.visits.of(connection).to_vec().into_iter().for_each(|visit| self.end_visit(visit));
    }

    /// Whose connection hears what the decisions say to one; none if nobody does.
    pub(crate) fn hearer(&mut self, connection: ConnectionId, outgoing: &Outgoing) -> Option<ConnectionId> {
        let is_visit = self.visits.owner(connection).is_some();
        let tracker = self.tracker.as_ref()?;
        match outgoing {
            Outgoing::Send(message) => {
                let note = Tracker::note_of(&message.body);
                if is_visit {
                    self.visits.hear(connection, note, |owner, peer| tracker.is_linked(owner, peer))
                } else {
                    self.visits.is_heard_at_home(connection, note).then_some(connection)
                }
            }
            Outgoing::Close(_) if is_visit => {
                self.end_visit(connection);
                None
            }
            Outgoing::Close(_) => {
                self.end_visits(connection);
                Some(connection)
            }
        }
    }
}
