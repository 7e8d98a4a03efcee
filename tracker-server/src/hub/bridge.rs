//! The hub at the tracker that has a peer's socket: what goes to the home of its swarm, and what comes back.
//!
//! Also how a swarm changes its place: its peers go from the decisions here to those elsewhere, or the other way.

use swarm_core::tracker_message::{PeerRequest, PeerRequestBody};

use super::requests::id_of;
use super::{Hub, State, file};
use crate::cluster::seats::Place;
use crate::decision::{CloseReason, ConnectionId, LinkNote, Room};
use crate::engine::Home;

/// What a peer hears whose requests cannot be passed on.
const TOO_MANY: &str =
    "too many requests wait for the tracker that decides upon this content; try again soon";

impl Hub {
    /// Passes a request on, if the swarm of its sender has its home elsewhere. Whether it did, or answered by itself.
    pub(super) fn bridge(
        &self,
        state: &mut State,
        connection: ConnectionId,
        request: &PeerRequest,
        text: &str,
    ) -> bool {
        let now = self.now();
        let State { tracker, cluster: Some(cluster), .. } = &mut *state else { return false };
        let is_member = cluster.is_member(connection);
        let number = tracker.room_number(connection);
        let refused = match &request.body {
            PeerRequestBody::Hello { .. } => return false,
            _ if is_member => tracker.charge(now, connection, (request.id, &request.body)).err(),
            PeerRequestBody::Join { swarm, role, .. }
                if !cluster.is_decided_here(Room::new(*swarm, number)) =>
            {
                let room = Room::new(*swarm, number);
                let charged = tracker.charge(now, connection, (request.id, &request.body));
                let asked = (request.id, *swarm, *role);
                match charged.and_then(|()| tracker.passport(now, connection, asked)) {
                    Ok(passport) => {
                        cluster.enlist(connection, (room, passport), None);
                        match cluster.seats.place(room) {
                            Some(_) => cluster.attach(connection),
                            None => cluster.seats.ask(room),
                        }
                        None
                    }
                    Err(refusal) => Some(refusal),
                }
            }
            PeerRequestBody::Join { .. }
            | PeerRequestBody::Have { .. }
            | PeerRequestBody::Want { .. }
            | PeerRequestBody::Signal { .. }
            | PeerRequestBody::Report { .. }
            | PeerRequestBody::Leave => return false,
        };
        let refused = refused.or_else(|| {
            let is_passed = cluster.pass_on(connection, request, text);
            (!is_passed).then(|| tracker.refuse_unavailable(now, connection, request.id, TOO_MANY))
        });
        match refused {
            Some(outgoing) => self.deliver(state, outgoing),
            None => self.metrics.count_passed_on(),
        }
        true
    }

    /// A home has something for a member.
    pub(super) fn hear_home(
        &self,
        state: &mut State,
        home: Home,
        connection: ConnectionId,
        (answers, note, text): (Option<u32>, LinkNote, String),
    ) {
        let Some(cluster) = &mut state.cluster else { return };
        if !cluster.heard(home, connection, Some((answers, note))) {
            return self.metrics.count_late();
        }
        let Some(connection) = Self::hearer(state, connection, note) else { return };
        let lines = &state.lines;
        let Some(outbox) = lines.get(&connection).and_then(|line| line.outbox.as_ref()) else { return };
        if note == LinkNote::Signal && !outbox.has_signal_room(text.len(), None) {
            // The sender cannot be told any more; a connection that is being built survives the loss of a signal.
            tracing::debug!(connection = connection.0, "a signal was dropped: its receiver does not read");
            return;
        }
        file(outbox, connection, text);
    }

    /// A home has a member closed.
    pub(super) fn hear_close(
        &self,
        state: &mut State,
        home: Home,
        connection: ConnectionId,
        reason: CloseReason,
    ) {
        let Some(cluster) = &mut state.cluster else { return };
        if !cluster.heard(home, connection, None) {
            return self.metrics.count_late();
        }
        if state.visits.owner(connection).is_some() {
            return self.end_visit(state, connection);
        }
        self.end_visits(state, connection);
        let lines = &state.lines;
        if let Some(outbox) = lines.get(&connection).and_then(|line| line.outbox.as_ref()) {
            outbox.close(reason);
        }
    }

    /// A home names the rooms that one of its peers with a socket here is to visit.
    pub(super) fn hear_visit(&self, state: &mut State, home: Home, connection: ConnectionId, rooms: &[Room]) {
        let Some(cluster) = &mut state.cluster else { return };
        if !cluster.heard(home, connection, None) {
            return self.metrics.count_late();
        }
        self.visit(state, connection, rooms);
    }

    /// A room is decided upon at `place` from now on. Its peers go there with what they said, and notice nothing.
    pub(super) fn settle(&self, state: &mut State, room: Room, place: Place) {
        let State { tracker, cluster: Some(cluster), .. } = &mut *state else { return };
        let before = cluster.seats.place(room);
        cluster.seats.set(room, place);
        if before != Some(place) {
            self.metrics.count_move();
            tracing::debug!(%room, ?before, ?place, "a room has a new place");
        }
        match place {
            Place::Asked => {}
            Place::There(_) => {
                for (connection, passport, said) in tracker.evacuate(room) {
                    if cluster.guests.of(connection).is_none() {
                        cluster.enlist(connection, (room, passport), Some(said));
                    }
                }
                cluster.members_of(room).into_iter().for_each(|member| cluster.attach(member));
                let guests = cluster.guests.which(|guest| guest.room == room);
                self.drop_guests(state, guests);
            }
            Place::Here(epoch) => {
                let strangers = cluster.guests.which(|guest| guest.room == room && guest.epoch != epoch);
                self.drop_guests(state, strangers);
                self.take_in(state, room);
            }
            Place::Alone => self.take_in(state, room),
        }
    }

    /// Members of a room are decided for here from now on.
    fn take_in(&self, state: &mut State, room: Room) {
        let now = self.now();
        let Some(cluster) = &state.cluster else { return };
        for connection in cluster.members_of(room) {
            let taken = state.cluster.as_mut().and_then(|cluster| cluster.take_member(connection));
            let Some((said, unanswered)) = taken else { continue };
            if let Some(said) = said {
                let outgoing = state.tracker.rejoin(now, connection, (room, said));
                self.deliver(state, outgoing);
            }
            for text in unanswered {
                match PeerRequest::decode(&text) {
                    Ok(request) => self.decide(state, connection, request, text.len()),
                    Err(error) => {
                        let id = id_of(&text);
                        let outgoing = state.tracker.handle_undecodable(now, connection, id, &error);
                        self.deliver(state, outgoing);
                    }
                }
            }
        }
    }

    /// Closes some of the sockets that are open here: `share` says how many of all. Returns how many were open.
    pub(crate) fn close_some(&self, share: impl FnOnce(usize) -> usize) -> usize {
        let state = self.lock();
        let outboxes = state.lines.values().filter_map(|line| line.outbox.as_ref());
        let open: Vec<_> = outboxes.filter(|outbox| outbox.is_open()).collect();
        open.iter().take(share(open.len())).for_each(|outbox| outbox.close(CloseReason::Stopping));
        open.len()
    }

    /// Wakes those who carry out what was decided.
    pub(super) fn wake(&self, state: &State) {
        let Some(cluster) = &state.cluster else { return };
        if cluster.is_sending() {
            self.due.wires.notify_one();
        }
        if cluster.seats.is_asking() {
            self.due.asks.notify_one();
        }
    }
}
