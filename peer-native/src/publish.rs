//! From a file to something that can be seeded: its manifest, its tree and the open file.
//!
//! Publishing the same file again with the same to say about it gives the same swarm: what was made the first time is
//! found in the [`DataDir`] as long as the content is the same. Cutting into segments is the core's, reading the file's
//! structure is `media`'s.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use swarm_core::limits::{CONTENT_BYTES_MAX, MEDIA_MS_MAX, TEXT_BYTES_MAX};
use swarm_core::manifest::{Attachment, ManifestError, Mirrors, Seal};
use swarm_core::segmentation::{self, Structure};
use swarm_core::{HashTree, Manifest, SecretKey, SwarmId};

use crate::data_dir::{DataDir, Record};
use crate::media;
pub use crate::media::Remark;
use crate::mirror;
pub use crate::mirror::CheckError;
use crate::rules::{RuleError, Statement};
pub use crate::sidecar::WriteError;
use crate::store::{FileStamp, FullFile};
use crate::{hashing, poster, sidecar, storyboard, subtitles};

/// Random groups of a mirror that are compared before it is named.
const MIRROR_SAMPLES: usize = 4;

/// A file that cannot be published. The text names it and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// There is no such file.
    #[error("{} does not exist; check the name", .0.display())]
    Missing(PathBuf),
    /// A directory or a device.
    #[error("{} is not a file; name files", .0.display())]
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
    /// What the author said does not fit this content.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A mirror lacks the content.
    #[error(transparent)]
    Mirror(#[from] CheckError),
    /// The tree for mirrors cannot be written.
    #[error(transparent)]
    Tree(#[from] WriteError),
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
    /// Where the file is, whatever it was called.
    pub path: PathBuf,
    /// Whether the tree was found in the data directory.
    pub is_tree_reused: bool,
    /// What the publisher should know; empty where the manifest was found in the data directory.
    pub remarks: Vec<Remark>,
}

/// Publishes a file as the holder of `key`. `progress` is told the bytes hashed so far. Blocks.
///
/// That nothing can be saved in `data_dir` is a warning: the next start hashes again and names another swarm.
pub fn publish(
    path: &Path,
    statement: &Statement,
    key: &SecretKey,
    data_dir: Option<&DataDir>,
    progress: impl FnMut(u64),
) -> Result<Publication, PublishError> {
    let read_error = |source: io::Error| read_error(path, source);
    check(path)?;
    let canonical = path.canonicalize().map_err(read_error)?;
    let mut file = File::open(path).map_err(read_error)?;
    let stamp = FileStamp::of(&file).map_err(read_error)?;
    let mut remarks = Vec::new();
    let media_type = media::media_type(path);
    let is_film = media_type.starts_with("video/") || media_type.starts_with("audio/");
    let subtitles = if is_film { subtitles::beside(path, &mut remarks) } else { Vec::new() };
    let said = digest(statement, &subtitles, key);

    let known = data_dir.and_then(|data_dir| data_dir.record(&canonical));
    let current = known.as_ref().filter(|record| record.is_current(stamp));
    let geometry = swarm_core::Geometry::new(stamp.length_bytes);
    let saved_tree = current.and_then(|record| data_dir?.tree(geometry, record.root));
    let is_tree_reused = saved_tree.is_some();
    let tree = match saved_tree {
        Some(tree) => tree,
        None => hashed(path, &mut file, stamp, progress)?,
    };
    // The same content at the same place keeps its manifest though somebody touched the file.
    let known = known.filter(|record| record.root == tree.root());
    let earlier = known.as_ref().and_then(|record| record.swarm(&said));
    let earlier = earlier.and_then(|swarm| data_dir?.manifest(swarm));
    // A file that was moved or copied keeps its link as well, as long as it has its name.
    let name = name_of(path);
    let earlier = earlier.or_else(|| data_dir?.published(tree.root(), &said, &name));
    if !statement.mirrors.is_empty() {
        let is_known = earlier.is_some();
        check_mirrors((path, &statement.mirrors), &tree, is_known, &mut remarks)?;
    }
    let manifest_error = |source| PublishError::Manifest { path: path.to_owned(), source };
    let manifest = match earlier {
        Some(manifest) => manifest,
        None => {
            let created_s = created_s(stamp);
            let about = About { path, media_type, statement, subtitles, created_s };
            about.describe(&mut file, &tree, &mut remarks)?.signed_by(key).map_err(manifest_error)?
        }
    };
    let bytes = manifest.to_bytes().map_err(manifest_error)?;
    let swarm = manifest.swarm_id().map_err(manifest_error)?;
    let mut record = match known {
        Some(record) => record.with_stamp(stamp),
        None => Record::new(&canonical, stamp, tree.root()),
    };
    record.publish(&said, swarm);
    if let Some(data_dir) = data_dir
        && let Err(error) = data_dir.save(&record, swarm, &bytes, &tree)
    {
        tracing::warn!(
            "cannot save in {}: {error}; the next start hashes again, and without the same key the link will be another",
            data_dir.path().display()
        );
    }
    let file = FullFile::new(canonical.clone(), file, stamp);
    let manifest = manifest.into();
    Ok(Publication { manifest, swarm, tree, file, path: canonical, is_tree_reused, remarks })
}

/// The tree of a file, from the data directory if it was hashed before. Blocks.
pub fn tree(
    path: &Path,
    data_dir: Option<&DataDir>,
    progress: impl FnMut(u64),
) -> Result<HashTree, PublishError> {
    let read_error = |source: io::Error| read_error(path, source);
    check(path)?;
    let canonical = path.canonicalize().map_err(read_error)?;
    let mut file = File::open(path).map_err(read_error)?;
    let stamp = FileStamp::of(&file).map_err(read_error)?;
    let known = data_dir.and_then(|data_dir| data_dir.record(&canonical));
    let current = known.filter(|record| record.is_current(stamp));
    let geometry = swarm_core::Geometry::new(stamp.length_bytes);
    match current.and_then(|record| data_dir?.tree(geometry, record.root)) {
        Some(tree) => Ok(tree),
        None => hashed(path, &mut file, stamp, progress),
    }
}

/// Makes sure that FILE.tree is there; what is said if it had to be written.
pub fn write_tree(path: &Path, tree: &HashTree) -> Result<Option<Remark>, PublishError> {
    let beside = sidecar::path_of(path);
    if sidecar::is_of(&beside, tree) {
        return Ok(None);
    }
    sidecar::write(&beside, tree)?;
    Ok(Some(Remark::Info(format!("{} was written, for mirrors", beside.display()))))
}

/// Makes sure that mirrors have the content, and that FILE.tree is there to be brought to them. Once they are named, a mirror
/// that fails is only worth a warning: a publisher starts again although one of them is down.
fn check_mirrors(
    (path, mirrors): (&Path, &Mirrors),
    tree: &HashTree,
    is_named: bool,
    remarks: &mut Vec<Remark>,
) -> Result<(), PublishError> {
    remarks.extend(write_tree(path, tree)?);
    for mirror in &mirrors.servers {
        let mut samples = [0; MIRROR_SAMPLES * 4];
        // Without random numbers the first group is compared again.
        let _ = getrandom::fill(&mut samples);
        let (samples, _) = samples.as_chunks::<4>();
        let samples: Vec<u32> = samples.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        match mirror::check(mirror, tree, &samples) {
            Ok(()) => {}
            Err(error) if is_named => remarks.push(Remark::Warning(error.to_string())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What is wrong with a file before it is even opened: opening a pipe would wait for its writer.
pub fn check(path: &Path) -> Result<(), PublishError> {
    let metadata = path.metadata().map_err(|source| read_error(path, source))?;
    if !metadata.is_file() {
        return Err(PublishError::NotAFile(path.to_owned()));
    }
    match metadata.len() {
        0 => Err(PublishError::Empty(path.to_owned())),
        1..=CONTENT_BYTES_MAX => Ok(()),
        _ => Err(PublishError::TooLong(path.to_owned())),
    }
}

fn read_error(path: &Path, source: io::Error) -> PublishError {
    if source.kind() == io::ErrorKind::NotFound {
        return PublishError::Missing(path.to_owned());
    }
    PublishError::Read { path: path.to_owned(), source }
}

/// Hashes a file and makes sure that nobody wrote to it meanwhile.
fn hashed(
    path: &Path,
    file: &mut File,
    stamp: FileStamp,
    progress: impl FnMut(u64),
) -> Result<HashTree, PublishError> {
    let read_error = |source: io::Error| read_error(path, source);
    let tree = hashing::hash(file, progress).map_err(read_error)?;
    let tree = tree.ok_or_else(|| PublishError::Empty(path.to_owned()))?;
    let is_same = FileStamp::of(file).map_err(read_error)? == stamp;
    if !is_same || tree.geometry().length_bytes() != stamp.length_bytes {
        return Err(PublishError::Changing(path.to_owned()));
    }
    Ok(tree)
}

/// Tells whether the same publisher says the same as before about the same content. What programs add by themselves, such as a
/// poster or a storyboard, is no part of it: a link must not depend on what is installed.
fn digest(statement: &Statement, subtitles: &[Attachment], key: &SecretKey) -> String {
    // Plain data with string keys: it has a form.
    let mut said =
        serde_json::to_vec(&(statement.digest_input(), subtitles, key.public())).unwrap_or_default();
    // What is served at one tracker keeps the digest that it had before manifests listed several.
    if !statement.trackers.is_empty() {
        said.extend(serde_json::to_vec(&statement.trackers).unwrap_or_default());
    }
    if statement.has_mirrors() {
        let mirrors = (&statement.mirrors, &statement.own_mirror);
        said.extend(serde_json::to_vec(&mirrors).unwrap_or_default());
    }
    blake3::hash(&said).to_hex().to_string()
}

/// The name of a file as a manifest has it.
fn name_of(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    swarm_core::manifest::text::cleaned(&media::shortened(name, TEXT_BYTES_MAX))
}

/// The time that a manifest says: when the file was last written, so that the same file has the same manifest wherever and whenever
/// it is published with the same key. The time of publishing where the platform does not tell.
fn created_s(stamp: FileStamp) -> u64 {
    let at = stamp.modified.unwrap_or_else(SystemTime::now);
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// What is known of a file before it is read.
struct About<'a> {
    path: &'a Path,
    media_type: String,
    statement: &'a Statement,
    subtitles: Vec<Attachment>,
    /// Seconds since 1970.
    created_s: u64,
}

impl About<'_> {
    fn describe(
        self,
        file: &mut File,
        tree: &HashTree,
        remarks: &mut Vec<Remark>,
    ) -> Result<Manifest, PublishError> {
        let geometry = tree.geometry();
        let name = name_of(self.path);
        let mut media = media::examine(file, &name, &self.media_type);
        remarks.append(&mut media.remarks);
        let mut structure = media.structure;
        if !self.statement.chapters().is_empty() {
            structure.chapters = self.statement.chapters().to_vec();
        }
        remarks.extend(self.statement.check(geometry, &structure)?.into_iter().map(Remark::Warning));
        let duration_ms = structure.duration_ms.filter(|ms| *ms <= MEDIA_MS_MAX);
        let pictures = self.pictures(&structure);
        let mut manifest = Manifest {
            seal: Seal::default(),
            name,
            title: self.statement.title.clone().or(media.title),
            media_type: self.media_type,
            length_bytes: geometry.length_bytes(),
            root: tree.root(),
            segments: segmentation::segments(geometry, &structure, &self.statement.rules()),
            duration_ms,
            chapters: structure.chapters,
            author: self.statement.author.clone(),
            created_s: self.created_s,
            trackers: self.statement.trackers.clone(),
            attachments: pictures.into_iter().flatten().chain(self.subtitles).collect(),
            mirrors: self.statement.mirrors_of(tree.root()),
        };
        manifest.clean_texts();
        Ok(manifest)
    }

    /// Poster and storyboard, made at the same time, so that together they delay publishing no longer than one of them.
    fn pictures(&self, structure: &Structure) -> [Option<Attachment>; 2] {
        let Structure { duration_ms, ref keyframes, .. } = *structure;
        match self.media_type.split('/').next() {
            Some("video") => std::thread::scope(|scope| {
                let poster = scope.spawn(|| poster::of_film(self.path, duration_ms));
                let storyboard =
                    storyboard::of_film(self.path, duration_ms.filter(|ms| *ms <= MEDIA_MS_MAX), keyframes);
                [poster.join().unwrap_or_default(), storyboard]
            }),
            Some("audio") => [poster::of_sound(self.path), None],
            Some(_) | None => [None, None],
        }
    }
}
