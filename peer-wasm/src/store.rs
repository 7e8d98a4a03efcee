//! The store: verified groups of one content, on the disk where the browser gives one, and in memory otherwise.
//!
//! It owns the bytes. The core decides which groups are kept and which are evicted. A disk that takes no more is no error:
//! what comes then is kept in memory, and the core hears how much there is room for.
//!
//! | module | owns |
//! |---|---|
//! | `memory` | groups in memory |
//! | `disk` | groups in files, and when what is saved |
//! | `index` | the bytes of an index |
//! | `file` | one file, and what its errors mean |
//! | `about` | what is listed of a content; which contents give way |
//! | `open` | folder, lock and quota: asks the browser for files |

mod about;
mod disk;
mod file;
mod index;
mod memory;
pub(crate) mod open;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use swarm_core::limits::{FRAME_GROUPS_MAX, GROUP_BYTES};
use swarm_core::{Geometry, GroupRange, GroupSet, HashTree, Manifest, Timestamp, Verified};

use disk::{Disk, Given};
use memory::Memory;
pub use memory::{STORE_BYTES_MAX, StoreError};

/// Groups that an earlier visit stored and that are verified at a time: 4 MiB, about 10 ms.
const VERIFIED_AT_A_TIME: usize = 256;

/// Bytes of groups in one message, at most.
const MESSAGE_BYTES: u64 = FRAME_GROUPS_MAX as u64 * GROUP_BYTES as u64;

/// Verified groups of one content.
pub struct Store {
    geometry: Geometry,
    memory: Memory,
    disk: Option<Disk>,
    held: GroupSet,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.disk.is_some() { "disk" } else { "memory" };
        f.debug_struct("Store").field("place", &place).field("held", &self.held.count()).finish()
    }
}

impl Store {
    /// An empty store in memory that keeps at most `cap_bytes`.
    pub fn new(geometry: Geometry, cap_bytes: u64) -> Self {
        let held = GroupSet::empty(geometry.group_count());
        Self { geometry, memory: Memory::new(geometry, cap_bytes), disk: None, held }
    }

    /// An empty store for a peer that holds at most `budget_bytes`. It takes a message more: the core stores what came before
    /// it evicts what that is too much.
    fn within(geometry: Geometry, budget_bytes: u64) -> Self {
        Self::new(geometry, budget_bytes.saturating_add(MESSAGE_BYTES))
    }

    /// A store with what an earlier visit left, and the tree as far as it is known.
    pub(crate) fn open(manifest: &Manifest, given: Option<Given>) -> (Self, HashTree) {
        let geometry = manifest.geometry();
        let mut store = Self::within(geometry, STORE_BYTES_MAX);
        let Some((given, bytes)) = given.zip(manifest.to_bytes().ok()) else {
            return (store, HashTree::unknown(geometry, manifest.root));
        };
        let (disk, tree) = Disk::open(given, manifest, bytes);
        store.held = disk.held();
        store.disk = Some(disk);
        (store, tree)
    }

    /// The held groups.
    pub const fn held(&self) -> &GroupSet {
        &self.held
    }

    /// The geometry of the content.
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Bytes that may be held at a time.
    pub(crate) fn budget_bytes(&self) -> u64 {
        self.disk.as_ref().map_or(0, Disk::cap_bytes).saturating_add(STORE_BYTES_MAX)
    }

    /// Whether a disk has the groups.
    pub(crate) const fn is_on_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// Whether the person keeps the content.
    pub(crate) fn is_kept(&self) -> bool {
        self.disk.as_ref().is_some_and(Disk::is_kept)
    }

    /// The person keeps the content, or no longer does.
    pub(crate) fn set_kept(&mut self, is_kept: bool) {
        if let Some(disk) = &mut self.disk {
            disk.set_kept(is_kept);
        }
    }

    /// Keeps verified bytes.
    pub fn put(&mut self, verified: &Verified) -> Result<(), StoreError> {
        if self.disk.as_mut().is_some_and(|disk| disk.put(verified).is_ok()) {
            self.held.insert(verified.range());
            return Ok(());
        }
        self.put_in_memory(verified)
    }

    /// Keeps verified bytes where nothing is written to files.
    pub(crate) fn put_in_memory(&mut self, verified: &Verified) -> Result<(), StoreError> {
        let disk = self.disk.as_ref();
        self.memory.put(verified, |group| disk.is_some_and(|disk| disk.has(group)))?;
        self.held.insert(verified.range());
        Ok(())
    }

    /// Removes groups.
    pub fn evict(&mut self, range: GroupRange) {
        self.memory.evict(range);
        if let Some(disk) = &mut self.disk {
            disk.evict(range);
        }
        self.held.remove(range);
    }

    /// The bytes of a group.
    pub fn group(&self, group: u32) -> Result<Bytes, StoreError> {
        let memory = self.memory.group(group);
        let disk = || self.disk.as_ref().and_then(|disk| disk.group(group));
        memory.or_else(disk).ok_or(StoreError::Missing(group))
    }

    /// Appends the bytes of `range` to `out`.
    pub fn append(&self, range: GroupRange, out: &mut Vec<u8>) -> Result<(), StoreError> {
        for group in range.iter() {
            out.extend_from_slice(&self.group(group)?);
        }
        Ok(())
    }

    /// The bytes from `start` on, as slices. They end at the first gap, at `end`, or after `max_bytes`.
    pub fn read(&self, start: u64, end: u64, max_bytes: u64) -> Vec<Bytes> {
        let end = end.min(self.geometry.length_bytes()).min(start.saturating_add(max_bytes));
        let mut at = start;
        let mut slices = Vec::new();
        while at < end {
            let group = self.geometry.group_at(at);
            let Ok(bytes) = self.group(group) else { break };
            let base = self.geometry.offset(group);
            let slice_end = end.min(base + bytes.len() as u64);
            slices.push(bytes.slice(index(at - base)..index(slice_end - base)));
            at = slice_end;
        }
        slices
    }

    /// Groups that turned out to be lost since this was last asked.
    pub(crate) fn take_lost(&mut self) -> Vec<GroupRange> {
        let Some(disk) = &mut self.disk else { return Vec::new() };
        let lost: Vec<GroupRange> = disk.take_lost().into_iter().map(GroupRange::one).collect();
        lost.iter().for_each(|group| {
            self.held.remove(*group);
        });
        lost
    }

    /// Verifies some of what an earlier visit stored.
    pub(crate) fn verify_some(&self) {
        if let Some(disk) = &self.disk {
            disk.verify_some(VERIFIED_AT_A_TIME);
        }
    }

    /// Whether what is held is to be saved for the next visit.
    pub(crate) fn is_save_due(&self, now: Timestamp) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.is_save_due(now))
    }

    /// Saves what is held for the next visit; `date_ms` since 1970.
    pub(crate) fn save(&mut self, tree: &HashTree, date_ms: u64) {
        if let Some(disk) = &mut self.disk {
            disk.save(tree, date_ms);
        }
    }

    /// Saving ended now and took this long.
    pub(crate) fn saved_in(&mut self, now: Timestamp, took: Duration) {
        if let Some(disk) = &mut self.disk {
            disk.saved_in(now, took);
        }
    }

    /// Lets go of the disk. What is there is no longer read.
    pub(crate) fn close(&self) {
        if let Some(disk) = &self.disk {
            disk.close();
        }
    }
}

/// An offset within one group as an index.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
