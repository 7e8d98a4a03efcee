//! A tracker among several that act as one: which rooms of swarms it is the home of, whose home is where, and who is at the other
//! end of a bridge.
//!
//! ```text
//! peer ─socket→ tracker ─Attach, Request→ home of the room: one more connection of the decisions
//!      ←socket─         ←Deliver, Close──
//! ```
//!
//! * A room of a swarm has one **home**. Its decisions run there as if all peers were its own.
//! * A **member** is a peer whose socket is here and whose home is elsewhere. Here is kept what it [said last](member).
//! * A **guest** is a member of another tracker, at the home.
//!
//! Every room in which a peer of this tracker takes part has a *place*:
//!
//! ```text
//!           claimed by us                 handed over, or lease lost and claimed by another
//! Asked ───────────────────→ Here ──────────────────────────────┐
//!   │   claimed by another    │  ↑                              ↓
//!   └───────────────────────→ │  └──── home is gone, claimed ─ There
//!                engine away  ↓                                 │
//!                           Alone ←──────────── engine away ────┘
//! ```
//!
//! *Alone* is how each part goes on when the engine is away: every tracker decides for its own peers. When the engine is
//! back, places are claimed, and the peers of all but one come together at the home. No socket closes on any of these ways.
//!
//! This module is pure: the hub tells it the time and carries out what follows.

pub(crate) mod directed;
pub(crate) mod guests;
mod homing;
mod member;
pub(crate) mod record;
pub(crate) mod seats;
pub(crate) mod sharing;
pub(crate) mod shelf;
pub(crate) mod wire;
mod wires;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use swarm_core::tracker_message::{PeerRequest, TrackerMessage};
use swarm_core::{PeerId, SwarmId, Timestamp};

use self::directed::Directed;
use self::guests::{Guest, Guests};
use self::homing::Homing;
pub(crate) use self::homing::Manners;
use self::member::Member;
use self::record::Records;
use self::seats::{Asks, Place, Seats};
use self::sharing::Sharing;
use self::wire::{Attach, FrameError, FrameKey, Message};
use self::wires::Wires;
use crate::decision::{CloseReason, ConnectionId, Passport, Room, Said, Tracker};
use crate::engine::{Beat, Claim, Home, TrackerId};
use crate::limits::{LEASE, LEASE_MARGIN};

/// The state of one tracker among several.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) me: TrackerId,
    pub(crate) records: Records,
    pub(crate) sharing: Sharing,
    pub(crate) seats: Seats,
    pub(crate) directed: Directed,
    pub(crate) guests: Guests,
    pub(crate) is_draining: bool,
    homing: Homing,
    wires: Wires,
    members: HashMap<ConnectionId, Member>,
    /// Until when this tracker may be the home for others; none while the engine is away.
    lease: Option<Timestamp>,
    /// Whether the operator was told that the engine is away, since it was last there.
    is_away_said: bool,
}

impl Cluster {
    pub(crate) fn new(me: TrackerId, key: FrameKey) -> Self {
        Self {
            me,
            records: Records::default(),
            sharing: Sharing::default(),
            seats: Seats::default(),
            directed: Directed::default(),
            guests: Guests::default(),
            is_draining: false,
            homing: Homing::default(),
            wires: Wires::new(me, key),
            members: HashMap::new(),
            lease: None,
            is_away_said: false,
        }
    }

    /// Whether the engine answered lately.
    pub(crate) const fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether the engine is away and the operator has not been told yet, which is then done.
    pub(crate) fn is_to_say_away(&mut self) -> bool {
        !self.is_leased() && !std::mem::replace(&mut self.is_away_said, true)
    }

    /// Whether the lease is over.
    pub(crate) fn is_lease_over(&self, now: Timestamp) -> bool {
        self.lease.is_some_and(|until| now >= until)
    }

    /// Whether own peers of a room are decided for here.
    pub(crate) fn is_decided_here(&self, room: Room) -> bool {
        match self.seats.place(room) {
            Some(Place::Here(_) | Place::Alone) => true,
            Some(Place::Asked | Place::There(_)) => false,
            None => !self.is_leased(),
        }
    }

    /// A beat was answered that was sent at `sent_at`. `occupied` are the rooms that have peers in the decisions here.
    pub(crate) fn beaten(&mut self, sent_at: Timestamp, beat: &Beat, occupied: &[Room]) {
        let is_back = self.lease.is_none();
        self.is_away_said = false;
        self.lease = Some(sent_at + (LEASE - LEASE_MARGIN));
        self.records.replace(self.me, &beat.trackers);
        self.directed.turn();
        let records = &self.records;
        self.wires.retain(|tracker| records.contains(tracker));
        self.guests.forget_moved(|tracker, _| !records.contains(tracker));
        if is_back || beat.has_lapsed {
            self.seats.reclaim(sent_at, occupied);
        }
        let is_lost = |place| matches!(place, Place::There(home) if !self.records.contains(home.tracker));
        let lost = self.seats.which(is_lost);
        lost.into_iter().for_each(|room| self.seats.ask(room));
        let awaited: BTreeSet<Room> = self.members.values().map(|member| member.room).collect();
        self.seats.drop_idle(occupied, &awaited);
    }

    /// The lease is over, or the engine is away. Returns the rooms that are decided upon here from now on, which were
    /// not, and the guests that cannot be served any more.
    pub(crate) fn detach(&mut self) -> (Vec<Room>, Vec<ConnectionId>) {
        self.lease = None;
        self.wires.note_all_lost();
        self.records.clear();
        (self.seats.detach(), self.guests.which(|_| true))
    }

    /// What the engine said about a room. Returns its place if that is another than before, or if its members are to be
    /// attached again. If the lease was lost meanwhile, the engine is asked again when there is one.
    pub(crate) fn claimed(&mut self, now: Timestamp, room: Room, claim: Claim) -> Option<Place> {
        if !self.is_leased() {
            return None;
        }
        self.seats.claimed((now, self.me), room, claim)
    }

    /// What the engine is to be asked now. A tracker that is about to stop takes no swarm.
    pub(crate) fn take_asks(&mut self) -> Asks {
        let mut asks = self.seats.take_asks();
        if self.is_draining {
            asks.claims.clear();
        }
        asks
    }

    /// The tracker that is to be the home of a room without one. A room that is here stays; the first rooms of all swarms are
    /// with those that their peers came to, the others are spread.
    pub(crate) fn home_for(&self, room: Room) -> TrackerId {
        let is_here = matches!(self.seats.place(room), Some(Place::Here(_) | Place::Alone));
        if room.number == 0 || is_here {
            return self.me;
        }
        let mut homes: BTreeMap<u32, TrackerId> =
            self.records.rooms(room.swarm).map(|(number, (tracker, _))| (number, tracker)).collect();
        homes.extend(self.seats.of(room.swarm).filter_map(|(number, place)| match place {
            Place::Here(_) => Some((number, self.me)),
            Place::There(home) => Some((number, home.tracker)),
            Place::Asked | Place::Alone => None,
        }));
        let has = |tracker| homes.values().filter(|home| **home == tracker).count();
        self.records.home_for(has).unwrap_or(self.me)
    }

    /// Whether a connection is a member of a room that is decided upon elsewhere.
    pub(crate) fn is_member(&self, connection: ConnectionId) -> bool {
        self.members.contains_key(&connection)
    }

    /// Number of members, and of guests.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.members.len(), self.guests.len())
    }

    /// Whether any tracker has a peer in a swarm, as far as is known here.
    pub(crate) fn is_in_use(&self, swarm: SwarmId) -> bool {
        self.members.values().any(|member| member.room.swarm == swarm)
            || self.records.rooms(swarm).any(|(_, (_, counts))| counts != (0, 0))
    }

    /// Makes a connection a member; `said` if it is in the room already.
    pub(crate) fn enlist(
        &mut self,
        connection: ConnectionId,
        (room, passport): (Room, Passport),
        said: Option<Said>,
    ) {
        self.members.insert(connection, Member::new(room, passport, said));
    }

    /// Notes a request of a member, and passes it on if its home is known. `false` if too many are unanswered.
    pub(crate) fn pass_on(&mut self, connection: ConnectionId, request: &PeerRequest, text: &str) -> bool {
        let Some(member) = self.members.get_mut(&connection) else { return false };
        if !member.note_request(request, text) {
            return false;
        }
        let room = member.room;
        if let Some(Place::There(Home { tracker, epoch })) = self.seats.place(room) {
            let text = text.to_owned();
            self.wires.push(tracker, Message::Request { member: connection.0, epoch, text });
        }
        true
    }

    /// Tells the home of a member who it is and what it waits for.
    pub(crate) fn attach(&mut self, connection: ConnectionId) {
        let Some(member) = self.members.get(&connection) else { return };
        let Some(Place::There(Home { tracker, epoch })) = self.seats.place(member.room) else { return };
        let number = connection.0;
        let attach = Attach::new(number, (member.room, epoch), member.passport, member.said());
        self.wires.push(tracker, Message::Attach(Box::new(attach)));
        for text in member.unanswered() {
            self.wires.push(tracker, Message::Request { member: number, epoch, text: text.to_owned() });
        }
    }

    /// Who a member is and what it has said, for a visit to another room.
    pub(crate) fn introduction(&self, connection: ConnectionId) -> Option<(Passport, Said)> {
        let member = self.members.get(&connection)?;
        Some((member.passport, member.said()?.visiting()))
    }

    /// Members that are to be told where their home is, now, with its address. `can_move` says who follows.
    pub(crate) fn send_home(
        &mut self,
        now: Timestamp,
        manners: Manners<'_>,
        can_move: impl Fn(ConnectionId) -> bool,
    ) -> Vec<(ConnectionId, String)> {
        if self.is_draining || !self.is_leased() {
            return Vec::new();
        }
        let movable = self
            .members
            .iter()
            .filter(|(connection, member)| member.is_own_viewer() && can_move(**connection));
        let seated = movable.filter_map(|(connection, member)| match self.seats.place(member.room)? {
            Place::There(home) => Some((*connection, (member.room, home))),
            Place::Asked | Place::Here(_) | Place::Alone => None,
        });
        self.homing.choose(now, manners, (&self.records, self.me), seated)
    }

    /// Whether the room of a member links it with a peer.
    pub(crate) fn is_linked(&self, connection: ConnectionId, peer: PeerId) -> bool {
        self.members.get(&connection).is_some_and(|member| member.is_linked(peer))
    }

    /// The members of a room.
    pub(crate) fn members_of(&self, room: Room) -> Vec<ConnectionId> {
        let of_room = self.members.iter().filter(|(_, member)| member.room == room);
        let mut connections: Vec<ConnectionId> = of_room.map(|(connection, _)| *connection).collect();
        connections.sort_unstable();
        connections
    }

    /// A member is decided for here from now on: what it said, and its requests without an answer.
    pub(crate) fn take_member(&mut self, connection: ConnectionId) -> Option<(Option<Said>, Vec<String>)> {
        let member = self.members.remove(&connection)?;
        Some((member.said(), member.unanswered().map(str::to_owned).collect()))
    }

    /// The socket of a member closed.
    pub(crate) fn dismiss(&mut self, connection: ConnectionId) {
        let Some(member) = self.members.remove(&connection) else { return };
        if let Some(Place::There(home)) = self.seats.place(member.room) {
            self.wires.push(home.tracker, Message::Detach { member: connection.0 });
        }
    }

    /// Whether what a home says to a member is to be passed on: it is the home, and it answers what is unanswered.
    pub(crate) fn heard(
        &mut self,
        from: Home,
        connection: ConnectionId,
        answer: Option<(Option<u32>, crate::decision::LinkNote)>,
    ) -> bool {
        let Some(room) = self.members.get(&connection).map(|member| member.room) else { return false };
        let is_home = self.seats.place(room) == Some(Place::There(from));
        let Some(member) = self.members.get_mut(&connection).filter(|_| is_home) else { return false };
        answer.is_none_or(|(answers, note)| member.note_answer(answers, note))
    }

    /// Tells a tracker everything about the members that it decides for.
    pub(crate) fn replay(&mut self, to: TrackerId) {
        let mut connections: Vec<ConnectionId> = Vec::new();
        for room in self.seats.which(|place| matches!(place, Place::There(home) if home.tracker == to)) {
            connections.extend(self.members_of(room));
        }
        connections.iter().for_each(|connection| self.attach(*connection));
        let members = connections.iter().map(|connection| connection.0).collect();
        self.wires.push(to, Message::Present { members });
    }

    /// Mends the ways on which something was lost. Returns how many.
    pub(crate) fn mend(&mut self) -> usize {
        if !self.is_leased() {
            return 0;
        }
        let broken = self.wires.take_broken();
        for tracker in &broken {
            self.wires.push(*tracker, Message::Resync);
            self.replay(*tracker);
        }
        broken.len()
    }

    /// Sends a message to a guest.
    pub(crate) fn deliver(&mut self, guest: Guest, message: &TrackerMessage, text: String) {
        let Guest { tracker, member, epoch, .. } = guest;
        let (answers, note) = (message.id, Tracker::note_of(&message.body));
        self.wires.push(tracker, Message::Deliver { member, epoch, answers, note, text });
    }

    /// Has the socket of a guest closed.
    pub(crate) fn close_guest(&mut self, connection: ConnectionId, reason: CloseReason) {
        if let Some(guest) = self.guests.forget(connection) {
            let Guest { tracker, member, epoch, .. } = guest;
            if reason == CloseReason::Moved {
                self.guests.note_moved(guest);
            }
            self.wires.push(tracker, Message::Close { member, epoch, reason });
        }
    }

    /// Files a message to another tracker.
    pub(crate) fn send(&mut self, to: TrackerId, message: Message) {
        self.wires.push(to, message);
    }

    /// Files a message to all other trackers.
    pub(crate) fn tell_all(&mut self, message: &Message) {
        let me = self.me;
        let others: Vec<TrackerId> =
            self.records.iter().map(|(tracker, _)| tracker).filter(|id| *id != me).collect();
        others.into_iter().for_each(|tracker| self.wires.push(tracker, message.clone()));
    }

    /// Whether messages wait to be sent.
    pub(crate) fn is_sending(&self) -> bool {
        self.wires.is_waiting()
    }

    /// The frames of all messages that wait.
    pub(crate) fn take_frames(&mut self) -> Vec<(TrackerId, Bytes)> {
        self.wires.take_frames()
    }

    /// Frames to a tracker did not arrive.
    pub(crate) fn note_loss(&mut self, to: TrackerId) {
        if to != self.me {
            self.wires.note_loss(to);
        }
    }

    /// Frames to this tracker may have been lost.
    pub(crate) fn note_all_lost(&mut self) {
        self.wires.note_all_lost();
    }

    /// Reads a frame: who sent it, and what.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<Option<(TrackerId, Vec<Message>)>, FrameError> {
        let arrived = self.wires.receive(bytes)?;
        Ok(arrived.map(|arrived| (arrived.from, arrived.messages)))
    }
}
