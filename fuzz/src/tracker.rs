//! The tracker's decisions with several connections that keep no rule, compared with a model of who is there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use swarm_core::limits::TRACKER_MESSAGE_BYTES_MAX;
use swarm_core::manifest::Period;
use swarm_core::publisher::{Statement, TrackerName};
use swarm_core::tracker_message::{
    IceServer, PeerRequest, PeerRequestBody, Received, Role, SegmentRun, Signal, TRACKER_VERSION,
    TrackerMessage, TrackerMessageBody, Want,
};
use swarm_core::{Challenge, PeerId, SwarmId, Timestamp};
use tracker_server::decision::{
    ConnectionId, Outgoing, Permission, Privacy, ResumeKey, Tracker, TrackerConfig, Visits, Wiring, Wish,
};

use crate::content::key;
use crate::decoders::word_of;
use crate::engine::Seen;
use crate::source::Source;

/// Steps of one input, so that each ends.
const STEPS_MAX: usize = 600;

/// Connections that may be open at a time in a test.
const OPEN_MAX: usize = 24;

/// The two swarms that exist.
const SWARMS: [SwarmId; 2] = [SwarmId([1; 32]), SwarmId([2; 32])];

/// A tracker and what its server would know.
struct World<'a> {
    tracker: Tracker,
    now: Timestamp,
    /// What each open connection was told to sign, once it was.
    open: BTreeMap<ConnectionId, Option<Challenge>>,
    last: u64,
    peers: Vec<PeerId>,
    tokens: Vec<String>,
    visits: Visits,
    seen: &'a mut Seen,
}

/// Runs one input.
pub fn check(input: &[u8], seen: &mut Seen) {
    let mut source = Source::new(input);
    let mut world = World::new(source.byte(), seen);
    for _ in 0..STEPS_MAX {
        if source.is_empty() {
            break;
        }
        world.step(&mut source);
        world.inspect();
    }
    world.end();
}

impl<'a> World<'a> {
    fn new(kind: u8, seen: &'a mut Seen) -> Self {
        let config = TrackerConfig {
            seed: u64::from(kind),
            resume_key: ResumeKey::from_secret(b"fuzz"),
            ice_servers: vec![IceServer {
                urls: vec!["stun:s:1".to_owned()],
                username: None,
                credential: None,
            }],
            token: (kind & 1 == 1).then(|| "token".to_owned()),
            connections_per_address_max: 8,
            wiring: Wiring::Regular,
            privacy: Privacy {
                is_consent_required: kind & 2 == 2,
                is_relay_required: kind & 4 == 4,
                is_mirrors_only: false,
                viewers_min: usize::from(kind & 8),
            },
        };
        let mut tracker = Tracker::new(config);
        for swarm in SWARMS {
            let wish = Wish { priority: 3, period: Period::Playback };
            tracker.add_swarm(swarm, key().public(), [wish; 10], 4_000_000);
        }
        let now = Timestamp::from_millis(1);
        Self {
            tracker,
            now,
            open: BTreeMap::new(),
            last: 0,
            peers: Vec::new(),
            tokens: Vec::new(),
            visits: Visits::default(),
            seen,
        }
    }

    fn connection(&self, source: &mut Source<'_>) -> ConnectionId {
        let place = usize::from(source.byte()) % (self.open.len() + 1);
        self.open.keys().nth(place).copied().unwrap_or(ConnectionId(9_999_999))
    }

    fn step(&mut self, source: &mut Source<'_>) {
        match source.byte() % 16 {
            0 | 1 => self.connect(source),
            2 => {
                let connection = self.connection(source);
                self.open.remove(&connection);
                self.end_visits(connection);
                let outgoing = self.tracker.disconnected(self.now, connection);
                self.deliver(outgoing);
            }
            3 => self.now = self.now + Duration::from_millis(u64::from(source.short())),
            4 | 5 => {
                let (connection, text) =
                    (self.connection(source), String::from_utf8_lossy(source.some()).into_owned());
                match PeerRequest::decode(&text) {
                    Ok(request) => self.ask(connection, request),
                    Err(error) => {
                        let outgoing =
                            self.tracker.handle_undecodable(self.now, connection, Some(u32::MAX), &error);
                        self.deliver(outgoing);
                    }
                }
            }
            6 => self.arrange(SWARMS[usize::from(source.byte() & 1)]),
            7 | 8 => {
                let connection = self.connection(source);
                self.enter(connection, source);
            }
            _ => {
                let (connection, body) = (self.connection(source), self.body(source));
                self.ask(connection, PeerRequest { id: u32::from(source.byte()), body });
            }
        }
    }

    fn connect(&mut self, source: &mut Source<'_>) {
        if self.open.len() >= OPEN_MAX {
            return;
        }
        self.last += 1;
        let connection = ConnectionId(self.last);
        let address = IpAddr::V4(Ipv4Addr::new(203, 0, source.byte() % 3, source.byte() % 4));
        self.open.insert(connection, None);
        let outgoing = self.tracker.connected(self.now, connection, address);
        self.deliver(outgoing);
        self.tracker.called(connection, TrackerName::of("tracker"));
        if source.byte().is_multiple_of(8) {
            self.tracker.permit(connection, Permission::Unknown);
        }
    }

    /// Greets and joins as one should, as an initial peer with a proof.
    fn enter(&mut self, connection: ConnectionId, source: &mut Source<'_>) {
        let resume = self.tokens.get(usize::from(source.byte())).cloned();
        let hello = PeerRequestBody::Hello {
            version: TRACKER_VERSION,
            capabilities: Vec::new(),
            uplink_bps: source.long(),
            token: Some("token".to_owned()),
            resume,
        };
        self.ask(connection, PeerRequest { id: 1, body: hello });
        let swarm = SWARMS[usize::from(source.byte() & 1)];
        let is_initial = source.byte().is_multiple_of(4);
        self.tracker.direct(connection, if is_initial { 0 } else { u32::from(source.byte() % 4) });
        let challenge = self.open.get(&connection).copied().flatten();
        let proof = challenge.filter(|_| is_initial).map(|challenge| {
            key().sign(&Statement::Join { swarm, tracker: TrackerName::of("tracker"), challenge })
        });
        let role = if is_initial { Role::Initial } else { Role::Viewer };
        let have = if is_initial { vec![SegmentRun(0, 10)] } else { vec![some_run(source)] };
        let join = PeerRequestBody::Join { swarm, role, have, playhead: Some(source.number()), proof };
        self.ask(connection, PeerRequest { id: 2, body: join });
    }

    /// Rooms are told of one another, and visits begin and end, as in a tracker that is alone.
    fn arrange(&mut self, swarm: SwarmId) {
        let rooms = self.tracker.rooms(swarm).filter(|(_, counts)| *counts != (0, 0)).collect();
        for (connection, rooms) in self.tracker.arrange(self.now, swarm, &rooms) {
            assert!(self.open.contains_key(&connection), "who visits has no socket");
            let itinerary = self.visits.name(self.now, connection, &rooms);
            itinerary.end.into_iter().for_each(|visit| self.end_visit(visit));
            for room in itinerary.begin {
                let Some((passport, said)) = self.tracker.introduction(connection) else { continue };
                self.last += 1;
                let visit = ConnectionId(self.last);
                self.visits.begin(self.now, connection, visit, room);
                self.tracker.adopt_visitor(self.now, visit, passport);
                let outgoing = self.tracker.rejoin(self.now, visit, (room, said));
                self.deliver(outgoing);
                self.seen.note("visit");
            }
        }
    }

    fn end_visit(&mut self, visit: ConnectionId) {
        let Some(owner) = self.visits.owner(visit) else { return };
        let tracker = &self.tracker;
        let lost = self.visits.end(visit, |peer| tracker.is_linked(owner, peer));
        self.seen.note_count("lost", lost.len());
        let outgoing = self.tracker.disconnected(self.now, visit);
        self.deliver(outgoing);
    }

    fn end_visits(&mut self, owner: ConnectionId) {
        self.visits.of(owner).to_vec().into_iter().for_each(|visit| self.end_visit(visit));
    }

    fn body(&self, source: &mut Source<'_>) -> PeerRequestBody {
        let peer = self.peers.get(usize::from(source.byte())).copied().unwrap_or(PeerId(5));
        match source.byte() % 12 {
            0..=2 => {
                PeerRequestBody::Have { gained: vec![some_run(source)], dropped: vec![some_run(source)] }
            }
            3..=5 => PeerRequestBody::Want {
                segments: vec![Want { segments: some_run(source), remaining_ms: source.number() }],
            },
            6..=8 => PeerRequestBody::Signal { to: peer, signal: Signal::EndOfCandidates },
            9 | 10 => PeerRequestBody::Report {
                received: vec![Received { peer, bytes: source.long(), failures: source.number() }],
                uplink_bps: source.long(),
                playhead: Some(source.number()),
                ahead_ms: Some(source.number()),
            },
            _ => PeerRequestBody::Leave,
        }
    }

    /// Each request of an open connection has one answer.
    fn ask(&mut self, connection: ConnectionId, request: PeerRequest) {
        let id = request.id;
        self.seen.note(word_of(&request.body));
        let tracker = &self.tracker;
        let split = self.visits.split(connection, &request, |peer| tracker.is_linked(connection, peer));
        if request.body == PeerRequestBody::Leave {
            self.end_visits(connection);
        }
        for (visit, request) in split.visits {
            let outgoing = self.tracker.handle(self.now, visit, request);
            self.deliver(outgoing);
        }
        let outgoing = self.tracker.handle(self.now, connection, request);
        let is_answer = |(to, outgoing): &&(ConnectionId, Outgoing)| match outgoing {
            Outgoing::Send(message) => *to == connection && message.id == Some(id),
            Outgoing::Close(_) => false,
        };
        let answers = outgoing.iter().filter(is_answer).count();
        assert_eq!(answers, usize::from(self.open.contains_key(&connection)), "{outgoing:?}");
        self.deliver(outgoing);
    }

    fn deliver(&mut self, outgoing: Vec<(ConnectionId, Outgoing)>) {
        self.seen.note_count("outgoing", outgoing.len());
        for (to, outgoing) in outgoing {
            if self.visits.owner(to).is_some() {
                let tracker = &self.tracker;
                match outgoing {
                    Outgoing::Close(_) => self.end_visit(to),
                    Outgoing::Send(message) => {
                        let note = Tracker::note_of(&message.body);
                        let owner = self.visits.hear(to, note, |owner, peer| tracker.is_linked(owner, peer));
                        assert!(owner.is_none_or(|owner| self.open.contains_key(&owner)), "nobody hears it");
                    }
                }
                continue;
            }
            assert!(self.open.contains_key(&to), "{outgoing:?} to a closed connection");
            match outgoing {
                Outgoing::Close(reason) => {
                    self.seen.note(reason.text());
                    self.open.remove(&to);
                    self.end_visits(to);
                }
                Outgoing::Send(message) => self.take(to, &message),
            }
        }
    }

    fn take(&mut self, to: ConnectionId, message: &TrackerMessage) {
        self.seen.note(word_of(&message.body));
        let text = message.encode();
        assert!(text.len() <= TRACKER_MESSAGE_BYTES_MAX, "a message of {} bytes", text.len());
        assert_eq!(TrackerMessage::decode(&text).as_ref(), Ok(message), "peers cannot read it");
        match &message.body {
            TrackerMessageBody::Welcome { peer, resume, challenge, .. } => {
                self.peers.push(*peer);
                self.tokens.push(resume.clone());
                self.open.insert(to, Some(*challenge));
            }
            TrackerMessageBody::Error { text, .. } => self.seen.note(text),
            TrackerMessageBody::Swarm { .. }
            | TrackerMessageBody::Peers { .. }
            | TrackerMessageBody::Move { .. }
            | TrackerMessageBody::Connect { .. }
            | TrackerMessageBody::Unlink { .. }
            | TrackerMessageBody::Assign { .. }
            | TrackerMessageBody::Signal { .. }
            | TrackerMessageBody::Gone { .. }
            | TrackerMessageBody::Ok => {}
        }
    }

    /// What the tracker says of who is there.
    fn inspect(&self) {
        let joined: Vec<PeerId> =
            self.open.keys().filter_map(|connection| self.tracker.joined_peer(*connection)).collect();
        let distinct: BTreeSet<&PeerId> = joined.iter().collect();
        assert_eq!(distinct.len(), joined.len(), "a peer twice");
        let greeted = self.open.keys().filter(|connection| self.tracker.is_greeted(**connection)).count();
        assert_eq!(self.tracker.peer_count(), greeted, "peers without a connection");
        let has_peers = SWARMS.iter().any(|swarm| self.tracker.has_peers(*swarm));
        assert_eq!(has_peers, !joined.is_empty());
    }

    /// When all are gone nothing is left.
    fn end(&mut self) {
        while let Some((connection, _)) = self.open.pop_first() {
            self.end_visits(connection);
            let outgoing = self.tracker.disconnected(self.now, connection);
            self.deliver(outgoing);
        }
        assert_eq!(self.tracker.peer_count(), 0);
        assert!(self.visits.is_empty(), "visits without a peer");
        for swarm in SWARMS {
            assert!(self.tracker.remove_swarm(swarm), "peers are left over");
        }
    }
}

fn some_run(source: &mut Source<'_>) -> SegmentRun {
    SegmentRun(source.number(), source.number())
}
