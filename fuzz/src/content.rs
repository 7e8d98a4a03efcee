//! The content that targets use: its bytes, its tree, its manifest, its publisher's key.

use std::sync::LazyLock;

use bytes::Bytes;
use swarm_core::group::GroupRange;
use swarm_core::manifest::{Chapter, Mirror, MirrorPolicy, Mirrors, Period, Seal, Segment, SegmentKind};
use swarm_core::peer_message::{DataHead, DataMessage};
use swarm_core::tree::{Proof, sidecar};
use swarm_core::{HashTree, Manifest, SecretKey, TreeBuilder};

/// Bytes of a group.
const GROUP: usize = 16_384;

/// Groups of the content that targets use.
pub const GROUPS: u32 = 12;

/// A small content with all that is known of it.
#[derive(Debug)]
pub struct Content {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its whole tree.
    pub tree: HashTree,
    /// What its publisher says of it.
    pub manifest: Manifest,
}

/// The content of all targets; its last group is short.
pub static CONTENT: LazyLock<Content> = LazyLock::new(|| {
    let length = GROUP * (GROUPS as usize - 1) + 1000;
    let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    let mut builder = TreeBuilder::new();
    bytes.chunks(GROUP).for_each(|group| builder.push(group));
    let tree = builder.finish().unwrap_or_else(|| unreachable!("the content is not empty"));
    let segment = |group_count, kind, period, time_ms| Segment {
        group_count,
        kind,
        priority: 3,
        period,
        time_ms,
        duration_ms: time_ms.map(|_| 1000),
    };
    let manifest = Manifest {
        seal: Seal::default(),
        name: "film.mp4".to_owned(),
        title: Some("The film".to_owned()),
        media_type: "video/mp4".to_owned(),
        length_bytes: length as u64,
        root: tree.root(),
        segments: vec![
            segment(1, SegmentKind::Header, Period::Start, None),
            segment(4, SegmentKind::Media, Period::Playback, Some(0)),
            segment(5, SegmentKind::Media, Period::Playback, Some(1000)),
            segment(2, SegmentKind::Data, Period::Background, None),
        ],
        duration_ms: Some(2000),
        chapters: vec![Chapter { time_ms: 0, name: "One".to_owned() }],
        author: Some("Somebody".to_owned()),
        created_s: 1_700_000_000,
        trackers: vec!["wss://tracker.example.org/v1/swarm".to_owned()],
        attachments: Vec::new(),
        mirrors: Mirrors::default(),
    };
    let manifest = manifest.signed_by(&key());
    Content { bytes: bytes.into(), tree, manifest: manifest.unwrap_or_else(|error| unreachable!("{error}")) }
});

/// The same content with two mirrors, which are used for all that the policy allows.
pub static MIRRORED: LazyLock<Manifest> = LazyLock::new(|| {
    let server = |number| Mirror::new(format!("https://m{number}.example.org/film.mp4"));
    let servers = vec![server(1), server(2)];
    let mirrors = Mirrors { policy: MirrorPolicy::Full, servers };
    let manifest = Manifest { mirrors, ..CONTENT.manifest.clone() };
    manifest.signed_by(&key()).unwrap_or_else(|error| unreachable!("{error}"))
});

/// The tree file of the content.
pub static TREE: LazyLock<Bytes> = LazyLock::new(|| {
    let tree = &CONTENT.tree;
    let pages = (0..sidecar::page_count(tree.geometry())).filter_map(|page| tree.page(page)).flatten();
    sidecar::header(tree.geometry(), tree.root()).into_iter().chain(pages).collect()
});

/// The publisher's key.
pub fn key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32])
}

/// The right bytes of some groups with their whole proof.
pub fn frame(range: GroupRange) -> DataMessage {
    let content = &*CONTENT;
    let range = range.and(GroupRange::new(0, GROUPS));
    let proof = content.tree.prove(range, |_| false).unwrap_or(Proof { top: 0, hashes: Vec::new() });
    let bytes = content.tree.geometry().bytes(range);
    let payload = content.bytes.slice(bytes.start as usize..bytes.end as usize);
    DataMessage {
        head: DataHead { range, sent_ms: 1, waited_ms: 2, queued_ms: 3, backlog_ms: 4, proof },
        payload,
    }
}
