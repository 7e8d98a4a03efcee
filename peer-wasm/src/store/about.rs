//! What the page lists of a stored content, and which contents give way to another one.

use serde::{Deserialize, Serialize};
use swarm_core::Manifest;

use super::file::{File, FileError};

/// A description is no longer than this, bytes.
pub(crate) const ABOUT_BYTES_MAX: u64 = 64 * 1024;

/// A stored content, as `about` says in JSON. `www/app/library.js` reads it, too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// Name of the file.
    pub(crate) name: String,
    /// Title, if it has one.
    pub(crate) title: Option<String>,
    /// Length of the content.
    pub(crate) length_bytes: u64,
    /// Bytes of it that are stored.
    pub(crate) held_bytes: u64,
    /// When it was last open, ms since 1970.
    pub(crate) watched_ms: u64,
    /// Whether the person keeps it.
    pub(crate) is_kept: bool,
}

impl About {
    /// The description of a content of which nothing is stored.
    pub(crate) fn new(manifest: &Manifest, is_kept: bool) -> Self {
        let (name, title) = (manifest.name.clone(), manifest.title.clone());
        Self { name, title, length_bytes: manifest.length_bytes, is_kept, ..Self::default() }
    }

    /// Reads a description; none if it is cut short or was never written.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        // From text, as everything else: another source of bytes would need another copy of serde_json's code.
        serde_json::from_str(str::from_utf8(bytes).ok()?).ok()
    }

    /// Writes the description over the one before.
    pub(crate) fn write(&self, file: &dyn File) -> Result<(), FileError> {
        let text = serde_json::to_vec(self).map_err(|error| FileError::Failed(error.to_string()))?;
        file.write(0, &text)?;
        file.truncate(text.len() as u64)
    }
}

/// Another content that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Name of its folder.
    pub(crate) folder: String,
    /// Bytes that it takes.
    pub(crate) bytes: u64,
    /// When it was last open, ms since 1970.
    pub(crate) watched_ms: u64,
    /// Whether the person keeps it.
    pub(crate) is_kept: bool,
}

/// Bytes that a content may take beside what the person keeps.
pub(crate) fn room(cap_bytes: u64, others: &[Stored]) -> u64 {
    let kept: u64 = others.iter().filter(|other| other.is_kept).map(|other| other.bytes).sum();
    cap_bytes.saturating_sub(kept)
}

/// The contents that give way to `needed_bytes`: watched longest ago first, and none that is kept.
pub(crate) fn giving_way(cap_bytes: u64, needed_bytes: u64, mut others: Vec<Stored>) -> Vec<String> {
    let mut used_bytes: u64 = others.iter().map(|other| other.bytes).sum::<u64>() + needed_bytes;
    others.retain(|other| !other.is_kept);
    others.sort_by_key(|other| other.watched_ms);
    let mut folders = Vec::new();
    for other in others {
        if used_bytes <= cap_bytes {
            break;
        }
        used_bytes -= other.bytes;
        folders.push(other.folder);
    }
    folders
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::store::file::tests::Disk;

    fn stored(folder: &str, bytes: u64, watched_ms: u64, is_kept: bool) -> Stored {
        Stored { folder: folder.into(), bytes, watched_ms, is_kept }
    }

    #[test]
    fn what_was_watched_longest_ago_gives_way_and_what_is_kept_does_not() {
        let others = vec![
            stored("new", 30, 9, false),
            stored("kept", 30, 1, true),
            stored("old", 10, 2, false),
            stored("older", 10, 1, false),
        ];
        assert_eq!(room(100, &others), 70);
        assert_eq!(giving_way(100, 20, others.clone()), [""; 0]);
        assert_eq!(giving_way(100, 25, others.clone()), ["older"]);
        assert_eq!(giving_way(100, 40, others.clone()), ["older", "old"]);
        assert_eq!(giving_way(100, 500, others), ["older", "old", "new"]);
    }

    #[test]
    fn a_shorter_description_replaces_a_longer_one_and_a_torn_one_is_none() {
        let disk = Disk::new(1000);
        let file = disk.file("about");
        let long = About { title: Some("A title".into()), name: "a long name".into(), ..About::default() };
        let short = About { name: "b".into(), is_kept: true, ..About::default() };
        let read = || {
            let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
            file.read(0, &mut bytes).unwrap();
            About::read(&bytes)
        };
        assert_eq!(read(), None);
        long.write(&file).unwrap();
        assert_eq!(read(), Some(long));
        short.write(&file).unwrap();
        assert_eq!(read(), Some(short));
        disk.change("about", |bytes| bytes.truncate(10));
        assert_eq!(read(), None);
    }
}
