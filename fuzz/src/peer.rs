//! A peer that is past its greeting, and neighbours and a tracker that keep no rule.
//!
//! The first byte says what the peer is. Three neighbours are introduced and greet as they should, one of them an initial
//! peer; then the input's bytes say what happens. After each step it is checked what holds for every peer, as far as it can
//! be seen from outside: the crate's own tests look inside as well (`no_order_of_inputs_makes_a_peer_panic_or_spin`).

mod some;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use swarm_core::group::GroupRange;
use swarm_core::group_set::GroupSet;
use swarm_core::id::Fingerprint;
use swarm_core::limits::FRAME_BYTES_MAX;
use swarm_core::peer::{Appetite, Economy, MirrorError, MirrorUse, Publisher, RangeFetch, UploadLimit};
use swarm_core::peer_message::{PEER_VERSION, PeerMessage, Standing};
use swarm_core::publisher::{Statement, TrackerName};
use swarm_core::tracker_message::{Role, Signal, TRACKER_VERSION, TrackerMessage, TrackerMessageBody};
use swarm_core::{Challenge, HashTree, Input, LinkId, Manifest, Output, Peer, PeerConfig, PeerId, Timestamp};

use self::some::{some_data, some_input, some_message, some_ranges, some_standing, some_tracker_message};
use crate::content::{CONTENT, GROUPS, MIRRORED, TREE, frame, key};
use crate::decoders::word_of;
use crate::engine::Seen;
use crate::source::Source;

/// Outputs that may follow from one input.
const OUTPUTS_MAX: usize = 2000;

/// Timeouts within one wait: beyond that the peer spins.
const TIMEOUTS_MAX: usize = 5000;

/// Steps of one input, so that each ends.
const STEPS_MAX: usize = 400;

/// The certificate of the peer itself; neighbours have that of their number.
const OWN: u8 = 150;

/// One peer and what its driver would know.
struct World<'a> {
    peer: Peer,
    now: Timestamp,
    /// Links that exist, with the peer at the other end where the test introduced it.
    links: BTreeSet<LinkId>,
    named: BTreeMap<PeerId, LinkId>,
    introducing: Option<PeerId>,
    held: BTreeSet<u32>,
    is_store_open: bool,
    /// What mirrors are asked for.
    fetches: Vec<RangeFetch>,
    manifest: &'static Manifest,
    seen: &'a mut Seen,
}

/// Runs one input.
pub fn check(input: &[u8], seen: &mut Seen) {
    let mut source = Source::new(input);
    let mut world = World::new(source.byte(), seen);
    for number in 1..=3 {
        let role = if number == 1 { Role::Initial } else { Role::Viewer };
        let have = GroupRange::new(0, if number == 1 { GROUPS } else { u32::from(source.byte() % 13) });
        world.meet(number, role, have);
    }
    for _ in 0..STEPS_MAX {
        if source.is_empty() {
            break;
        }
        world.step(&mut source);
    }
    world.tell(Input::Stop);
    assert!(world.links.is_empty(), "a peer that left has links");
    world.wait(Duration::from_secs(60));
}

fn description(number: u8) -> String {
    format!("v=0\r\na=fingerprint:sha-256 {}\r\n", vec![format!("{number:02X}"); 32].join(":"))
}

impl<'a> World<'a> {
    fn new(kind: u8, seen: &'a mut Seen) -> Self {
        let manifest: &'static Manifest = if kind & 32 == 0 { &CONTENT.manifest } else { &MIRRORED };
        let is_initial = kind & 1 == 1;
        let swarm = manifest.swarm_id().unwrap_or_else(|error| unreachable!("{error}"));
        let viewer = Appetite::Viewer { budget_bytes: 4 * 16_384, is_kept: kind & 8 == 0 };
        let appetite = if kind & 2 == 0 { Appetite::Everything } else { viewer };
        let config = PeerConfig {
            swarm,
            role: if is_initial { Role::Initial } else { Role::Viewer },
            manifest: (is_initial || kind & 4 == 0).then(|| Arc::new(manifest.clone())),
            publisher: is_initial.then(|| Publisher {
                key: key(),
                tracker: TrackerName::of("tracker"),
                outposts: vec![TrackerName::of("another")],
            }),
            seed: u64::from(kind),
            appetite,
            upload: UploadLimit::Unlimited,
            uplink_hint: (kind & 8 != 0).then_some(500_000),
            token: None,
            economy: if kind & 16 == 0 { Economy::Thrifty } else { Economy::Generous },
            mirrors: MirrorUse::All,
        };
        let mut world = Self {
            peer: Peer::new(config),
            now: Timestamp::from_millis(1),
            links: BTreeSet::new(),
            named: BTreeMap::new(),
            introducing: None,
            held: BTreeSet::new(),
            is_store_open: false,
            fetches: Vec::new(),
            manifest,
            seen,
        };
        world.tell(Input::Start);
        if is_initial || kind & 4 == 0 {
            world.open_store(is_initial);
        }
        world.tell(Input::TrackerOpen);
        world.hear(TrackerMessageBody::Welcome {
            version: TRACKER_VERSION,
            peer: PeerId(u64::from(OWN)),
            resume: String::new(),
            challenge: Challenge([3; 32]),
            ice_servers: Vec::new(),
            report_interval_ms: 5000,
        });
        world.tell(Input::ManifestPublished(Ok(())));
        world.hear(TrackerMessageBody::Swarm {
            seeders: 1,
            leechers: 3,
            at_risk: Vec::new(),
            share: None,
            scarcity: None,
        });
        world
    }

    fn open_store(&mut self, is_full: bool) {
        let tree = &CONTENT.tree;
        let mut held = GroupSet::empty(GROUPS);
        if is_full {
            held = GroupSet::full(GROUPS);
            self.held = (0..GROUPS).collect();
        }
        let tree = if is_full { tree.clone() } else { HashTree::unknown(tree.geometry(), tree.root()) };
        self.is_store_open = true;
        self.tell(Input::StoreReady { held, tree: Box::new(tree) });
    }

    fn hear(&mut self, body: TrackerMessageBody) {
        self.tell(Input::Tracker(TrackerMessage::notice(body)));
    }

    /// A neighbour is introduced and greets as it should.
    fn meet(&mut self, number: u8, role: Role, have: GroupRange) {
        self.introduce(number, role);
        let Some(link) = self.named.get(&PeerId(u64::from(number))).copied() else { return };
        self.open(link, number);
        let have = Some(have).filter(|have| !have.is_empty()).into_iter().collect();
        let standing =
            Standing { credit: u32::MAX, ..some_standing(&mut Source::new(&[2, 0, 0, 12, 200, 10])) };
        self.greet(link, number, role, standing, have);
    }

    fn introduce(&mut self, number: u8, role: Role) {
        let peer = PeerId(u64::from(number));
        self.introducing = Some(peer);
        self.hear(TrackerMessageBody::Connect { peer, role, offer: true });
        self.introducing = None;
    }

    fn open(&mut self, link: LinkId, number: u8) {
        self.tell(Input::LocalSignal(link, Signal::Offer { sdp: description(OWN) }));
        let signal = Signal::Answer { sdp: description(number) };
        self.hear(TrackerMessageBody::Signal { from: PeerId(u64::from(number)), signal });
        self.tell(Input::LinkOpen(link));
    }

    fn greet(&mut self, link: LinkId, number: u8, role: Role, standing: Standing, have: Vec<GroupRange>) {
        let swarm = self.manifest.swarm_id().unwrap_or_else(|error| unreachable!("{error}"));
        let statement =
            Statement::Link { swarm, signer: Fingerprint([number; 32]), verifier: Fingerprint([OWN; 32]) };
        let hello = PeerMessage::Hello {
            version: PEER_VERSION,
            swarm,
            peer: PeerId(u64::from(number)),
            standing,
            have,
            proof: (role == Role::Initial).then(|| key().sign(&statement)),
        };
        self.say(link, &hello.encode());
    }

    /// A frame arrives on a control channel, as the driver hands it on.
    fn say(&mut self, link: LinkId, frame: &[u8]) {
        let input = match PeerMessage::decode(frame) {
            Ok(message) => Input::Control(link, message),
            Err(error) => Input::Malformed(link, error),
        };
        self.tell(input);
    }

    fn link(&self, source: &mut Source<'_>) -> LinkId {
        let place = usize::from(source.byte() % 6);
        self.links.iter().nth(place).copied().unwrap_or(LinkId(9999))
    }

    fn step(&mut self, source: &mut Source<'_>) {
        match source.byte() % 16 {
            0 | 1 => {
                let (link, frame) = (self.link(source), source.some());
                self.say(link, frame);
            }
            2..=5 => {
                let (link, message) = (self.link(source), some_message(source));
                self.say(link, &message.encode());
            }
            6 | 7 => {
                let input = some_data(self.link(source), source);
                self.tell(input);
            }
            8 => {
                let body = some_tracker_message(source);
                self.hear(body);
            }
            9 => {
                if let Ok(message) = std::str::from_utf8(source.some()).map(TrackerMessage::decode)
                    && let Ok(message) = message
                {
                    self.tell(Input::Tracker(message));
                }
            }
            10 => {
                let (link, bytes) = (self.link(source), source.long());
                self.tell(Input::Buffered(link, bytes));
            }
            11 => {
                let link = self.link(source);
                if source.byte() & 1 == 0 {
                    self.tell(Input::LinkOpen(link));
                } else {
                    self.links.remove(&link);
                    self.tell(Input::LinkClosed(link, String::new()));
                }
            }
            12 => {
                let number = source.byte() % 9 + 1;
                let role = if source.byte().is_multiple_of(4) { Role::Initial } else { Role::Viewer };
                self.introduce(number, role);
                if let Some(link) = self.named.get(&PeerId(u64::from(number))).copied() {
                    self.open(link, number);
                    let (standing, have) = (some_standing(source), some_ranges(source));
                    self.greet(link, number, role, standing, have);
                }
            }
            13 => self.other(source),
            15 if !self.fetches.is_empty() => self.answer(source),
            _ => {
                let ms = u64::from(source.short() % 4000);
                self.wait(Duration::from_millis(ms));
            }
        }
    }

    /// A mirror answers, rightly or not.
    fn answer(&mut self, source: &mut Source<'_>) {
        let fetch = self.fetches.remove(usize::from(source.byte()) % self.fetches.len());
        let whole = if fetch.url.ends_with(".tree") { &TREE } else { &CONTENT.bytes };
        let mut bytes = whole.slice(fetch.bytes.start as usize..fetch.bytes.end as usize).to_vec();
        let result = match source.byte() % 8 {
            0 => Err(MirrorError::Slow),
            1 => Err(MirrorError::Redirect),
            2 => {
                bytes.truncate(usize::from(source.short()));
                Ok(bytes.into())
            }
            3 => {
                let at = usize::from(source.short()) % bytes.len();
                bytes[at] ^= source.byte();
                Ok(bytes.into())
            }
            _ => Ok(bytes.into()),
        };
        self.tell(Input::Fetched(fetch.fetch, result));
    }

    fn other(&mut self, source: &mut Source<'_>) {
        match source.byte() % 12 {
            11 if self.is_store_open => {
                let range = GroupRange::new(source.number(), source.number());
                self.held.retain(|group| !range.has(*group));
                self.tell(Input::StoreFailed(range, String::new()));
            }
            11 => self.open_store(false),
            kind => self.tell(some_input(kind, source)),
        }
    }

    fn tell(&mut self, input: Input) {
        self.peer.handle_input(self.now, input);
        self.drain();
        if self.peer.poll_timeout().is_some_and(|at| at <= self.now) {
            self.time_out();
        }
        self.inspect();
    }

    fn time_out(&mut self) {
        self.peer.handle_timeout(self.now);
        self.drain();
        let next = self.peer.poll_timeout();
        assert!(next.is_none_or(|at| at > self.now), "it would spin: {next:?} at {:?}", self.now);
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..TIMEOUTS_MAX {
            match self.peer.poll_timeout().filter(|at| *at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => {
                    self.now = end;
                    return self.inspect();
                }
            }
            self.time_out();
        }
        panic!("it times out {TIMEOUTS_MAX} times within {time:?}");
    }

    fn drain(&mut self) {
        let mut count = 0;
        while let Some(output) = self.peer.poll_output() {
            count += 1;
            assert!(count <= OUTPUTS_MAX, "outputs without end: {output:?}");
            self.seen.note(word_of(&output));
            self.carry_out(output);
        }
        self.seen.note_count("outputs", count);
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Connect { link, .. } => {
                assert!(self.links.insert(link), "a link twice");
                self.named.extend(self.introducing.map(|peer| (peer, link)));
            }
            Output::CloseLink(link, reason) => {
                self.seen.note(reason);
                assert!(self.links.remove(&link), "a link that does not exist is closed");
            }
            Output::Control(link, message) => {
                assert!(self.links.contains(&link), "{message:?} on a link that does not exist");
                self.seen.note(word_of(&message));
                let frame = message.encode();
                assert!(
                    frame.len() <= FRAME_BYTES_MAX && PeerMessage::decode(&frame).as_ref() == Ok(&message)
                );
            }
            Output::Data(link, head) => {
                assert!(self.links.contains(&link), "data on a link that does not exist");
                assert!(head.range.iter().all(|group| self.held.contains(&group)), "sent, not held");
            }
            Output::RemoteSignal(link, _) | Output::LowWater(link, _) => {
                assert!(self.links.contains(&link), "something for a link that does not exist");
            }
            Output::Store(verified) => {
                assert_eq!(verified.bytes(), &frame(verified.range()).payload, "bytes of another content");
                self.held.extend(verified.range().iter());
            }
            Output::Evict(range) => self.held.retain(|group| !range.has(*group)),
            Output::FetchRange(fetch) => {
                assert!(!fetch.bytes.is_empty() && fetch.bytes.end <= fetch.file_bytes, "{fetch:?}");
                self.fetches.push(fetch);
            }
            Output::AbortFetch(fetch) => self.fetches.retain(|open| open.fetch != fetch),
            Output::Tracker(request) => self.seen.note(word_of(&request.body)),
            Output::Event(event) => self.seen.note(word_of(&event)),
            Output::ConnectTracker
            | Output::DisconnectTracker
            | Output::FetchManifest
            | Output::PublishManifest(_)
            | Output::Move(_)
            | Output::Outpost(..) => {}
        }
    }

    /// What the peer says of itself is what it did.
    fn inspect(&self) {
        if let Some(held) = self.peer.held() {
            assert!(held.iter().eq(self.held.iter().copied()), "what is held is not what is stored");
        }
        let stats = self.peer.stats();
        assert!(stats.bytes_verified <= stats.bytes_total.max(CONTENT.manifest.length_bytes));
        assert!(stats.links.len() <= self.links.len(), "links that nobody made");
    }
}
