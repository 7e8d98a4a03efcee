//! Which files are meant when a person names files and folders.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{media, subtitles};

/// Files that one call may name: a peer each, with its tracker connection.
pub(crate) const FILES_MAX: usize = 256;

/// Folders within folders.
const DEPTH_MAX: usize = 32;

/// Endings of what a fetch keeps of a file that is not whole yet.
const UNFINISHED: [&str; 3] = [".part", ".part.tree", ".part.spare"];

/// Names that cannot be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FolderError {
    /// A folder cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder in which there is nothing.
    #[error("{} is a folder with no files to share in it", .0.display())]
    Empty(PathBuf),
    /// More than [`FILES_MAX`].
    #[error("more than {FILES_MAX} files to share; share them in several calls, or pack them into fewer")]
    TooMany,
    /// Deeper than anybody looks.
    #[error("{} is too deep in folders; move it up", .0.display())]
    TooDeep(PathBuf),
}

/// The files that are meant: those named, and all in the folders named and in folders in them, in the order of their
/// names. In folders what is hidden, empty, a link, not fetched to its end, or subtitles of another file is left out.
pub(crate) fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>, FolderError> {
    let mut files = Vec::new();
    for path in named {
        if path.is_dir() {
            let count = files.len();
            collect(path, 0, &mut files)?;
            if files.len() == count {
                return Err(FolderError::Empty(path.clone()));
            }
        } else {
            files.push(path.clone());
        }
        if files.len() > FILES_MAX {
            return Err(FolderError::TooMany);
        }
    }
    Ok(files)
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), FolderError> {
    if depth > DEPTH_MAX {
        return Err(FolderError::TooDeep(folder.to_owned()));
    }
    let read_error = |source| FolderError::Read { path: folder.to_owned(), source };
    let mut entries = fs::read_dir(folder)
        .and_then(|entries| entries.collect::<io::Result<Vec<_>>>())
        .map_err(read_error)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    for entry in &entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        // Not of what a link leads to: links may lead out of the folder, or round in circles.
        let metadata = entry.metadata().map_err(read_error)?;
        if name.starts_with('.') || UNFINISHED.iter().any(|ending| name.ends_with(ending)) {
            continue;
        }
        if metadata.is_dir() {
            collect(&path, depth + 1, files)?;
        } else if metadata.is_file() && metadata.len() > 0 && !is_of_film(&path, &paths) {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            return Err(FolderError::TooMany);
        }
    }
    Ok(())
}

/// Whether a file is the subtitles of a film beside it, and travels with that.
fn is_of_film(path: &Path, beside: &[PathBuf]) -> bool {
    let is_tree = path.extension().is_some_and(|extension| extension == "tree");
    if is_tree && beside.contains(&path.with_extension("")) {
        return true;
    }
    let is_film = |other: &&PathBuf| {
        let media_type = media::media_type(other);
        media_type.starts_with("video/") || media_type.starts_with("audio/")
    };
    path.extension().is_some_and(|extension| extension == "vtt")
        && beside.iter().filter(is_film).any(|film| subtitles::is_beside(path, film))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_stand_for_the_files_in_them_in_order() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
        fs::create_dir_all(root.path().join("b/c")).unwrap();
        fs::create_dir(root.path().join(".git")).unwrap();
        fs::create_dir(root.path().join("empty")).unwrap();
        for name in
            ["d.mp4", "a.txt", "b/c/e", "b/f", ".hidden", ".git/config", "d.vtt", "lone.vtt", "x.part"]
        {
            write(name, "x");
        }
        write("nothing", "");
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.path(), root.path().join("round")).unwrap();
        let named = files(&[root.path().into(), "elsewhere".into()]).unwrap();
        let named: Vec<_> = named.iter().map(|path| path.strip_prefix(root.path()).unwrap_or(path)).collect();
        let expected = ["a.txt", "b/c/e", "b/f", "d.mp4", "lone.vtt", "elsewhere"];
        assert_eq!(named, expected.map(Path::new));
        assert!(matches!(files(&[root.path().join("empty")]), Err(FolderError::Empty(_))));
    }

    #[test]
    fn a_folder_of_thousands_is_refused() {
        let root = tempfile::tempdir().unwrap();
        for index in 0..=FILES_MAX {
            fs::write(root.path().join(index.to_string()), "x").unwrap();
        }
        assert!(matches!(files(&[root.path().into()]), Err(FolderError::TooMany)));
    }
}
