//! Contents for tests, and waiting for things.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use swarm_core::manifest::{Mirrors, Seal};
use swarm_core::{Geometry, HashTree, Manifest, SecretKey, TreeBuilder, segmentation};

/// Longest that anything in these tests may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Bytes that do not repeat, different for every `seed`.
pub(crate) fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(&mut next).take(length.div_ceil(8)).flatten().collect();
    bytes.truncate(length);
    bytes
}

/// Writes a file of such bytes.
pub(crate) fn file(directory: &Path, name: &str, seed: u64, length: usize) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, bytes(seed, length)).unwrap();
    path
}

/// The publisher's.
pub(crate) fn key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32])
}

/// The tree and a manifest of some bytes.
pub(crate) fn described(bytes: &[u8]) -> (HashTree, Manifest) {
    let mut builder = TreeBuilder::new();
    bytes.chunks(16384).for_each(|group| builder.push(group));
    let tree = builder.finish().unwrap();
    let manifest = Manifest {
        seal: Seal::default(),
        name: "a file".into(),
        title: None,
        media_type: "application/octet-stream".into(),
        length_bytes: bytes.len() as u64,
        root: tree.root(),
        segments: segmentation::doubling(Geometry::new(bytes.len() as u64)),
        duration_ms: None,
        chapters: Vec::new(),
        author: None,
        created_s: 0,
        trackers: Vec::new(),
        attachments: Vec::new(),
        mirrors: Mirrors::default(),
    };
    (tree, manifest.signed_by(&key()).unwrap())
}

/// Waits until `condition` holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "in vain waited for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
