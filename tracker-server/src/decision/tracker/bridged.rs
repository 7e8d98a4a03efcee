//! Peers whose socket is at another tracker, and swarms whose state is.
//!
//! Where several trackers act as one, a swarm has one home tracker, which decides for all of its peers. A connection of a
//! peer at another tracker is to the home one more [`ConnectionId`]: it is [adopted](Tracker::adopt) instead of greeted.
//! When a swarm changes its home, its state is made again from what each peer said last: the old home
//! [gives it up](Tracker::evacuate), and the new one [takes its peers in](Tracker::rejoin) with the links they have.

use std::net::IpAddr;

use swarm_core::publisher::TrackerName;
use swarm_core::tracker_message::{PeerRequestBody, Role, SegmentRun, TrackerMessageBody};
use swarm_core::{Challenge, PeerId, SwarmId, Timestamp};

use super::super::directory::Newcomer;
use super::super::network::Site;
use super::super::outgoing::{ConnectionId, Outgoing};
use super::super::refusal::Refusal;
use super::super::room::Room;
use super::abilities::Abilities;
use super::permits::check_permission;
use super::stage::{Known, Permission, Stage};
use super::{Tracker, cost};

/// Whose connection it is, as the tracker that has the socket found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passport {
    /// The peer, as `welcome` named it.
    pub peer: PeerId,
    /// Where it comes from; limits count by it.
    pub address: IpAddr,
    /// Its upload capacity as its `hello` said, bits a second; 0 if not known.
    pub uplink_bps: u64,
    /// What it calls the tracker by.
    pub name: TrackerName,
    /// What `welcome` asked it to sign.
    pub challenge: Challenge,
}

/// What a peer that is in a swarm said last of itself, and which links it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// As what it was let into the swarm.
    pub role: Role,
    /// Segments that it holds.
    pub have: Vec<SegmentRun>,
    /// Its upload capacity, bits a second; 0 if not known.
    pub uplink_bps: u64,
    /// Segment that it plays.
    pub playhead: Option<u32>,
    /// Media that its player has ahead, ms.
    pub ahead_ms: Option<u32>,
    /// Its neighbours.
    pub links: Vec<PeerId>,
    /// Whether it takes part in the room beside its own.
    pub is_visitor: bool,
}

impl Said {
    /// What another room is told of it.
    #[must_use]
    pub(crate) fn visiting(self) -> Self {
        Self { links: Vec::new(), is_visitor: true, ..self }
    }
}

/// What is to be done, in order.
type Outgoings = Vec<(ConnectionId, Outgoing)>;

impl Tracker {
    /// Counts a request of a connection whose swarm has its home elsewhere. The error is the refusal.
    pub fn charge(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        (id, body): (u32, &PeerRequestBody),
    ) -> Result<(), Outgoings> {
        let admitted = self.admission.admit(now, connection, cost(body));
        admitted.map_err(|refusal| self.refuse_known(now, connection, Some(id), refusal))
    }

    /// Counts a frame by its length, before it is decoded. The error is the refusal.
    pub(crate) fn charge_frame(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        (id, bytes): (Option<u32>, usize),
    ) -> Result<(), Outgoings> {
        let admitted = self.admission.admit_frame(now, connection, bytes);
        admitted.map_err(|refusal| self.refuse_known(now, connection, id, refusal))
    }

    /// Counts a frame that asks for nothing. What to say if there are too many.
    pub(crate) fn handle_control(&mut self, now: Timestamp, connection: ConnectionId) -> Outgoings {
        let admitted = self.admission.admit(now, connection, 1);
        admitted.err().map_or_else(Vec::new, |refusal| self.refuse_known(now, connection, None, refusal))
    }

    /// Who a connection is that wants to join a swarm whose home is elsewhere. The error is the refusal.
    pub(crate) fn passport(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        (id, swarm, role): (u32, SwarmId, Role),
    ) -> Result<Passport, Outgoings> {
        let passport = match self.stages.get(&connection) {
            Some(Stage::Greeted(known)) => check_permission(now, known.permission, swarm, role)
                .and_then(|()| self.config.privacy.check(role, known.abilities.is_consenting))
                .map(|()| known.passport()),
            Some(Stage::Open { .. }) => Err(Refusal::bad_request("say hello first")),
            Some(Stage::Joined { .. } | Stage::Left { .. }) => {
                Err(Refusal::bad_request("a connection joins one swarm, once; open another"))
            }
            None => return Err(Vec::new()),
        };
        match passport {
            Ok(passport) => {
                // One that moves here stands for its peer from now on. The home ends the other connection.
                self.connections.insert(passport.peer, connection);
                Ok(passport)
            }
            Err(refusal) => Err(self.refuse_known(now, connection, Some(id), refusal)),
        }
    }

    /// Refuses a request that cannot be passed on at the moment.
    pub(crate) fn refuse_unavailable(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        id: u32,
        text: &str,
    ) -> Outgoings {
        self.refuse_known(now, connection, Some(id), Refusal::unavailable(text))
    }

    /// Makes a peer known whose socket is at another tracker. `connected` was called for its connection.
    pub(crate) fn adopt(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        passport: Passport,
    ) -> Outgoings {
        let Some(Stage::Open { site, .. }) = self.stages.get(&connection) else { return Vec::new() };
        let Passport { peer, uplink_bps, name, challenge, .. } = passport;
        // Permission and consent were checked where its socket is.
        let (permission, abilities) = (Permission::All, Abilities::elsewhere());
        let (site, room) = (*site, 0);
        let known = Known { peer, site, uplink_bps, name, permission, abilities, challenge, room };
        let mut outgoing = Vec::new();
        self.replace(now, peer, &mut outgoing);
        self.connections.insert(peer, connection);
        self.stages.insert(connection, Stage::Greeted(known));
        outgoing
    }

    /// Takes a peer into a room in which it was under another home, with what it said there. It is told nothing but
    /// its links. A peer that is in the room already is brought up to date. A visitor without links is given some.
    pub fn rejoin(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        (room, said): (impl Into<Room>, Said),
    ) -> Outgoings {
        let room = room.into();
        let stage = self.stages.get(&connection).copied();
        let known = match stage {
            Some(Stage::Greeted(known)) => known,
            Some(Stage::Joined { known, room: joined }) if joined == room => known,
            Some(Stage::Open { .. } | Stage::Joined { .. } | Stage::Left { .. }) | None => return Vec::new(),
        };
        let is_new = matches!(stage, Some(Stage::Greeted(_)));
        let Said { role, have, uplink_bps, playhead, ahead_ms, links, is_visitor } = said;
        let peer = known.peer;
        let mut outgoing = match self.make_way(now, room, (peer, connection, is_visitor)) {
            Ok(outgoing) => outgoing,
            Err(refusal) => return self.refuse_known(now, connection, None, refusal),
        };
        // A swarm whose publisher removed it goes on for those who are in it.
        let swarm = match self.swarms.opened(room) {
            Some(swarm) if !is_new || swarm.has_room(role) => swarm,
            Some(_) => {
                return self.refuse_known(now, connection, None, Refusal::swarm_full(role == Role::Initial));
            }
            None => return self.refuse_known(now, connection, None, Refusal::unknown_swarm(room.swarm)),
        };
        if is_new {
            if role == Role::Initial {
                self.admission.widen(now, connection);
            }
            let Known { site, .. } = known;
            let newcomer = Newcomer { peer, connection, role, have, uplink_bps, playhead, site, is_visitor };
            self.stages.insert(connection, Stage::Joined { known, room });
            if is_visitor && links.is_empty() {
                let notices = swarm.join(now, newcomer, &mut self.rng);
                outgoing.extend(notices.into_iter().map(|(to, body)| (to, Outgoing::notice(body))));
                return outgoing;
            }
            swarm.enter(now, newcomer);
        } else {
            swarm.change(peer, &have, &[]);
        }
        let notices = swarm.restore(now, peer, (uplink_bps, playhead, ahead_ms), &links);
        outgoing.extend(notices.into_iter().map(|(to, body)| (to, Outgoing::notice(body))));
        outgoing
    }

    /// Gives up a room, whose home is elsewhere from now on: returns its peers with what they said. Nobody is told
    /// anything; the connections can join again, here or there. The swarm stays known.
    pub(crate) fn evacuate(&mut self, room: impl Into<Room>) -> Vec<(ConnectionId, Passport, Said)> {
        let Some(swarm) = self.swarms.emptied(room.into()) else { return Vec::new() };
        let mut peers = Vec::new();
        for (connection, peer, said) in swarm.said() {
            let Some(stage) = self.stages.get_mut(&connection) else { continue };
            let Stage::Joined { known, .. } = *stage else { continue };
            if known.peer == peer {
                *stage = Stage::Greeted(known);
                peers.push((connection, known.passport(), said));
            }
        }
        peers
    }

    /// The rooms that have peers, in order.
    pub(crate) fn occupied(&self) -> Vec<Room> {
        self.swarms.occupied()
    }

    /// Whether a message that a connection is sent answers its `join`, or changes its links.
    pub fn note_of(message: &TrackerMessageBody) -> LinkNote {
        match message {
            TrackerMessageBody::Connect { peer, .. } => LinkNote::Linked(*peer),
            TrackerMessageBody::Unlink { peer } | TrackerMessageBody::Gone { peer } => {
                LinkNote::Unlinked(*peer)
            }
            TrackerMessageBody::Swarm { .. } => LinkNote::State,
            TrackerMessageBody::Signal { .. } => LinkNote::Signal,
            TrackerMessageBody::Welcome { .. }
            | TrackerMessageBody::Peers { .. }
            | TrackerMessageBody::Assign { .. }
            | TrackerMessageBody::Move { .. }
            | TrackerMessageBody::Ok
            | TrackerMessageBody::Error { .. } => LinkNote::Nothing,
        }
    }
}

/// What the tracker that has a peer's socket has to know of a message to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub enum LinkNote {
    /// Nothing.
    Nothing,
    /// It answers `join` or `report`.
    State,
    /// It is another peer's signal.
    Signal,
    /// The peer is linked with this one from now on.
    Linked(PeerId),
    /// The peer is no longer linked with this one.
    Unlinked(PeerId),
}

impl Known {
    pub(super) fn passport(&self) -> Passport {
        let Self { peer, site, uplink_bps, name, challenge, .. } = *self;
        Passport { peer, address: Site::address(site), uplink_bps, name, challenge }
    }
}
