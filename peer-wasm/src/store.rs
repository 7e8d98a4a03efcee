//! The store: verified groups in memory, up to a limit.
//!
//! It owns the bytes. The core decides which groups are kept and which are evicted.

use std::collections::BTreeMap;

use bytes::Bytes;
use swarm_core::{Geometry, GroupRange, GroupSet, Verified};

/// Maximum bytes that one tab keeps in memory. A tab that plays a 1.2 GB film may take 350 MB: the browser's decoder and
/// its buffers take about 130 MB of them, and the peer about 20 MB beside what it holds.
pub const STORE_BYTES_MAX: u64 = 192 * 1024 * 1024;

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
pub struct Store {
    geometry: Geometry,
    groups: BTreeMap<u32, Bytes>,
    held: GroupSet,
    kept_bytes: u64,
    cap_bytes: u64,
}

impl Store {
    /// An empty store that keeps at most `cap_bytes`.
    pub fn new(geometry: Geometry, cap_bytes: u64) -> Self {
        let held = GroupSet::empty(geometry.group_count());
        Self { geometry, groups: BTreeMap::new(), held, kept_bytes: 0, cap_bytes }
    }

    /// The held groups.
    pub const fn held(&self) -> &GroupSet {
        &self.held
    }

    /// The geometry of the content.
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Keeps verified bytes, one entry for each group. An entry has memory of its own, unless the message had no other
    /// group: otherwise a group that is kept would keep its evicted neighbours in memory.
    pub fn put(&mut self, verified: &Verified) -> Result<(), StoreError> {
        let base = self.geometry.offset(verified.range().start);
        for group in verified.range().iter().filter(|group| !self.held.has(*group)).collect::<Vec<_>>() {
            let span = self.geometry.bytes(GroupRange::one(group));
            if self.kept_bytes + (span.end - span.start) > self.cap_bytes {
                return Err(StoreError::Full(self.cap_bytes));
            }
            let bytes = verified.bytes().slice(index(span.start - base)..index(span.end - base));
            let is_alone = verified.range().len() == 1;
            let bytes = if is_alone { bytes } else { Bytes::copy_from_slice(&bytes) };
            self.groups.insert(group, bytes);
            self.held.insert(GroupRange::one(group));
            self.kept_bytes += span.end - span.start;
        }
        Ok(())
    }

    /// Removes groups.
    pub fn evict(&mut self, range: GroupRange) {
        let lost: Vec<u32> = self.groups.range(range.iter()).map(|(group, _)| *group).collect();
        for group in lost {
            self.groups.remove(&group);
            self.held.remove(GroupRange::one(group));
            self.kept_bytes -= self.geometry.len_bytes(GroupRange::one(group));
        }
    }

    /// The bytes of a group.
    pub fn group(&self, group: u32) -> Result<&Bytes, StoreError> {
        self.groups.get(&group).ok_or(StoreError::Missing(group))
    }

    /// Appends the bytes of `range` to `out`.
    pub fn append(&self, range: GroupRange, out: &mut Vec<u8>) -> Result<(), StoreError> {
        for group in range.iter() {
            out.extend_from_slice(self.group(group)?);
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
            let Some(bytes) = self.groups.get(&group) else { break };
            let base = self.geometry.offset(group);
            let slice_end = end.min(base + bytes.len() as u64);
            slices.push(bytes.slice(index(at - base)..index(slice_end - base)));
            at = slice_end;
        }
        slices
    }
}

/// An offset within one message as an index. Messages are much shorter than 4 GiB.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::fixture::{GROUP, content};

    #[test]
    fn what_is_put_is_read_back_across_groups_up_to_the_first_gap() {
        let (content, geometry, verified) = content();
        let mut store = Store::new(geometry, STORE_BYTES_MAX);
        store.put(&verified(GroupRange::new(0, 2))).unwrap();
        store.put(&verified(GroupRange::one(3))).unwrap();
        let read = |start: usize, max: u64| store.read(start as u64, u64::MAX, max).concat();
        assert_eq!(read(5, 10), content[5..15]);
        assert_eq!(read(GROUP - 3, 1 << 20), content[GROUP - 3..2 * GROUP]);
        assert!(read(2 * GROUP, 1 << 20).is_empty());
        assert_eq!(read(3 * GROUP + 40, 1 << 20), content[3 * GROUP + 40..]);
        assert_eq!(store.read(3, 5, 100).concat(), content[3..5]);
        assert_eq!(store.held().count(), 3);
    }

    #[test]
    fn groups_are_appended_whole_or_named_as_missing() {
        let (content, geometry, verified) = content();
        let mut store = Store::new(geometry, STORE_BYTES_MAX);
        store.put(&verified(GroupRange::new(1, 4))).unwrap();
        let mut out = vec![9];
        store.append(GroupRange::new(2, 4), &mut out).unwrap();
        assert_eq!(out[1..], content[2 * GROUP..]);
        assert_eq!(store.append(GroupRange::new(0, 2), &mut out), Err(StoreError::Missing(0)));
    }

    #[test]
    fn a_full_store_takes_more_only_after_forgetting() {
        let (_, geometry, verified) = content();
        let mut store = Store::new(geometry, 2 * GROUP as u64);
        store.put(&verified(GroupRange::new(0, 2))).unwrap();
        assert_eq!(store.put(&verified(GroupRange::one(3))), Err(StoreError::Full(2 * GROUP as u64)));
        store.put(&verified(GroupRange::new(0, 2))).unwrap();
        store.evict(GroupRange::new(1, 3));
        assert!(!store.held().has(1) && store.held().has(0));
        store.put(&verified(GroupRange::one(3))).unwrap();
    }

    /// A page of WebAssembly memory, bytes.
    #[cfg(target_arch = "wasm32")]
    const PAGE_BYTES: usize = 65_536;

    #[cfg(target_arch = "wasm32")]
    #[test]
    fn a_peer_of_a_content_that_claims_64_gib_takes_less_than_2_mib() {
        use std::sync::Arc;
        use swarm_core::limits::CONTENT_BYTES_MAX;
        use swarm_core::manifest::{PRIORITY_DEFAULT, Period, Segment, SegmentKind};
        use swarm_core::peer::{Appetite, Economy, Input, Peer, PeerConfig, UploadLimit};
        use swarm_core::tracker_message::Role;
        use swarm_core::{HashTree, Timestamp};

        let mut manifest = crate::fixture::manifest(CONTENT_BYTES_MAX, "video/mp4");
        let (kind, period) = (SegmentKind::Data, Period::Playback);
        let group_count = manifest.geometry().group_count();
        let (priority, time_ms, duration_ms) = (PRIORITY_DEFAULT, None, None);
        manifest.segments = vec![Segment { group_count, kind, priority, period, time_ms, duration_ms }];
        let (geometry, root) = (manifest.geometry(), manifest.root);
        let before = core::arch::wasm32::memory_size::<0>();
        let mut peer = Peer::new(PeerConfig {
            swarm: manifest.swarm_id().unwrap(),
            role: Role::Viewer,
            manifest: Some(Arc::new(manifest)),
            publisher: None,
            seed: 1,
            appetite: Appetite::Viewer { budget_bytes: STORE_BYTES_MAX, is_kept: false },
            upload: UploadLimit::Unlimited,
            uplink_hint: None,
            token: None,
            economy: Economy::Thrifty,
        });
        peer.handle_input(Timestamp::ZERO, Input::Start);
        let store = Store::new(geometry, STORE_BYTES_MAX);
        let tree = Box::new(HashTree::unknown(geometry, root));
        peer.handle_input(Timestamp::ZERO, Input::StoreReady { held: store.held().clone(), tree });
        assert!(peer.held().is_some_and(|held| held.capacity() == group_count));
        let grown_bytes = (core::arch::wasm32::memory_size::<0>() - before) * PAGE_BYTES;
        assert!(grown_bytes < 2 * 1024 * 1024, "{grown_bytes} bytes");
    }
}
