//! `FILE.tree`: the tree file beside a content, for mirrors.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use swarm_core::HashTree;
use swarm_core::tree::sidecar;

/// Where the tree of a file belongs.
pub fn path_of(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".tree");
    name.into()
}

/// Writes a whole tree. Nothing has the name before all of it is there.
pub fn write(path: &Path, tree: &HashTree) -> io::Result<()> {
    let mut part = OsString::from(path);
    part.push(".part");
    let part = PathBuf::from(part);
    let mut out = BufWriter::new(File::create(&part)?);
    out.write_all(&sidecar::header(tree.geometry(), tree.root()))?;
    for page in 0..sidecar::page_count(tree.geometry()) {
        let bytes = tree.page(page).ok_or_else(|| io::Error::other("the tree is not whole"))?;
        out.write_all(&bytes)?;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(&part, path)
}

/// Whether a file is the tree file of this content, by its length and its header.
pub fn is_of(path: &Path, tree: &HashTree) -> bool {
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
}
