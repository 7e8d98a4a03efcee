//! One peer without a swarm: a test plays its driver, its tracker and its neighbours, and checks after each step what
//! holds for every peer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::net::Net;
use super::scene::{description, standing};
use crate::group::GroupRange;
use crate::group_set::GroupSet;
use crate::id::{Challenge, Fingerprint, LinkId, PeerId};
use crate::manifest::Mirrors;
use crate::manifest::tests::key;
use crate::peer::stats::LinkState;
use crate::peer::{
    Appetite, Economy, Event, FetchId, Input, MirrorUse, MoveOutput, OutpostOutput, Output, Peer, PeerConfig,
    Publisher, RangeFetch, UploadLimit,
};
use crate::peer_message::{DataHead, DataMessage, PEER_VERSION, PeerMessage, Standing};
use crate::publisher::{Statement, TrackerName};
use crate::time::Timestamp;
use crate::tracker_message::{
    PeerRequest, Role, Signal, TRACKER_VERSION, TrackerMessage, TrackerMessageBody,
};
use crate::tree::{HashTree, Proof};

/// Outputs that may follow from one input: a message to each neighbour, a rejection of each group, and some.
const OUTPUTS_MAX: usize = 500;
/// Timeouts within one wait: beyond that the peer spins.
const TIMEOUTS_MAX: usize = 5000;

/// Whose certificate the peer itself has.
pub(crate) const OWN_NUMBER: u8 = 150;

/// One peer and what a test knows of it.
pub(crate) struct Alone {
    pub(crate) net: Net,
    pub(crate) peer: Peer,
    pub(crate) now: Timestamp,
    pub(crate) store: BTreeMap<u32, Bytes>,
    pub(crate) events: Vec<Event>,
    /// What was said to neighbours and has not been looked at.
    pub(crate) said: Vec<(LinkId, PeerMessage)>,
    pub(crate) sent: Vec<(LinkId, DataHead)>,
    pub(crate) buffered: BTreeMap<LinkId, u64>,
    /// What was asked for at outposts and has not been looked at.
    pub(crate) at_outposts: Vec<OutpostOutput>,
    /// What was asked for to move to another tracker and has not been looked at.
    pub(crate) moves: Vec<MoveOutput>,
    /// What the tracker in use was told and has not been looked at.
    pub(crate) told: Vec<PeerRequest>,
    /// Sockets to the tracker that were asked for.
    pub(crate) tracker_connects: usize,
    /// Connections that were asked for.
    pub(crate) connects: usize,
    /// What mirrors are asked for and have not answered.
    pub(crate) fetches: Vec<RangeFetch>,
    pub(crate) aborted: Vec<FetchId>,
}

impl Alone {
    /// A peer of a content of `groups` groups, in the swarm. An initial peer holds everything, a viewer nothing.
    pub(crate) fn new(groups: usize, role: Role, appetite: Appetite, economy: Economy) -> Self {
        Self::of(Net::new(groups * 16384), &[], role, (appetite, economy))
    }

    /// The same; an initial peer serves at these trackers as well.
    pub(crate) fn beside(
        outposts: &[TrackerName],
        groups: usize,
        role: Role,
        how: (Appetite, Economy),
    ) -> Self {
        Self::of(Net::new(groups * 16384), outposts, role, how)
    }

    /// A viewer of a content of `groups` groups that these servers mirror.
    pub(crate) fn mirrored(groups: usize, appetite: Appetite, mirrors: Mirrors) -> Self {
        let mut net = Net::new(groups * 16384);
        let mut manifest = (*net.manifest).clone();
        manifest.mirrors = mirrors;
        net.manifest = Arc::new(manifest.signed_by(&key()).unwrap());
        Self::of(net, &[], Role::Viewer, (appetite, Economy::Thrifty))
    }

    fn of(net: Net, outposts: &[TrackerName], role: Role, (appetite, economy): (Appetite, Economy)) -> Self {
        let is_initial = role == Role::Initial;
        let config = PeerConfig {
            swarm: net.manifest.swarm_id().unwrap(),
            role,
            manifest: Some(Arc::clone(&net.manifest)),
            publisher: is_initial.then(|| Publisher {
                key: key(),
                tracker: TrackerName::of("tracker"),
                outposts: outposts.to_vec(),
            }),
            seed: 1,
            appetite,
            upload: UploadLimit::Unlimited,
            uplink_hint: None,
            token: None,
            economy,
            mirrors: MirrorUse::All,
        };
        let all = net.manifest.geometry().all();
        let unknown = HashTree::unknown(net.tree.geometry(), net.tree.root());
        let (held, tree) =
            if is_initial { (all, net.tree.clone()) } else { (GroupRange::new(0, 0), unknown) };
        let mut alone = Self {
            store: held.iter().map(|group| (group, net.slice(GroupRange::one(group)))).collect(),
            peer: Peer::new(config),
            now: Timestamp::from_millis(1),
            events: Vec::new(),
            said: Vec::new(),
            sent: Vec::new(),
            buffered: BTreeMap::new(),
            at_outposts: Vec::new(),
            moves: Vec::new(),
            told: Vec::new(),
            tracker_connects: 0,
            connects: 0,
            fetches: Vec::new(),
            aborted: Vec::new(),
            net,
        };
        alone.tell(Input::Start);
        let mut set = GroupSet::empty(all.end);
        set.insert(held);
        alone.tell(Input::StoreReady { held: set, tree: Box::new(tree) });
        alone.tell(Input::TrackerOpen);
        alone.hear(TrackerMessageBody::Welcome {
            version: TRACKER_VERSION,
            peer: PeerId(150),
            resume: String::new(),
            challenge: Challenge([3; 32]),
            ice_servers: Vec::new(),
            report_interval_ms: 5000,
        });
        alone.tell(Input::ManifestPublished(Ok(())));
        alone.hear(TrackerMessageBody::Swarm {
            seeders: 0,
            leechers: 1,
            at_risk: Vec::new(),
            share: None,
            scarcity: None,
        });
        alone
    }

    /// The tracker says something.
    pub(crate) fn hear(&mut self, body: TrackerMessageBody) {
        self.tell(Input::Tracker(TrackerMessage::notice(body)));
    }

    /// Takes an input, does what follows from it, and checks that all is well.
    pub(crate) fn tell(&mut self, input: Input) {
        self.peer.handle_input(self.now, input);
        self.drain();
        if self.peer.poll_timeout().is_some_and(|at| at <= self.now) {
            self.time_out();
        }
    }

    fn time_out(&mut self) {
        self.peer.handle_timeout(self.now);
        self.drain();
        let next = self.peer.poll_timeout();
        assert!(next.is_none_or(|at| at > self.now), "it would spin: {next:?} at {:?}", self.now);
    }

    /// Time passes.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..TIMEOUTS_MAX {
            match self.peer.poll_timeout().filter(|at| *at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => {
                    self.now = end;
                    return;
                }
            }
            self.time_out();
            self.answer_pings();
        }
        panic!("it times out {TIMEOUTS_MAX} times within {time:?}");
    }

    /// Neighbours answer the pings that they were sent at once.
    fn answer_pings(&mut self) {
        let pings = self.said.extract_if(.., |(_, message)| matches!(message, PeerMessage::Ping { .. }));
        for (link, message) in pings.collect::<Vec<_>>() {
            if let PeerMessage::Ping { nonce, sent_ms } = message {
                self.tell(Input::Control(link, PeerMessage::Pong { nonce, sent_ms }));
            }
        }
    }

    /// A neighbour is introduced, its link opens and it greets.
    pub(crate) fn meet(&mut self, number: u8, role: Role, standing: Standing, have: &[GroupRange]) -> LinkId {
        let peer = PeerId(u64::from(number));
        self.hear(TrackerMessageBody::Connect { peer, role, offer: true });
        let (link, _) = self.peer.neighbours.named(peer).unwrap();
        self.open(link, number);
        let hello = self.hello(number, role, standing, have);
        self.tell(Input::Control(link, hello));
        link
    }

    /// A connection is built and opens; the neighbour's certificate is that number's.
    pub(crate) fn open(&mut self, link: LinkId, number: u8) {
        if let Some(from) = self.peer.neighbours.get(link).map(|link| link.peer) {
            self.tell(Input::LocalSignal(link, Signal::Offer { sdp: description(OWN_NUMBER) }));
            let signal = Signal::Answer { sdp: description(number) };
            self.hear(TrackerMessageBody::Signal { from, signal });
        }
        self.tell(Input::LinkOpen(link));
    }

    /// The usual viewer with nothing.
    pub(crate) fn meet_viewer(&mut self, number: u8) -> LinkId {
        self.meet(number, Role::Viewer, standing(1_000_000), &[])
    }

    /// The greeting of the neighbour with that number, which proves its role.
    pub(crate) fn hello(
        &self,
        number: u8,
        role: Role,
        standing: Standing,
        have: &[GroupRange],
    ) -> PeerMessage {
        let swarm = self.net.manifest.swarm_id().unwrap();
        let (signer, verifier) = (Fingerprint([number; 32]), Fingerprint([OWN_NUMBER; 32]));
        let statement = Statement::Link { swarm, signer, verifier };
        PeerMessage::Hello {
            version: PEER_VERSION,
            swarm,
            peer: PeerId(u64::from(number)),
            standing,
            have: have.to_vec(),
            proof: (role == Role::Initial).then(|| key().sign(&statement)),
        }
    }

    /// The right bytes of some groups with their whole proof.
    pub(crate) fn frame(&self, range: GroupRange) -> DataMessage {
        let proof = self.net.tree.prove(range, |_| false).unwrap_or(Proof { top: 0, hashes: Vec::new() });
        let head = DataHead { range, sent_ms: 0, waited_ms: 0, queued_ms: 0, backlog_ms: 0, proof };
        DataMessage { head, payload: self.net.slice(range) }
    }

    /// All that waits on a channel has left.
    pub(crate) fn flush(&mut self, link: LinkId) {
        self.buffered.insert(link, 0);
        self.tell(Input::Buffered(link, 0));
    }

    /// What was said to a neighbour since the last call.
    pub(crate) fn take_said(&mut self, link: LinkId) -> Vec<PeerMessage> {
        let (to, rest) = std::mem::take(&mut self.said).into_iter().partition(|(id, _)| *id == link);
        self.said = rest;
        let to: Vec<(LinkId, PeerMessage)> = to;
        to.into_iter().map(|(_, message)| message).collect()
    }

    pub(crate) fn is_banned(&self, link: LinkId) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Banned { link: banned, .. } if *banned == link))
    }

    fn drain(&mut self) {
        let mut count = 0;
        while let Some(output) = self.peer.poll_output() {
            count += 1;
            assert!(count <= OUTPUTS_MAX, "outputs without end: {output:?}");
            self.carry_out(output);
        }
        self.peer.check_invariants();
        let held = self.peer.held().map(|held| held.iter().collect::<Vec<_>>());
        assert!(held.is_none_or(|held| held.iter().eq(self.store.keys())), "what is held is what is stored");
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Control(link, message) => {
                assert_eq!(
                    PeerMessage::decode(&message.encode()).as_ref(),
                    Ok(&message),
                    "a message keeps its limits"
                );
                self.said.push((link, message));
            }
            Output::Data(link, head) => {
                let groups = head.range.iter().map(|group| self.store[&group].clone());
                let payload: Bytes = groups.collect::<Vec<_>>().concat().into();
                let message = DataMessage { head: head.clone(), payload };
                let frame = Bytes::from(message.encode());
                *self.buffered.entry(link).or_default() += frame.len() as u64;
                assert_eq!(DataMessage::decode(frame).as_ref(), Ok(&message), "a frame keeps its limits");
                self.sent.push((link, head));
            }
            Output::Store(verified) => {
                let range = verified.range();
                assert_eq!(verified.bytes(), &self.net.slice(range), "only the content's bytes are stored");
                self.store.extend(range.iter().map(|group| (group, self.net.slice(GroupRange::one(group)))));
            }
            Output::Evict(range) => range.iter().for_each(|group| drop(self.store.remove(&group))),
            Output::CloseLink(link, _) => drop(self.buffered.remove(&link)),
            Output::Event(event) => self.events.push(event),
            Output::Outpost(_, output) => self.at_outposts.push(output),
            Output::Move(output) => self.moves.push(output),
            Output::Tracker(request) => self.told.push(request),
            Output::ConnectTracker => self.tracker_connects += 1,
            Output::Connect { .. } => self.connects += 1,
            Output::FetchRange(fetch) => self.fetches.push(fetch),
            Output::AbortFetch(id) => {
                self.fetches.retain(|fetch| fetch.fetch != id);
                self.aborted.push(id);
            }
            Output::DisconnectTracker
            | Output::FetchManifest
            | Output::PublishManifest(_)
            | Output::RemoteSignal(..)
            | Output::LowWater(..) => {}
        }
    }
}

impl Peer {
    /// Derived state is what it was derived from, and components agree on which links exist.
    pub(crate) fn check_invariants(&self) {
        self.neighbours.check_invariants();
        let Some(live) = &self.live else { return };
        live.receive.check_invariants();
        for link in live.receive.asked_of().filter(|link| !link.is_mirror()) {
            assert!(
                self.neighbours.get(link).is_some_and(|link| link.state() == LinkState::Open),
                "{link:?}"
            );
        }
        let held = live.content.held();
        assert!(held.iter().all(|group| !live.receive.is_asked(group)), "what is held is asked for");
    }
}
