//! Verified groups in memory, up to a limit.

use std::collections::BTreeMap;

use bytes::Bytes;
use swarm_core::{Geometry, GroupRange, Verified};

/// Maximum bytes that one tab keeps in memory. A tab that plays a 1.2 GB film may take 350 MB, and takes 224 MB when it
/// keeps none of them in memory (`bench_memory`): decoder, page, browser and the peer itself.
pub const STORE_BYTES_MAX: u64 = 112 * 1024 * 1024;

/// A failed operation of the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Tell the core that the groups are not held.
    #[error("the memory of this tab is full ({0} bytes are kept at most)")]
    Full(u64),
    /// Tell the core: its set of held groups is wrong.
    #[error("group {0} is not in memory")]
    Missing(u32),
}

/// Verified groups of one content.
#[derive(Debug)]
pub(super) struct Memory {
    geometry: Geometry,
    groups: BTreeMap<u32, Bytes>,
    kept_bytes: u64,
    cap_bytes: u64,
}

impl Memory {
    /// Nothing yet; at most `cap_bytes`.
    pub(super) const fn new(geometry: Geometry, cap_bytes: u64) -> Self {
        Self { geometry, groups: BTreeMap::new(), kept_bytes: 0, cap_bytes }
    }

    /// Keeps verified bytes, one entry for each group. An entry has memory of its own, unless the message had no other
    /// group: otherwise a group that is kept would keep its evicted neighbours in memory.
    /// Groups that are held elsewhere are left out.
    pub(super) fn put(
        &mut self,
        verified: &Verified,
        is_elsewhere: impl Fn(u32) -> bool,
    ) -> Result<(), StoreError> {
        let base = self.geometry.offset(verified.range().start);
        for group in verified.range().iter() {
            if self.groups.contains_key(&group) || is_elsewhere(group) {
                continue;
            }
            let span = self.geometry.bytes(GroupRange::one(group));
            if self.kept_bytes + (span.end - span.start) > self.cap_bytes {
                return Err(StoreError::Full(self.cap_bytes));
            }
            let bytes = verified.bytes().slice(index(span.start - base)..index(span.end - base));
            let is_alone = verified.range().len() == 1;
            let bytes = if is_alone { bytes } else { Bytes::copy_from_slice(&bytes) };
            self.groups.insert(group, bytes);
            self.kept_bytes += span.end - span.start;
        }
        Ok(())
    }

    /// Removes groups.
    pub(super) fn evict(&mut self, range: GroupRange) {
        let lost: Vec<u32> = self.groups.range(range.iter()).map(|(group, _)| *group).collect();
        for group in lost {
            self.groups.remove(&group);
            self.kept_bytes -= self.geometry.len_bytes(GroupRange::one(group));
        }
    }

    /// The bytes of a group.
    pub(super) fn group(&self, group: u32) -> Option<Bytes> {
        self.groups.get(&group).cloned()
    }
}

/// An offset within one message as an index. Messages are much shorter than 4 GiB.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
