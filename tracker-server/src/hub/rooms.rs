//! Rooms: which one a newcomer gets, who visits which others, and what visited rooms say to visitors.
//!
//! The home of a room chooses its visitors, once a second, and names them to the trackers that have their sockets. There a
//! visit is a connection of its own: one more member or peer of the visited room, without a socket and without a line.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use swarm_core::tracker_message::{PeerRequest, PeerRequestBody, Role, TrackerMessage, TrackerMessageBody};
use swarm_core::{PeerId, SwarmId};

use super::{Hub, State};
use crate::cluster::Cluster;
use crate::cluster::wire::Message;
use crate::decision::room::choose;
use crate::decision::visits::Itinerary;
use crate::decision::{ConnectionId, LinkNote, Outgoing, Room, Tracker};
use crate::limits::RETURNING_MAX;

/// Which room each peer was sent to last, so that one that comes back on another connection finds its neighbours there.
#[derive(Debug, Default)]
pub(super) struct Returning {
    rooms: HashMap<PeerId, Room>,
    order: VecDeque<PeerId>,
}

impl Returning {
    fn note(&mut self, peer: PeerId, room: Room) {
        if self.rooms.insert(peer, room).is_some() {
            return;
        }
        self.order.push_back(peer);
        if self.order.len() > RETURNING_MAX {
            self.order.pop_front().into_iter().for_each(|oldest| _ = self.rooms.remove(&oldest));
        }
    }

    fn room(&self, peer: PeerId, swarm: SwarmId) -> Option<u32> {
        self.rooms.get(&peer).filter(|room| room.swarm == swarm).map(|room| room.number)
    }
}

/// The rooms of a swarm that have peers, here and elsewhere, and those that have just opened: seeders and leechers by number.
pub(super) fn rooms(state: &State, swarm: SwarmId) -> BTreeMap<u32, (u32, u32)> {
    let State { tracker, cluster, .. } = state;
    let mut rooms: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    if let Some(cluster) = cluster {
        rooms.extend(cluster.directed.of(swarm).map(|(number, _)| (number, (0, 0))));
        let homed = cluster.records.rooms(swarm).filter(|(_, (_, counts))| *counts != (0, 0));
        rooms.extend(homed.map(|(number, (_, counts))| (number, counts)));
    }
    rooms.extend(tracker.rooms(swarm).filter(|(_, counts)| *counts != (0, 0)));
    rooms
}

/// Seeders and leechers of a swarm, in all its rooms.
pub(super) fn counts(state: &State, swarm: SwarmId) -> (u32, u32) {
    let add =
        |sum: (u32, u32), room: (u32, u32)| (sum.0.saturating_add(room.0), sum.1.saturating_add(room.1));
    rooms(state, swarm).into_values().fold((0, 0), add)
}

/// Rooms that are decided upon here, of swarms that have more than one anywhere.
pub(super) fn rooms_of_cut_swarms(state: &State) -> usize {
    let occupied = state.tracker.occupied();
    let of_cut = occupied.iter().filter(|room| rooms(state, room.swarm).len() > 1);
    of_cut.filter(|room| state.tracker.room_counts(**room) != (0, 0)).count()
}

/// Whether the room of a connection links its peer with another.
fn is_linked(
    tracker: &Tracker,
    cluster: Option<&Cluster>,
    (connection, peer): (ConnectionId, PeerId),
) -> bool {
    tracker.is_linked(connection, peer) || cluster.is_some_and(|cluster| cluster.is_linked(connection, peer))
}

impl Hub {
    /// Sends a connection that asks to join to a room: an initial peer to the first, a viewer to where it was or to one with a
    /// place left. Returns the swarm if the room is a new one.
    pub(super) fn direct(
        &self,
        state: &mut State,
        connection: ConnectionId,
        request: &PeerRequest,
    ) -> Option<SwarmId> {
        let PeerRequestBody::Join { swarm, role: Role::Viewer, .. } = request.body else { return None };
        let State { tracker, cluster, .. } = &*state;
        let peer = tracker.greeted_peer(connection)?;
        if tracker.joined_room(connection).is_some()
            || cluster.as_ref().is_some_and(|it| it.is_member(connection))
        {
            return None;
        }
        let rooms = rooms(state, swarm);
        let peers_max = self.config.room_peers_max;
        let mut filled: BTreeMap<u32, u32> = rooms
            .iter()
            .map(|(number, (seeders, leechers))| (*number, seeders.saturating_add(*leechers)))
            .collect();
        for (number, count) in state.cluster.iter().flat_map(|cluster| cluster.directed.of(swarm)) {
            filled.entry(number).and_modify(|peers| *peers = peers.saturating_add(count));
        }
        let old = state.returning.room(peer, swarm);
        let old = old.filter(|number| filled.get(number).is_some_and(|peers| *peers < peers_max));
        let filled: Vec<(u32, u32)> = filled.into_iter().collect();
        let moving = state.tracker.room_of_moving(connection, swarm).map(|room| room.number);
        let number = moving.or(old).unwrap_or_else(|| choose(&filled, peers_max));
        let room = Room::new(swarm, number);
        state.tracker.direct(connection, number);
        state.returning.note(peer, room);
        let is_new = number > 0 && !rooms.contains_key(&number);
        if let Some(cluster) = &mut state.cluster {
            if !cluster.is_decided_here(room) {
                cluster.directed.note(room);
            }
            if is_new {
                cluster.tell_all(&Message::Opened { room });
            }
        }
        is_new.then_some(swarm)
    }

    /// After a join: a room that is new, or has too few peers that visit others, is looked after at once.
    pub(super) fn arrange_after_join(
        &self,
        state: &mut State,
        connection: ConnectionId,
        opened: Option<SwarmId>,
    ) {
        let joined = state.tracker.joined_room(connection);
        let lacking = joined.filter(|room| state.tracker.is_lacking_visitors(*room)).map(|room| room.swarm);
        if let Some(swarm) = opened.or(lacking) {
            self.arrange(state, swarm);
        }
    }

    /// What is due about rooms each second.
    pub(crate) fn tick_rooms(&self) {
        let mut state = self.lock();
        let occupied = state.tracker.occupied();
        let swarms: BTreeSet<SwarmId> = occupied.into_iter().map(|room| room.swarm).collect();
        for swarm in swarms {
            self.arrange(&mut state, swarm);
        }
        for visit in state.visits.stale(self.now()) {
            self.end_visit(&mut state, visit);
        }
        self.send_home(&mut state);
        self.wake(&state);
    }

    /// Tells the rooms of a swarm that are decided upon here of all rooms, and sends their visitors.
    pub(super) fn arrange(&self, state: &mut State, swarm: SwarmId) {
        let rooms = rooms(state, swarm);
        for (connection, rooms) in state.tracker.arrange(self.now(), swarm, &rooms) {
            let guest = state.cluster.as_ref().and_then(|cluster| cluster.guests.of(connection));
            match (guest, &mut state.cluster) {
                (Some(guest), Some(cluster)) => {
                    let (member, epoch) = (guest.member, guest.epoch);
                    cluster.send(guest.tracker, Message::Visit { member, epoch, rooms });
                }
                _ if state.lines.get(&connection).is_some_and(|line| line.outbox.is_some()) => {
                    self.visit(state, connection, &rooms);
                }
                // A guest of a sibling has no socket here to which visited rooms could speak.
                _ => {}
            }
        }
    }

    /// A peer with a socket here is to visit these rooms, and no others.
    pub(super) fn visit(&self, state: &mut State, connection: ConnectionId, rooms: &[Room]) {
        let Itinerary { begin, end } = state.visits.name(self.now(), connection, rooms);
        end.into_iter().for_each(|visit| self.end_visit(state, visit));
        begin.into_iter().for_each(|room| self.begin_visit(state, connection, room));
    }

    fn begin_visit(&self, state: &mut State, owner: ConnectionId, room: Room) {
        let now = self.now();
        let known = state.cluster.as_ref().and_then(|cluster| cluster.introduction(owner));
        let Some((passport, said)) = known.or_else(|| state.tracker.introduction(owner)) else { return };
        state.connection += 1;
        let visit = ConnectionId(state.connection);
        state.visits.begin(now, owner, visit, room);
        state.tracker.adopt_visitor(now, visit, passport);
        match &mut state.cluster {
            Some(cluster) if !cluster.is_decided_here(room) => {
                cluster.enlist(visit, (room, passport), Some(said));
                match cluster.seats.place(room) {
                    Some(_) => cluster.attach(visit),
                    None => cluster.seats.ask(room),
                }
            }
            Some(_) | None => {
                let outgoing = state.tracker.rejoin(now, visit, (room, said));
                self.deliver(state, outgoing);
                if state.tracker.joined_room(visit).is_none() {
                    self.end_visit(state, visit);
                }
            }
        }
    }

    /// A visit is over: the peer loses the links that it alone brought.
    pub(super) fn end_visit(&self, state: &mut State, visit: ConnectionId) {
        let State { visits, tracker, cluster, .. } = &mut *state;
        let Some(owner) = visits.owner(visit) else { return };
        let lost = visits.end(visit, |peer| is_linked(tracker, cluster.as_deref(), (owner, peer)));
        let unlinked = lost.into_iter().map(|peer| TrackerMessageBody::Unlink { peer });
        let mut outgoing: Vec<_> = unlinked.map(|body| (owner, Outgoing::notice(body))).collect();
        cluster.iter_mut().for_each(|cluster| cluster.dismiss(visit));
        outgoing.extend(tracker.disconnected(self.now(), visit));
        self.deliver(state, outgoing);
    }

    /// A peer is gone, or leaves its swarm: its visits are over.
    pub(super) fn end_visits(&self, state: &mut State, owner: ConnectionId) {
        state.visits.of(owner).to_vec().into_iter().for_each(|visit| self.end_visit(state, visit));
    }

    /// A peer said something that concerns the rooms that it visits. Whether it was for one of them alone, and is answered.
    pub(super) fn pass_to_visits(
        &self,
        state: &mut State,
        connection: ConnectionId,
        request: &PeerRequest,
    ) -> bool {
        let State { visits, tracker, cluster, .. } = &mut *state;
        if request.body == PeerRequestBody::Leave {
            self.end_visits(state, connection);
            return false;
        }
        let is_linked = |peer| is_linked(tracker, cluster.as_deref(), (connection, peer));
        let split = visits.split(connection, request, is_linked);
        if split.is_elsewhere {
            let outgoing = match tracker.charge(self.now(), connection, (request.id, &request.body)) {
                Ok(()) => {
                    let ok = TrackerMessage { id: Some(request.id), body: TrackerMessageBody::Ok };
                    vec![(connection, Outgoing::Send(ok))]
                }
                Err(refusal) => {
                    self.deliver(state, refusal);
                    return true;
                }
            };
            self.deliver(state, outgoing);
        }
        for (visit, request) in split.visits {
            let text = request.encode();
            match &mut state.cluster {
                // What too many unanswered requests leave out, the next report makes up for.
                Some(cluster) if cluster.is_member(visit) => _ = cluster.pass_on(visit, &request, &text),
                Some(_) | None => self.decide(state, visit, request, text.len()),
            }
        }
        split.is_elsewhere
    }

    /// Whose connection hears what the decisions say to one; none if nobody does. Visits end with their connections.
    pub(super) fn heard_by(
        &self,
        state: &mut State,
        connection: ConnectionId,
        outgoing: &Outgoing,
    ) -> Option<ConnectionId> {
        match outgoing {
            Outgoing::Send(message) => Self::hearer(state, connection, Tracker::note_of(&message.body)),
            Outgoing::Close(_) => {
                // The decisions have forgotten the peer.
                self.end_visits(state, connection);
                let is_visit = state.visits.owner(connection).is_some();
                self.end_visit(state, connection);
                (!is_visit).then_some(connection)
            }
        }
    }

    /// Whose connection hears what a room says to one; none if nobody does.
    pub(super) fn hearer(
        state: &mut State,
        connection: ConnectionId,
        note: LinkNote,
    ) -> Option<ConnectionId> {
        let State { visits, tracker, cluster, .. } = state;
        if visits.owner(connection).is_none() {
            return visits.is_heard_at_home(connection, note).then_some(connection);
        }
        visits.hear(connection, note, |owner, peer| is_linked(tracker, cluster.as_deref(), (owner, peer)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use swarm_core::PublisherKey;
    use swarm_core::publisher::TrackerName;
    use swarm_core::tracker_message::TRACKER_VERSION;

    use super::*;
    use crate::config::ServerConfig;
    use crate::hub::Caller;
    use crate::outbox::Outbox;

    const SWARM: SwarmId = SwarmId([1; 32]);

    fn hub() -> Hub {
        let hub =
            Hub::new(ServerConfig { room_peers_max: 4, ..ServerConfig::new(1, b"secret") }, None).unwrap();
        hub.lock().tracker.add_swarm(SWARM, PublisherKey([1; 32]), [], 0);
        hub
    }

    /// A viewer that joins, with a token if it was there before.
    fn enter(hub: &Hub, resume: Option<String>) -> (ConnectionId, Arc<Outbox>) {
        let caller = Caller { address: "192.0.2.1".parse().unwrap(), name: TrackerName::of("") };
        let (connection, outbox) = hub.open(caller);
        let capabilities = Vec::new();
        let hello = PeerRequestBody::Hello {
            version: TRACKER_VERSION,
            uplink_bps: 0,
            token: None,
            resume,
            capabilities,
        };
        let (role, have) = (Role::Viewer, vec![]);
        let join = PeerRequestBody::Join { swarm: SWARM, role, have, playhead: None, proof: None };
        for body in [hello, join] {
            hub.handle_text(connection, &PeerRequest { id: 1, body }.encode());
        }
        (connection, outbox)
    }

    fn room(hub: &Hub, connection: ConnectionId) -> u32 {
        hub.lock().tracker.joined_room(connection).unwrap().number
    }

    #[test]
    fn a_peer_that_comes_back_gets_the_room_in_which_it_was() {
        let hub = hub();
        let peers: Vec<ConnectionId> = (0..7).map(|_| enter(&hub, None).0).collect();
        let rooms: Vec<u32> = peers.iter().map(|peer| room(&hub, *peer)).collect();
        assert_eq!(rooms, [0, 0, 0, 0, 1, 1, 1]);
        let returning = hub.lock().tracker.joined_peer(peers[4]).unwrap();
        hub.close(peers[0]);
        hub.close(peers[4]);
        let token = hub.config.tracker.resume_key.token(returning);
        let (again, _) = enter(&hub, Some(token));
        assert_eq!(room(&hub, again), 1);
        let (newcomer, _) = enter(&hub, None);
        assert_eq!(room(&hub, newcomer), 0, "one that was not there gets the fullest with a place left");
    }

    #[test]
    fn visits_end_with_their_peers_and_with_their_rooms() {
        let hub = hub();
        let peers: Vec<ConnectionId> = (0..5).map(|_| enter(&hub, None).0).collect();
        let visits = |hub: &Hub| hub.lock().visits.len();
        assert_eq!(visits(&hub), 5, "each to the other room");
        hub.close(peers[1]);
        assert_eq!(visits(&hub), 4);
        hub.close(peers[4]);
        hub.tick_rooms();
        assert_eq!(visits(&hub), 0, "there is one room");
        assert_eq!(hub.lock().tracker.occupied(), [SWARM.into()]);
        assert_eq!(hub.lock().tracker.counts(SWARM), (3, 0));
    }

    #[test]
    fn a_bounded_number_of_peers_find_their_rooms_again() {
        let swarm = SwarmId([1; 32]);
        let mut returning = Returning::default();
        for peer in 0..=RETURNING_MAX as u64 {
            returning.note(PeerId(peer), Room::new(swarm, 7));
        }
        assert_eq!(returning.room(PeerId(0), swarm), None, "the oldest is forgotten");
        returning.note(PeerId(1), Room::new(swarm, 8));
        assert_eq!(returning.room(PeerId(1), swarm), Some(8));
        assert_eq!(returning.room(PeerId(1), SwarmId([2; 32])), None);
        assert_eq!(returning.rooms.len(), RETURNING_MAX);
    }
}
