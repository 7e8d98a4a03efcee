//! Manifests on disk, so that a restart of the tracker forgets nothing.
//!
//! One file, `manifests.redb`, in the data directory. A thread of its own writes, since each write waits for the disk;
//! changes reach it in the order in which they were decided.
//!
//! ```text
//! manifests-1  key    swarm id, 32 bytes
//!              value  flags, 1 byte (1 listed, 2 has a publisher) · number, 8 bytes · address, 16 bytes · manifest
//! removed-2    key    swarm id, 32 bytes
//!              value  flags, 1 byte (1 has a key, 2 has an address) · number, 8 bytes · address, 16 bytes · key, 32 bytes
//! ```
//!
//! A manifest that the disk does not take is not kept, and who published it hears that. What is to be forgotten waits, and is tried
//! again: until then a restart brings it back.

mod records;

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use swarm_core::SwarmId;
use tokio::sync::{mpsc, oneshot};

use crate::limits::{ARCHIVE_CACHE_BYTES, ARCHIVE_QUEUE_MAX, ARCHIVE_WAITING_MAX};
use crate::removed::Owner;
pub(crate) use records::{Saved, decode, decode_owner, encode, encode_owner};

const TABLE: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("manifests-1");

/// What publishers removed, with the order in which they did, and whose it was.
const REMOVED: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("removed-2");

/// The same without owners, as earlier versions wrote it.
const REMOVED_BEFORE: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("removed-1");

const FILE: &str = "manifests.redb";

/// Name of the thread that reads the file at the start.
const READER: &str = "archive";

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
    /// The file holds what nobody wrote there.
    #[error(
        "{} is damaged and cannot be read; move it away to start with nothing (publishers that still seed bring their titles \
         back), or put a copy of it in its place",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The thread that reads the file cannot be started.
    #[error("this machine gives no more threads: {source}")]
    Thread {
        /// Why.
        source: io::Error,
    },
}

/// What an earlier life of the tracker left.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) saved: Vec<Saved>,
    /// What publishers removed, the oldest first.
    pub(crate) removed: Vec<(SwarmId, Owner)>,
}

/// What is to be written.
enum Work {
    /// Save a manifest and forget others.
    Save(Saved, Vec<SwarmId>),
    /// Forget a manifest, remember that it was removed, and forget other removals.
    Remove(SwarmId, Owner, Vec<SwarmId>),
    /// Forget manifests that had to go for one that could not be saved.
    Forget(Vec<SwarmId>),
}

impl Work {
    /// What remains to be done once it failed.
    fn remainder(self) -> Option<Self> {
        match self {
            Self::Save(_, evicted) if evicted.is_empty() => None,
            Self::Save(_, evicted) => Some(Self::Forget(evicted)),
            Self::Remove(..) | Self::Forget(_) => Some(self),
        }
    }
}

/// A change that waits to be written, and whom to tell whether it was.
struct Change {
    work: Work,
    done: oneshot::Sender<bool>,
}

/// Whether a change was written, once that is known.
pub(crate) type Written = oneshot::Receiver<bool>;

/// The right to write one change.
pub(crate) struct Slot(mpsc::OwnedPermit<Change>);

impl Slot {
    /// Saves a manifest and forgets others. Tells whether the disk has it.
    pub(crate) fn save(self, saved: Saved, evicted: Vec<SwarmId>) -> Written {
        self.work(Work::Save(saved, evicted))
    }

    /// Forgets a manifest that its publisher removed. Tells whether that is on the disk; if not, it is tried again.
    pub(crate) fn remove(self, swarm: SwarmId, owner: Owner, forgotten: Vec<SwarmId>) -> Written {
        self.work(Work::Remove(swarm, owner, forgotten))
    }

    fn work(self, work: Work) -> Written {
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
        let begun = begin(open.clone())
            .map_err(|source| ArchiveError::Thread { source })?
            .ok_or_else(|| ArchiveError::Damaged { path: path.clone() })?;
        let (database, before) = begun.map_err(|error| {
            let is_damaged = matches!(error, redb::Error::Corrupted(_));
            if is_damaged { ArchiveError::Damaged { path: path.clone() } } else { failed(error) }
        })?;
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

/// Opens the file and reads it. The library panics where it finds what it cannot have written, so that is done in a thread of its
/// own, whose panics are not shown. None if it panicked.
fn begin(
    mut open: impl FnMut() -> Result<Database, redb::Error> + Send + 'static,
) -> io::Result<Option<Result<(Database, Before), redb::Error>>> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |about| {
            if std::thread::current().name() != Some(READER) {
                usual(about);
            }
        }));
    });
    let reader = std::thread::Builder::new().name(READER.to_owned()).spawn(move || {
        let database = open()?;
        let before = read(&database)?;
        Ok((database, before))
    });
    Ok(reader?.join().ok())
}

fn read(database: &Database) -> Result<Before, redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(TABLE)?;
    transaction.open_table(REMOVED)?;
    transaction.open_table(REMOVED_BEFORE)?;
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
    let mut removed = Vec::new();
    for entry in transaction.open_table(REMOVED)?.iter()? {
        let (swarm, value) = entry?;
        match decode_owner(value.value()) {
            Some((number, owner)) => removed.push((number, SwarmId(*swarm.value()), owner)),
            None => tracing::warn!("a saved removal is damaged and left out"),
        }
    }
    for entry in transaction.open_table(REMOVED_BEFORE)?.iter()? {
        let (swarm, number) = entry?;
        removed.push((number.value(), SwarmId(*swarm.value()), Owner::default()));
    }
    removed.sort_unstable_by_key(|(number, swarm, _)| (*number, *swarm));
    Ok(Before { saved: all, removed: removed.into_iter().map(|(_, swarm, owner)| (swarm, owner)).collect() })
}

fn database(file: impl StorageBackend) -> Result<Database, redb::Error> {
    Ok(Database::builder().set_cache_size(ARCHIVE_CACHE_BYTES).create_with_backend(file)?)
}

/// What the writing thread owns.
struct Writer<O> {
    /// Opens the file again: after a failed write the database takes no more.
    open: O,
    database: Option<Database>,
    /// What is to be forgotten and is not yet, in order.
    waiting: VecDeque<Work>,
}

impl<O: FnMut() -> Result<Database, redb::Error>> Writer<O> {
    fn run(mut self, mut changes: mpsc::Receiver<Change>) {
        while let Some(Change { work, done }) = changes.blocking_recv() {
            // In order: what was published again must not be forgotten for an earlier removal.
            let is_written = self.write_waiting() && self.write(&work);
            if !is_written && let Some(work) = work.remainder() {
                self.waiting.push_back(work);
            }
            if self.waiting.len() > ARCHIVE_WAITING_MAX {
                self.waiting.pop_front();
                tracing::error!("a removal is lost: too many wait for the disk");
            }
            // The publisher may have gone.
            _ = done.send(is_written);
        }
        self.write_waiting();
    }

    /// Writes what waits; whether all of it is written. The rest is tried again with the next change.
    fn write_waiting(&mut self) -> bool {
        while let Some(work) = self.waiting.pop_front() {
            if !self.write(&work) {
                self.waiting.push_front(work);
                return false;
            }
        }
        true
    }

    /// Writes a change; whether the disk took it.
    fn write(&mut self, work: &Work) -> bool {
        let written = write_one(&mut self.open, &mut self.database, work);
        if let Err(error) = &written {
            self.database = None;
            let count = self.waiting.len();
            tracing::error!(count, "a change is not saved, make room on the disk: {error}");
        }
        written.is_ok()
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
        Work::Remove(swarm, owner, forgotten) => remove(database, *swarm, *owner, forgotten),
        Work::Forget(swarms) => forget(database, swarms),
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
        transaction.open_table(REMOVED_BEFORE)?.remove(&saved.swarm.0)?;
    }
    Ok(transaction.commit()?)
}

fn forget(database: &Database, swarms: &[SwarmId]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(TABLE)?;
        for swarm in swarms {
            table.remove(&swarm.0)?;
        }
    }
    Ok(transaction.commit()?)
}

fn remove(
    database: &Database,
    swarm: SwarmId,
    owner: Owner,
    forgotten: &[SwarmId],
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        transaction.open_table(TABLE)?.remove(&swarm.0)?;
        let mut table = transaction.open_table(REMOVED)?;
        for forgotten in forgotten {
            table.remove(&forgotten.0)?;
            transaction.open_table(REMOVED_BEFORE)?.remove(&forgotten.0)?;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let number = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        table.insert(&swarm.0, &encode_owner(number, owner)[..])?;
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use bytes::Bytes;
    use swarm_core::PublisherKey;

    use super::*;
    use crate::decision::network::Site;
    use crate::manifests::Provenance;

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

    /// An archive on a disk that is full while it is told so.
    pub(crate) fn on_disk(folder: &Path, is_full: &Arc<AtomicBool>) -> Archive {
        drop(Archive::open(folder).unwrap());
        let (path, is_full) = (folder.join(FILE), Arc::clone(is_full));
        let open = move || database(Disk(FileBackend::new(open_private(&path)?)?, Arc::clone(&is_full)));
        Archive::over(Writer { open, database: None, waiting: VecDeque::new() })
    }

    #[tokio::test]
    async fn who_publishes_on_a_full_disk_hears_so_and_what_is_to_be_forgotten_is_once_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let is_full = Arc::new(AtomicBool::new(false));
        let archive = on_disk(folder.path(), &is_full);
        let save = async |name, evicted| {
            archive.slot().await.unwrap().save(saved(name, None), evicted).await.unwrap()
        };
        assert!(save(1, vec![]).await && save(3, vec![]).await);
        is_full.store(true, Ordering::Relaxed);
        assert!(!save(2, vec![SwarmId([3; 32])]).await, "it is not on the disk");
        let remove = archive.slot().await.unwrap().remove(SwarmId([1; 32]), OWNER, Vec::new());
        assert!(!remove.await.unwrap());
        is_full.store(false, Ordering::Relaxed);
        assert!(save(4, vec![]).await);
        drop(archive);
        let (_, after) = Archive::open(folder.path()).unwrap();
        assert_eq!(after.saved, [saved(4, None)], "what had to go went, and the removal is done");
        assert_eq!(after.removed, [(SwarmId([1; 32]), OWNER)]);
    }

    #[tokio::test]
    async fn a_damaged_file_ends_the_start_in_a_line_and_not_in_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let (archive, _) = Archive::open(folder.path()).unwrap();
        for name in 1..40 {
            assert!(archive.slot().await.unwrap().save(saved(name, None), Vec::new()).await.unwrap());
        }
        drop(archive);
        let path = folder.path().join(FILE);
        let sound = std::fs::read(&path).unwrap();
        let mut damaged_count = 0;
        let mut try_with = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            if let Err(error) = Archive::open(folder.path()) {
                damaged_count += 1;
                let text = error.to_string();
                assert!(text.contains("manifests.redb") && text.contains("move it away"), "{text}");
                assert_eq!(text.lines().count(), 1, "{text}");
            }
        };
        for length in [0, 1, 100, 4096, sound.len() / 2, sound.len() - 1] {
            try_with(&sound[..length]);
        }
        for at in (0..8192).step_by(509).chain((8192..sound.len()).step_by(16_411)) {
            let mut bytes = sound.clone();
            bytes[at..(at + 64).min(sound.len())].fill(0xa5);
            try_with(&bytes);
        }
        assert!(damaged_count > 3, "{damaged_count}");
    }

    const OWNER: Owner = Owner { publisher: Some(PublisherKey([5; 32])), site: None };

    #[test]
    fn the_owner_of_a_removal_is_read_back() {
        let site = Some(Site::of("192.0.2.7".parse().unwrap()));
        for owner in [Owner::default(), OWNER, Owner { site, ..OWNER }] {
            assert_eq!(decode_owner(&encode_owner(7, owner)), Some((7, owner)));
        }
        assert_eq!(decode_owner(&[0; 56]), None);
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
            let save = archive.slot().await.unwrap().save(saved(name, Some("192.0.2.7")), evicted);
            assert!(save.await.unwrap());
        }
        let removed = SwarmId([9; 32]);
        assert!(archive.slot().await.unwrap().save(saved(9, None), Vec::new()).await.unwrap());
        assert!(archive.slot().await.unwrap().remove(removed, OWNER, Vec::new()).await.unwrap());
        let error = Archive::open(&directory).unwrap_err().to_string();
        assert!(error.contains("manifests.redb") && error.contains("--data-dir"), "{error}");
        drop(archive);
        let (_, after) = Archive::open(&directory).unwrap();
        assert_eq!(after.saved, [saved(2, Some("192.0.2.7")), saved(3, Some("192.0.2.7"))]);
        assert_eq!(after.removed, [(removed, OWNER)]);
    }
}
