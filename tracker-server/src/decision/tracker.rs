//! The tracker as a pure function from what a connection says to what connections are to be sent.

mod abilities;
mod ambassadors;
mod bridged;
mod cost;
mod greeting;
mod joining;
mod levels;
mod permits;
mod rooms;
mod signals;
mod stage;
mod swarms;

use std::collections::HashMap;
use std::net::IpAddr;

use swarm_core::limits::{ICE_SERVERS_MAX, SEGMENTS_MAX};
use swarm_core::publisher::TrackerName;
use swarm_core::tracker_message::{
    IceServer, PeerRequest, PeerRequestBody, TrackerDecodeError, TrackerMessage, TrackerMessageBody,
};
use swarm_core::{PeerId, PublisherKey, SwarmId, Timestamp};

use self::abilities::Abilities;
pub(crate) use self::ambassadors::Standing;
pub use self::bridged::{LinkNote, Passport, Said};
use self::cost::cost;
pub(crate) use self::signals::Receiver;
use self::signals::relay;
pub use self::stage::Permission;
use self::stage::{Known, Stage};
use self::swarms::Swarms;
use super::admission::Admission;
use super::directory::Newcomer;
use super::graph::Wiring;
use super::network::Site;
use super::outgoing::{CloseReason, ConnectionId, Outgoing};
use super::privacy::Privacy;
use super::rarity::Wish;
use super::refusal::Refusal;
use super::resume::ResumeKey;
use super::room::Room;
use super::swarm::{Notices, Report, Swarm};

/// What makes this tracker this tracker. Fixed for its lifetime.
#[derive(Debug, Clone)]
pub struct TrackerConfig {
    /// Seed of every choice that is made by chance, peer ids among them.
    pub seed: u64,
    /// Key of the resume tokens.
    pub resume_key: ResumeKey,
    /// Servers for connection building that every peer is told, at most 8; others are left out. Relays are not among
    /// them.
    pub ice_servers: Vec<IceServer>,
    /// The token that a closed tracker asks for; none for an open one.
    pub token: Option<String>,
    /// WebSocket connections that one address may have.
    pub connections_per_address_max: u32,
    /// How viewers come to be neighbours.
    pub wiring: Wiring,
    /// What viewers may learn of one another.
    pub privacy: Privacy,
}

/// How a request was met: its answer, and what others are told.
type Met = Result<(TrackerMessageBody, Notices), Refusal>;

/// The decisions of one tracker, without clock, socket or randomness of its own.
///
/// # Contract
///
/// * `connected` once for each connection, then `handle` or `handle_undecodable` for each frame in order,
///   then `disconnected` once. All return what is to be done, to be carried out in order.
/// * `now` never goes back.
/// * A connection can change nothing but the peer it stands for.
/// * After [`Outgoing::Close`] the connection is forgotten; whatever still comes from it is ignored.
///
/// The same calls with the same configuration give the same results.
#[derive(Debug)]
pub struct Tracker {
    config: TrackerConfig,
    rng: fastrand::Rng,
    admission: Admission,
    stages: HashMap<ConnectionId, Stage>,
    /// The connection of each peer that has greeted.
    connections: HashMap<PeerId, ConnectionId>,
    swarms: Swarms,
}

impl Tracker {
    /// A tracker that knows no swarm and no peer.
    pub fn new(mut config: TrackerConfig) -> Self {
        config.ice_servers.truncate(ICE_SERVERS_MAX);
        Self {
            rng: fastrand::Rng::with_seed(config.seed),
            admission: Admission::new(config.connections_per_address_max),
            config,
            stages: HashMap::new(),
            connections: HashMap::new(),
            swarms: Swarms::default(),
        }
    }

    /// Makes a swarm known, so that peers can join it. `wishes` has an entry for each segment of its manifest.
    /// `media_bps` is the rate of its media, 0 if not known.
    pub fn add_swarm(
        &mut self,
        swarm: SwarmId,
        publisher: PublisherKey,
        wishes: impl IntoIterator<Item = Wish>,
        media_bps: u64,
    ) {
        let wishes = wishes.into_iter().take(SEGMENTS_MAX);
        let TrackerConfig { wiring, privacy, .. } = self.config;
        self.swarms.add(swarm, publisher, || {
            Swarm::new(wishes, wiring, media_bps).with_viewers_min(privacy.viewers_min)
        });
    }

    /// Forgets a swarm that has no peers. Whether it was forgotten.
    pub fn remove_swarm(&mut self, swarm: SwarmId) -> bool {
        self.swarms.remove(swarm)
    }

    /// Lets nobody join a swarm any more. Its peers go on; it is forgotten when they have left.
    pub(crate) fn retire_swarm(&mut self, swarm: SwarmId) {
        self.swarms.retire(swarm);
    }

    /// Whether anybody is in a swarm.
    pub fn has_peers(&self, swarm: SwarmId) -> bool {
        self.swarms.has_peers(swarm)
    }

    /// Whether a swarm is known and can be joined.
    pub(crate) fn is_joinable(&self, swarm: SwarmId) -> bool {
        self.swarms.is_joinable(swarm)
    }

    /// Whether a connection has said an accepted `hello`.
    pub fn is_greeted(&self, connection: ConnectionId) -> bool {
        self.stages.get(&connection).is_some_and(|stage| stage.peer().is_some())
    }

    /// The peer that a connection stands for, once it has joined a swarm.
    pub fn joined_peer(&self, connection: ConnectionId) -> Option<PeerId> {
        match self.stages.get(&connection)? {
            Stage::Joined { known, .. } => Some(known.peer),
            Stage::Open { .. } | Stage::Greeted(_) | Stage::Left { .. } => None,
        }
    }

    /// Where the peer is whose connection is in a swarm.
    pub(crate) fn joined_site(&self, connection: ConnectionId) -> Option<Site> {
        match self.stages.get(&connection)? {
            Stage::Joined { known, .. } => Some(known.site),
            Stage::Open { .. } | Stage::Greeted(_) | Stage::Left { .. } => None,
        }
    }

    /// A connection opened.
    pub fn connected(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        address: IpAddr,
    ) -> Vec<(ConnectionId, Outgoing)> {
        match self.admission.connect(now, connection, address) {
            Ok(()) => {
                let (site, name) = (Site::of(address), TrackerName::of(""));
                self.stages.insert(connection, Stage::Open { site, name, permission: Permission::Unknown });
                Vec::new()
            }
            Err(refusal) => self.refuse(connection, None, refusal),
        }
    }

    /// A peer came through another tracker that shares nothing with this one. It names the address, so nothing is taken of what
    /// that address may have; how much may come is the caller's to bound.
    pub(crate) fn connected_through_another(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        address: IpAddr,
    ) {
        self.admission.connect_through_another(now, connection);
        let (site, name) = (Site::of(address), TrackerName::of(""));
        self.stages.insert(connection, Stage::Open { site, name, permission: Permission::Unknown });
    }

    /// The name by which a connection that has just opened calls the tracker. Proofs must name it.
    pub fn called(&mut self, connection: ConnectionId, called: TrackerName) {
        if let Some(Stage::Open { name, .. }) = self.stages.get_mut(&connection) {
            *name = called;
        }
    }

    /// A connection closed.
    pub fn disconnected(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
    ) -> Vec<(ConnectionId, Outgoing)> {
        self.admission.disconnect(now, connection);
        let Some(stage) = self.stages.remove(&connection) else { return Vec::new() };
        let notices = self.leave_swarm(now, stage);
        if let Some(peer) = stage.peer()
            && self.connections.get(&peer) == Some(&connection)
        {
            self.connections.remove(&peer);
        }
        notices.into_iter().map(|(to, body)| (to, Outgoing::notice(body))).collect()
    }

    /// A connection sent a request.
    pub fn handle(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        request: PeerRequest,
    ) -> Vec<(ConnectionId, Outgoing)> {
        let Some(stage) = self.stages.get(&connection).copied() else { return Vec::new() };
        let id = Some(request.id);
        let mut outgoing = Vec::new();
        let met = match self.admission.admit(now, connection, cost(&request.body)) {
            Ok(()) => self.meet(now, connection, stage, request.body, &mut outgoing),
            Err(refusal) => Err(refusal),
        };
        match met {
            Ok((body, notices)) => {
                outgoing.push((connection, Outgoing::Send(TrackerMessage { id, body })));
                outgoing.extend(notices.into_iter().map(|(to, body)| (to, Outgoing::notice(body))));
            }
            Err(refusal) => outgoing.extend(self.refuse_known(now, connection, id, refusal)),
        }
        outgoing
    }

    /// A connection sent a frame that is no request; `id` is its id if it has one all the same.
    pub fn handle_undecodable(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        id: Option<u32>,
        error: &TrackerDecodeError,
    ) -> Vec<(ConnectionId, Outgoing)> {
        if !self.stages.contains_key(&connection) {
            return Vec::new();
        }
        let refusal = match self.admission.admit(now, connection, 1) {
            Err(refusal) => refusal,
            Ok(()) => Refusal::undecodable(error),
        };
        self.refuse_known(now, connection, id, refusal)
    }

    fn meet(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        stage: Stage,
        body: PeerRequestBody,
        outgoing: &mut Vec<(ConnectionId, Outgoing)>,
    ) -> Met {
        match (body, stage) {
            (
                PeerRequestBody::Hello { version, uplink_bps, token, resume, capabilities },
                Stage::Open { site, name, permission },
            ) => {
                self.check_hello(version, token.as_deref(), permission)?;
                let abilities = Abilities::of(&capabilities);
                let way = (connection, abilities.is_moving);
                let peer = self.identify(now, way, resume.as_deref(), outgoing);
                let challenge = self.config.resume_key.challenge(self.config.seed, connection);
                let known = Known { peer, site, uplink_bps, name, permission, abilities, challenge, room: 0 };
                self.stages.insert(connection, Stage::Greeted(known));
                Ok((self.welcome(peer, challenge), Notices::new()))
            }
            (PeerRequestBody::Hello { .. }, _) => Err(Refusal::bad_request("hello was said already")),
            (_, Stage::Open { .. }) => Err(Refusal::bad_request("say hello first")),
            (PeerRequestBody::Join { swarm, role, have, playhead, proof }, Stage::Greeted(known)) => {
                let Known { peer, site, uplink_bps, .. } = known;
                let is_visitor = false;
                let newcomer =
                    Newcomer { peer, connection, role, have, uplink_bps, playhead, site, is_visitor };
                self.let_in(now, (swarm, newcomer), (known, proof), outgoing)
            }
            (PeerRequestBody::Join { .. }, _) => {
                Err(Refusal::bad_request("a connection joins one swarm, once; open another"))
            }
            (_, Stage::Greeted(_) | Stage::Left { .. }) => Err(Refusal::bad_request("join a swarm first")),
            (body, Stage::Joined { known, room }) => {
                self.meet_in_room(now, connection, known.peer, room, body)
            }
        }
    }

    fn meet_in_room(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        peer: PeerId,
        room: Room,
        body: PeerRequestBody,
    ) -> Met {
        let swarm = self.swarms.room_mut(room).ok_or_else(|| Refusal::unknown_swarm(room.swarm))?;
        match body {
            PeerRequestBody::Have { gained, dropped } => swarm.change(peer, &gained, &dropped),
            PeerRequestBody::Want { segments } => return Ok(swarm.want(now, peer, &segments, &mut self.rng)),
            PeerRequestBody::Signal { to, signal } => {
                let is_relayed = self.config.privacy.is_relay_required;
                return relay(swarm, &mut self.admission, now, (connection, peer), (to, signal, is_relayed));
            }
            PeerRequestBody::Report { received, uplink_bps, playhead, ahead_ms } => {
                let report = Report { received, uplink_bps, playhead, ahead_ms };
                let notices = swarm.report(now, peer, report, &mut self.rng);
                return Ok((swarm.state(now, peer), notices));
            }
            PeerRequestBody::Leave => {
                let notices = swarm.leave(now, peer, &mut self.rng);
                self.stages.insert(connection, Stage::Left { peer });
                self.swarms.left(room);
                return Ok((TrackerMessageBody::Ok, notices));
            }
            PeerRequestBody::Hello { .. } | PeerRequestBody::Join { .. } => {
                return Err(Refusal::bad_request("said already"));
            }
        }
        Ok((TrackerMessageBody::Ok, Notices::new()))
    }

    fn leave_swarm(&mut self, now: Timestamp, stage: Stage) -> Notices {
        match stage {
            Stage::Joined { known, room } => {
                let swarm = self.swarms.room_mut(room);
                let left = swarm.map(|swarm| swarm.leave(now, known.peer, &mut self.rng));
                self.swarms.left(room);
                left.unwrap_or_default()
            }
            Stage::Open { .. } | Stage::Greeted(_) | Stage::Left { .. } => Notices::new(),
        }
    }

    /// Refuses a connection that is known; if that ends it, its peer leaves.
    fn refuse_known(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        id: Option<u32>,
        refusal: Refusal,
    ) -> Vec<(ConnectionId, Outgoing)> {
        let is_end = refusal.close.is_some();
        let mut outgoing = self.refuse(connection, id, refusal);
        if is_end {
            outgoing.extend(self.disconnected(now, connection));
        }
        outgoing
    }

    fn refuse(
        &self,
        connection: ConnectionId,
        id: Option<u32>,
        refusal: Refusal,
    ) -> Vec<(ConnectionId, Outgoing)> {
        let Refusal { code, text, retry_after_ms, close } = refusal;
        let body = TrackerMessageBody::Error { code, text, retry_after_ms };
        let close = close.map(|reason: CloseReason| (connection, Outgoing::Close(reason)));
        let message = (connection, Outgoing::Send(TrackerMessage { id, body }));
        [message].into_iter().chain(close).collect()
    }
}

/// Compares secrets without telling by the time it takes where they differ.
pub(crate) fn is_same_secret(expected: &str, given: &str) -> bool {
    blake3::hash(expected.as_bytes()) == blake3::hash(given.as_bytes())
}

#[cfg(test)]
mod tests;
