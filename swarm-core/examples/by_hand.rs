//! Two peers in one process, driven by hand: one holds a content, the other gets it.
//!
//! `cargo run -p swarm-core --example by_hand`
//!
//! A driver does three things: it tells a peer the time and what happened ([`Input`]), it does what the peer asks
//! ([`Output`]), and it calls `handle_timeout` when `poll_timeout` says so. This one has no sockets: it answers for the
//! tracker itself, and hands each message of one peer to the other at once.

use swarm_core::limits::GROUP_BYTES;
use swarm_core::manifest::{Mirrors, Seal, swarm_id_of};
use swarm_core::peer_message::DataMessage;
use swarm_core::tracker_message::{
    PeerRequest, PeerRequestBody, Role, Signal, TRACKER_VERSION, TrackerMessage, TrackerMessageBody,
};
use swarm_core::{
    Challenge, Event, Geometry, GroupSet, HashTree, Input, LinkId, Manifest, Output, Peer, PeerConfig,
    PeerId, SecretKey, Timestamp, TreeBuilder, segmentation,
};

/// A peer and what its driver keeps for it.
struct Node {
    peer: Peer,
    /// What the store holds when it is opened, and the file.
    held: GroupSet,
    tree: HashTree,
    file: Vec<u8>,
    /// Its name for the only link, once there is one.
    link: Option<LinkId>,
    has_joined: bool,
}

fn main() {
    // A content, its tree, and a manifest that its publisher signs.
    let content: Vec<u8> = (0..1_000_000u32).map(|at| (at / 7) as u8).collect();
    let mut builder = TreeBuilder::new();
    content.chunks(GROUP_BYTES as usize).for_each(|group| builder.push(group));
    let tree = builder.finish().expect("the content is not empty");
    let geometry = Geometry::new(content.len() as u64);
    let manifest = Manifest {
        seal: Seal::default(),
        name: "numbers.bin".into(),
        title: None,
        media_type: "application/octet-stream".into(),
        length_bytes: content.len() as u64,
        root: tree.root(),
        segments: segmentation::doubling(geometry),
        duration_ms: None,
        chapters: Vec::new(),
        author: None,
        created_s: 0,
        trackers: Vec::new(),
        attachments: Vec::new(),
        mirrors: Mirrors::default(),
    };
    let manifest =
        manifest.signed_by(&SecretKey::from_bytes(&[1; 32])).expect("the manifest keeps the limits");
    let manifest = manifest.to_bytes().expect("the manifest keeps the limits");
    let swarm = swarm_id_of(&manifest);

    // One peer whose file is complete, and one whose file is empty.
    let node = |seed, held, tree, file| {
        let peer = Peer::new(PeerConfig::viewer(swarm, seed));
        Node { peer, held, tree, file, link: None, has_joined: false }
    };
    let groups = geometry.group_count();
    let unknown = HashTree::unknown(geometry, tree.root());
    let mut nodes = [
        node(1, GroupSet::full(groups), tree, content.clone()),
        node(2, GroupSet::empty(groups), unknown, vec![0; content.len()]),
    ];

    let mut now = Timestamp::ZERO;
    nodes.iter_mut().for_each(|node| node.peer.handle_input(now, Input::Start));
    loop {
        let asked = (0..2).find_map(|me| Some((me, nodes[me].peer.poll_output()?)));
        if let Some((me, output)) = asked {
            carry_out(now, &mut nodes, me, output, &manifest);
        } else if nodes[1].peer.held().is_some_and(GroupSet::is_full) {
            break;
        } else {
            // Nothing is asked: time passes until a peer has something to do.
            now = nodes.iter().filter_map(|node| node.peer.poll_timeout()).min().expect("peers have timers");
            nodes.iter_mut().for_each(|node| node.peer.handle_timeout(now));
        }
    }
    assert!(nodes[1].file == content, "every byte is where it belongs");
    println!("{} bytes came, all verified, after {} ms", content.len(), now.as_micros() / 1000);
}

/// Does what the peer of node `me` asks.
fn carry_out(now: Timestamp, nodes: &mut [Node; 2], me: usize, output: Output, manifest: &[u8]) {
    let other = 1 - me;
    let their_link = nodes[other].link;
    let mut tell = |node: usize, input: Input| nodes[node].peer.handle_input(now, input);
    match output {
        Output::ConnectTracker => tell(me, Input::TrackerOpen),
        Output::FetchManifest => tell(me, Input::ManifestFetched(Ok(manifest.to_vec().into()))),
        Output::Tracker(request) => answer_for_the_tracker(now, nodes, me, request),
        Output::Event(Event::ManifestReady(_)) => {
            let (held, tree) = (nodes[me].held.clone(), Box::new(nodes[me].tree.clone()));
            nodes[me].peer.handle_input(now, Input::StoreReady { held, tree });
        }
        Output::Connect { link, is_offerer, .. } => {
            nodes[me].link = Some(link);
            if is_offerer {
                tell_description(now, nodes, me, link);
            }
        }
        // Here an offer or an answer is all that a connection needs.
        Output::RemoteSignal(link, Signal::Offer { .. }) => tell_description(now, nodes, me, link),
        Output::RemoteSignal(_, Signal::Answer { .. }) => {
            if let (Some(first), Some(second)) = (nodes[0].link, nodes[1].link) {
                nodes[0].peer.handle_input(now, Input::LinkOpen(first));
                nodes[1].peer.handle_input(now, Input::LinkOpen(second));
            }
        }
        Output::Control(_, message) => {
            if let Some(link) = their_link {
                tell(other, Input::Control(link, message));
            }
        }
        Output::Data(link, head) => {
            let span = Geometry::new(nodes[me].file.len() as u64).bytes(head.range);
            let payload = nodes[me].file[span.start as usize..span.end as usize].to_vec().into();
            if let Some(link) = their_link {
                nodes[other].peer.handle_input(now, Input::Data(link, DataMessage { head, payload }));
            }
            nodes[me].peer.handle_input(now, Input::Buffered(link, 0));
        }
        Output::Store(verified) => {
            let span = Geometry::new(nodes[me].file.len() as u64).bytes(verified.range());
            nodes[me].file[span.start as usize..span.end as usize].copy_from_slice(verified.bytes());
        }
        Output::Event(event) => println!("peer {me}: {event:?}"),
        Output::CloseLink(_, reason) => panic!("peer {me} closed the link: {reason}"),
        // A real driver closes sockets, gets ranges from mirrors, and forgets groups.
        Output::DisconnectTracker
        | Output::PublishManifest(_)
        | Output::Move(_)
        | Output::Outpost(..)
        | Output::RemoteSignal(..)
        | Output::LowWater(..)
        | Output::FetchRange(_)
        | Output::AbortFetch(_)
        | Output::Evict(_) => {}
    }
}

/// A session description of node `me`, of which the peers read the fingerprint of its certificate only.
fn tell_description(now: Timestamp, nodes: &mut [Node; 2], me: usize, link: LinkId) {
    let fingerprint = [format!("{me:02x}").as_str(); 32].join(":");
    let sdp = format!("v=0\r\na=fingerprint:sha-256 {fingerprint}\r\n");
    let signal = if me == 0 { Signal::Offer { sdp } } else { Signal::Answer { sdp } };
    nodes[me].peer.handle_input(now, Input::LocalSignal(link, signal));
}

/// A tracker that knows two peers, and introduces them to each other once both are in the swarm.
fn answer_for_the_tracker(now: Timestamp, nodes: &mut [Node; 2], me: usize, request: PeerRequest) {
    let id_of = |node: usize| PeerId(1 + node as u64);
    let body = match request.body {
        PeerRequestBody::Hello { .. } => TrackerMessageBody::Welcome {
            version: TRACKER_VERSION,
            peer: id_of(me),
            resume: "none".into(),
            challenge: Challenge([0; 32]),
            ice_servers: Vec::new(),
            report_interval_ms: 5000,
        },
        PeerRequestBody::Join { .. } | PeerRequestBody::Report { .. } => {
            nodes[me].has_joined = true;
            let (seeders, leechers) = (1, 1);
            TrackerMessageBody::Swarm { seeders, leechers, at_risk: Vec::new(), share: None, scarcity: None }
        }
        PeerRequestBody::Signal { signal, .. } => {
            let body = TrackerMessageBody::Signal { from: id_of(me), signal };
            nodes[1 - me].peer.handle_input(now, Input::Tracker(TrackerMessage { id: None, body }));
            TrackerMessageBody::Ok
        }
        PeerRequestBody::Have { .. } | PeerRequestBody::Want { .. } | PeerRequestBody::Leave => {
            TrackerMessageBody::Ok
        }
    };
    let is_pair = nodes.iter().all(|node| node.has_joined && node.link.is_none());
    let answer = TrackerMessage { id: Some(request.id), body };
    nodes[me].peer.handle_input(now, Input::Tracker(answer));
    if is_pair {
        for (node, offer) in [(0, true), (1, false)] {
            let body = TrackerMessageBody::Connect { peer: id_of(1 - node), role: Role::Viewer, offer };
            nodes[node].peer.handle_input(now, Input::Tracker(TrackerMessage { id: None, body }));
        }
    }
}
