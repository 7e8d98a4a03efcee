//! A tracker among several that act as one: which swarms it is the home of, whose home is where, and who is at the other
//! end of a bridge.
//!
//! ```text
//! peer ─socket→ tracker ─Attach, Request→ home of the swarm: one more connection of the decisions
//!      ←socket─         ←Deliver, Close──
//! ```
//!
//! * A swarm has one **home**. Its decisions run there as if all peers were its own.
//! * A **member** is a peer whose socket is here and whose home is elsewhere. Here is kept what it [said last](member).
//! * A **guest** is a member of another tracker, at the home.
//!
//! Every swarm that somebody here takes part in has a *place*:
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

mod member;
pub(crate) mod record;
pub(crate) mod sharing;
pub(crate) mod wire;
mod wires;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use swarm_core::tracker_message::{PeerRequest, TrackerMessage};
use swarm_core::{SwarmId, Timestamp};

use self::member::Member;
use self::record::Records;
use self::sharing::Sharing;
use self::wire::{Attach, FrameError, FrameKey, Message};
use self::wires::Wires;
use crate::decision::{CloseReason, ConnectionId, Passport, Said, Tracker};
use crate::engine::{Beat, Claim, Home, TrackerId};
use crate::limits::{BEAT_INTERVAL, HOME_FORGOTTEN_AFTER, HOME_RETRY, LEASE, LEASE_MARGIN};

/// Beats for which a home without peers is kept.
const IDLE_BEATS_MAX: u32 = 5;

/// Where a swarm is decided upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Not known yet.
    Asked,
    /// Here, in this epoch, for everybody.
    Here(u64),
    /// At another tracker.
    There(Home),
    /// Here, for own peers only.
    Alone,
}

#[derive(Debug)]
struct Seat {
    place: Place,
    /// Whether the engine is being asked.
    is_asked: bool,
    /// When the engine is to be asked again.
    ask_at: Option<Timestamp>,
    /// Beats without anybody in the swarm.
    idle_beats: u32,
}

/// A member of another tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guest {
    pub(crate) tracker: TrackerId,
    pub(crate) member: u64,
    pub(crate) swarm: SwarmId,
    /// Of the home for which it came.
    pub(crate) epoch: u64,
}

/// What the engine is to be asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asks {
    pub(crate) claims: Vec<SwarmId>,
    pub(crate) releases: Vec<SwarmId>,
}

/// The state of one tracker among several.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) me: TrackerId,
    pub(crate) records: Records,
    pub(crate) sharing: Sharing,
    pub(crate) is_draining: bool,
    wires: Wires,
    seats: BTreeMap<SwarmId, Seat>,
    members: HashMap<ConnectionId, Member>,
    guests: HashMap<ConnectionId, Guest>,
    guest_connections: HashMap<(TrackerId, u64), ConnectionId>,
    /// Until when this tracker may be the home for others; none while the engine is away.
    lease: Option<Timestamp>,
    asks: Asks,
}

impl Cluster {
    pub(crate) fn new(me: TrackerId, key: FrameKey) -> Self {
        Self {
            me,
            records: Records::default(),
            sharing: Sharing::default(),
            is_draining: false,
            wires: Wires::new(me, key),
            seats: BTreeMap::new(),
            members: HashMap::new(),
            guests: HashMap::new(),
            guest_connections: HashMap::new(),
            lease: None,
            asks: Asks::default(),
        }
    }

    /// Whether the engine answered lately.
    pub(crate) const fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether the lease is over.
    pub(crate) fn is_lease_over(&self, now: Timestamp) -> bool {
        self.lease.is_some_and(|until| now >= until)
    }

    /// Where a swarm is decided upon; none if nobody here has asked.
    pub(crate) fn place(&self, swarm: SwarmId) -> Option<Place> {
        self.seats.get(&swarm).map(|seat| seat.place)
    }

    /// Whether own peers of a swarm are decided for here.
    pub(crate) fn is_decided_here(&self, swarm: SwarmId) -> bool {
        match self.place(swarm) {
            Some(Place::Here(_) | Place::Alone) => true,
            Some(Place::Asked | Place::There(_)) => false,
            None => !self.is_leased(),
        }
    }

    /// Sets where a swarm is decided upon.
    pub(crate) fn set_place(&mut self, swarm: SwarmId, place: Place) {
        let seat = Seat { place, is_asked: false, ask_at: None, idle_beats: 0 };
        self.seats.insert(swarm, seat);
    }

    /// The swarms that are decided upon here, for others too.
    pub(crate) fn homes(&self) -> Vec<SwarmId> {
        self.swarms(|place| matches!(place, Place::Here(_)))
    }

    fn swarms(&self, is_meant: impl Fn(Place) -> bool) -> Vec<SwarmId> {
        self.seats.iter().filter(|(_, seat)| is_meant(seat.place)).map(|(swarm, _)| *swarm).collect()
    }

    /// Asks the engine for the home of a swarm.
    pub(crate) fn ask(&mut self, swarm: SwarmId) {
        let seat = self.seats.entry(swarm).or_insert(Seat {
            place: Place::Asked,
            is_asked: false,
            ask_at: None,
            idle_beats: 0,
        });
        seat.ask_at = None;
        if !seat.is_asked {
            seat.is_asked = true;
            self.asks.claims.push(swarm);
        }
    }

    /// What the engine is to be asked now. A tracker that is about to stop takes no swarm.
    pub(crate) fn take_asks(&mut self) -> Asks {
        let mut asks = std::mem::take(&mut self.asks);
        if self.is_draining {
            asks.claims.clear();
        }
        asks
    }

    /// Whether the engine is to be asked something.
    pub(crate) fn is_asking(&self) -> bool {
        self.asks != Asks::default()
    }

    /// The engine did not answer: it is asked again.
    pub(crate) fn asks_failed(&mut self, now: Timestamp, claims: &[SwarmId]) {
        for swarm in claims {
            if let Some(seat) = self.seats.get_mut(swarm) {
                seat.is_asked = false;
                seat.ask_at = Some(now + BEAT_INTERVAL);
            }
        }
    }

    /// What is due by itself: looks at the homes that could not be found.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        let due = self.seats.iter().filter(|(_, seat)| seat.ask_at.is_some_and(|at| at <= now));
        let due: Vec<SwarmId> = due.map(|(swarm, _)| *swarm).collect();
        if self.is_leased() {
            due.into_iter().for_each(|swarm| self.ask(swarm));
        }
    }

    /// What the engine said about a swarm. Returns its place if that is another than before, or if its members are to be
    /// attached again.
    pub(crate) fn claimed(&mut self, now: Timestamp, swarm: SwarmId, claim: Claim) -> Option<Place> {
        let is_leased = self.is_leased();
        let seat = self.seats.get_mut(&swarm)?;
        seat.is_asked = false;
        match claim {
            Claim::NoLease => {
                seat.ask_at = Some(now + BEAT_INTERVAL);
                None
            }
            // The lease was lost while the engine was asked: it is asked again when there is one.
            Claim::Home(_) if !is_leased => None,
            Claim::Home(home) => {
                if home.tracker != self.me {
                    return Some(Place::There(home));
                }
                let place = Place::Here(home.epoch);
                seat.ask_at = Some(now + HOME_FORGOTTEN_AFTER / 4);
                (place != seat.place).then_some(place)
            }
        }
    }

    /// A beat was answered that was sent at `sent_at`. `occupied` are the swarms that have peers in the decisions here.
    pub(crate) fn beaten(&mut self, sent_at: Timestamp, beat: &Beat, occupied: &[SwarmId]) {
        let is_back = self.lease.is_none();
        self.lease = Some(sent_at + (LEASE - LEASE_MARGIN));
        self.records.replace(&beat.trackers);
        let records = &self.records;
        self.wires.retain(|tracker| records.contains(tracker));
        if is_back || beat.has_lapsed {
            self.reclaim(sent_at, occupied);
        }
        let lost: Vec<SwarmId> = self
            .swarms(|place| matches!(place, Place::There(home) if !self.records.contains(home.tracker)));
        lost.into_iter().for_each(|swarm| self.ask(swarm));
        self.drop_idle(occupied);
    }

    /// The lease was over for a while: others may have the homes now. Homes that were here are asked for at once; who was
    /// elsewhere gives the old home time to do so.
    fn reclaim(&mut self, now: Timestamp, occupied: &[SwarmId]) {
        for swarm in occupied {
            if !self.seats.contains_key(swarm) {
                self.set_place(*swarm, Place::Alone);
            }
        }
        for seat in self.seats.values_mut() {
            let patience = match seat.place {
                Place::Here(_) | Place::Asked => Duration::ZERO,
                Place::There(_) => continue,
                Place::Alone => BEAT_INTERVAL * 2,
            };
            seat.is_asked = false;
            seat.ask_at = Some(now + patience);
        }
        self.asks = Asks::default();
    }

    fn drop_idle(&mut self, occupied: &[SwarmId]) {
        let awaited: BTreeSet<SwarmId> = self.members.values().map(|member| member.swarm).collect();
        let Self { seats, asks, .. } = self;
        seats.retain(|swarm, seat| {
            let is_idle = !awaited.contains(swarm) && occupied.binary_search(swarm).is_err();
            seat.idle_beats = if is_idle { seat.idle_beats + 1 } else { 0 };
            if seat.idle_beats < IDLE_BEATS_MAX || seat.is_asked {
                return true;
            }
            if let Place::Here(_) = seat.place {
                asks.releases.push(*swarm);
            }
            false
        });
    }

    /// The lease is over, or the engine is away. Returns the swarms that are decided upon here from now on, which were
    /// not, and the guests that cannot be served any more.
    pub(crate) fn detach(&mut self) -> (Vec<SwarmId>, Vec<ConnectionId>) {
        self.lease = None;
        self.asks = Asks::default();
        self.wires.note_all_lost();
        self.records.clear();
        let elsewhere = self.swarms(|place| matches!(place, Place::There(_) | Place::Asked));
        for seat in self.seats.values_mut() {
            seat.is_asked = false;
            seat.ask_at = None;
        }
        (elsewhere, self.guests.keys().copied().collect())
    }

    /// Whether a connection is a member of a swarm that is decided upon elsewhere.
    pub(crate) fn is_member(&self, connection: ConnectionId) -> bool {
        self.members.contains_key(&connection)
    }

    /// Number of members, and of guests.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.members.len(), self.guests.len())
    }

    /// Whether somebody anywhere is in a swarm, as far as is known here.
    pub(crate) fn is_in_use(&self, swarm: SwarmId) -> bool {
        self.members.values().any(|member| member.swarm == swarm)
            || self.records.counts(self.me, swarm).is_some_and(|counts| counts != (0, 0))
    }

    /// Makes a connection a member; `said` if it is in the swarm already.
    pub(crate) fn enlist(
        &mut self,
        connection: ConnectionId,
        (swarm, passport): (SwarmId, Passport),
        said: Option<Said>,
    ) {
        self.members.insert(connection, Member::new(swarm, passport, said));
    }

    /// Notes a request of a member, and passes it on if its home is known. `false` if too many are unanswered.
    pub(crate) fn pass_on(&mut self, connection: ConnectionId, request: &PeerRequest, text: &str) -> bool {
        let Some(member) = self.members.get_mut(&connection) else { return false };
        if !member.note_request(request, text) {
            return false;
        }
        let swarm = member.swarm;
        if let Some(Place::There(Home { tracker, epoch })) = self.place(swarm) {
            let text = text.to_owned();
            self.wires.push(tracker, Message::Request { member: connection.0, epoch, text });
        }
        true
    }

    /// Tells the home of a member who it is and what it waits for.
    pub(crate) fn attach(&mut self, connection: ConnectionId) {
        let Some(member) = self.members.get(&connection) else { return };
        let Some(Place::There(Home { tracker, epoch })) = self.place(member.swarm) else { return };
        let number = connection.0;
        let attach = Attach::new(number, (member.swarm, epoch), member.passport, member.said());
        self.wires.push(tracker, Message::Attach(Box::new(attach)));
        for text in member.unanswered() {
            self.wires.push(tracker, Message::Request { member: number, epoch, text: text.to_owned() });
        }
    }

    /// The members of a swarm.
    pub(crate) fn members_of(&self, swarm: SwarmId) -> Vec<ConnectionId> {
        let of_swarm = self.members.iter().filter(|(_, member)| member.swarm == swarm);
        let mut connections: Vec<ConnectionId> = of_swarm.map(|(connection, _)| *connection).collect();
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
        if let Some(Place::There(home)) = self.place(member.swarm) {
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
        let Some(swarm) = self.members.get(&connection).map(|member| member.swarm) else { return false };
        let is_home = self.place(swarm) == Some(Place::There(from));
        let Some(member) = self.members.get_mut(&connection).filter(|_| is_home) else { return false };
        answer.is_none_or(|(answers, note)| member.note_answer(answers, note))
    }

    /// A tracker says that it is not the home of a swarm: the engine knows who is, soon.
    pub(crate) fn not_home(&mut self, now: Timestamp, swarm: SwarmId, home: Home) {
        if let Some(seat) = self.seats.get_mut(&swarm).filter(|seat| seat.place == Place::There(home)) {
            seat.ask_at = Some(now + HOME_RETRY);
        }
    }

    /// Tells a tracker everything about the members that it decides for.
    pub(crate) fn replay(&mut self, to: TrackerId) {
        let mut connections: Vec<ConnectionId> = Vec::new();
        for swarm in self.swarms(|place| matches!(place, Place::There(home) if home.tracker == to)) {
            connections.extend(self.members_of(swarm));
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

    /// Enters a guest.
    pub(crate) fn admit(&mut self, connection: ConnectionId, guest: Guest) {
        self.guest_connections.insert((guest.tracker, guest.member), connection);
        self.guests.insert(connection, guest);
    }

    /// The guest that a connection stands for.
    pub(crate) fn guest(&self, connection: ConnectionId) -> Option<Guest> {
        self.guests.get(&connection).copied()
    }

    /// The connection that stands for a member of another tracker.
    pub(crate) fn guest_connection(&self, tracker: TrackerId, member: u64) -> Option<ConnectionId> {
        self.guest_connections.get(&(tracker, member)).copied()
    }

    /// The guests that `is_meant`.
    pub(crate) fn guests(&self, is_meant: impl Fn(&Guest) -> bool) -> Vec<ConnectionId> {
        let mut meant: Vec<ConnectionId> =
            self.guests.iter().filter(|(_, guest)| is_meant(guest)).map(|(connection, _)| *connection).collect();
        meant.sort_unstable();
        meant
    }

    /// Forgets a guest.
    pub(crate) fn forget_guest(&mut self, connection: ConnectionId) -> Option<Guest> {
        let guest = self.guests.remove(&connection)?;
        self.guest_connections.remove(&(guest.tracker, guest.member));
        Some(guest)
    }

    /// Sends a message to a guest.
    pub(crate) fn deliver(&mut self, guest: Guest, message: &TrackerMessage, text: String) {
        let Guest { tracker, member, epoch, .. } = guest;
        let (answers, note) = (message.id, Tracker::note_of(&message.body));
        self.wires.push(tracker, Message::Deliver { member, epoch, answers, note, text });
    }

    /// Has the socket of a guest closed.
    pub(crate) fn close_guest(&mut self, connection: ConnectionId, reason: CloseReason) {
        if let Some(Guest { tracker, member, epoch, .. }) = self.forget_guest(connection) {
            self.wires.push(tracker, Message::Close { member, epoch, reason });
        }
    }

    /// Files a message to another tracker.
    pub(crate) fn send(&mut self, to: TrackerId, message: Message) {
        self.wires.push(to, message);
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
