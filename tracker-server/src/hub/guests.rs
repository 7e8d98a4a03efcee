//! The hub at the home of a swarm: members of other trackers, for which it decides like for its own peers.

use std::collections::HashSet;

use swarm_core::Timestamp;
use swarm_core::tracker_message::{PeerRequest, PeerRequestBody, TrackerMessage};

use super::requests::id_of;
use super::{Hub, Line, State};
use crate::cluster::Cluster;
use crate::cluster::guests::Guest;
use crate::cluster::seats::Place;
use crate::cluster::wire::{Attach, Message};
use crate::decision::{CloseReason, ConnectionId, Room};
use crate::engine::{Home, TrackerId};

impl Hub {
    /// A frame of another tracker arrived.
    pub(crate) fn receive(&self, bytes: &[u8]) {
        let mut state = self.lock();
        self.check_lease(&mut state);
        let Some(cluster) = &mut state.cluster else { return };
        match cluster.receive(bytes) {
            Ok(Some((from, messages))) => {
                self.metrics.count_frame_received(messages.len());
                for message in messages {
                    self.hear(&mut state, from, message);
                }
            }
            Ok(None) => {}
            Err(error) => {
                self.metrics.count_bad_frame();
                tracing::warn!("{error}");
            }
        }
        self.wake(&state);
    }

    fn hear(&self, state: &mut State, from: TrackerId, message: Message) {
        match message {
            Message::Attach(attach) => self.attach(state, from, *attach),
            Message::Request { member, epoch, text } => self.hear_guest(state, (from, member), epoch, &text),
            Message::Detach { member } => {
                let Some(cluster) = &mut state.cluster else { return };
                cluster.guests.forget_moved(|tracker, moved| (tracker, moved) == (from, member));
                let found = cluster.guests.connection(from, member);
                self.drop_guests(state, found);
            }
            Message::Present { members } => {
                let Some(cluster) = &mut state.cluster else { return };
                let members: HashSet<u64> = members.into_iter().collect();
                cluster.guests.forget_moved(|tracker, moved| tracker == from && !members.contains(&moved));
                let gone =
                    cluster.guests.which(|guest| guest.tracker == from && !members.contains(&guest.member));
                self.drop_guests(state, gone);
            }
            Message::Deliver { member, epoch, answers, note, text } => {
                let home = Home { tracker: from, epoch };
                self.hear_home(state, home, ConnectionId(member), (answers, note, text));
            }
            Message::Close { member, epoch, reason } => {
                self.hear_close(state, Home { tracker: from, epoch }, ConnectionId(member), reason);
            }
            Message::NotHome { room, epoch } => {
                let (now, home) = (self.now(), Home { tracker: from, epoch });
                state.cluster.iter_mut().for_each(|cluster| cluster.seats.not_home(now, room, home));
            }
            Message::Moved { room, home } => self.hear_moved(state, from, room, home),
            Message::Visit { member, epoch, rooms } => {
                self.hear_visit(state, Home { tracker: from, epoch }, ConnectionId(member), &rooms);
            }
            Message::Opened { room } => {
                state.cluster.iter_mut().for_each(|cluster| cluster.directed.opened(room));
                self.arrange(state, room.swarm);
            }
            Message::Resync => state.cluster.iter_mut().for_each(|cluster| cluster.replay(from)),
            Message::Probe => {}
        }
    }

    /// A home was handed over: to this tracker, or from one where it has members.
    fn hear_moved(&self, state: &mut State, from: TrackerId, room: Room, home: Home) {
        let Some(cluster) = &mut state.cluster else { return };
        if home.tracker == cluster.me {
            return cluster.seats.ask(room);
        }
        let was_there = matches!(cluster.seats.place(room), Some(Place::There(old)) if old.tracker == from && old.epoch < home.epoch);
        if was_there {
            self.settle(state, room, Place::There(home));
        }
    }

    /// A member of another tracker comes, or comes again with what it said since.
    fn attach(&self, state: &mut State, from: TrackerId, attach: Attach) {
        let now = self.now();
        let Some(cluster) = &mut state.cluster else { return };
        let Attach { member, room, epoch, .. } = attach;
        if !cluster.is_leased() || cluster.seats.place(room) != Some(Place::Here(epoch)) {
            // It may have been handed to this tracker a moment ago.
            cluster.send(from, Message::NotHome { room, epoch });
            if cluster.is_leased() {
                cluster.seats.ask(room);
            }
            return;
        }
        if cluster.guests.has_moved(from, member) {
            // It was told again before its tracker knew that the peer has a socket here.
            return cluster.send(from, Message::Close { member, epoch, reason: CloseReason::Moved });
        }
        let guest = Guest { tracker: from, member, room, epoch };
        let (passport, said) = attach.into_parts();
        let is_visitor = said.as_ref().is_some_and(|said| said.is_visitor);
        let known = cluster.guests.connection(from, member);
        let connection = match known {
            Some(connection) => connection,
            None => {
                state.connection += 1;
                ConnectionId(state.connection)
            }
        };
        cluster.guests.admit(connection, guest);
        if known.is_none() {
            state.lines.insert(connection, Line { outbox: None, relays_due: Timestamp::ZERO });
            if is_visitor {
                state.tracker.adopt_visitor(now, connection, passport);
            } else {
                let outgoing = state.tracker.connected(now, connection, passport.address);
                self.deliver(state, outgoing);
                let outgoing = state.tracker.adopt(now, connection, passport);
                self.deliver(state, outgoing);
                state.tracker.direct(connection, room.number);
            }
        }
        if let Some(said) = said {
            let outgoing = state.tracker.rejoin(now, connection, (room, said));
            self.deliver(state, outgoing);
        }
        if is_visitor && state.tracker.joined_room(connection).is_none() {
            let outgoing = state.tracker.disconnected(now, connection);
            self.deliver(state, outgoing);
            self.close_guest(state, connection, CloseReason::Full);
        }
        self.arrange_after_join(state, connection, None);
    }

    fn hear_guest(&self, state: &mut State, (from, member): (TrackerId, u64), epoch: u64, text: &str) {
        let found = state.cluster.as_ref().and_then(|cluster| {
            let connection = cluster.guests.connection(from, member)?;
            cluster.guests.of(connection).filter(|guest| guest.epoch == epoch).map(|_| connection)
        });
        let Some(connection) = found else { return self.metrics.count_late() };
        match PeerRequest::decode(text) {
            Ok(request) => {
                let is_join = matches!(request.body, PeerRequestBody::Join { .. });
                self.decide(state, connection, request, text.len());
                if is_join {
                    self.arrange_after_join(state, connection, None);
                }
            }
            Err(error) => {
                let outgoing = state.tracker.handle_undecodable(self.now(), connection, id_of(text), &error);
                self.deliver(state, outgoing);
            }
        }
    }

    /// Has the socket of a member of another tracker closed. The decisions have forgotten it.
    pub(super) fn close_guest(&self, state: &mut State, connection: ConnectionId, reason: CloseReason) {
        if reason == CloseReason::Moved {
            self.metrics.count_moved();
        }
        state.cluster.iter_mut().for_each(|cluster| cluster.close_guest(connection, reason));
        state.lines.remove(&connection);
    }

    /// Guests are gone, or can no longer be served. Nobody tells their trackers.
    pub(super) fn drop_guests(&self, state: &mut State, guests: impl IntoIterator<Item = ConnectionId>) {
        for connection in guests {
            state.cluster.iter_mut().for_each(|cluster| _ = cluster.guests.forget(connection));
            state.lines.remove(&connection);
            let outgoing = state.tracker.disconnected(self.now(), connection);
            self.deliver(state, outgoing);
        }
    }
}

/// Sends a message to a member of another tracker.
pub(super) fn deliver_to_guest(
    cluster: Option<&mut Cluster>,
    connection: ConnectionId,
    message: &TrackerMessage,
    text: String,
) {
    let Some(cluster) = cluster else { return };
    if let Some(guest) = cluster.guests.of(connection) {
        cluster.deliver(guest, message, text);
    }
}
