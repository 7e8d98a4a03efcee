//! The hash tree of a file: built once, saved, and found again at the next start.
//!
//! ```text
//! DATA-DIR/trees/ROOT.tree          the whole tree (`HashTree::export`)
//! DATA-DIR/manifests/SWARM.manifest canonical bytes
//! DATA-DIR/files/DIGEST.json        for the file at the path of this digest: stamp, root and swarm
//! ```
//! Every file here is written atomically and checked when read, so that several seeders may share a directory
//! and a damaged one only costs hashing again.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use swarm_core::limits::GROUP_BYTES;
use swarm_core::{ContentRoot, Geometry, HashTree, Manifest, SwarmId, TreeBuilder};

use crate::store::{FileStamp, write_atomically};

/// Bytes read at a time: 64 groups.
const READ_BYTES: usize = 64 * GROUP_BYTES as usize;

/// Bytes of a saved entry, at most; a path has at most 4 KiB.
const ENTRY_BYTES_MAX: u64 = 64 * 1024;

/// Builds the tree of a whole file; `None` if it is empty. `progress` is told the bytes read so far.
pub fn hash(file: &mut File, mut progress: impl FnMut(u64)) -> io::Result<Option<HashTree>> {
    file.rewind()?;
    let mut builder = TreeBuilder::new();
    let mut bytes = Vec::with_capacity(READ_BYTES);
    let mut total = 0;
    loop {
        bytes.clear();
        file.by_ref().take(READ_BYTES as u64).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(builder.finish());
        }
        bytes.chunks(GROUP_BYTES as usize).for_each(|group| builder.push(group));
        total += bytes.len() as u64;
        progress(total);
    }
}

/// What is remembered of a file that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where the file is.
    path: PathBuf,
    length_bytes: u64,
    /// Nanoseconds since 1970, where the platform says.
    modified_ns: Option<u64>,
    /// Its content root.
    pub root: ContentRoot,
    /// The swarm it was published as.
    pub swarm: SwarmId,
}

impl Entry {
    /// The entry of a file published as `swarm`.
    pub fn new(path: &Path, stamp: FileStamp, root: ContentRoot, swarm: SwarmId) -> Self {
        let (length_bytes, modified_ns) = (stamp.length_bytes, nanoseconds(stamp));
        Self { path: path.to_owned(), length_bytes, modified_ns, root, swarm }
    }

    /// Whether the file is as it was. Never true where the platform does not say when files are written.
    pub fn is_current(&self, stamp: FileStamp) -> bool {
        let modified_ns = nanoseconds(stamp);
        self.length_bytes == stamp.length_bytes && modified_ns.is_some() && self.modified_ns == modified_ns
    }
}

fn nanoseconds(stamp: FileStamp) -> Option<u64> {
    let since = stamp.modified?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

/// The directory where trees and manifests are saved.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
}

impl DataDir {
    /// The directory at `path`, made when something is saved.
    pub const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The platform's directory for data of programs; `None` without a home.
    pub fn of_platform() -> Option<Self> {
        use etcetera::BaseStrategy;
        let strategy = etcetera::choose_base_strategy().ok()?;
        Some(Self { path: strategy.data_dir().join("tributary") })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is remembered of the file at a canonical path.
    pub fn entry(&self, path: &Path) -> Option<Entry> {
        let mut text = Vec::new();
        File::open(self.entry_path(path)).ok()?.take(ENTRY_BYTES_MAX).read_to_end(&mut text).ok()?;
        let entry: Entry = serde_json::from_slice(&text).ok()?;
        (entry.path == path).then_some(entry)
    }

    /// The saved tree of a content, if all of it is there and intact.
    pub fn tree(&self, geometry: Geometry, root: ContentRoot) -> Option<HashTree> {
        let saved = fs::read(self.tree_path(root)).ok()?;
        let tree = HashTree::import(geometry, root, &saved);
        // Only whole trees are saved; one that lost nothing on its way is whole.
        (tree.export() == saved).then_some(tree)
    }

    /// The saved manifest of a swarm.
    pub fn manifest(&self, swarm: SwarmId) -> Option<Manifest> {
        let saved = fs::read(self.manifest_path(swarm)).ok()?;
        Manifest::from_bytes(swarm, &saved).ok()
    }

    /// Saves all that the next start needs.
    pub fn save(&self, entry: &Entry, manifest: &[u8], tree: &HashTree) -> io::Result<()> {
        for directory in ["trees", "manifests", "files"] {
            fs::create_dir_all(self.path.join(directory))?;
        }
        write_atomically(&self.tree_path(entry.root), &[&tree.export()])?;
        write_atomically(&self.manifest_path(entry.swarm), &[manifest])?;
        write_atomically(&self.entry_path(&entry.path), &[&serde_json::to_vec_pretty(entry)?])
    }

    fn tree_path(&self, root: ContentRoot) -> PathBuf {
        self.path.join("trees").join(format!("{root}.tree"))
    }

    fn manifest_path(&self, swarm: SwarmId) -> PathBuf {
        self.path.join("manifests").join(format!("{swarm}.manifest"))
    }

    fn entry_path(&self, path: &Path) -> PathBuf {
        let digest = blake3::hash(path.as_os_str().as_encoded_bytes());
        self.path.join("files").join(format!("{}.json", digest.to_hex()))
    }
}
