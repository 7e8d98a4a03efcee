//! From a file to something that can be seeded: its manifest, its tree and the open file.
//!
//! Publishing the same file again gives the same swarm: what was made the first time is found in the
//! [`DataDir`] as long as the content is the same. Cutting into segments is the core's.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use swarm_core::limits::{CONTENT_BYTES_MAX, TEXT_BYTES_MAX};
use swarm_core::manifest::ManifestError;
use swarm_core::{HashTree, Manifest, SwarmId, segmentation};

use crate::hashing::{self, DataDir, Entry};
use crate::media;
use crate::store::{FileStamp, FullFile};

/// A file that cannot be published. The text names it and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// There is no such file.
    #[error("{} does not exist; check the name", .0.display())]
    Missing(PathBuf),
    /// A directory or a device.
    #[error("{} is not a file; name the files in it one by one, or pack them into one", .0.display())]
    NotAFile(PathBuf),
    /// Nothing to share.
    #[error("{} is empty; there is nothing to share", .0.display())]
    Empty(PathBuf),
    /// Beyond the limit of contents.
    #[error("{} is longer than 64 GiB; split it", .0.display())]
    TooLong(PathBuf),
    /// Somebody writes to it.
    #[error("{} changed while it was read; wait until it is complete and start again", .0.display())]
    Changing(PathBuf),
    /// The platform refuses.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The manifest breaks a rule.
    #[error("{} cannot be published: {source}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Which rule.
        source: ManifestError,
    },
}

/// A content ready to be seeded.
#[derive(Debug)]
pub struct Publication {
    /// What it is.
    pub manifest: Arc<Manifest>,
    /// The manifest's id.
    pub swarm: SwarmId,
    /// The whole tree.
    pub tree: HashTree,
    /// The file.
    pub file: FullFile,
    /// Whether the tree was found in the data directory.
    pub is_tree_reused: bool,
}

/// Publishes a file. `progress` is told the bytes hashed so far. Blocks.
///
/// That nothing can be saved in `data_dir` is a warning: the next start hashes again and names another swarm.
pub fn publish(
    path: &Path,
    data_dir: Option<&DataDir>,
    progress: impl FnMut(u64),
) -> Result<Publication, PublishError> {
    let read_error = |source: io::Error| {
        if source.kind() == io::ErrorKind::NotFound {
            return PublishError::Missing(path.to_owned());
        }
        PublishError::Read { path: path.to_owned(), source }
    };
    check(path).map_err(read_error)?.map_or(Ok(()), Err)?;
    let canonical = path.canonicalize().map_err(read_error)?;
    let mut file = File::open(path).map_err(read_error)?;
    let stamp = FileStamp::of(&file).map_err(read_error)?;
    let known = data_dir.and_then(|data_dir| data_dir.entry(&canonical));
    if let (Some(data_dir), Some(entry)) = (data_dir, known.as_ref().filter(|entry| entry.is_current(stamp)))
        && let Some(manifest) = data_dir.manifest(entry.swarm)
        && let Some(tree) = data_dir.tree(manifest.geometry(), manifest.root)
    {
        let (manifest, swarm, file) = (manifest.into(), entry.swarm, FullFile::new(canonical, file, stamp));
        return Ok(Publication { manifest, swarm, tree, file, is_tree_reused: true });
    }
    let tree = hashing::hash(&mut file, progress).map_err(read_error)?;
    let tree = tree.ok_or_else(|| PublishError::Empty(path.to_owned()))?;
    if FileStamp::of(&file).map_err(read_error)? != stamp
        || tree.geometry().length_bytes() != stamp.length_bytes
    {
        return Err(PublishError::Changing(path.to_owned()));
    }
    let manifest_error = |source| PublishError::Manifest { path: path.to_owned(), source };
    // The same content at the same place keeps its manifest though somebody touched the file.
    let earlier = known.filter(|entry| entry.root == tree.root());
    let earlier = earlier.and_then(|entry| data_dir?.manifest(entry.swarm));
    let manifest = earlier.unwrap_or_else(|| describe(path, &mut file, &tree));
    let bytes = manifest.to_bytes().map_err(manifest_error)?;
    let swarm = manifest.swarm_id().map_err(manifest_error)?;
    let entry = Entry::new(&canonical, stamp, tree.root(), swarm);
    if let Some(data_dir) = data_dir
        && let Err(error) = data_dir.save(&entry, &bytes, &tree)
    {
        tracing::warn!(
            "cannot save in {}: {error}; the next start hashes again and the link will be another",
            data_dir.path().display()
        );
    }
    let file = FullFile::new(canonical, file, stamp);
    Ok(Publication { manifest: manifest.into(), swarm, tree, file, is_tree_reused: false })
}

/// What is wrong with a file before it is even opened: opening a pipe would wait for its writer.
fn check(path: &Path) -> io::Result<Option<PublishError>> {
    let metadata = path.metadata()?;
    Ok(if !metadata.is_file() {
        Some(PublishError::NotAFile(path.to_owned()))
    } else if metadata.len() == 0 {
        Some(PublishError::Empty(path.to_owned()))
    } else if metadata.len() > CONTENT_BYTES_MAX {
        Some(PublishError::TooLong(path.to_owned()))
    } else {
        None
    })
}

fn describe(path: &Path, file: &mut File, tree: &HashTree) -> Manifest {
    let geometry = tree.geometry();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Manifest {
        name: shortened(name),
        title: None,
        media_type: media::media_type(path),
        length_bytes: geometry.length_bytes(),
        root: tree.root(),
        segments: segmentation::doubling(geometry),
        duration_ms: media::duration_ms(file),
        chapters: Vec::new(),
        author: None,
        created_s: created.as_secs(),
        trackers: Vec::new(),
        attachments: Vec::new(),
    }
}

/// A name cut to what a manifest takes, at a character's boundary.
fn shortened(mut name: String) -> String {
    let end = (0..=name.len().min(TEXT_BYTES_MAX)).rev().find(|end| name.is_char_boundary(*end));
    name.truncate(end.unwrap_or(0));
    name
}
