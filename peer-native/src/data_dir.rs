//! What is kept between starts: hash trees and manifests, so that a file is hashed once and keeps its link, and the
//! catalogue of what is seeded.
//!
//! ```text
//! DATA-DIR/publisher.key            the key that signs what is published from here
//! DATA-DIR/trees/ROOT.tree          the whole tree (`HashTree::export`)
//! DATA-DIR/manifests/SWARM.manifest canonical bytes and signature
//! DATA-DIR/files/DIGEST.json        for the file at the path of this digest: `Record`
//! DATA-DIR/catalogue/DIGEST.json    the same for a file that is seeded: `Listing`
//! DATA-DIR/uplink.json              what the uplink carried: `Uplink`
//! ```
//! Every file here is written atomically and checked when read, so that several seeders may share a directory
//! and a damaged one only costs hashing again.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use swarm_core::{ContentRoot, Geometry, HashTree, Manifest, SwarmId};

use crate::rules::Statement;
use crate::store::{FileStamp, write_atomically};

/// Bytes of a saved record or listing, at most: a path has 4 KiB, a statement a thousand rules.
const ENTRY_BYTES_MAX: u64 = 1024 * 1024;

/// Publications of one file that are remembered: as many things may be said of it and taken back.
const PUBLISHED_MAX: usize = 16;

/// Titles from before a file changed that are remembered.
const FORMER_MAX: usize = 64;

/// Files in a catalogue, at most.
const LISTINGS_MAX: usize = 4096;

/// An uplink that was measured is remembered for this long, s: 30 days.
const UPLINK_AGE_MAX_S: u64 = 30 * 86_400;

/// Uplinks that are believed, bytes a second: 10 kbit/s to 100 Gbit/s.
const UPLINKS: RangeInclusive<u64> = 1_250..=12_500_000_000;

/// What the uplink of this machine carried when it was last measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Uplink {
    bytes_per_s: u64,
    /// Seconds since 1970.
    measured_s: u64,
}

/// What is remembered of a file that was published or inspected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Where the file is.
    path: PathBuf,
    length_bytes: u64,
    /// Nanoseconds since 1970, where the platform says.
    modified_ns: Option<u64>,
    /// Its content root.
    pub root: ContentRoot,
    /// What it was published as, the latest last.
    published: Vec<Published>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Published {
    /// Digest of all that the author said beside the content.
    said: String,
    swarm: SwarmId,
}

impl Record {
    /// The record of a file with this content.
    pub(crate) fn new(path: &Path, stamp: FileStamp, root: ContentRoot) -> Self {
        let (length_bytes, modified_ns) = (stamp.length_bytes, nanoseconds(stamp));
        Self { path: path.to_owned(), length_bytes, modified_ns, root, published: Vec::new() }
    }

    /// Whether the file is as it was. Never true where the platform does not say when files are written.
    pub(crate) fn is_current(&self, stamp: FileStamp) -> bool {
        let modified_ns = nanoseconds(stamp);
        self.length_bytes == stamp.length_bytes && modified_ns.is_some() && self.modified_ns == modified_ns
    }

    /// What the content was published as when the author said this.
    pub(crate) fn swarm(&self, said: &str) -> Option<SwarmId> {
        self.published.iter().find(|published| published.said == said).map(|published| published.swarm)
    }

    /// Notes what the content was published as.
    pub(crate) fn publish(&mut self, said: &str, swarm: SwarmId) {
        self.published.retain(|published| published.said != said);
        if self.published.len() >= PUBLISHED_MAX {
            self.published.remove(0);
        }
        self.published.push(Published { said: said.to_owned(), swarm });
    }

    /// The record of the same content at another time.
    pub(crate) fn with_stamp(self, stamp: FileStamp) -> Self {
        Self { length_bytes: stamp.length_bytes, modified_ns: nanoseconds(stamp), ..self }
    }
}

fn nanoseconds(stamp: FileStamp) -> Option<u64> {
    let since = stamp.modified?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

/// A file in the catalogue: what it takes to seed it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    /// Where the file is.
    pub path: PathBuf,
    /// The swarm that it was last seeded as.
    pub swarm: SwarmId,
    /// The tracker that it was last seeded at.
    pub tracker: String,
    /// What the author said.
    pub statement: Statement,
    /// Seconds since 1970.
    pub added_s: u64,
    /// Whether the tracker's public catalogue was asked to show it.
    #[serde(default)]
    pub is_public: bool,
    /// What it was seeded as before it changed, the latest last, until that is removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<Former>,
}

/// A title that a file was seeded as before it changed. Its tracker may still have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Former {
    /// The swarm.
    pub swarm: SwarmId,
    /// Where it was seeded, the tracker that its link names first.
    pub trackers: Vec<String>,
}

impl Listing {
    /// Takes over what is known of the same file from before.
    pub(crate) fn after(mut self, before: Self) -> Self {
        let trackers = before.trackers().map(str::to_owned).collect();
        self.former = before.former;
        self.former.push(Former { swarm: before.swarm, trackers });
        self.former.retain(|former| former.swarm != self.swarm);
        let surplus = self.former.len().saturating_sub(FORMER_MAX);
        self.former.drain(..surplus);
        self
    }

    /// The trackers that it was last seeded at, the one that its link names first.
    pub(crate) fn trackers(&self) -> impl Iterator<Item = &str> {
        let others = self.statement.trackers.iter().map(String::as_str);
        std::iter::once(self.tracker.as_str()).chain(others.filter(|other| *other != self.tracker))
    }
}

/// The directory where all this is.
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

    /// Where the publisher's key is.
    pub fn key_path(&self) -> PathBuf {
        self.path.join("publisher.key")
    }

    /// What the uplink carried when it was measured last, bytes a second; `None` if that was long ago, or cannot be.
    pub(crate) fn uplink(&self, now_s: u64) -> Option<u64> {
        let saved: Uplink = read_json(&self.path.join("uplink.json")).ok()?;
        let is_fresh = now_s.abs_diff(saved.measured_s) <= UPLINK_AGE_MAX_S;
        (is_fresh && UPLINKS.contains(&saved.bytes_per_s)).then_some(saved.bytes_per_s)
    }

    /// Remembers what the uplink carries, bytes a second.
    pub(crate) fn save_uplink(&self, bytes_per_s: u64, now_s: u64) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        let saved = Uplink { bytes_per_s, measured_s: now_s };
        write_atomically(&self.path.join("uplink.json"), &[&serde_json::to_vec_pretty(&saved)?])
    }

    /// What is remembered of the file at a canonical path.
    pub(crate) fn record(&self, path: &Path) -> Option<Record> {
        let record: Record = read_json(&self.entry_path("files", path)).ok()?;
        (record.path == path).then_some(record)
    }

    /// The saved tree of a content, if all of it is there and intact.
    pub(crate) fn tree(&self, geometry: Geometry, root: ContentRoot) -> Option<HashTree> {
        let saved = fs::read(self.tree_path(root)).ok()?;
        let tree = HashTree::import(geometry, root, &saved);
        tree.is_whole().then_some(tree)
    }

    /// The saved manifest of a swarm.
    pub(crate) fn manifest(&self, swarm: SwarmId) -> Option<Manifest> {
        let saved = fs::read(self.manifest_path(swarm)).ok()?;
        Manifest::from_bytes(swarm, &saved).ok()
    }

    /// The manifest that a content of this name was published with when the author said this, wherever the file was then.
    pub(crate) fn published(&self, root: ContentRoot, said: &str, name: &str) -> Option<Manifest> {
        let entries = fs::read_dir(self.path.join("files")).ok()?;
        let records =
            entries.take(LISTINGS_MAX).filter_map(|entry| read_json::<Record>(&entry.ok()?.path()).ok());
        let swarms = records.filter(|record| record.root == root).filter_map(|record| record.swarm(said));
        let mut manifests: Vec<Manifest> = swarms.filter_map(|swarm| self.manifest(swarm)).collect();
        manifests.retain(|manifest| manifest.name == name);
        // The order of a directory is nobody's choice.
        manifests.into_iter().min_by_key(|manifest| (manifest.created_s, manifest.swarm_id().ok()))
    }

    /// Saves all that the next start needs of a file that was published as `swarm`.
    pub(crate) fn save(
        &self,
        record: &Record,
        swarm: SwarmId,
        manifest: &[u8],
        tree: &HashTree,
    ) -> io::Result<()> {
        for directory in ["trees", "manifests", "files"] {
            fs::create_dir_all(self.path.join(directory))?;
        }
        write_atomically(&self.tree_path(record.root), &[&tree.export()])?;
        write_atomically(&self.manifest_path(swarm), &[manifest])?;
        write_atomically(&self.entry_path("files", &record.path), &[&serde_json::to_vec_pretty(record)?])
    }

    /// What the catalogue says of the file at a canonical path.
    pub(crate) fn listing(&self, path: &Path) -> Option<Listing> {
        let listing: Listing = read_json(&self.entry_path("catalogue", path)).ok()?;
        (listing.path == path).then_some(listing)
    }

    /// Puts a file into the catalogue, or in place of what was said of it before.
    pub(crate) fn list(&self, listing: &Listing) -> io::Result<()> {
        fs::create_dir_all(self.path.join("catalogue"))?;
        write_atomically(
            &self.entry_path("catalogue", &listing.path),
            &[&serde_json::to_vec_pretty(listing)?],
        )
    }

    /// The catalogue, in the order in which its files came. Damaged entries are left out.
    pub(crate) fn catalogue(&self) -> io::Result<Vec<Listing>> {
        let entries = match fs::read_dir(self.path.join("catalogue")) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut listings = Vec::new();
        for entry in entries.take(LISTINGS_MAX) {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                match read_json::<Listing>(&path) {
                    Ok(listing) => listings.push(listing),
                    Err(error) => tracing::warn!(%error, path = %path.display(), "an entry cannot be read"),
                }
            }
        }
        listings.sort_by(|one, other| (one.added_s, &one.path).cmp(&(other.added_s, &other.path)));
        Ok(listings)
    }

    /// Takes a file out of the catalogue; whether it was there. What is remembered of it stays, so that it keeps its
    /// link if it comes back.
    pub(crate) fn unlist(&self, path: &Path) -> io::Result<bool> {
        match fs::remove_file(self.entry_path("catalogue", path)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn tree_path(&self, root: ContentRoot) -> PathBuf {
        self.path.join("trees").join(format!("{root}.tree"))
    }

    fn manifest_path(&self, swarm: SwarmId) -> PathBuf {
        self.path.join("manifests").join(format!("{swarm}.manifest"))
    }

    fn entry_path(&self, directory: &str, path: &Path) -> PathBuf {
        let digest = blake3::hash(path.as_os_str().as_encoded_bytes());
        self.path.join(directory).join(format!("{}.json", digest.to_hex()))
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    // A pipe would be waited for, for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(ENTRY_BYTES_MAX).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_the_data_directory_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let (told, is_read) = std::sync::mpsc::channel();
        std::thread::spawn(move || told.send(read_json::<u64>(&path).map_err(|error| error.to_string())));
        let read = is_read.recv_timeout(std::time::Duration::from_secs(10)).expect("it is waited for");
        assert_eq!(read, Err("it is no file".to_owned()));
    }

    #[test]
    fn a_file_remembers_the_latest_of_what_it_was_published_as() {
        let stamp = FileStamp { length_bytes: 1, modified: None };
        let mut record = Record::new(Path::new("a"), stamp, ContentRoot([0; 32]));
        for index in 0..20u8 {
            record.publish(&index.to_string(), SwarmId([index; 32]));
        }
        record.publish("19", SwarmId([99; 32]));
        assert_eq!(record.swarm("3"), None);
        assert_eq!(record.swarm("4"), Some(SwarmId([4; 32])));
        assert_eq!(record.swarm("19"), Some(SwarmId([99; 32])));
        assert!(!record.is_current(stamp), "the platform does not say when it was written");
    }

    #[test]
    fn an_uplink_is_remembered_for_a_month_and_an_absurd_one_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = DataDir::at(directory.path().join("data"));
        let now_s = 1_700_000_000;
        assert_eq!(data_dir.uplink(now_s), None);
        data_dir.save_uplink(1_250_000, now_s).unwrap();
        assert_eq!(data_dir.uplink(now_s + 86_400), Some(1_250_000));
        assert_eq!(data_dir.uplink(now_s + UPLINK_AGE_MAX_S + 1), None, "too old");
        assert_eq!(data_dir.uplink(0), None, "the clock was wrong");
        for absurd in [0, 1, u64::MAX] {
            data_dir.save_uplink(absurd, now_s).unwrap();
            assert_eq!(data_dir.uplink(now_s), None, "{absurd}");
        }
        fs::write(data_dir.path().join("uplink.json"), b"{\"bytes_per_s\":-1").unwrap();
        assert_eq!(data_dir.uplink(now_s), None, "damaged");
    }

    #[test]
    fn a_changed_file_remembers_what_it_was_seeded_as() {
        let seeded = |swarm: u8| Listing {
            path: "a".into(),
            swarm: SwarmId([swarm; 32]),
            tracker: "ws://h/v1/swarm".into(),
            statement: Statement::default(),
            added_s: 0,
            is_public: false,
            former: Vec::new(),
        };
        let former =
            |listing: &Listing| listing.former.iter().map(|former| former.swarm.0[0]).collect::<Vec<_>>();
        let third = seeded(3).after(seeded(2).after(seeded(1)));
        assert_eq!(former(&third), [1, 2]);
        assert_eq!(third.former[0].trackers, ["ws://h/v1/swarm"]);
        assert_eq!(former(&seeded(1).after(third)), [2, 3], "what it is again is not what it was");
        let many = (1..=100).fold(seeded(0), |before, swarm| seeded(swarm).after(before));
        assert_eq!(many.former.len(), FORMER_MAX);
    }

    #[test]
    fn the_catalogue_keeps_one_entry_a_file_until_it_is_taken_out() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = DataDir::at(directory.path().join("data"));
        assert_eq!(data_dir.catalogue().unwrap(), []);
        let listing = |path: &str, added_s| Listing {
            path: path.into(),
            swarm: SwarmId([1; 32]),
            tracker: "ws://h/v1/swarm".into(),
            statement: Statement::default(),
            added_s,
            is_public: false,
            former: Vec::new(),
        };
        data_dir.list(&listing("a", 5)).unwrap();
        data_dir.list(&listing("b", 3)).unwrap();
        data_dir.list(&listing("a", 4)).unwrap();
        assert_eq!(data_dir.catalogue().unwrap(), [listing("b", 3), listing("a", 4)]);
        fs::write(directory.path().join("data/catalogue/x.json"), "{").unwrap();
        assert!(data_dir.unlist(Path::new("b")).unwrap());
        assert!(!data_dir.unlist(Path::new("b")).unwrap());
        assert_eq!(data_dir.catalogue().unwrap(), [listing("a", 4)]);
    }
}
