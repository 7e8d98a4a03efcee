//! Good inputs: for decoders one message of each kind, as it goes over the wire; for state machines what leads somewhere.

use swarm_core::group::GroupRange;
use swarm_core::manifest::{Mirror, MirrorPolicy, Mirrors};
use swarm_core::peer_message::{Class, PEER_VERSION, PeerMessage, Playing, RejectReason, Serving, Standing};
use swarm_core::publisher::Signature;
use swarm_core::tracker_message::{
    ErrorCode, IceServer, PeerEntry, PeerRequest, PeerRequestBody, Received, Role, SegmentRun, Share, Signal,
    TRACKER_VERSION, TrackerMessage, TrackerMessageBody, Want,
};
use swarm_core::{Challenge, Manifest, PeerId, SwarmId, relays};

use crate::content::{CONTENT, GROUPS, frame};

fn standing() -> Standing {
    Standing {
        serving: Serving::Everything,
        is_rich: false,
        wants: GroupRange::new(0, GROUPS),
        uplink: 1_000_000,
        is_uplink_known: true,
        downlink: 2_000_000,
        credit: 500_000,
        playing: Some(Playing { group: 1, ahead_ms: 100 }),
    }
}

/// One message of each kind.
pub fn peer_message() -> Vec<Vec<u8>> {
    let range = GroupRange::new(1, 3);
    let messages = [
        PeerMessage::Hello {
            version: PEER_VERSION,
            swarm: SwarmId([1; 32]),
            peer: PeerId(2),
            standing: standing(),
            have: vec![range],
            proof: Some(Signature([3; 64])),
        },
        PeerMessage::Have { gained: vec![range, GroupRange::new(5, 6)], dropped: vec![GroupRange::one(9)] },
        PeerMessage::Request { range, class: Class::Urgent, remaining_ms: 500 },
        PeerMessage::Hasten { range, remaining_ms: 10 },
        PeerMessage::Cancel { range },
        PeerMessage::Reject { range, reason: RejectReason::Busy },
        PeerMessage::Status { standing: standing(), sent_ms: 7, backlog_ms: 8 },
        PeerMessage::ManifestAsk { part: 0 },
        PeerMessage::ManifestPart { part: 0, part_count: 1, bytes: vec![1, 2, 3].into() },
        PeerMessage::Ping { nonce: 1, sent_ms: 2 },
        PeerMessage::Pong { nonce: 1, sent_ms: 2 },
    ];
    messages.iter().map(|message| message.encode().to_vec()).collect()
}

/// Frames with and without a proof.
pub fn data_message() -> Vec<Vec<u8>> {
    let long = frame(GroupRange::new(GROUPS - 1, GROUPS)).encode();
    let mut short = frame(GroupRange::new(3, 5));
    short.payload = short.payload.slice(..8);
    vec![long, short.encode()]
}

/// One request of each kind.
pub fn tracker_request() -> Vec<Vec<u8>> {
    let bodies = [
        PeerRequestBody::Hello {
            version: TRACKER_VERSION,
            capabilities: vec!["x".to_owned()],
            uplink_bps: 5,
            token: Some("t".to_owned()),
            resume: Some("r".to_owned()),
        },
        PeerRequestBody::Join {
            swarm: SwarmId([1; 32]),
            role: Role::Initial,
            have: vec![SegmentRun(0, 2)],
            playhead: Some(1),
            proof: Some(Signature([2; 64])),
        },
        PeerRequestBody::Have { gained: vec![SegmentRun(0, 1)], dropped: vec![SegmentRun(3, 1)] },
        PeerRequestBody::Want { segments: vec![Want { segments: SegmentRun(1, 1), remaining_ms: 9 }] },
        PeerRequestBody::Signal { to: PeerId(1), signal: Signal::Offer { sdp: "v=0".to_owned() } },
        PeerRequestBody::Signal {
            to: PeerId(1),
            signal: Signal::Candidate { candidate: "c".to_owned(), sdp_mid: None, sdp_m_line_index: Some(0) },
        },
        PeerRequestBody::Report {
            received: vec![Received { peer: PeerId(1), bytes: 100, failures: 1 }],
            uplink_bps: 5,
            playhead: None,
            ahead_ms: Some(3),
        },
        PeerRequestBody::Leave,
    ];
    (1..).zip(bodies).map(|(id, body)| PeerRequest { id, body }.encode().into_bytes()).collect()
}

/// One message of each kind, and one with relays.
pub fn tracker_message() -> Vec<Vec<u8>> {
    let server = IceServer { urls: vec!["turn:t:1".to_owned()], username: None, credential: None };
    let entry = PeerEntry {
        peer: PeerId(1),
        role: Role::Viewer,
        segments: vec![SegmentRun(0, 2)],
        uplink_bps: 3,
        playhead: Some(1),
    };
    let swarm = TrackerMessageBody::Swarm {
        seeders: 1,
        leechers: 2,
        at_risk: vec![SegmentRun(1, 1)],
        share: Some(Share { index: 0, count: 2 }),
        scarcity: None,
    };
    let bodies = [
        TrackerMessageBody::Welcome {
            version: TRACKER_VERSION,
            peer: PeerId(1),
            resume: "r".to_owned(),
            challenge: Challenge([1; 32]),
            ice_servers: vec![server.clone()],
            report_interval_ms: 5000,
        },
        swarm.clone(),
        TrackerMessageBody::Peers { providing: vec![entry.clone()], looking: vec![entry] },
        TrackerMessageBody::Connect { peer: PeerId(1), role: Role::Viewer, offer: true },
        TrackerMessageBody::Unlink { peer: PeerId(1) },
        TrackerMessageBody::Assign { segments: vec![SegmentRun(1, 1)], source: PeerId(2), lease_ms: 9 },
        TrackerMessageBody::Signal { from: PeerId(1), signal: Signal::EndOfCandidates },
        TrackerMessageBody::Gone { peer: PeerId(1) },
        TrackerMessageBody::Ok,
        TrackerMessageBody::Error { code: ErrorCode::Full, text: "full".to_owned(), retry_after_ms: Some(5) },
    ];
    let given = relays::Relays { servers: vec![server], is_required: true };
    let relays = relays::encode_with(&TrackerMessage { id: Some(1), body: swarm }, &given);
    let written = (1..).zip(bodies).map(|(id, body)| TrackerMessage { id: Some(id), body }.encode());
    written.chain([relays]).map(String::into_bytes).collect()
}

/// The content's own, and the same with mirrors.
pub fn manifest() -> Vec<Vec<u8>> {
    let mut mirrored = CONTENT.manifest.clone();
    let mut second = Mirror::new("http://127.0.0.1:8080/film.mp4?key=1".to_owned());
    second.tree_url = Some("http://127.0.0.1:8080/tree".to_owned());
    let first = Mirror::new("https://films.example.org/film.mp4".to_owned());
    mirrored.mirrors = Mirrors { policy: MirrorPolicy::Full, servers: vec![first, second] };
    [&CONTENT.manifest, &mirrored].into_iter().flat_map(Manifest::to_bytes).collect()
}

/// Right frames one after the other; a wrong one of each kind.
pub fn proof() -> Vec<Vec<u8>> {
    let step = |start: u8, groups: u8, fault: u8| [start, groups, fault, 0xff, 0xff, 0, 0].to_vec();
    let right = [vec![0], step(0, 2, 4), step(2, 2, 4), step(11, 1, 4)].concat();
    let wrong = (0..4).map(|fault| [vec![0], step(3, 2, fault)].concat());
    wrong.chain([right]).collect()
}

/// Each operation.
pub fn ranges() -> Vec<Vec<u8>> {
    vec![vec![0, 200, 0, 3, 90, 1, 5, 9, 2, 0, 99, 3, 4, 70, 0, 60, 130, 2, 1, 150, 3, 10, 40, 3, 30, 64]]
}

/// A description, links, an id.
pub fn text() -> Vec<Vec<u8>> {
    let id = "ab".repeat(32);
    let fingerprint = vec!["AB"; 32].join(":");
    let texts = [
        format!(
            "v=0\r\na=fingerprint:sha-256 {fingerprint}\r\nm=x\r\na=fingerprint:sha-256 {fingerprint}\r\n"
        ),
        format!("http://127.0.0.1:8080/#{id}"),
        format!("https://films.example.org/tracker/#{id}&token=abc&t=2:15"),
        format!("https://[2001:db8::1]:8443/#{id}"),
        "203.0.113.9:4711, [2001:db8::1]:80 ,unknown,10.0.0.1".to_owned(),
        "for=\"[2001:db8::1]:4711\";proto=https, For=203.0.113.9;host=\"a,b\", for=_hidden".to_owned(),
        id,
    ];
    texts.map(String::into_bytes).to_vec()
}

/// For both roles: each message of the protocols as it is on the wire, then requests and right data.
pub fn peer() -> Vec<Vec<u8>> {
    let counted = |bytes: &[u8]| [&[u8::try_from(bytes.len()).unwrap_or(u8::MAX)], bytes].concat();
    let mut seeds = Vec::new();
    for kind in [0, 1, 2, 4, 8, 17, 32, 34] {
        let mut said = vec![kind, 6, 9];
        for message in peer_message().iter().filter(|message| message.len() < 256) {
            said.extend([0, 1]);
            said.extend(counted(message));
        }
        for message in tracker_message().iter().filter(|message| message.len() < 256) {
            said.push(9);
            said.extend(counted(message));
        }
        let mut served = vec![kind, 12, 3];
        for group in 0..GROUPS as u8 {
            served.extend([
                13, 5, 0, group, 3, 15, 0, 50, 6, 0, group, 0, 9, 3, 1, 3, group, 0, 0, 40, 15, 1, 0,
            ]);
        }
        seeds.extend([said, served]);
    }
    // A player without neighbours that deliver, and mirrors that answer: right, right, wrong, right …
    for kind in [32, 34] {
        let mut mirrored = vec![kind, 0, 0];
        for answer in [4, 4, 4, 3, 5, 0, 6, 2, 7, 1] {
            mirrored.extend([14, 15, 0, 15, 0, answer, 0, 9, 1]);
        }
        seeds.push(mirrored);
    }
    seeds
}

/// Some that enter and do one thing after the other, and each request as it is on the wire.
pub fn tracker() -> Vec<Vec<u8>> {
    let mut crowd = vec![0];
    for number in 0..12 {
        crowd.extend([0, number, number, 1, 6, number, 255, 9, 3, number, number, 0, number, 10]);
    }
    for number in 0..12 {
        crowd.extend([9, number, number, number, 2, 3, 1, 1, 7, 3, 3, 232]);
    }
    let mut wire = vec![1];
    for message in tracker_request().iter().filter(|message| message.len() < 256) {
        wire.extend([0, 1, 1, 1, 4, 0, message.len() as u8]);
        wire.extend(message);
    }
    vec![crowd, wire]
}
