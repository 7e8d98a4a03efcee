//! The bytes in docs/protocol.md are those that the codecs write and read.
//!
//! Each fenced block that begins with `hex NAME` is one value: bytes in hexadecimal, `#` begins a comment. This file owns what
//! each name stands for; a block without a meaning here, or a meaning without a block, is an error.

use std::collections::BTreeMap;

use bytes::Bytes;
use swarm_core::group::{Geometry, GroupRange};
use swarm_core::id::{Challenge, ContentRoot, Fingerprint, PeerId, SwarmId};
use swarm_core::manifest::{
    Attachment, AttachmentKind, Chapter, Manifest, Mirror, MirrorPolicy, Mirrors, Seal,
};
use swarm_core::peer_message::{
    Class, DataHead, DataMessage, PEER_VERSION, PeerMessage, Playing, RejectReason, Serving, Standing,
};
use swarm_core::publisher::{SecretKey, Signature, Statement, TrackerName};
use swarm_core::segmentation::doubling;
use swarm_core::tracker_message::{PeerRequest, TrackerMessage};
use swarm_core::tree::sidecar;
use swarm_core::tree::{HashTree, Proof, TreeBuilder};

const DOCUMENT: &str = include_str!("../../docs/protocol.md");

/// The fenced blocks whose first line begins with a word: what follows the word, and the lines.
fn fenced(word: &str) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut found = Vec::new();
    let mut lines = DOCUMENT.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if let Some(name) = kind.strip_prefix(word) {
            found.push((name.trim(), body));
        }
    }
    found
}

fn bytes_of(lines: &[&str]) -> Vec<u8> {
    let code = |line: &str| line.split('#').next().unwrap_or_default().replace(' ', "");
    let digits: String = lines.iter().map(|line| code(line)).collect();
    data_encoding::HEXLOWER.decode(digits.as_bytes()).unwrap_or_else(|error| panic!("{error} in {digits}"))
}

/// The content of the vectors: byte `i` is `i` mod 251.
fn content() -> Vec<u8> {
    (0..40_000u32).map(|index| (index % 251) as u8).collect()
}

fn tree() -> HashTree {
    let mut builder = TreeBuilder::new();
    content().chunks(16_384).for_each(|group| builder.push(group));
    builder.finish().expect("the content is not empty")
}

fn key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32])
}

/// The manifest of that content.
fn counting() -> Manifest {
    let length_bytes = 40_000;
    let manifest = Manifest {
        seal: Seal::default(),
        name: "counting.bin".into(),
        title: None,
        media_type: "application/octet-stream".into(),
        length_bytes,
        root: tree().root(),
        segments: doubling(Geometry::new(length_bytes)),
        duration_ms: None,
        chapters: Vec::new(),
        author: None,
        created_s: 1_700_000_000,
        trackers: Vec::new(),
        attachments: Vec::new(),
        mirrors: Mirrors::default(),
    };
    manifest.signed_by(&key()).expect("within all limits")
}

/// A manifest with most of the optional fields.
fn film() -> Manifest {
    let subtitles = Attachment {
        kind: AttachmentKind::Subtitles,
        media_type: "text/vtt".into(),
        language: Some("en".into()),
        label: None,
        bytes: "WEBVTT\n".to_owned().into(),
    };
    let manifest = Manifest {
        seal: Seal::default(),
        name: "film.mp4".into(),
        title: Some("A film".into()),
        media_type: "video/mp4".into(),
        length_bytes: 100,
        root: ContentRoot([7; 32]),
        segments: doubling(Geometry::new(100)),
        duration_ms: Some(60_000),
        chapters: vec![Chapter { time_ms: 30_000, name: "Finale".into() }],
        author: Some("somebody".into()),
        created_s: 1_700_000_000,
        trackers: Vec::new(),
        attachments: vec![subtitles],
        mirrors: Mirrors::default(),
    };
    manifest.signed_by(&SecretKey::from_bytes(&[9; 32])).expect("within all limits")
}

fn mirrored() -> Manifest {
    let server = Mirror { url: "https://m.example/f".into(), tree_url: None, weight: 1 };
    let mirrors = Mirrors { policy: MirrorPolicy::Assist, servers: vec![server] };
    let manifest = Manifest { mirrors, ..film() };
    manifest.signed_by(&SecretKey::from_bytes(&[9; 32])).expect("within all limits")
}

fn swarm() -> SwarmId {
    counting().swarm_id().expect("within all limits")
}

/// Of a peer that only receives.
const RECEIVING: Standing = Standing {
    serving: Serving::Nothing,
    is_rich: false,
    wants: GroupRange::new(0, 0),
    uplink: 0,
    is_uplink_known: false,
    downlink: 0,
    credit: 0,
    playing: None,
};

/// Of a viewer that plays, in the middle of a long content.
const PLAYING: Standing = Standing {
    serving: Serving::Everything,
    is_rich: false,
    wants: GroupRange::new(0, 2560),
    uplink: 1_250_000,
    is_uplink_known: true,
    downlink: 3_000_000,
    credit: 131_072,
    playing: Some(Playing { group: 300, ahead_ms: 1875 }),
};

fn link_proof(swarm: SwarmId) -> Signature {
    let (signer, verifier) = (Fingerprint([0xaa; 32]), Fingerprint([0xbb; 32]));
    key().sign(&Statement::Link { swarm, signer, verifier })
}

fn hello(peer: u64, standing: Standing, have: Vec<GroupRange>, proof: Option<Signature>) -> PeerMessage {
    PeerMessage::Hello { version: PEER_VERSION, swarm: swarm(), peer: PeerId(peer), standing, have, proof }
}

/// The messages on `control`, by the names of their blocks.
fn control() -> Vec<(&'static str, PeerMessage)> {
    let range = GroupRange::new;
    let seeding = Standing {
        serving: Serving::Everything,
        wants: range(0, 3),
        uplink: 2_500_000,
        is_uplink_known: true,
        credit: 131_072,
        ..RECEIVING
    };
    let long = vec![range(0, 640), GroupRange::one(2560)];
    let of_a_viewer = |standing, have| PeerMessage::Hello {
        version: PEER_VERSION,
        swarm: SwarmId([0xee; 32]),
        peer: PeerId(255),
        standing,
        have,
        proof: None,
    };
    let part = PeerMessage::ManifestPart { part: 0, part_count: 1, bytes: Bytes::from_static(&[0xee; 20]) };
    vec![
        ("minimum hello", hello(2, RECEIVING, Vec::new(), None)),
        (
            "minimum hello of the initial peer",
            hello(1, seeding, vec![range(0, 3)], Some(link_proof(swarm()))),
        ),
        (
            "minimum request",
            PeerMessage::Request { range: GroupRange::one(1), class: Class::Urgent, remaining_ms: 0 },
        ),
        ("minimum have", PeerMessage::Have { gained: vec![GroupRange::one(1)], dropped: Vec::new() }),
        ("hello", of_a_viewer(PLAYING, long)),
        ("have", PeerMessage::Have { gained: vec![range(300, 303)], dropped: Vec::new() }),
        (
            "request",
            PeerMessage::Request { range: range(300, 364), class: Class::Marked, remaining_ms: 1000 },
        ),
        (
            "request without a deadline",
            PeerMessage::Request {
                range: GroupRange::one(300),
                class: Class::Background,
                remaining_ms: u32::MAX,
            },
        ),
        ("hasten", PeerMessage::Hasten { range: GroupRange::one(300), remaining_ms: 1200 }),
        ("cancel", PeerMessage::Cancel { range: range(300, 302) }),
        ("reject", PeerMessage::Reject { range: range(300, 302), reason: RejectReason::NotHeld }),
        ("status", PeerMessage::Status { standing: PLAYING, sent_ms: 123_456, backlog_ms: 0 }),
        ("manifest ask", PeerMessage::ManifestAsk { part: 0 }),
        ("manifest part", part),
        ("no manifest", PeerMessage::ManifestPart { part: 0, part_count: 0, bytes: Bytes::new() }),
        ("ping", PeerMessage::Ping { nonce: 4242, sent_ms: 123_456 }),
        ("pong", PeerMessage::Pong { nonce: 4242, sent_ms: 98_765 }),
    ]
}

/// The head of the data frame with group 1, for a receiver that knows only the root.
fn first_head() -> DataHead {
    let range = GroupRange::one(1);
    let proof = tree().prove(range, |_| false).expect("the whole tree is known");
    DataHead { range, sent_ms: 123_456, waited_ms: 5, queued_ms: 0, backlog_ms: 0, proof }
}

/// The head of a frame from the middle of a long content.
fn later_head() -> DataHead {
    let proof = Proof { top: 1, hashes: vec![[7; 32]] };
    let range = GroupRange::one(300);
    DataHead { range, sent_ms: 123_456, waited_ms: 1200, queued_ms: 20, backlog_ms: 0, proof }
}

fn head_bytes(head: DataHead) -> Vec<u8> {
    DataMessage { head, payload: Bytes::new() }.encode()
}

/// Everything that has a block, by the block's name.
fn values() -> BTreeMap<&'static str, Vec<u8>> {
    let tree = tree();
    let proof = |range, knows: Option<u32>| {
        let proof = tree.prove(range, |below| knows.is_some_and(|group| below.has(group)));
        let proof = proof.expect("the whole tree is known");
        [vec![proof.top], proof.hashes.concat()].concat()
    };
    let join = Statement::Join {
        swarm: SwarmId([1; 32]),
        tracker: TrackerName::of("example.org"),
        challenge: Challenge([2; 32]),
    };
    let file = [sidecar::header(tree.geometry(), tree.root()).to_vec(), tree.page(0).expect("it is known")];
    let mut values = BTreeMap::from([
        ("minimum manifest", counting().to_bytes().expect("within all limits")),
        ("minimum data head", head_bytes(first_head())),
        ("data head", head_bytes(later_head())),
        ("manifest", film().to_bytes().expect("within all limits")),
        ("manifest with a mirror", mirrored().to_bytes().expect("within all limits")),
        ("tree file", file.concat()),
        ("proof of 1 without anything", proof(GroupRange::one(1), None)),
        ("proof of 1 with 2", proof(GroupRange::one(1), Some(2))),
        ("proof of 1 with 0", proof(GroupRange::one(1), Some(0))),
        ("proof of 2 without anything", proof(GroupRange::one(2), None)),
        ("proof of 0 and 1 without anything", proof(GroupRange::new(0, 2), None)),
        ("public key", key().public().0.to_vec()),
        ("signed link", link_proof(SwarmId([1; 32])).0.to_vec()),
        ("signed join", key().sign(&join).0.to_vec()),
    ]);
    values.extend(control().into_iter().map(|(name, message)| (name, message.encode().to_vec())));
    values
}

#[test]
fn every_vector_is_what_the_codecs_write() {
    let mut values = values();
    let mut wrong = Vec::new();
    for (name, lines) in fenced("hex ") {
        let Some(expected) = values.remove(name) else {
            wrong.push(format!("`{name}` stands for nothing"));
            continue;
        };
        if bytes_of(&lines) != expected {
            wrong.push(format!("`{name}` is {}", data_encoding::HEXLOWER.encode(&expected)));
        }
    }
    wrong.extend(
        values
            .iter()
            .map(|(name, bytes)| format!("`{name}` has no block: {}", data_encoding::HEXLOWER.encode(bytes))),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_message_in_the_document_is_read_as_what_it_stands_for() {
    let mut read = BTreeMap::new();
    for (name, lines) in fenced("hex ") {
        read.insert(name, bytes_of(&lines));
    }
    for (name, message) in control() {
        assert_eq!(PeerMessage::decode(&read[name]), Ok(message), "{name}");
    }
    for name in ["minimum manifest", "manifest", "manifest with a mirror"] {
        let swarm = swarm_core::manifest::swarm_id_of(&read[name]);
        assert!(Manifest::from_bytes(swarm, &read[name]).is_ok(), "{name}");
        assert!(DOCUMENT.contains(&swarm.to_string()), "the swarm id of `{name}` is {swarm}");
    }
}

#[test]
fn the_first_frame_of_the_minimum_peer_verifies_against_the_root_of_its_manifest() {
    let manifest = counting();
    let mut frame = Vec::new();
    for (name, lines) in fenced("hex ") {
        if name == "minimum data head" {
            frame = bytes_of(&lines);
        }
    }
    frame.extend_from_slice(&content()[16_384..32_768]);
    let message = DataMessage::decode(frame.into()).expect("a frame");
    let mut tree = HashTree::unknown(manifest.geometry(), manifest.root);
    let verified =
        tree.verify(message.head.range, &message.head.proof, message.payload).expect("right bytes");
    assert_eq!(verified.range(), GroupRange::one(1));
}

#[test]
fn the_exchange_with_the_tracker_is_in_the_form_of_the_codecs() {
    let mut kinds = Vec::new();
    for (_, lines) in fenced("json exchange request") {
        for line in lines {
            let line = line.replace("SWARMID", &swarm().to_string());
            assert_eq!(PeerRequest::decode(&line).expect("a request").encode(), line);
            kinds.push(line);
        }
    }
    for (_, lines) in fenced("json exchange answer") {
        for line in lines {
            assert_eq!(TrackerMessage::decode(line).expect("a message").encode(), line);
            kinds.push(line.to_owned());
        }
    }
    for kind in ["hello", "join", "welcome", "swarm", "connect", "signal", "report"] {
        assert!(kinds.iter().any(|line| line.contains(&format!(r#""type":"{kind}""#))), "{kind}");
    }
}
