//! Publishing: the same file gives the same swarm, and hashing is done once.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peer_native::data_dir::DataDir;
use peer_native::inside::{Store, StoreError};
use peer_native::publish::{self, Publication, PublishError};
use peer_native::rules::Statement;
use swarm_core::GroupRange;

use crate::content::{self, bytes, key};

const LENGTH: usize = 3 * 1024 * 1024 + 5;

fn publish(
    path: &Path,
    data_dir: Option<&DataDir>,
    progress: impl FnMut(u64),
) -> Result<Publication, PublishError> {
    publish::publish(path, &Statement::default(), &key(), data_dir, progress)
}

fn published(path: &Path, data_dir: &DataDir) -> Publication {
    publish(path, Some(data_dir), |_| ()).unwrap()
}

fn published_saying(path: &Path, statement: &Statement, data_dir: &DataDir) -> Publication {
    publish::publish(path, statement, &key(), Some(data_dir), |_| ()).unwrap()
}

#[test]
fn a_second_start_finds_the_tree_and_names_the_same_swarm() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = DataDir::at(directory.path().join("data"));
    let path = content::file(directory.path(), "film.mp4", 1, LENGTH);
    let mut last = 0;
    let first = publish(&path, Some(&data_dir), |bytes| last = bytes).unwrap();
    assert_eq!(last, LENGTH as u64);
    assert!(!first.is_tree_reused);
    assert_eq!((first.manifest.name.as_str(), first.manifest.media_type.as_str()), ("film.mp4", "video/mp4"));
    assert_eq!(first.manifest.root.0, *blake3::hash(&bytes(1, LENGTH)).as_bytes());
    let second = publish(&path, Some(&data_dir), |_| panic!("hashed again")).unwrap();
    assert!(second.is_tree_reused);
    assert_eq!((second.swarm, second.manifest), (first.swarm, first.manifest));
    assert_eq!(second.tree.export(), first.tree.export());
}

#[test]
fn a_touched_file_is_hashed_again_but_stays_the_same_swarm() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = DataDir::at(directory.path().join("data"));
    let path = content::file(directory.path(), "film", 1, LENGTH);
    // An hour ago, so that its publication is told from one of now.
    let first = published(&path, &data_dir);
    let earlier = SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().write(true).open(&path).unwrap().set_modified(earlier).unwrap();
    let second = published(&path, &data_dir);
    assert!(!second.is_tree_reused);
    assert_eq!(second.swarm, first.swarm);
    content::file(directory.path(), "film", 2, LENGTH);
    assert_ne!(published(&path, &data_dir).swarm, first.swarm);
}

#[test]
fn a_file_has_the_same_link_wherever_it_is_and_whichever_machine_publishes_it() {
    let directory = tempfile::tempdir().unwrap();
    let here = DataDir::at(directory.path().join("one"));
    let there = DataDir::at(directory.path().join("another"));
    fs::create_dir_all(directory.path().join("films")).unwrap();
    let path = content::file(directory.path(), "film.bin", 1, LENGTH);
    let written = SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
    let first = published(&path, &here);
    let written_s = written.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(first.manifest.created_s, written_s, "it says when the file was written");
    assert_eq!(published(&path, &there).swarm, first.swarm, "another data directory, the same key");
    let moved = directory.path().join("films/film.bin");
    fs::rename(&path, &moved).unwrap();
    assert_eq!(published(&moved, &here).swarm, first.swarm, "it was moved");
    // A copy is newer than what it was made from; the data directory knows the content.
    let copy = content::file(directory.path(), "film.bin", 1, LENGTH);
    assert_eq!(published(&copy, &here).swarm, first.swarm);
    assert_eq!(published(&copy, &here).manifest, first.manifest);
    let renamed = directory.path().join("films/another name.bin");
    fs::rename(&moved, &renamed).unwrap();
    assert_ne!(published(&renamed, &here).swarm, first.swarm, "a name is part of what is published");
}

#[test]
fn damage_in_the_data_directory_only_costs_hashing_again() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = DataDir::at(directory.path().join("data"));
    let path = content::file(directory.path(), "film", 1, LENGTH);
    let first = published(&path, &data_dir);
    for kind in ["trees", "manifests", "files"] {
        let entry = fs::read_dir(data_dir.path().join(kind)).unwrap().next().unwrap().unwrap().path();
        let mut saved = fs::read(&entry).unwrap();
        let middle = saved.len() / 2;
        saved[middle] ^= 0x55;
        fs::write(&entry, saved).unwrap();
        let again = published(&path, &data_dir);
        // Without its manifest a content is described again, for which it need not be hashed.
        assert_eq!(again.is_tree_reused, kind == "manifests", "{kind}");
        assert_eq!(again.tree.root(), first.tree.root());
        assert!(published(&path, &data_dir).is_tree_reused, "{kind} was not mended");
    }
}

#[test]
fn what_cannot_be_published_is_named_with_advice() {
    let directory = tempfile::tempdir().unwrap();
    let error = |name: &str| publish(&directory.path().join(name), None, |_| ()).unwrap_err();
    assert!(matches!(error("nothing"), PublishError::Missing(_)));
    assert!(matches!(error("."), PublishError::NotAFile(_)));
    content::file(directory.path(), "empty", 1, 0);
    assert!(matches!(error("empty"), PublishError::Empty(_)));
    assert!(error("empty").to_string().contains("empty"));
    let long = fs::File::create(directory.path().join("long")).unwrap();
    long.set_len((64 << 30) + 1).unwrap();
    assert!(matches!(error("long"), PublishError::TooLong(_)));
}

#[test]
fn a_data_directory_that_cannot_be_written_does_not_stop_publishing() {
    let directory = tempfile::tempdir().unwrap();
    let path = content::file(directory.path(), "film", 1, LENGTH);
    let data_dir = DataDir::at(path.join("not a directory"));
    assert!(!published(&path, &data_dir).is_tree_reused);
}

#[test]
fn a_file_that_changes_while_it_is_seeded_is_not_served_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = content::file(directory.path(), "film", 1, LENGTH);
    let publication = publish(&path, None, |_| ()).unwrap();
    let mut store = Store::Full(publication.file);
    let tree = publication.tree;
    let mut read = Vec::new();
    store.read(GroupRange::one(1), &tree, &mut read).unwrap();
    assert_eq!(read, bytes(1, LENGTH)[16384..2 * 16384]);
    fs::File::options().write(true).open(&path).unwrap().set_len(20_000).unwrap();
    let error = store.read(GroupRange::one(0), &tree, &mut read).unwrap_err();
    assert!(matches!(error, StoreError::Changed(_)));
}

#[test]
fn a_file_that_was_rewritten_with_the_same_length_and_time_is_not_sent() {
    let directory = tempfile::tempdir().unwrap();
    let path = content::file(directory.path(), "film", 1, LENGTH);
    let modified = path.metadata().unwrap().modified().unwrap();
    let publication = publish(&path, None, |_| ()).unwrap();
    let (mut store, tree) = (Store::Full(publication.file), publication.tree);
    fs::write(&path, bytes(2, LENGTH)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let error = store.read(GroupRange::one(1), &tree, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, StoreError::Changed(_)), "{error}");
}

#[test]
fn what_the_author_says_makes_another_swarm_and_each_keeps_its_link() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = DataDir::at(directory.path().join("data"));
    let path = content::file(directory.path(), "film", 1, LENGTH);
    let plain = published(&path, &data_dir);
    let text = "title = \"T\"\n[[rule]]\nbytes = \"100000-\"\nperiod = \"background\"";
    let statement = Statement::parse("film.toml", text).unwrap();
    let ruled = published_saying(&path, &statement, &data_dir);
    assert!(ruled.is_tree_reused, "it was hashed again only because something was said");
    assert_ne!(ruled.swarm, plain.swarm);
    assert_eq!(ruled.manifest.title.as_deref(), Some("T"));
    let last = ruled.manifest.segments.last().unwrap();
    assert_eq!(last.period, swarm_core::manifest::Period::Background);
    assert_eq!(published(&path, &data_dir).swarm, plain.swarm);
    assert_eq!(published_saying(&path, &statement, &data_dir).swarm, ruled.swarm);
}

#[test]
fn a_rule_that_cannot_mean_this_content_is_an_error_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = content::file(directory.path(), "film", 1, LENGTH);
    let statement = Statement::parse("film.toml", "[[rule]]\nchapter = \"Finale\"\npriority = 7").unwrap();
    let error = publish::publish(&path, &statement, &key(), None, |_| ()).unwrap_err();
    assert!(error.to_string().starts_with("film.toml:2:11: there is no chapter `Finale`"), "{error}");
}

#[test]
fn subtitles_beside_a_film_travel_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = DataDir::at(directory.path().join("data"));
    let path = content::file(directory.path(), "film.mp4", 1, LENGTH);
    let without = published(&path, &data_dir);
    fs::write(directory.path().join("film.en.vtt"), "WEBVTT\n").unwrap();
    let with = published(&path, &data_dir);
    assert_ne!(with.swarm, without.swarm);
    let attached = &with.manifest.attachments[0];
    assert_eq!((attached.language.as_deref(), &attached.bytes[..]), (Some("en"), &b"WEBVTT\n"[..]));
    fs::remove_file(directory.path().join("film.en.vtt")).unwrap();
    assert_eq!(published(&path, &data_dir).swarm, without.swarm);
}

#[test]
fn whatever_has_a_byte_can_be_published() {
    let directory = tempfile::tempdir().unwrap();
    let picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0";
    let plain = [("a.png", &picture[..], 0), ("a.txt", b"text", 0), ("one", b"1", 0)];
    // What only its name makes a film is published with a warning.
    for (name, bytes, remarks) in plain.into_iter().chain([("a.mp4", &b"1"[..], 1)]) {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        let publication = publish(&path, None, |_| ()).unwrap();
        assert_eq!(publication.manifest.segments.len(), 1, "{name}");
        assert_eq!(publication.remarks.len(), remarks, "{name}: {:?}", publication.remarks);
    }
}
