//! Room on the disk that is given up when nothing else is left, so that the tree can still be saved.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::files::{create_anew, not_following};

/// The file grows by this much at least: what 1,000 groups add to a saved tree.
const STEP_BYTES: u64 = 64 * 1024;

/// It is longer than the next saved tree by this much at least: what a few messages add, so that it is long enough
/// when the disk is full and it cannot grow.
const MARGIN_BYTES: u64 = 16 * 1024;

/// It grows by one part in so many of what it is at least, so that it does not grow often.
const GROWTH_SHARE: u64 = 8;

/// How much of a file is looked at at a time.
const READ_BYTES: usize = 16 * 1024;

/// A file of zeros.
#[derive(Debug)]
pub(super) struct Spare {
    path: PathBuf,
    length_bytes: u64,
}

impl Spare {
    /// Whether what has its name is not ours: anything but zeros. A link is no file of anyone.
    pub(super) fn is_foreign(path: &Path) -> io::Result<bool> {
        let found = match fs::symlink_metadata(path) {
            Ok(found) if !found.is_symlink() => found,
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if !found.is_file() {
            return Ok(true);
        }
        let mut file = not_following(OpenOptions::new().read(true)).open(path)?;
        let mut bytes = [0; READ_BYTES];
        loop {
            match file.read(&mut bytes)? {
                0 => return Ok(false),
                count if bytes.iter().take(count).any(|byte| *byte != 0) => return Ok(true),
                _ => {}
            }
        }
    }

    /// An empty one. What has its name goes.
    pub(super) fn new(path: PathBuf) -> io::Result<Self> {
        create_anew(&path)?;
        Ok(Self { path, length_bytes: 0 })
    }

    /// Takes room for a tree of that length, and a step ahead.
    pub(super) fn reserve(&mut self, tree_bytes: u64) -> io::Result<()> {
        let needed_bytes = tree_bytes + MARGIN_BYTES;
        if needed_bytes <= self.length_bytes {
            return Ok(());
        }
        let length_bytes = (needed_bytes + needed_bytes / GROWTH_SHARE).next_multiple_of(STEP_BYTES);
        let mut file = not_following(OpenOptions::new().append(true).create(true)).open(&self.path)?;
        let missing_bytes = length_bytes.saturating_sub(file.metadata()?.len());
        io::copy(&mut io::repeat(0).take(missing_bytes), &mut file)?;
        file.sync_data()?;
        self.length_bytes = length_bytes;
        Ok(())
    }

    /// Gives the room back.
    pub(super) fn give_up(&self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%error, spare = %self.path.display(), "cannot be removed");
            }
            Ok(()) | Err(_) => {}
        }
    }
}
