//! Tests of the store as a whole.

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

#[test]
fn a_store_takes_a_message_beyond_the_budget_before_it_evicts() {
    let (content, geometry, verified) = content();
    let mut store = Store::within(geometry, 2 * GROUP as u64);
    store.put(&verified(GroupRange::new(0, 2))).unwrap();
    store.put(&verified(GroupRange::new(2, 4))).unwrap();
    store.evict(GroupRange::new(0, 2));
    assert_eq!(store.read(2 * GROUP as u64, u64::MAX, u64::MAX).concat(), content[2 * GROUP..]);
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
    use swarm_core::peer::{Appetite, Input, Peer, PeerConfig};
    use swarm_core::{HashTree, Timestamp};

    let mut manifest = crate::fixture::manifest(CONTENT_BYTES_MAX, "video/mp4");
    let (kind, period) = (SegmentKind::Data, Period::Playback);
    let group_count = manifest.geometry().group_count();
    let (priority, time_ms, duration_ms) = (PRIORITY_DEFAULT, None, None);
    manifest.segments = vec![Segment { group_count, kind, priority, period, time_ms, duration_ms }];
    let (geometry, root) = (manifest.geometry(), manifest.root);
    let before = core::arch::wasm32::memory_size::<0>();
    let swarm = manifest.swarm_id().unwrap();
    let mut peer = Peer::new(PeerConfig {
        manifest: Some(Arc::new(manifest)),
        appetite: Appetite::Viewer { budget_bytes: STORE_BYTES_MAX, is_kept: false },
        ..PeerConfig::viewer(swarm, 1)
    });
    peer.handle_input(Timestamp::ZERO, Input::Start);
    let store = Store::new(geometry, STORE_BYTES_MAX);
    let tree = Box::new(HashTree::unknown(geometry, root));
    peer.handle_input(Timestamp::ZERO, Input::StoreReady { held: store.held().clone(), tree });
    assert!(peer.held().is_some_and(|held| held.capacity() == group_count));
    let grown_bytes = (core::arch::wasm32::memory_size::<0>() - before) * PAGE_BYTES;
    assert!(grown_bytes < 2 * 1024 * 1024, "{grown_bytes} bytes");
}

/// A content of four groups on a disk of the tests.
mod on_disk {
    use std::time::Duration;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use swarm_core::{ContentRoot, HashTree, Manifest, Timestamp, TreeBuilder};

    use super::super::disk::{Files, Given};
    use super::super::file::tests::Disk;
    use super::*;

    const ALL: GroupRange = GroupRange::new(0, 4);

    fn tree() -> HashTree {
        let mut builder = TreeBuilder::new();
        content().0.chunks(GROUP).for_each(|group| builder.push(group));
        builder.finish().unwrap()
    }

    fn manifest() -> Manifest {
        let tree = tree();
        let root: ContentRoot = tree.root();
        Manifest { root, ..crate::fixture::manifest(tree.geometry().length_bytes(), "video/mp4") }
    }

    fn given(disk: &Disk, cap_bytes: u64) -> Given {
        let file = |name| -> Box<dyn super::super::file::File> { Box::new(disk.file(name)) };
        let files =
            Files { content: file("content"), index: [file("index0"), file("index1")], about: file("about") };
        let saved = files.saved();
        Given { files, saved, cap_bytes, is_kept: false }
    }

    fn open(disk: &Disk) -> (Store, HashTree) {
        Store::open(&manifest(), Some(given(disk, u64::MAX)))
    }

    /// A store with these groups, saved.
    fn stored(disk: &Disk, range: GroupRange) -> Store {
        let (mut store, _) = open(disk);
        let (_, _, verified) = content();
        store.put(&verified(range)).unwrap();
        store.save(&tree(), 1);
        store
    }

    #[test]
    fn what_was_stored_is_held_again_and_proven() {
        let disk = Disk::new(u64::MAX);
        stored(&disk, GroupRange::new(1, 4));
        let (mut store, tree) = open(&disk);
        assert_eq!(store.held().iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(store.read(GROUP as u64, u64::MAX, u64::MAX).concat(), content().0[GROUP..]);
        assert!(tree.prove(GroupRange::new(2, 3), |_| false).is_some(), "it can be passed on");
        store.verify_some();
        assert!(store.take_lost().is_empty());
        assert!(store.is_on_disk() && disk.used() > 3 * GROUP as u64 - 20_000);
    }

    #[test]
    fn what_is_put_in_memory_is_written_to_no_file() {
        let disk = Disk::new(u64::MAX);
        let mut store = stored(&disk, GroupRange::new(0, 2));
        let used = disk.used();
        let (bytes, _, verified) = content();
        store.put_in_memory(&verified(GroupRange::new(1, 4))).unwrap();
        assert_eq!(disk.used(), used);
        assert_eq!(store.read(0, u64::MAX, u64::MAX).concat(), bytes);
        drop(store);
        assert_eq!(open(&disk).0.held().iter().collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn damaged_groups_are_never_given_out_and_are_lost() {
        let disk = Disk::new(u64::MAX);
        stored(&disk, GroupRange::new(0, 3));
        disk.change("content", |bytes| bytes[GROUP + 7] ^= 1);
        let (mut store, _) = open(&disk);
        assert!(store.held().has(1), "not looked at yet");
        assert_eq!(store.read(0, u64::MAX, u64::MAX).concat(), content().0[..GROUP]);
        assert_eq!(store.take_lost(), [GroupRange::one(1)]);
        assert_eq!(store.held().iter().collect::<Vec<_>>(), [0, 2]);

        let (mut store, _) = open(&disk);
        store.verify_some();
        assert_eq!(store.take_lost(), [GroupRange::one(1)], "found without being read");
        let (_, _, verified) = content();
        store.put(&verified(GroupRange::one(1))).unwrap();
        assert_eq!(store.group(1).unwrap(), content().0[GROUP..2 * GROUP]);
    }

    #[test]
    fn a_crash_between_data_and_index_leaves_what_the_index_before_named() {
        let disk = Disk::new(u64::MAX);
        let mut store = stored(&disk, GroupRange::new(0, 2));
        let (_, _, verified) = content();
        // An evicted group's place is not written to before an index was saved that no longer names it.
        store.evict(GroupRange::one(0));
        store.put(&verified(GroupRange::one(3))).unwrap();
        disk.crash();
        let (mut store, _) = open(&disk);
        store.verify_some();
        assert!(store.take_lost().is_empty());
        assert_eq!(store.held().iter().collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn an_index_that_was_torn_leaves_the_one_before_it() {
        let disk = Disk::new(u64::MAX);
        let mut store = stored(&disk, GroupRange::new(0, 2));
        let (_, _, verified) = content();
        store.put(&verified(GroupRange::one(2))).unwrap();
        store.save(&tree(), 2);
        // The first save is number 1, so the second went to the other slot.
        disk.change("index0", |bytes| bytes.truncate(100));
        assert_eq!(open(&disk).0.held().count(), 2);
        disk.change("index1", |bytes| bytes[20] ^= 4);
        let (store, tree) = open(&disk);
        assert!(store.held().is_empty() && tree.known_groups().next().is_none());
    }

    #[test]
    fn groups_without_a_proof_or_a_place_are_not_held() {
        let disk = Disk::new(u64::MAX);
        let (mut store, _) = open(&disk);
        let (_, geometry, verified) = content();
        store.put(&verified(ALL)).unwrap();
        store.save(&HashTree::unknown(geometry, manifest().root), 1);
        assert!(open(&disk).0.held().is_empty(), "nothing proves them");
        let disk = Disk::new(u64::MAX);
        stored(&disk, ALL);
        disk.change("content", |bytes| bytes.truncate(GROUP));
        let (mut store, _) = open(&disk);
        assert!(store.held().count() <= 1);
        store.put(&verified(ALL)).unwrap();
        assert_eq!(store.read(0, u64::MAX, u64::MAX).concat(), content().0);
    }

    #[test]
    fn a_full_disk_leaves_the_rest_to_memory() {
        let disk = Disk::new(2 * GROUP as u64 + 100);
        let (mut store, _) = open(&disk);
        let (content, _, verified) = content();
        let before = store.budget_bytes();
        store.put(&verified(ALL)).unwrap();
        assert_eq!(store.read(0, u64::MAX, u64::MAX).concat(), content);
        assert!(store.held().is_full() && store.budget_bytes() < before);
        assert_eq!(store.budget_bytes(), STORE_BYTES_MAX + 2 * GROUP as u64);
        // Room that became free is used again once an index no longer names it.
        disk.set_quota(1 << 20);
        store.evict(GroupRange::one(0));
        store.save(&tree(), 1);
        store.put(&verified(GroupRange::one(0))).unwrap();
        store.save(&tree(), 2);
        assert_eq!(open(&disk).0.held().iter().collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn no_more_than_the_cap_is_written() {
        let disk = Disk::new(u64::MAX);
        let (mut store, _) = Store::open(&manifest(), Some(given(&disk, 2 * GROUP as u64)));
        let (content, _, verified) = content();
        store.put(&verified(ALL)).unwrap();
        assert_eq!(disk.used(), 2 * GROUP as u64);
        assert_eq!(store.read(0, u64::MAX, u64::MAX).concat(), content);
    }

    #[test]
    fn cleared_files_are_lost_and_what_comes_then_is_kept_in_memory() {
        let disk = Disk::new(u64::MAX);
        let mut store = stored(&disk, GroupRange::new(0, 2));
        disk.is_gone.set(true);
        assert!(store.read(0, u64::MAX, u64::MAX).is_empty());
        assert_eq!(store.take_lost(), [GroupRange::one(0), GroupRange::one(1)]);
        assert_eq!(store.budget_bytes(), STORE_BYTES_MAX);
        let (content, _, verified) = content();
        store.put(&verified(GroupRange::one(0))).unwrap();
        store.save(&tree(), 2);
        assert_eq!(store.read(0, u64::MAX, u64::MAX).concat(), content[..GROUP]);
        assert!(store.take_lost().is_empty());
    }

    #[test]
    fn saving_is_due_after_a_share_of_the_content_or_a_second_and_takes_a_share_of_the_time() {
        let disk = Disk::new(u64::MAX);
        let (mut store, _) = open(&disk);
        store.save(&tree(), 1);
        store.saved_in(Timestamp::from_millis(1000), Duration::from_millis(10));
        assert!(!store.is_save_due(Timestamp::from_millis(9000)), "nothing changed");
        let (_, _, verified) = content();
        store.put(&verified(GroupRange::one(0))).unwrap();
        assert!(!store.is_save_due(Timestamp::from_millis(1199)), "saving took 10 ms");
        assert!(store.is_save_due(Timestamp::from_millis(1200)), "a quarter of the content is new");
        store.save(&tree(), 1);
        store.saved_in(Timestamp::from_millis(2000), Duration::from_millis(1));
        store.evict(GroupRange::one(0));
        assert!(!store.is_save_due(Timestamp::from_millis(2999)));
        assert!(store.is_save_due(Timestamp::from_millis(3000)));
    }

    #[test]
    fn a_content_that_is_whole_is_saved_at_once_however_long_saving_takes() {
        let disk = Disk::new(u64::MAX);
        let (mut store, _) = open(&disk);
        let (_, geometry, verified) = content();
        let all = geometry.all();
        store.put(&verified(GroupRange::new(0, all.end - 1))).unwrap();
        store.save(&tree(), 1);
        store.saved_in(Timestamp::from_millis(1000), Duration::from_secs(1));
        store.put(&verified(GroupRange::one(all.end - 1))).unwrap();
        assert!(store.is_save_due(Timestamp::from_millis(1001)));
        store.save(&tree(), 1);
        assert!(!store.is_save_due(Timestamp::from_millis(1001)));
    }
}
