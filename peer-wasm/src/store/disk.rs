//! Groups of one content in files of the browser's origin-private file system.
//!
//! ```text
//! content         groups in places of 16 KiB, in the order in which they came: the file is as long as what is held
//! index0, index1  what is held and where, written in turns (`index`)
//! about           what the page lists, as JSON (`about`)
//! ```
//!
//! **Order of writing.** Groups, flush, index, flush. A place whose group was evicted is written to again only after an
//! index that no longer names it.
//!
//! **Nothing read back is believed.** A group that an earlier visit stored hashes to its node of the tree, which the root
//! proves, before it is first given out; so do all such groups, a few at a time, soon after the store was opened.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use swarm_core::limits::GROUP_BYTES;
use swarm_core::{Geometry, GroupRange, GroupSet, HashTree, Manifest, Timestamp, Verified};

use super::about::About;
use super::file::{File, FileError};
use super::index::{Index, Run};

/// Bytes of a place.
const PLACE_BYTES: u64 = GROUP_BYTES as u64;

/// The index is saved when one part in so many of the content is new: what a visit that ends at once loses…
const UNSAVED_SHARE: u64 = 256;
/// …and after this long in any case, if anything changed.
const UNSAVED_TIME: Duration = Duration::from_secs(1);
/// Saving takes at most one part in so many of the time.
const SAVING_SHARE: u32 = 20;

/// The open files of one content.
pub(crate) struct Files {
    /// Groups.
    pub(crate) content: Box<dyn File>,
    /// Both slots of the index.
    pub(crate) index: [Box<dyn File>; 2],
    /// What the page lists.
    pub(crate) about: Box<dyn File>,
}

impl Files {
    /// What was stored: the newer of the two indexes.
    pub(crate) fn saved(&self) -> Option<Index> {
        let slots = self.index.iter().filter_map(|slot| Index::read(&**slot).ok().flatten());
        slots.max_by_key(|index| index.sequence)
    }
}

/// What a content is stored in.
pub(crate) struct Given {
    /// Its files.
    pub(crate) files: Files,
    /// What an earlier visit left.
    pub(crate) saved: Option<Index>,
    /// Bytes that it may take.
    pub(crate) cap_bytes: u64,
    /// Whether the person keeps it.
    pub(crate) is_kept: bool,
}

/// Groups that are not verified yet, and the tree to verify them by.
struct Doubted {
    groups: GroupSet,
    tree: HashTree,
}

/// Groups of one content on a disk.
pub(crate) struct Disk {
    files: Files,
    geometry: Geometry,
    manifest: Vec<u8>,
    /// Where each held group lies.
    places: BTreeMap<u32, u32>,
    /// Places that may be written to.
    free: Vec<u32>,
    /// Places that an index on the disk may still name.
    freed: Vec<u32>,
    place_count: u32,
    /// Places that may be used in all.
    place_count_max: u32,
    doubted: RefCell<Option<Doubted>>,
    /// What could not be read.
    lost: RefCell<Vec<u32>>,
    is_broken: Cell<bool>,
    sequence: u64,
    unsaved_bytes: u64,
    is_changed: bool,
    saved_at: Timestamp,
    next_save: Timestamp,
    about: About,
}

impl Disk {
    /// Takes over what an earlier visit stored, as far as the tree proves its groups; the tree.
    pub(crate) fn open(given: Given, manifest: &Manifest, bytes: Vec<u8>) -> (Self, HashTree) {
        let Given { files, saved, cap_bytes, is_kept } = given;
        let (geometry, root) = (manifest.geometry(), manifest.root);
        let saved = saved.unwrap_or_default();
        let tree = HashTree::import(geometry, root, &saved.tree);
        let stored = files.content.size().unwrap_or(0).div_ceil(PLACE_BYTES);
        let stored = u32::try_from(stored).unwrap_or(u32::MAX);
        let mut provable = GroupSet::empty(geometry.group_count());
        tree.known_groups().for_each(|group| {
            provable.insert(GroupRange::one(group));
        });
        let mut disk = Self {
            files,
            geometry,
            manifest: bytes,
            places: BTreeMap::new(),
            free: Vec::new(),
            freed: Vec::new(),
            place_count: stored,
            place_count_max: u32::try_from(cap_bytes / PLACE_BYTES).unwrap_or(u32::MAX),
            doubted: RefCell::new(None),
            lost: RefCell::default(),
            is_broken: Cell::new(false),
            sequence: saved.sequence,
            unsaved_bytes: 0,
            is_changed: true,
            saved_at: Timestamp::ZERO,
            next_save: Timestamp::ZERO,
            about: About::new(manifest, is_kept),
        };
        disk.adopt(&saved.runs, &provable, stored);
        let groups = disk.held();
        if !groups.is_empty() {
            disk.doubted = RefCell::new(Some(Doubted { groups, tree: tree.clone() }));
        }
        (disk, tree)
    }

    /// Takes over places; those that no group has are free.
    fn adopt(&mut self, runs: &[Run], provable: &GroupSet, stored: u32) {
        let mut used = GroupSet::empty(stored);
        for Run { group, place, count } in runs {
            // No more than there is, whatever the index says.
            for step in 0..(*count).min(stored) {
                let (group, place) = (group.saturating_add(step), place.saturating_add(step));
                let is_new = place < stored && !used.has(place) && !self.places.contains_key(&group);
                if is_new && group < provable.capacity() && provable.has(group) {
                    used.insert(GroupRange::one(place));
                    self.places.insert(group, place);
                }
            }
        }
        let all = GroupRange::new(0, stored);
        self.free = used.missing_runs(all).flat_map(|run| run.iter()).collect();
        // The first place is taken first.
        self.free.reverse();
    }

    /// The groups that lie here.
    pub(crate) fn held(&self) -> GroupSet {
        let mut held = GroupSet::empty(self.geometry.group_count());
        self.places.keys().for_each(|group| {
            held.insert(GroupRange::one(*group));
        });
        held
    }

    pub(crate) fn has(&self, group: u32) -> bool {
        self.places.contains_key(&group)
    }

    /// Bytes that may lie here.
    pub(crate) fn cap_bytes(&self) -> u64 {
        if self.is_broken.get() { 0 } else { u64::from(self.place_count_max) * PLACE_BYTES }
    }

    /// Whether the person keeps the content.
    pub(crate) const fn is_kept(&self) -> bool {
        self.about.is_kept
    }

    /// The person keeps the content, or no longer does.
    pub(crate) const fn set_kept(&mut self, is_kept: bool) {
        self.about.is_kept = is_kept;
        self.is_changed = true;
    }

    /// Writes the groups that are not here; what does not fit is left to the caller, and the store grows no more.
    pub(crate) fn put(&mut self, verified: &Verified) -> Result<(), FileError> {
        let base = self.geometry.offset(verified.range().start);
        for group in verified.range().iter() {
            if self.has(group) {
                continue;
            }
            let span = self.geometry.bytes(GroupRange::one(group));
            let [start, end] = [span.start - base, span.end - base].map(index);
            let bytes = verified.bytes().get(start..end).unwrap_or_default();
            self.write(group, bytes)?;
            self.unsaved_bytes += bytes.len() as u64;
            self.is_changed = true;
        }
        Ok(())
    }

    fn write(&mut self, group: u32, bytes: &[u8]) -> Result<(), FileError> {
        if self.is_broken.get() {
            return Err(FileError::Full);
        }
        let is_within = self.place_count < self.place_count_max;
        let reused = self.free.pop();
        let place = reused.or_else(|| is_within.then_some(self.place_count)).ok_or(FileError::Full)?;
        match self.files.content.write(u64::from(place) * PLACE_BYTES, bytes) {
            Ok(()) => {
                self.place_count = self.place_count.max(place.saturating_add(1));
                self.places.insert(group, place);
                Ok(())
            }
            Err(error) => {
                self.free.extend(reused);
                if error == FileError::Full {
                    self.place_count_max = self.place_count_max.min(self.place_count);
                } else {
                    self.is_broken.set(true);
                }
                Err(error)
            }
        }
    }

    /// Forgets groups.
    pub(crate) fn evict(&mut self, range: GroupRange) {
        let lost: Vec<u32> = self.places.range(range.iter()).map(|(group, _)| *group).collect();
        for group in lost {
            self.freed.extend(self.places.remove(&group));
            self.is_changed = true;
            if let Some(doubted) = &mut *self.doubted.borrow_mut() {
                doubted.groups.remove(GroupRange::one(group));
            }
        }
    }

    /// The bytes of a group; `None` if it is not here, or not what it should be: then it is among [`Disk::take_lost`].
    pub(crate) fn group(&self, group: u32) -> Option<Bytes> {
        let place = *self.places.get(&group)?;
        let mut bytes = vec![0; index(self.geometry.len_bytes(GroupRange::one(group)))];
        let read = self.files.content.read(u64::from(place) * PLACE_BYTES, &mut bytes);
        let mut lost = self.lost.borrow_mut();
        match read {
            Ok(read) if read == bytes.len() && self.is_right(group, &bytes) => return Some(bytes.into()),
            Ok(_) => lost.push(group),
            // The files are gone, with all that was in them.
            Err(_) => {
                lost.extend(self.places.keys());
                self.is_broken.set(true);
            }
        }
        None
    }

    /// Whether bytes are those of a group: verified now, or before.
    fn is_right(&self, group: u32, bytes: &[u8]) -> bool {
        let mut doubted = self.doubted.borrow_mut();
        let Some(doubt) = doubted.as_mut().filter(|doubt| doubt.groups.has(group)) else { return true };
        let is_right = doubt.tree.is_group(group, bytes);
        doubt.groups.remove(GroupRange::one(group));
        if doubt.groups.is_empty() {
            *doubted = None;
        }
        is_right
    }

    /// Verifies some of the groups that an earlier visit stored.
    pub(crate) fn verify_some(&self, group_count: usize) {
        let next = || self.doubted.borrow().as_ref().and_then(|doubt| doubt.groups.next(0));
        for _ in 0..group_count {
            let Some(group) = next() else { return };
            let is_here = self.group(group).is_some();
            if !is_here && let Some(doubt) = &mut *self.doubted.borrow_mut() {
                doubt.groups.remove(GroupRange::one(group));
            }
        }
    }

    /// Groups that turned out to be lost. They are no longer held here.
    pub(crate) fn take_lost(&mut self) -> Vec<u32> {
        let lost = std::mem::take(&mut *self.lost.borrow_mut());
        lost.iter().for_each(|group| self.evict(GroupRange::one(*group)));
        lost
    }

    /// Whether the index is to be saved now.
    pub(crate) fn is_save_due(&self, now: Timestamp) -> bool {
        let is_much = self.unsaved_bytes > self.geometry.length_bytes() / UNSAVED_SHARE;
        let is_late = now >= self.saved_at + UNSAVED_TIME;
        // Nothing more will come: this is the last time.
        let is_whole =
            self.unsaved_bytes > 0 && self.places.len() as u64 == u64::from(self.geometry.group_count());
        let is_due = is_whole || (now >= self.next_save && (is_much || is_late));
        self.is_changed && !self.is_broken.get() && is_due
    }

    /// Saves what is held and what proves it.
    pub(crate) fn save(&mut self, tree: &HashTree, date_ms: u64) {
        if self.is_broken.get() {
            return;
        }
        self.about.watched_ms = date_ms;
        self.about.held_bytes = self.held_bytes();
        if self.write_index(tree).is_ok() {
            self.free.append(&mut self.freed);
        }
        let _ = self.about.write(&*self.files.about);
        (self.unsaved_bytes, self.is_changed) = (0, false);
    }

    /// Saving ended now and took this long.
    pub(crate) fn saved_in(&mut self, now: Timestamp, took: Duration) {
        self.saved_at = now;
        self.next_save = now + took * SAVING_SHARE;
    }

    fn held_bytes(&self) -> u64 {
        self.places.keys().map(|group| self.geometry.len_bytes(GroupRange::one(*group))).sum()
    }

    fn write_index(&mut self, tree: &HashTree) -> Result<(), FileError> {
        self.files.content.flush()?;
        let (manifest, runs) = (self.manifest.clone(), self.runs());
        let index = Index { sequence: self.sequence + 1, manifest, runs, tree: tree.export() };
        let Some(slot) = self.files.index.get(index.slot()) else { return Ok(()) };
        slot.write(0, &index.encode())?;
        slot.flush()?;
        self.sequence = index.sequence;
        Ok(())
    }

    fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (group, place) in &self.places {
            match runs.last_mut() {
                Some(run) if run.group + run.count == *group && run.place + run.count == *place => {
                    run.count += 1;
                }
                Some(_) | None => runs.push(Run { group: *group, place: *place, count: 1 }),
            }
        }
        runs
    }

    /// Lets go of the files.
    pub(crate) fn close(&self) {
        let Files { content, index: [first, second], about } = &self.files;
        [content, first, second, about].iter().for_each(|file| file.close());
        self.is_broken.set(true);
    }
}

/// A length within one message as an index.
fn index(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
