//! The content that is shared, and its manifest.

use std::sync::Arc;

use bytes::Bytes;
use swarm_core::limits::GROUP_BYTES;
use swarm_core::manifest::{Mirror, Mirrors, PRIORITY_MAX, Period, Seal};
use swarm_core::{
    Geometry, GroupRange, GroupSet, HashTree, Manifest, SecretKey, SwarmId, TreeBuilder, segmentation,
};

use crate::marks::{self, ByMark};
use crate::mirror::URL;
use crate::scenario::Scenario;

/// Everything that is fixed about the content.
pub(crate) struct Content {
    /// The publisher's.
    pub(crate) key: SecretKey,
    pub(crate) bytes: Bytes,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) manifest_bytes: Bytes,
    pub(crate) swarm: SwarmId,
    pub(crate) tree: HashTree,
    /// The groups by what the author said of them; `None` if nothing was said.
    pub(crate) marks: Option<ByMark<GroupSet>>,
}

impl Content {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let length = scenario.content_bytes();
        let bytes = pattern(length);
        let mut builder = TreeBuilder::new();
        bytes.chunks(GROUP_BYTES as usize).for_each(|group| builder.push(group));
        let geometry = Geometry::new(length);
        let tree =
            builder.finish().unwrap_or_else(|| HashTree::unknown(geometry, swarm_core::ContentRoot([0; 32])));
        let mirrors = (scenario.mirror_mbps > 0.0).then(|| Mirror::new(URL.to_owned())).into_iter();
        let mut manifest = Manifest {
            seal: Seal::default(),
            name: "simulated".into(),
            title: None,
            media_type: "video/mp4".into(),
            length_bytes: length,
            root: tree.root(),
            segments: segmentation::doubling(geometry),
            duration_ms: (scenario.media_mbps > 0.0).then(|| length * 1000 / scenario.media_bytes_per_s()),
            chapters: Vec::new(),
            author: None,
            created_s: 0,
            trackers: Vec::new(),
            attachments: Vec::new(),
            mirrors: Mirrors { servers: mirrors.collect(), ..Mirrors::default() },
        };
        let marks = scenario.has_author_rules.then(|| {
            mark(&mut manifest);
            marks::parts(&manifest)
        });
        let key = SecretKey::from_bytes(&[1; 32]);
        let manifest = manifest.clone().signed_by(&key).unwrap_or(manifest);
        let manifest_bytes: Bytes = manifest.to_bytes().unwrap_or_default().into();
        let swarm = swarm_core::manifest::swarm_id_of(&manifest_bytes);
        Self { key, bytes, manifest: Arc::new(manifest), manifest_bytes, swarm, tree, marks }
    }

    pub(crate) fn slice(&self, range: GroupRange) -> Bytes {
        let span = self.manifest.geometry().bytes(range);
        let index = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        self.bytes.slice(index(span.start)..index(span.end))
    }
}

/// Bytes of which no two groups are alike: only proofs could tell a wrong group, so the pattern needs no more.
fn pattern(length: u64) -> Bytes {
    let word = |index: u64| index.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    (0..length / 8).flat_map(word).collect()
}

/// The segments between 40 and 50 % get the highest priority, those beyond 60 % are for spare capacity.
fn mark(manifest: &mut Manifest) {
    let count = manifest.geometry().group_count();
    let ranges: Vec<GroupRange> = manifest.segment_ranges().map(|(range, _)| range).collect();
    for (range, segment) in ranges.into_iter().zip(&mut manifest.segments) {
        let tenth = u64::from(range.start) * 10 / u64::from(count.max(1));
        match tenth {
            4 => segment.priority = PRIORITY_MAX,
            6.. => segment.period = Period::Background,
            0..=3 | 5 => {}
        }
    }
}
