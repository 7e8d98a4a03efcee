//! What a peer's decision costs: which group to ask of which neighbour next.
//!
//! ```text
//! cargo bench --package swarm-core
//! ```
//! A viewer of 1 GiB, 65,536 groups, holds half of them here and there; each of its 16 neighbours holds another half. A
//! neighbour turns a request down, and the viewer chooses another group: what is timed is everything from the message to
//! the next request, once with no reader (background), once with a player (urgent groups, too). Then the neighbour holds
//! again what it said it did not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use swarm_core::manifest::{Mirrors, Period, Seal, Segment, SegmentKind};
use swarm_core::peer_message::{PEER_VERSION, PeerMessage, RejectReason, Serving, Standing};
use swarm_core::tracker_message::{Role, Signal, TRACKER_VERSION, TrackerMessage, TrackerMessageBody};
use swarm_core::{
    ContentRoot, GroupRange, GroupSet, HashTree, Input, LinkId, Manifest, Output, Peer, PeerConfig, PeerId,
    ReaderId, Timestamp,
};

const GROUPS: u32 = 65_536;
const LINKS: u32 = 16;
const SEGMENT_GROUPS: u32 = 256;

fn manifest() -> Manifest {
    let segment = Segment {
        group_count: SEGMENT_GROUPS,
        kind: SegmentKind::Data,
        priority: 3,
        period: Period::Playback,
        time_ms: None,
        duration_ms: None,
    };
    Manifest {
        seal: Seal::default(),
        name: "film".into(),
        title: None,
        media_type: "video/mp4".into(),
        length_bytes: u64::from(GROUPS) * 16 * 1024,
        root: ContentRoot([1; 32]),
        segments: vec![segment; (GROUPS / SEGMENT_GROUPS) as usize],
        duration_ms: Some(2_000_000),
        chapters: vec![],
        author: None,
        created_s: 0,
        trackers: vec![],
        attachments: vec![],
        mirrors: Mirrors::default(),
    }
}

/// A session description that names the certificate of the neighbour with that number.
fn description(number: u32) -> String {
    format!("a=fingerprint:sha-256 {number:064x}")
}

/// Half of all groups, in runs of 1 to 16, by a multiplicative hash.
fn half(seed: u32) -> GroupSet {
    let mut set = GroupSet::empty(GROUPS);
    let mut at = 0;
    for draw in 0.. {
        let word = (draw + seed * 7919u32).wrapping_mul(2_654_435_761);
        let run = 1 + (word >> 28);
        if at + run > GROUPS {
            return set;
        }
        if word & (1 << 20) == 0 {
            set.insert(GroupRange::new(at, at + run));
        }
        at += run;
    }
    set
}

/// A viewer and the requests that it waits for.
struct Viewer {
    peer: Peer,
    now: Timestamp,
    requests: VecDeque<(LinkId, GroupRange)>,
}

impl Viewer {
    fn new(is_watching: bool) -> Self {
        let manifest = Arc::new(manifest());
        let swarm = manifest.swarm_id().expect("it is a manifest");
        let config = PeerConfig { manifest: Some(Arc::clone(&manifest)), ..PeerConfig::viewer(swarm, 1) };
        let mut viewer =
            Self { peer: Peer::new(config), now: Timestamp::from_millis(1), requests: VecDeque::new() };
        viewer.tell(Input::Start);
        viewer.tell(Input::TrackerOpen);
        let welcome = TrackerMessageBody::Welcome {
            version: TRACKER_VERSION,
            peer: PeerId(1),
            resume: String::new(),
            challenge: swarm_core::Challenge::default(),
            ice_servers: vec![],
            report_interval_ms: 5000,
        };
        viewer.tell(Input::Tracker(TrackerMessage::notice(welcome)));
        let tree = Box::new(HashTree::unknown(manifest.geometry(), manifest.root));
        viewer.tell(Input::StoreReady { held: half(0), tree });
        for neighbour in 1..=LINKS {
            viewer.meet(neighbour, manifest.swarm_id().expect("it is a manifest"));
        }
        if is_watching {
            viewer.tell(Input::ReaderAt { reader: ReaderId(1), group: 1000, ahead_ms: 1000 });
        }
        viewer
    }

    fn meet(&mut self, neighbour: u32, swarm: swarm_core::SwarmId) {
        let peer = PeerId(u64::from(neighbour) + 1);
        let connect = TrackerMessageBody::Connect { peer, role: Role::Viewer, offer: true };
        self.tell(Input::Tracker(TrackerMessage::notice(connect)));
        let link = LinkId(neighbour);
        let offer = Signal::Offer { sdp: description(0) };
        self.tell(Input::LocalSignal(link, offer));
        let signal = Signal::Answer { sdp: description(neighbour) };
        self.tell(Input::Tracker(TrackerMessage::notice(TrackerMessageBody::Signal { from: peer, signal })));
        self.tell(Input::LinkOpen(link));
        let all = GroupRange::new(0, GROUPS);
        let standing = Standing {
            serving: Serving::Everything,
            is_rich: false,
            wants: all,
            uplink: 1_000_000,
            is_uplink_known: true,
            downlink: 0,
            credit: 0,
            playing: None,
        };
        let hello =
            PeerMessage::Hello { version: PEER_VERSION, swarm, peer, standing, have: vec![], proof: None };
        self.tell(Input::Control(link, hello));
        let gained: Vec<GroupRange> = half(neighbour).runs(all).collect();
        for gained in gained.chunks(swarm_core::limits::RUNS_MAX) {
            let have = PeerMessage::Have { gained: gained.to_vec(), dropped: vec![] };
            self.tell(Input::Control(link, have));
        }
    }

    fn tell(&mut self, input: Input) {
        self.peer.handle_input(self.now, input);
        while let Some(output) = self.peer.poll_output() {
            if let Output::Control(link, PeerMessage::Request { range, .. }) = output {
                self.requests.push_back((link, range));
            }
        }
    }

    /// A request is turned down; how many groups were in it, how many are requested instead, and how long that takes.
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock; the core does not")]
    fn decide(&mut self) -> (u32, u32, Duration) {
        let (link, range) = self.requests.pop_front().expect("something is always asked for");
        let before = self.requests.len();
        let reject = Input::Control(link, PeerMessage::Reject { range, reason: RejectReason::NotHeld });
        let start = Instant::now();
        self.tell(reject);
        let time = start.elapsed();
        let made = self.requests.iter().skip(before).map(|(_, range)| range.len()).sum();
        self.tell(Input::Control(link, PeerMessage::Have { gained: vec![range], dropped: vec![] }));
        (range.len(), made, time)
    }
}

fn picker(criterion: &mut Criterion) {
    for (name, is_watching) in [("background", false), ("watching", true)] {
        let mut viewer = Viewer::new(is_watching);
        // The first credit is eight groups.
        let outstanding: u32 = viewer.requests.iter().map(|(_, range)| range.len()).sum();
        assert!(outstanding >= 8, "as much is requested as may be: {outstanding} groups");
        let decisions = (0..10_000).map(|_| viewer.decide());
        let (lost, made) =
            decisions.fold((0, 0), |(lost, made), (range, more, _)| (lost + range, made + more));
        assert!(
            (lost * 9 / 10..=lost * 11 / 10).contains(&made),
            "{lost} were turned down, {made} requested instead"
        );
        criterion.bench_function(&format!("decision/{name}"), |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| viewer.decide().2).sum());
        });
    }
}

criterion_group!(benches, picker);
criterion_main!(benches);
