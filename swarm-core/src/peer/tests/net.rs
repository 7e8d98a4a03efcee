//! A swarm in memory: real peers, a virtual clock, uplinks with a rate, links with a delay, and a tracker
//! that introduces everybody to everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub(crate) use super::fault::Fault;
use super::scene::description;
use crate::group::GroupRange;
use crate::group_set::GroupSet;
use crate::id::{Challenge, LinkId, PeerId};
use crate::limits::GROUP_BYTES;
use crate::manifest::Manifest;
use crate::manifest::tests::{key, sample};
use crate::peer::{
    Appetite, Economy, Event, FetchError, Input, MirrorUse, Output, Peer, PeerConfig, Publisher, UploadLimit,
};
use crate::peer_message::{DataMessage, PeerMessage};
use crate::publisher::TrackerName;
use crate::time::Timestamp;
use crate::tracker_message::{
    PeerRequest, PeerRequestBody, Role, Signal, TrackerMessage, TrackerMessageBody, Want,
};
use crate::tree::{HashTree, TreeBuilder};

const DELAY: Duration = Duration::from_millis(20);

pub(crate) struct Node {
    pub(crate) peer: Peer,
    pub(crate) store: BTreeMap<u32, Bytes>,
    pub(crate) events: Vec<Event>,
    pub(crate) fault: Fault,
    pub(crate) requested: Vec<GroupRange>,
    /// What the tracker heard that it looks for, and when.
    pub(crate) wanted: Vec<(Timestamp, Vec<Want>)>,
    is_up: bool,
    uplink: u64,
    uplink_free: Timestamp,
    buffered: BTreeMap<LinkId, u64>,
    links: BTreeMap<LinkId, (usize, LinkId)>,
    pending: BTreeMap<usize, LinkId>,
    restored: Option<(GroupSet, HashTree)>,
}

impl Node {
    /// A queued report names the bytes that leave; what it says is what is left by then.
    fn as_of_now(&mut self, input: Input) -> Input {
        let Input::Buffered(link, left) = input else { return input };
        let buffered = self.buffered.entry(link).or_default();
        *buffered = buffered.saturating_sub(left);
        Input::Buffered(link, *buffered)
    }
}

pub(crate) struct Net {
    pub(crate) now: Timestamp,
    pub(crate) nodes: Vec<Node>,
    pub(crate) content: Bytes,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) tree: HashTree,
    pub(crate) is_tracker_up: bool,
    pub(crate) has_http: bool,
    /// Of initial peers that are added.
    pub(crate) economy: Economy,
    queue: BTreeMap<(Timestamp, u64), (usize, Input)>,
    sequence: u64,
    members: BTreeSet<usize>,
    /// Whose control messages take three times as long as payload.
    slow_control: Option<usize>,
    /// How many trackers died; each had ids of its own.
    trackers: u64,
    /// Whom the tracker names just now.
    introducing: Option<usize>,
}

impl Net {
    pub(crate) fn new(length: usize) -> Self {
        let content: Bytes = (0..length).map(|index| (index * 7 + index / 255) as u8).collect();
        let mut builder = TreeBuilder::new();
        content.chunks(GROUP_BYTES as usize).for_each(|group| builder.push(group));
        let tree = builder.finish().unwrap();
        let manifest = Arc::new(sample(length as u64, tree.root()));
        Self {
            now: Timestamp::ZERO,
            nodes: Vec::new(),
            content,
            manifest,
            tree,
            is_tracker_up: true,
            has_http: true,
            economy: Economy::Thrifty,
            queue: BTreeMap::new(),
            sequence: 0,
            members: BTreeSet::new(),
            slow_control: None,
            trackers: 0,
            introducing: None,
        }
    }

    pub(crate) fn slice(&self, range: GroupRange) -> Bytes {
        let span = self.manifest.geometry().bytes(range);
        self.content.slice(span.start as usize..span.end as usize)
    }

    /// Adds and starts a peer that holds `held`; `uplink` in bytes a second.
    pub(crate) fn add(&mut self, role: Role, held: GroupRange, uplink: u64) -> usize {
        let index = self.nodes.len();
        let config = PeerConfig {
            swarm: self.manifest.swarm_id().unwrap(),
            role,
            manifest: (role == Role::Initial).then(|| Arc::clone(&self.manifest)),
            publisher: (role == Role::Initial).then(|| Publisher {
                key: key(),
                tracker: TrackerName::of("tracker"),
                outposts: Vec::new(),
            }),
            seed: index as u64,
            appetite: Appetite::Everything,
            upload: UploadLimit::Unlimited,
            uplink_hint: None,
            token: None,
            economy: self.economy,
            mirrors: MirrorUse::All,
        };
        let mut set = GroupSet::empty(self.manifest.geometry().group_count());
        set.insert(held);
        let tree = if set.is_empty() {
            HashTree::unknown(self.tree.geometry(), self.tree.root())
        } else {
            self.tree.clone()
        };
        self.nodes.push(Node {
            peer: Peer::new(config),
            store: set.iter().map(|group| (group, self.slice(GroupRange::one(group)))).collect(),
            events: Vec::new(),
            fault: Fault::None,
            requested: Vec::new(),
            wanted: Vec::new(),
            is_up: true,
            uplink,
            uplink_free: Timestamp::ZERO,
            buffered: BTreeMap::new(),
            links: BTreeMap::new(),
            pending: BTreeMap::new(),
            restored: Some((set, tree)),
        });
        self.tell(index, Input::Start);
        index
    }

    pub(crate) fn tell(&mut self, node: usize, input: Input) {
        let now = self.now;
        self.nodes[node].peer.handle_input(now, input);
        self.drain(node);
    }

    /// The machine of a node dies: nobody hears from it again.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].is_up = false;
        self.members.remove(&node);
        let links: Vec<_> = self.nodes[node].links.values().copied().collect();
        for (other, link) in links {
            self.later(DELAY, other, Input::LinkClosed(link, "gone".into()));
        }
    }

    pub(crate) fn slow_control_of(&mut self, node: usize) {
        self.slow_control = Some(node);
    }

    pub(crate) fn kill_tracker(&mut self) {
        self.is_tracker_up = false;
        self.trackers += 1;
        self.members.clear();
        (0..self.nodes.len())
            .for_each(|node| self.tell(node, Input::TrackerClosed("connection reset".into())));
    }

    /// Runs until `done` or for `limit`; whether it was done.
    pub(crate) fn run(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let is_done = self.run_on(limit, done);
        self.nodes.iter().for_each(|node| node.peer.check_invariants());
        is_done
    }

    fn run_on(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            let timeouts = self.nodes.iter().enumerate().filter(|(_, node)| node.is_up);
            let timeout = timeouts.filter_map(|(index, node)| Some((node.peer.poll_timeout()?, index))).min();
            let arrival = self.queue.first_key_value().map(|((at, _), _)| *at);
            let timer = timeout.map(|(at, _)| at.max(self.now));
            let Some(next) = arrival.into_iter().chain(timer).min().filter(|next| *next <= end) else {
                return false;
            };
            self.now = next;
            if arrival == Some(next) {
                if let Some((_, (node, input))) = self.queue.pop_first()
                    && self.nodes[node].is_up
                {
                    let input = self.nodes[node].as_of_now(input);
                    self.tell(node, input);
                }
            } else if let Some((_, node)) = timeout {
                self.nodes[node].peer.handle_timeout(next);
                self.drain(node);
            }
        }
        true
    }

    pub(crate) fn is_complete(&self, node: usize) -> bool {
        self.nodes[node].peer.held().is_some_and(GroupSet::is_full)
    }

    fn later(&mut self, delay: Duration, node: usize, input: Input) {
        self.sequence += 1;
        self.queue.insert((self.now + delay, self.sequence), (node, input));
    }

    fn drain(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].peer.poll_output() {
            self.carry_out(node, output);
        }
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::ConnectTracker if self.is_tracker_up => self.later(DELAY, node, Input::TrackerOpen),
            Output::ConnectTracker => self.later(DELAY, node, Input::TrackerClosed("refused".into())),
            Output::DisconnectTracker => drop(self.members.remove(&node)),
            Output::Tracker(request) if self.is_tracker_up => self.track(node, request),
            Output::FetchManifest => {
                let bytes = self.manifest.to_bytes().unwrap().into();
                let result = if self.has_http { Ok(bytes) } else { Err(FetchError::Failed("away".into())) };
                self.later(DELAY, node, Input::ManifestFetched(result));
            }
            Output::PublishManifest(_) => self.later(DELAY, node, Input::ManifestPublished(Ok(()))),
            Output::CloseLink(link, _) => {
                if let Some((other, theirs)) = self.nodes[node].links.remove(&link) {
                    self.nodes[other].links.remove(&theirs);
                    self.later(DELAY, other, Input::LinkClosed(theirs, "closed".into()));
                }
            }
            Output::Connect { link, .. } => self.pair(node, link),
            Output::Control(link, message) => {
                assert_eq!(
                    PeerMessage::decode(&message.encode()).as_ref(),
                    Ok(&message),
                    "a message keeps its limits"
                );
                if let PeerMessage::Request { range, .. } = &message {
                    self.nodes[node].requested.push(*range);
                }
                let is_late = self.slow_control == Some(node);
                if let Some((other, theirs)) = self.nodes[node].links.get(&link).copied() {
                    let delay = if is_late { 3 * DELAY } else { DELAY };
                    self.later(delay, other, Input::Control(theirs, message));
                }
            }
            Output::Data(link, head) => self.send(node, link, head),
            Output::Store(verified) => {
                let range = verified.range();
                assert_eq!(verified.bytes(), &self.slice(range), "only the content's bytes are stored");
                for group in range.iter() {
                    let bytes = self.slice(GroupRange::one(group));
                    self.nodes[node].store.insert(group, bytes);
                }
            }
            Output::Evict(range) => {
                range.iter().for_each(|group| drop(self.nodes[node].store.remove(&group)))
            }
            Output::Event(event) => {
                if matches!(event, Event::ManifestReady(_))
                    && let Some((held, tree)) = self.nodes[node].restored.take()
                {
                    self.later(Duration::ZERO, node, Input::StoreReady { held, tree: Box::new(tree) });
                }
                self.nodes[node].events.push(event);
            }
            Output::Tracker(_)
            | Output::Outpost(..)
            | Output::RemoteSignal(..)
            | Output::LowWater(..)
            | Output::FetchRange(_)
            | Output::AbortFetch(_)
            | Output::Move(_) => {}
        }
    }

    /// Two halves of a connection that know of one another become open links.
    fn pair(&mut self, node: usize, link: LinkId) {
        let Some(other) = self.introducing else { return };
        self.nodes[node].pending.insert(other, link);
        if let Some(theirs) = self.nodes[other].pending.remove(&node) {
            self.nodes[node].pending.remove(&other);
            self.nodes[node].links.insert(link, (other, theirs));
            self.nodes[other].links.insert(theirs, (node, link));
            self.describe(node, link, other);
            self.describe(other, theirs, node);
            self.later(DELAY, node, Input::LinkOpen(link));
            self.later(DELAY, other, Input::LinkOpen(theirs));
        }
    }

    /// A node hears the session descriptions of both ends of a link.
    fn describe(&mut self, node: usize, link: LinkId, other: usize) {
        let own = Signal::Offer { sdp: description(node as u8) };
        let signal = Signal::Answer { sdp: description(other as u8) };
        let body = TrackerMessageBody::Signal { from: self.peer_id(other), signal };
        self.later(Duration::ZERO, node, Input::LocalSignal(link, own));
        self.later(Duration::ZERO, node, Input::Tracker(TrackerMessage::notice(body)));
    }

    fn send(&mut self, node: usize, link: LinkId, head: crate::peer_message::DataHead) {
        let Some((other, theirs)) = self.nodes[node].links.get(&link).copied() else { return };
        let mut payload: Vec<u8> = Vec::new();
        for group in head.range.iter() {
            payload.extend_from_slice(&self.nodes[node].store[&group]);
        }
        let duration = Duration::from_micros(payload.len() as u64 * 1_000_000 / self.nodes[node].uplink);
        let done = self.nodes[node].uplink_free.max(self.now) + duration;
        self.nodes[node].uplink_free = done;
        let length = payload.len() as u64;
        *self.nodes[node].buffered.entry(link).or_default() += length;
        match self.nodes[node].fault {
            Fault::Silent => return,
            Fault::Corrupts(group) if head.range.has(group) => payload[100] ^= 1,
            Fault::None | Fault::Corrupts(_) => {}
        }
        let wait = done.since(self.now);
        let message = DataMessage { head, payload: payload.into() };
        assert_eq!(
            DataMessage::decode(message.encode().into()).as_ref(),
            Ok(&message),
            "a frame keeps its limits"
        );
        self.later(wait + DELAY, other, Input::Data(theirs, message));
        self.later(wait, node, Input::Buffered(link, length));
    }

    fn track(&mut self, node: usize, request: PeerRequest) {
        let id = Some(request.id);
        let answer = match request.body {
            PeerRequestBody::Hello { .. } => TrackerMessageBody::Welcome {
                version: 1,
                peer: self.peer_id(node),
                resume: String::new(),
                challenge: Challenge::default(),
                ice_servers: Vec::new(),
                report_interval_ms: 10_000,
            },
            PeerRequestBody::Join { .. } => {
                let body = TrackerMessageBody::Swarm {
                    seeders: 0,
                    leechers: 0,
                    at_risk: Vec::new(),
                    share: None,
                    scarcity: None,
                };
                self.later(DELAY, node, Input::Tracker(TrackerMessage { id, body }));
                let others: Vec<usize> =
                    self.members.iter().copied().filter(|other| *other != node).collect();
                self.members.insert(node);
                others.into_iter().for_each(|other| self.introduce(node, other));
                return;
            }
            PeerRequestBody::Want { segments } => {
                self.nodes[node].wanted.push((self.now, segments));
                TrackerMessageBody::Peers { providing: Vec::new(), looking: Vec::new() }
            }
            PeerRequestBody::Have { .. }
            | PeerRequestBody::Signal { .. }
            | PeerRequestBody::Report { .. }
            | PeerRequestBody::Leave => TrackerMessageBody::Ok,
        };
        self.later(DELAY, node, Input::Tracker(TrackerMessage { id, body: answer }));
    }

    fn peer_id(&self, node: usize) -> PeerId {
        PeerId(self.trackers * 1000 + node as u64 + 1)
    }

    fn introduce(&mut self, newcomer: usize, member: usize) {
        for (node, other, offer) in [(newcomer, member, true), (member, newcomer, false)] {
            self.introducing = Some(other);
            let role = if other == 0 { Role::Initial } else { Role::Viewer };
            let body = TrackerMessageBody::Connect { peer: self.peer_id(other), role, offer };
            self.tell(node, Input::Tracker(TrackerMessage::notice(body)));
        }
    }
}
