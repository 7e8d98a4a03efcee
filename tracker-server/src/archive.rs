//! Manifests on disk, so that a restart of the tracker forgets nothing.
//!
//! One file, `manifests.redb`, in the data directory. A thread of its own writes, since each write waits for the disk;
//! changes reach it in the order in which they were decided.
//!
//! ```text
//! key    swarm id, 32 bytes
//! value  flags, 1 byte (1 listed, 2 has a publisher) · number, 8 bytes · publisher, 16 bytes · manifest
//! ```

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use swarm_core::SwarmId;
use tokio::sync::{mpsc, oneshot};

use crate::decision::network::Site;
use crate::limits::{ARCHIVE_CACHE_BYTES, ARCHIVE_QUEUE_MAX};
use crate::manifests::Provenance;

const TABLE: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("manifests-1");

/// What publishers removed, with the order in which they did.
const REMOVED: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("removed-1");

const FILE: &str = "manifests.redb";

const IS_LISTED: u8 = 1;
const HAS_PUBLISHER: u8 = 2;

/// The store on disk cannot be used. Show it; it names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The directory cannot be made.
    #[error("cannot make the data directory {}: {source}; choose another with --data-dir", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be opened or read.
    #[error(
        "cannot use {}: {source}; if another tracker uses it, choose another --data-dir; if it is damaged, move it away",
        path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
}

/// A manifest as it is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) swarm: SwarmId,
    pub(crate) provenance: Provenance,
    pub(crate) number: u64,
    pub(crate) bytes: Bytes,
}

/// What an earlier life of the tracker left.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) saved: Vec<Saved>,
    /// What publishers removed, the oldest first.
    pub(crate) removed: Vec<SwarmId>,
}

/// What is to be written.
enum Work {
    /// Save a manifest and forget others.
    Save(Saved, Vec<SwarmId>),
    /// Forget a manifest, remember that it was removed, and forget another removal.
    Remove(SwarmId, Option<SwarmId>),
}

/// A change that waits to be written, and whom to tell.
struct Change {
    work: Work,
    done: oneshot::Sender<()>,
}

/// The right to write one change.
pub(crate) struct Slot(mpsc::OwnedPermit<Change>);

impl Slot {
    /// Saves a manifest and forgets others. Done when the disk has it, or when it failed, which is logged.
    pub(crate) fn save(self, saved: Saved, evicted: Vec<SwarmId>) -> oneshot::Receiver<()> {
        self.work(Work::Save(saved, evicted))
    }

    /// Forgets a manifest that its publisher removed. Done as with [`Slot::save`].
    pub(crate) fn remove(self, swarm: SwarmId, forgotten: Option<SwarmId>) -> oneshot::Receiver<()> {
        self.work(Work::Remove(swarm, forgotten))
    }

    fn work(self, work: Work) -> oneshot::Receiver<()> {
        let (done, written) = oneshot::channel();
        self.0.send(Change { work, done });
        written
    }
}

/// The store on disk. Dropping it waits until everything is written.
#[derive(Debug)]
pub(crate) struct Archive {
    changes: Option<mpsc::Sender<Change>>,
    writer: Option<JoinHandle<()>>,
}

impl Archive {
    /// Opens the store in `directory`, which is made if it is not there, and reads what was saved.
    pub(crate) fn open(directory: &Path) -> Result<(Self, Before), ArchiveError> {
        make_directory(directory)
            .map_err(|source| ArchiveError::Directory { path: directory.to_owned(), source })?;
        let path = directory.join(FILE);
        let failed =
            |source: redb::Error| ArchiveError::File { path: path.clone(), source: Box::new(source) };
        let file = open_private(&path).map_err(|error| failed(redb::Error::Io(error)))?;
        let file = FileBackend::new(file).map_err(|error| failed(error.into()))?;
        let database = Database::builder()
            .set_cache_size(ARCHIVE_CACHE_BYTES)
            .create_with_backend(file)
            .map_err(|error| failed(error.into()))?;
        let before = read(&database).map_err(failed)?;
        let (changes, queue) = mpsc::channel(ARCHIVE_QUEUE_MAX);
        let writer = std::thread::spawn(move || write_all(&database, queue));
        Ok((Self { changes: Some(changes), writer: Some(writer) }, before))
    }

    /// Waits for room to write one change. `None` if nothing can be written any more.
    pub(crate) async fn slot(&self) -> Option<Slot> {
        self.changes.clone()?.reserve_owned().await.ok().map(Slot)
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.changes = None;
        if let Some(writer) = self.writer.take() {
            // It ends by itself once nobody sends.
            _ = writer.join();
        }
    }
}

/// Makes a directory, and what is above it, for this user alone. One that is there stays as it is.
fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Opens a file, or makes it for this user alone: what is published unlisted is not to be read by others of the machine.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

fn read(database: &Database) -> Result<Before, redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(TABLE)?;
    transaction.open_table(REMOVED)?;
    transaction.commit()?;
    let transaction = database.begin_read()?;
    let table = transaction.open_table(TABLE)?;
    let mut all = Vec::new();
    for entry in table.iter()? {
        let (key, value) = entry?;
        match decode(SwarmId(*key.value()), value.value()) {
            Some(saved) => all.push(saved),
            None => tracing::warn!("a saved manifest is damaged and left out"),
        }
    }
    let table = transaction.open_table(REMOVED)?;
    let mut removed = Vec::new();
    for entry in table.iter()? {
        let (swarm, number) = entry?;
        removed.push((number.value(), SwarmId(*swarm.value())));
    }
    removed.sort_unstable();
    Ok(Before { saved: all, removed: removed.into_iter().map(|(_, swarm)| swarm).collect() })
}

fn write_all(database: &Database, mut changes: mpsc::Receiver<Change>) {
    while let Some(Change { work, done }) = changes.blocking_recv() {
        let (written, swarm) = match &work {
            Work::Save(saved, evicted) => (write(database, saved, evicted), saved.swarm),
            Work::Remove(swarm, forgotten) => (remove(database, *swarm, *forgotten), *swarm),
        };
        if let Err(error) = written {
            tracing::error!(%swarm, "a change is not saved: {error}");
        }
        // The publisher may have gone.
        _ = done.send(());
    }
}

fn write(database: &Database, saved: &Saved, evicted: &[SwarmId]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(TABLE)?;
        for swarm in evicted {
            table.remove(&swarm.0)?;
        }
        table.insert(&saved.swarm.0, &encode(saved)[..])?;
        transaction.open_table(REMOVED)?.remove(&saved.swarm.0)?;
    }
    Ok(transaction.commit()?)
}

fn remove(database: &Database, swarm: SwarmId, forgotten: Option<SwarmId>) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        transaction.open_table(TABLE)?.remove(&swarm.0)?;
        let mut table = transaction.open_table(REMOVED)?;
        if let Some(forgotten) = forgotten {
            table.remove(&forgotten.0)?;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        table.insert(&swarm.0, u64::try_from(now.as_millis()).unwrap_or(u64::MAX))?;
    }
    Ok(transaction.commit()?)
}

/// The form in which a manifest is saved, and shared with other trackers.
pub(crate) fn encode(saved: &Saved) -> Vec<u8> {
    let publisher = saved.provenance.publisher.map(Site::address);
    let flags =
        u8::from(saved.provenance.is_listed) * IS_LISTED + u8::from(publisher.is_some()) * HAS_PUBLISHER;
    let publisher = match publisher {
        Some(IpAddr::V4(address)) => address.to_ipv6_mapped(),
        Some(IpAddr::V6(address)) => address,
        None => Ipv6Addr::UNSPECIFIED,
    };
    [&[flags], &saved.number.to_le_bytes()[..], &publisher.octets(), &saved.bytes].concat()
}

/// Reads what `encode` wrote.
pub(crate) fn decode(swarm: SwarmId, value: &[u8]) -> Option<Saved> {
    let (flags, rest) = value.split_first()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (publisher, bytes) = rest.split_first_chunk::<16>()?;
    let publisher = Site::of(Ipv6Addr::from(*publisher).into());
    let provenance = Provenance {
        publisher: (flags & HAS_PUBLISHER != 0).then_some(publisher),
        is_listed: flags & IS_LISTED != 0,
    };
    let (number, bytes) = (u64::from_le_bytes(*number), Bytes::copy_from_slice(bytes));
    Some(Saved { swarm, provenance, number, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(name: u8, publisher: Option<&str>) -> Saved {
        Saved {
            swarm: SwarmId([name; 32]),
            provenance: Provenance {
                publisher: publisher.map(|address| Site::of(address.parse().unwrap())),
                is_listed: name.is_multiple_of(2),
            },
            number: u64::from(name) << 40,
            bytes: Bytes::copy_from_slice(&[name; 100]),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for saved in [saved(1, None), saved(2, Some("192.0.2.7")), saved(3, Some("2001:db8::1"))] {
            assert_eq!(decode(saved.swarm, &encode(&saved)), Some(saved));
        }
        for length in 0..25 {
            assert_eq!(decode(SwarmId([0; 32]), &vec![0; length]), None);
        }
    }

    #[tokio::test]
    async fn what_was_saved_is_there_after_a_restart_and_what_was_forgotten_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("data");
        let (archive, before) = Archive::open(&directory).unwrap();
        assert_eq!(before, Before::default());
        #[cfg(unix)]
        for (path, mode) in [(directory.clone(), 0o700), (directory.join(FILE), 0o600)] {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
        }
        for (name, evicted) in [(1, vec![]), (2, vec![]), (3, vec![SwarmId([1; 32])])] {
            archive.slot().await.unwrap().save(saved(name, Some("192.0.2.7")), evicted).await.unwrap();
        }
        let removed = SwarmId([9; 32]);
        archive.slot().await.unwrap().save(saved(9, None), Vec::new()).await.unwrap();
        archive.slot().await.unwrap().remove(removed, None).await.unwrap();
        let error = Archive::open(&directory).unwrap_err().to_string();
        assert!(error.contains("manifests.redb") && error.contains("--data-dir"), "{error}");
        drop(archive);
        let (_, after) = Archive::open(&directory).unwrap();
        assert_eq!(after.saved, [saved(2, Some("192.0.2.7")), saved(3, Some("192.0.2.7"))]);
        assert_eq!(after.removed, [removed]);
    }
}
