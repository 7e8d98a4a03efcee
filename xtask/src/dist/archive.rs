//! Archives that depend on their contents alone: sorted, of one time, owned by root. Also the one that people unpack.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use crate::dist::PACKAGE;
use crate::dist::contents::{Contents, Files};

/// A file with its mode.
pub(super) struct Entry {
    path: PathBuf,
    mode: u32,
    bytes: Vec<u8>,
}

impl Entry {
    /// A program.
    pub(super) fn program(path: impl Into<PathBuf>, bytes: &[u8]) -> Self {
        Self { path: path.into(), mode: 0o755, bytes: bytes.to_vec() }
    }

    /// Another file.
    pub(super) fn file(path: impl Into<PathBuf>, bytes: Vec<u8>) -> Self {
        Self { path: path.into(), mode: 0o644, bytes }
    }

    /// Bytes in it.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// These files below a folder.
pub(super) fn below(folder: impl AsRef<Path>, files: &Files) -> Vec<Entry> {
    files.iter().map(|(path, bytes)| Entry::file(folder.as_ref().join(path), bytes.clone())).collect()
}

/// The archive that people unpack.
pub(super) fn bytes(contents: &Contents, version: &str, time_s: u64) -> Result<Vec<u8>> {
    let root = PathBuf::from(format!("{PACKAGE}-{version}"));
    let mut entries = vec![Entry::program(root.join(PACKAGE), contents.program())];
    entries.extend(below(&root, &contents.texts));
    entries.extend(below(root.join("deploy"), &contents.deploy));
    entries.extend(below(root.join("man/man1"), &contents.manual));
    entries.extend(below(root.join("completions"), &contents.completions));
    gzip(&tar(entries, time_s)?)
}

/// A tar archive with these files and the folders that they are in.
pub(super) fn tar(mut entries: Vec<Entry>, time_s: u64) -> Result<Vec<u8>> {
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    let mut archive = Builder::new(Vec::new());
    let mut folders = BTreeSet::new();
    for entry in &entries {
        let parents: Vec<_> = entry.path.ancestors().skip(1).filter(|path| *path != Path::new("")).collect();
        for folder in parents.into_iter().rev() {
            if folders.insert(folder.to_owned()) {
                let mut header = header(EntryType::Directory, 0o755, 0, time_s);
                archive.append_data(&mut header, folder.join(""), std::io::empty())?;
            }
        }
        let mut header = header(EntryType::Regular, entry.mode, entry.bytes.len(), time_s);
        archive.append_data(&mut header, &entry.path, entry.bytes.as_slice())?;
    }
    Ok(archive.into_inner()?)
}

fn header(kind: EntryType, mode: u32, len: usize, time_s: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(len as u64);
    header.set_mtime(time_s);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Compressed, without a name or a time in the header.
pub(super) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut compressed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    compressed.write_all(bytes)?;
    Ok(compressed.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_sorted_and_does_not_depend_on_the_order_of_its_files() {
        let entry = |path: &str| Entry::file(path, path.into());
        let one = tar(vec![entry("a/c"), entry("a/b/d"), entry("b")], 7).unwrap();
        assert_eq!(one, tar(vec![entry("b"), entry("a/b/d"), entry("a/c")], 7).unwrap());
        let mut archive = tar::Archive::new(one.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 7));
            seen.push(entry.path().unwrap().display().to_string());
        }
        assert_eq!(seen, ["a/", "a/b/", "a/b/d", "a/c", "b"]);
    }

    #[test]
    fn the_archive_has_one_folder_with_a_program_that_can_be_run() {
        let bytes = bytes(&Contents::fake(), "1.2.3", 7).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let modes = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap())
        });
        let modes = modes.collect::<Vec<_>>();
        assert!(modes.contains(&("tributary-1.2.3/tributary".to_owned(), 0o755)), "{modes:?}");
        assert!(modes.contains(&("tributary-1.2.3/deploy/tributary-seed.service".to_owned(), 0o644)));
        assert!(modes.iter().all(|(path, _)| path.starts_with("tributary-1.2.3/")), "{modes:?}");
    }
}
