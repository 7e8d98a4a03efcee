//! Files that hold a content: whole ones that are seeded, partial ones that are fetched into.
//!
//! Owns what is on the disk and nothing else: only [`Verified`] bytes are ever written, and what a partial file
//! holds after a restart is what hashes to the nodes of its tree.
//!
//! ```text
//! FILE            whole; made by renaming FILE.part once everything is verified
//! FILE.part       the content's length from the start, with holes
//! FILE.part.tree  the content root, then the tree nodes known (`HashTree::export`)
//! FILE.part.spare zeros, as long as the next saved tree; given up when the disk is full, so that it can still be saved
//! ```
//! What a fetch takes of the disk, of memory and of time to resume grows with what is held, not with what a manifest claims.

mod files;
mod spare;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use files::{not_following, not_waiting, read_own, with_suffix};
pub(crate) use files::{write_atomically, write_atomically_with};
use spare::Spare;
use swarm_core::{GroupRange, GroupSet, HashTree, Manifest, Verified};

/// Something about a file is not as it must be. The text names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Stop serving: the bytes are no longer those that were published.
    #[error("{} has changed since it was published; start again to publish what it is now", .0.display())]
    Changed(PathBuf),
    /// Stop serving what was asked for.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Stop; everything fetched so far is kept.
    #[error("no space left for {}; free some and fetch again, it goes on where it stopped", .0.display())]
    Full(PathBuf),
    /// Stop; everything fetched so far is kept.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Do not touch the file.
    #[error("{} is something else already; move it away or choose another name", .0.display())]
    Occupied(PathBuf),
    /// Another process writes to it.
    #[error("{} is in use; is it being fetched already?", .0.display())]
    Busy(PathBuf),
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Read { path: path.to_owned(), source }
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| {
        if is_full(&source) {
            return StoreError::Full(path.to_owned());
        }
        StoreError::Write { path: path.to_owned(), source }
    }
}

/// Whether the disk, the person's share of it or the file may not grow any more.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// A file's identity as far as it shows that nobody wrote to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    /// Length in bytes.
    pub length_bytes: u64,
    /// When it was last written to, as far as the platform says.
    pub modified: Option<SystemTime>,
}

impl FileStamp {
    /// The stamp of an open file.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { length_bytes: metadata.len(), modified: metadata.modified().ok() })
    }
}

/// A whole file that is seeded, never written.
#[derive(Debug)]
pub struct FullFile {
    path: PathBuf,
    file: File,
    stamp: FileStamp,
}

impl FullFile {
    /// A file that was hashed while it had `stamp`.
    pub(crate) const fn new(path: PathBuf, file: File, stamp: FileStamp) -> Self {
        Self { path, file, stamp }
    }

    fn read(&mut self, span: std::ops::Range<u64>, into: &mut Vec<u8>) -> Result<(), StoreError> {
        if FileStamp::of(&self.file).map_err(read_error(&self.path))? != self.stamp {
            return Err(StoreError::Changed(self.path.clone()));
        }
        read_span(&mut self.file, span, into).map_err(read_error(&self.path))
    }
}

/// A file that is being fetched.
#[derive(Debug)]
pub struct PartFile {
    target: PathBuf,
    part: PathBuf,
    sidecar: PathBuf,
    spare: Spare,
    file: File,
    /// What the sidecar starts with: the content root.
    root: [u8; 32],
    is_finished: bool,
}

/// What a store holds when it is opened.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Groups held, all verified.
    pub held: GroupSet,
    /// The tree as far as it is known.
    pub tree: HashTree,
}

impl PartFile {
    /// Opens what an earlier fetch left of this content, or begins anew. A whole file is taken as it is.
    /// Reads and hashes all that is there.
    pub fn open(target: &Path, manifest: &Manifest) -> Result<Opened, StoreError> {
        if target.exists() {
            return open_whole(target, manifest);
        }
        let (part, sidecar) = (with_suffix(target, ".part"), with_suffix(target, ".part.tree"));
        let saved = match read_own(&sidecar) {
            Ok(bytes) => Some(bytes),
            Err(_) if sidecar.is_symlink() => return Err(StoreError::Occupied(sidecar)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(read_error(&sidecar)(error)),
        };
        let saved_tree = saved.as_deref().and_then(|bytes| bytes.strip_prefix(&manifest.root.0));
        // A partial file without a sidecar of this content was left by somebody else.
        if saved_tree.is_none() && (saved.is_some() || part.exists()) {
            return Err(StoreError::Occupied(if saved.is_some() { sidecar } else { part }));
        }
        let spare_path = with_suffix(target, ".part.spare");
        if Spare::is_foreign(&spare_path).map_err(read_error(&spare_path))? {
            return Err(StoreError::Occupied(spare_path));
        }
        if saved_tree.is_none() {
            // First, so that a partial file is never without one.
            write_atomically(&sidecar, &[&manifest.root.0]).map_err(write_error(&sidecar))?;
        }
        let geometry = manifest.geometry();
        let mut file = open_locked(&part)?;
        file.set_len(geometry.length_bytes()).map_err(write_error(&part))?;
        let tree = HashTree::import(geometry, manifest.root, saved_tree.unwrap_or_default());
        let held = if saved_tree.is_some() {
            held_groups(&mut file, &tree).map_err(read_error(&part))?
        } else {
            GroupSet::empty(geometry.group_count())
        };
        let mut spare = Spare::new(spare_path).map_err(write_error(&part))?;
        spare.reserve(saved_bytes(&tree)).map_err(write_error(&part))?;
        let (target, root) = (target.to_owned(), manifest.root.0);
        let store = Self { target, part, sidecar, spare, file, root, is_finished: false };
        Ok(Opened { store: Store::Part(store), held, tree })
    }

    fn write(&mut self, verified: &Verified, tree: &HashTree) -> Result<(), StoreError> {
        self.spare.reserve(saved_bytes(tree)).map_err(write_error(&self.part))?;
        let start = tree.geometry().offset(verified.range().start);
        let written =
            self.file.seek(SeekFrom::Start(start)).and_then(|_| self.file.write_all(verified.bytes()));
        written.map_err(write_error(&self.part))
    }

    fn save_tree(&self, tree: &HashTree) -> Result<(), StoreError> {
        let parts: [&[u8]; 2] = [&self.root, &tree.export()];
        write_atomically(&self.sidecar, &parts)
            .or_else(|error| {
                if !is_full(&error) {
                    return Err(error);
                }
                self.spare.give_up();
                write_atomically(&self.sidecar, &parts)
            })
            .map_err(write_error(&self.sidecar))
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        if self.is_finished {
            return Ok(());
        }
        self.file.sync_all().map_err(write_error(&self.part))?;
        if self.target.exists() {
            return Err(StoreError::Occupied(self.target.clone()));
        }
        fs::rename(&self.part, &self.target).map_err(write_error(&self.target))?;
        self.is_finished = true;
        self.spare.give_up();
        if let Err(error) = fs::remove_file(&self.sidecar) {
            tracing::warn!(%error, sidecar = %self.sidecar.display(), "cannot be removed");
        }
        Ok(())
    }

    fn read(&mut self, span: std::ops::Range<u64>, into: &mut Vec<u8>) -> Result<(), StoreError> {
        read_span(&mut self.file, span, into).map_err(read_error(&self.part))
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        self.spare.give_up();
    }
}

/// Where the bytes of a content are.
#[derive(Debug)]
pub enum Store {
    /// In a file of the publisher.
    Full(FullFile),
    /// In a file being fetched.
    Part(PartFile),
}

impl Store {
    /// Appends the bytes of `range`, which are those of the content by its `tree`: a file may have been rewritten with the
    /// same length and time, and who sends wrong bytes is banned by whom it sends them to.
    pub fn read(&mut self, range: GroupRange, tree: &HashTree, into: &mut Vec<u8>) -> Result<(), StoreError> {
        let (geometry, start) = (tree.geometry(), into.len());
        let span = geometry.bytes(range);
        let path = match self {
            Self::Full(file) => {
                file.read(span, into)?;
                &file.path
            }
            Self::Part(file) => {
                file.read(span, into)?;
                &file.part
            }
        };
        let mut rest = into.get(start..).unwrap_or_default();
        for group in range.iter() {
            let length = usize::try_from(geometry.len_bytes(GroupRange::one(group))).unwrap_or(usize::MAX);
            let is_right = rest.split_at_checked(length).filter(|(bytes, _)| tree.is_group(group, bytes));
            let Some((_, after)) = is_right else { return Err(StoreError::Changed(path.clone())) };
            rest = after;
        }
        Ok(())
    }

    /// Keeps bytes that were verified by `tree`; a whole file has them already.
    pub fn write(&mut self, verified: &Verified, tree: &HashTree) -> Result<(), StoreError> {
        match self {
            Self::Full(_) => Ok(()),
            Self::Part(file) => file.write(verified, tree),
        }
    }

    /// Keeps what is known of the tree, so that the next start knows what to trust.
    pub fn save_tree(&self, tree: &HashTree) -> Result<(), StoreError> {
        match self {
            Self::Full(_) => Ok(()),
            Self::Part(file) if file.is_finished => Ok(()),
            Self::Part(file) => file.save_tree(tree),
        }
    }

    /// Everything is held: the file gets its name.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Full(_) => Ok(()),
            Self::Part(file) => file.finish(),
        }
    }
}

/// A file that has its final name already: it is this content, or it is in the way.
fn open_whole(path: &Path, manifest: &Manifest) -> Result<Opened, StoreError> {
    let occupied = || StoreError::Occupied(path.to_owned());
    let mut file = not_waiting(OpenOptions::new().read(true), true).open(path).map_err(read_error(path))?;
    if !file.metadata().map_err(read_error(path))?.is_file() {
        return Err(occupied());
    }
    let stamp = FileStamp::of(&file).map_err(read_error(path))?;
    if stamp.length_bytes != manifest.length_bytes {
        return Err(occupied());
    }
    let tree = crate::hashing::hash(&mut file, |_| ()).map_err(read_error(path))?;
    let tree = tree.filter(|tree| tree.root() == manifest.root).ok_or_else(occupied)?;
    let held = GroupSet::full(manifest.geometry().group_count());
    Ok(Opened { store: Store::Full(FullFile::new(path.to_owned(), file, stamp)), held, tree })
}

fn open_locked(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = not_following(&mut options).open(path).map_err(|error| {
        if path.is_symlink() { StoreError::Occupied(path.to_owned()) } else { write_error(path)(error) }
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::Busy(path.to_owned())),
        // Some network file systems know no locks.
        Err(fs::TryLockError::Error(error)) => {
            tracing::debug!(%error, "no lock on the partial file");
            Ok(file)
        }
    }
}

/// Length of what is saved of a tree.
fn saved_bytes(tree: &HashTree) -> u64 {
    tree.root().0.len() as u64 + tree.export_bytes()
}

/// Groups whose bytes in `file` are those of the content, by the nodes known.
fn held_groups(file: &mut File, tree: &HashTree) -> io::Result<GroupSet> {
    let geometry = tree.geometry();
    let mut held = GroupSet::empty(geometry.group_count());
    let mut bytes = Vec::new();
    for group in tree.known_groups() {
        bytes.clear();
        read_span(file, geometry.bytes(GroupRange::one(group)), &mut bytes)?;
        if tree.is_group(group, &bytes) {
            held.insert(GroupRange::one(group));
        }
    }
    Ok(held)
}

fn read_span(file: &mut File, span: std::ops::Range<u64>, into: &mut Vec<u8>) -> io::Result<()> {
    let length = span.end.saturating_sub(span.start);
    file.seek(SeekFrom::Start(span.start))?;
    let count = file.take(length).read_to_end(into)?;
    if count as u64 == length { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}
