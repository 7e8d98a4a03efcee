//! `FILE.tree`: the tree file beside a content, for mirrors.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use swarm_core::HashTree;
use swarm_core::tree::sidecar;

use crate::store::write_atomically_with;

/// Where the tree of a file belongs.
pub(crate) fn path_of(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".tree");
    name.into()
}

/// A tree file that cannot be written. The text names it and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A file of another kind has the name.
    #[error(
        "{} is there already and is not a tree file, so it is left as it is; move it away, or name another file for the tree with \
         `tree FILE --out`",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The platform refuses.
    #[error("{} cannot be written: {source}; write it elsewhere with `tree FILE --out`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes a whole tree, at once with its last byte. In place of an earlier tree file only.
pub(crate) fn write(path: &Path, tree: &HashTree) -> Result<(), WriteError> {
    let failed = |source| WriteError::Io { path: path.to_owned(), source };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
        Ok(there) if there.is_file() && begins_like_a_tree(path).map_err(failed)? => {}
        Ok(_) => return Err(WriteError::Foreign(path.to_owned())),
    }
    let written = write_atomically_with(path, |file| {
        let mut out = BufWriter::new(file);
        out.write_all(&sidecar::header(tree.geometry(), tree.root()))?;
        for page in 0..sidecar::page_count(tree.geometry()) {
            let bytes = tree.page(page).ok_or_else(|| io::Error::other("the tree is not whole"))?;
            out.write_all(&bytes)?;
        }
        out.flush()
    });
    written.map_err(failed)
}

/// Whether a file begins like a tree file, of any version.
fn begins_like_a_tree(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(sidecar::MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start.len() == sidecar::MAGIC.len() && start.starts_with(sidecar::MAGIC_OF_ALL_VERSIONS))
}

/// Whether a file is the tree file of this content, by its length and its header.
pub(crate) fn is_of(path: &Path, tree: &HashTree) -> bool {
    let read = || {
        let mut file = File::open(path)?;
        let mut header = [0; sidecar::HEADER_BYTES];
        file.read_exact(&mut header)?;
        Ok::<_, io::Error>((file.metadata()?.len(), header))
    };
    let geometry = tree.geometry();
    read().is_ok_and(|(length, header)| {
        length == sidecar::file_bytes(geometry)
            && sidecar::read_header(&header) == Ok((geometry.length_bytes(), tree.root()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::TreeBuilder;

    #[test]
    fn a_written_tree_is_recognised_and_another_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = path_of(&directory.path().join("film.mp4"));
        assert!(path.ends_with("film.mp4.tree"));
        let tree = |value: u8| {
            let mut builder = TreeBuilder::new();
            (0..300).for_each(|_| builder.push(&[value; 16_384]));
            builder.finish().unwrap()
        };
        assert!(!is_of(&path, &tree(1)));
        write(&path, &tree(1)).unwrap();
        assert!(is_of(&path, &tree(1)) && !is_of(&path, &tree(2)));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), sidecar::file_bytes(tree(1).geometry()));
        File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
        assert!(!is_of(&path, &tree(1)));
    }

    #[test]
    fn a_file_that_is_no_tree_file_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("film.mp4.tree");
        let mut builder = TreeBuilder::new();
        (0..300).for_each(|_| builder.push(&[1; 16_384]));
        let tree = builder.finish().unwrap();
        for other in [&b""[..], b"TRBTREE", b"a drawing of a tree, and no copy of it"] {
            std::fs::write(&path, other).unwrap();
            let error = write(&path, &tree).unwrap_err();
            assert!(matches!(error, WriteError::Foreign(_)), "{error}");
            assert!(error.to_string().contains("film.mp4.tree is there already"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), other);
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(write(&path, &tree), Err(WriteError::Foreign(_))));
        std::fs::remove_dir(&path).unwrap();
        // What an interrupted program may have left beside it is a person's file, too.
        let part = directory.path().join("film.mp4.tree.part");
        std::fs::write(&part, b"mine").unwrap();
        write(&path, &tree).unwrap();
        assert_eq!(std::fs::read(&part).unwrap(), b"mine");
        std::fs::write(&path, b"TRBTREE0 of an earlier version").unwrap();
        write(&path, &tree).unwrap();
        assert!(is_of(&path, &tree));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_a_tree_file_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join("f.tree"), directory.path().join("target"));
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let mut builder = TreeBuilder::new();
        builder.push(&[1; 100]);
        let tree = builder.finish().unwrap();
        assert!(matches!(write(&path, &tree), Err(WriteError::Foreign(_))));
        assert!(!target.exists());
    }
}
