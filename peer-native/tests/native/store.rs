//! Partial files: what survives a restart, and what is not touched.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use peer_native::inside::{Opened, PartFile, Store, StoreError};
use swarm_core::limits::{CONTENT_BYTES_MAX, GROUPS_MAX};
use swarm_core::{GroupRange, HashTree, Manifest, Verified};

use crate::content::{bytes, described};

const LENGTH: usize = 20 * 16384 + 77;

/// Verifies a range against what is known and returns it.
fn verified(whole: &HashTree, known: &mut HashTree, content: &[u8], range: GroupRange) -> Verified {
    let span = whole.geometry().bytes(range);
    let bytes = Bytes::copy_from_slice(&content[span.start as usize..span.end as usize]);
    known.verify(range, &whole.prove(range, |_| false).unwrap(), bytes).unwrap()
}

fn open(target: &Path, manifest: &Manifest) -> Opened {
    PartFile::open(target, manifest).unwrap()
}

/// Fetches some ranges and leaves as if the program had been killed after saving.
fn fetch(target: &Path, content: &[u8], ranges: &[GroupRange]) -> (Store, HashTree, Manifest) {
    let (whole, manifest) = described(content);
    let Opened { mut store, mut tree, .. } = open(target, &manifest);
    for range in ranges {
        let verified = verified(&whole, &mut tree, content, *range);
        store.write(&verified, &tree).unwrap();
    }
    store.save_tree(&tree).unwrap();
    (store, tree, manifest)
}

#[test]
fn a_fetch_goes_on_where_it_stopped_and_gives_the_file_its_name_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("film");
    let content = bytes(1, LENGTH);
    let (store, ..) = fetch(&target, &content, &[GroupRange::new(3, 7), GroupRange::new(20, 21)]);
    drop(store);
    let (whole, manifest) = described(&content);
    let Opened { mut store, held, mut tree } = open(&target, &manifest);
    assert_eq!(held.iter().collect::<Vec<_>>(), [3, 4, 5, 6, 20]);
    let mut read = Vec::new();
    store.read(GroupRange::new(5, 7), &tree, &mut read).unwrap();
    assert_eq!(read, content[5 * 16384..7 * 16384]);
    for group in tree.geometry().all().iter().filter(|group| !held.has(*group)) {
        let verified = verified(&whole, &mut tree, &content, GroupRange::one(group));
        store.write(&verified, &tree).unwrap();
    }
    assert!(!target.exists());
    store.finish().unwrap();
    assert_eq!(fs::read(&target).unwrap(), content);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
    read.clear();
    store.read(GroupRange::one(20), &tree, &mut read).unwrap();
    assert_eq!(read, content[20 * 16384..]);
}

#[test]
fn what_was_damaged_meanwhile_is_not_held() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("film");
    let content = bytes(2, LENGTH);
    let (store, _, manifest) = fetch(&target, &content, &[GroupRange::new(0, 4)]);
    drop(store);
    let part = directory.path().join("film.part");
    let mut damaged = fs::read(&part).unwrap();
    damaged[16384 + 5] ^= 1;
    fs::write(&part, damaged).unwrap();
    assert_eq!(open(&target, &manifest).held.iter().collect::<Vec<_>>(), [0, 2, 3]);
    // Half a sidecar vouches for half.
    let sidecar = directory.path().join("film.part.tree");
    let saved = fs::read(&sidecar).unwrap();
    fs::write(&sidecar, &saved[..saved.len() / 2]).unwrap();
    assert!(open(&target, &manifest).held.count() <= 3);
}

#[test]
fn a_manifest_that_claims_64_gib_takes_no_more_than_what_is_held() {
    let directory = tempfile::tempdir().unwrap();
    let (_, mut manifest) = described(&bytes(9, LENGTH));
    manifest.length_bytes = CONTENT_BYTES_MAX;
    manifest.segments.truncate(1);
    manifest.segments[0].group_count = GROUPS_MAX;
    let target = directory.path().join("film");
    let Opened { store, tree, .. } = open(&target, &manifest);
    store.save_tree(&tree).unwrap();
    drop(store);
    // A second start reads what the tree vouches for, which is nothing, and not 64 GiB of holes.
    let opened = open(&target, &manifest);
    assert!(opened.held.is_empty());
    let lengths = ["film.part.tree", "film.part.spare"]
        .map(|name| fs::metadata(directory.path().join(name)).unwrap().len());
    assert!(lengths[0] <= 32 && lengths[1] <= 128 * 1024, "{lengths:?}");
}

#[cfg(unix)]
#[test]
fn the_spare_file_is_never_shorter_than_the_tree_that_it_stands_for() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("film");
    let content = bytes(10, 3000 * 16384);
    let (whole, manifest) = described(&content);
    let Opened { mut store, mut tree, .. } = open(&target, &manifest);
    for group in 0..3000 {
        let verified = verified(&whole, &mut tree, &content, GroupRange::one(group));
        store.write(&verified, &tree).unwrap();
        let spare = fs::metadata(directory.path().join("film.part.spare")).unwrap().len();
        assert!(spare >= 32 + tree.export_bytes(), "{spare} bytes at group {group}");
    }
    store.save_tree(&tree).unwrap();
    drop(store);
    assert!(open(&target, &manifest).held.is_full());
}

#[test]
fn a_fetch_killed_before_anything_was_saved_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("film");
    let (_, manifest) = described(&bytes(3, LENGTH));
    drop(open(&target, &manifest));
    assert!(open(&target, &manifest).held.is_empty());
}

#[cfg(unix)]
#[test]
fn links_in_the_place_of_our_files_are_not_followed() {
    let content = bytes(4, LENGTH);
    let (_, manifest) = described(&content);
    for name in ["film.part", "film.part.tree", "film.part.spare"] {
        let directory = tempfile::tempdir().unwrap();
        let (target, precious) = (directory.path().join("film"), directory.path().join("precious"));
        fs::write(&precious, "of somebody").unwrap();
        std::os::unix::fs::symlink(&precious, directory.path().join(name)).unwrap();
        let opened = PartFile::open(&target, &manifest);
        assert_eq!(fs::read(&precious).unwrap(), b"of somebody", "{name}");
        // The spare is only zeros: the link goes and a file of our own takes its place.
        assert_eq!(opened.is_ok(), name == "film.part.spare", "{name}");
        // A link that points nowhere yet is not followed either.
        let dangling = directory.path().join("nowhere");
        fs::remove_file(directory.path().join(name)).ok();
        std::os::unix::fs::symlink(&dangling, directory.path().join(name)).unwrap();
        drop(PartFile::open(&directory.path().join("film"), &manifest));
        assert!(!dangling.exists(), "{name}");
    }
}

#[test]
fn files_of_others_are_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("film");
    let (_, manifest) = described(&bytes(4, LENGTH));
    let refused = |name: &str| {
        let before = fs::read(directory.path().join(name)).unwrap();
        let error = PartFile::open(&target, &manifest).unwrap_err();
        assert!(matches!(&error, StoreError::Occupied(path) if path.ends_with(name)), "{error}");
        assert_eq!(fs::read(directory.path().join(name)).unwrap(), before);
        fs::remove_file(directory.path().join(name)).unwrap();
    };
    for (name, contents) in [
        ("film", bytes(5, LENGTH)),
        ("film", b"short".to_vec()),
        ("film.part", b"of a browser".to_vec()),
        ("film.part.tree", bytes(6, 100)),
        ("film.part.spare", b"\0precious".to_vec()),
    ] {
        fs::write(directory.path().join(name), contents).unwrap();
        refused(name);
    }
    drop(open(&target, &manifest));
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("film");
    let (_, manifest) = described(&bytes(4, LENGTH));
    for name in ["film", "film.part", "film.part.tree", "film.part.spare"] {
        let path = directory.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (sender, receiver) = std::sync::mpsc::channel();
        let (target, manifest) = (target.clone(), manifest.clone());
        std::thread::spawn(move || sender.send(PartFile::open(&target, &manifest).is_err()));
        let is_refused = receiver.recv_timeout(std::time::Duration::from_secs(10));
        assert_eq!(is_refused, Ok(true), "{name}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_whole_file_with_its_name_is_taken_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("film");
    let content = bytes(7, LENGTH);
    fs::write(&target, &content).unwrap();
    let opened = open(&target, &described(&content).1);
    assert!(opened.held.is_full() && matches!(opened.store, Store::Full(_)));
}

#[test]
fn a_file_that_is_being_fetched_is_not_fetched_twice() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("film");
    let (_, manifest) = described(&bytes(8, LENGTH));
    let first = open(&target, &manifest);
    assert!(matches!(PartFile::open(&target, &manifest), Err(StoreError::Busy(_))));
    drop(first);
    open(&target, &manifest);
}
