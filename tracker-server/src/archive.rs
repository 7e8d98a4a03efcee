//! Manifests on disk, so that a restart of the tracker forgets nothing.
//!
//! One file, `manifests.redb`, in the data directory. A thread of its own writes, since each write waits for the disk;
//! changes reach it in the order in which they were decided.
//!
//! ```text
//! key    swarm id, 32 bytes
//! value  flags, 1 byte (1 listed, 2 has a publisher) · number, 8 bytes · publisher, 16 bytes · manifest
//! ```

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
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

impl Work {
    const fn swarm(&self) -> SwarmId {
        match self {
            Self::Save(saved, _) => saved.swarm,
            Self::Remove(swarm, _) => *swarm,
        }
    }
}

/// A change that waits to be written, and whom to tell.
struct Change {
    work: Work,
    done: oneshot::Sender<()>,
}

/// The right to write one change.
pub(crate) struct Slot(mpsc::OwnedPermit<Change>);

impl Slot {
    /// Saves a manifest and forgets others. Done when the disk has it, or when that failed, which is logged and tried again.
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
        let open = {
            let path = path.clone();
            move || database(FileBackend::new(open_private(&path)?)?)
        };
        let database = open().map_err(failed)?;
        let before = read(&database).map_err(failed)?;
        Ok((Self::over(Writer { open, database: Some(database), waiting: VecDeque::new() }), before))
    }

    fn over(writer: Writer<impl FnMut() -> Result<Database, redb::Error> + Send + 'static>) -> Self {
        let (changes, queue) = mpsc::channel(ARCHIVE_QUEUE_MAX);
        let writer = std::thread::spawn(move || writer.run(queue));
        Self { changes: Some(changes), writer: Some(writer) }
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

/// Opens a file, or makes it for this user alone: what is published unlisted is not to be read by others of the machine. A
/// link in its place is not followed.
fn open_private(path: &Path) -> io::Result<File> {
    if path.is_symlink() {
        return Err(io::Error::other(
            "it is a link, which may lead anywhere; name the directory that it leads to",
        ));
    }
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

fn database(file: impl StorageBackend) -> Result<Database, redb::Error> {
    Ok(Database::builder().set_cache_size(ARCHIVE_CACHE_BYTES).create_with_backend(file)?)
}

/// What the writing thread owns.
struct Writer<O> {
    /// Opens the file again: after a failed write the database takes no more.
    open: O,
    database: Option<Database>,
    /// Changes that are not written yet, in their order.
    waiting: VecDeque<Work>,
}

impl<O: FnMut() -> Result<Database, redb::Error>> Writer<O> {
    fn run(mut self, mut changes: mpsc::Receiver<Change>) {
        while let Some(Change { work, done }) = changes.blocking_recv() {
            self.waiting.push_back(work);
            self.write_waiting();
            if self.waiting.len() > ARCHIVE_QUEUE_MAX
                && let Some(lost) = self.waiting.pop_front()
            {
                tracing::error!(swarm = %lost.swarm(), "a change is lost: too many wait for the disk");
            }
            // The publisher may have gone.
            _ = done.send(());
        }
        self.write_waiting();
    }

    /// Writes what waits. What the disk does not take is tried again with the next change.
    fn write_waiting(&mut self) {
        while let Some(work) = self.waiting.front() {
            let swarm = work.swarm();
            match write_one(&mut self.open, &mut self.database, work) {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(error) => {
                    self.database = None;
                    let count = self.waiting.len();
                    return tracing::error!(%swarm, count, "changes are not saved yet, make room on the disk: {error}");
                }
            }
        }
    }
}

fn write_one(
    open: &mut impl FnMut() -> Result<Database, redb::Error>,
    database: &mut Option<Database>,
    work: &Work,
) -> Result<(), redb::Error> {
    let database = match database {
        Some(database) => database,
        None => database.insert(open()?),
    };
    match work {
        Work::Save(saved, evicted) => write(database, saved, evicted),
        Work::Remove(swarm, forgotten) => remove(database, *swarm, *forgotten),
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A file on a disk that is full while it is told so.
    #[derive(Debug)]
    struct Disk(FileBackend, Arc<AtomicBool>);

    impl Disk {
        fn check(&self) -> io::Result<()> {
            if self.1.load(Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.check().and_then(|()| self.0.set_len(len))
        }

        fn sync_data(&self) -> io::Result<()> {
            self.check().and_then(|()| self.0.sync_data())
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.check().and_then(|()| self.0.write(offset, data))
        }
    }

    #[tokio::test]
    async fn what_a_full_disk_does_not_take_is_written_once_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        drop(Archive::open(folder.path()).unwrap());
        let is_full = Arc::new(AtomicBool::new(false));
        let open = {
            let (path, is_full) = (path.clone(), Arc::clone(&is_full));
            move || database(Disk(FileBackend::new(open_private(&path)?)?, Arc::clone(&is_full)))
        };
        let archive = Archive::over(Writer { open, database: None, waiting: VecDeque::new() });
        let save =
            async |name| archive.slot().await.unwrap().save(saved(name, None), Vec::new()).await.unwrap();
        save(1).await;
        is_full.store(true, Ordering::Relaxed);
        save(2).await;
        archive.slot().await.unwrap().remove(SwarmId([1; 32]), None).await.unwrap();
        is_full.store(false, Ordering::Relaxed);
        save(4).await;
        drop(archive);
        let (_, after) = Archive::open(folder.path()).unwrap();
        assert_eq!(after.saved, [saved(2, None), saved(4, None)]);
        assert_eq!(after.removed, [SwarmId([1; 32])]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_place_of_the_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, folder.path().join(FILE)).unwrap();
        let error = Archive::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("it is a link") && !elsewhere.exists(), "{error}");
    }

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
