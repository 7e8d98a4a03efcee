//! The manifest: everything an author says about one content, authenticated by its digest.
//!
//! Canonical bytes are the magic `TRB1` followed by the `postcard` form of [`Manifest`]. Only bytes that
//! encode back to themselves are accepted, so that one manifest has exactly one [`SwarmId`].

use serde::{Deserialize, Serialize};

use crate::group::{Geometry, GroupRange};
use crate::id::{ContentRoot, SwarmId};
use crate::limits::{CONTENT_BYTES_MAX, MANIFEST_BYTES_MAX, SEGMENTS_MAX, TEXT_BYTES_MAX, TRACKERS_MAX};

const MAGIC: &[u8; 4] = b"TRB1";

/// Priority of a segment the author said nothing about.
pub const PRIORITY_DEFAULT: u8 = 3;

/// The highest priority.
pub const PRIORITY_MAX: u8 = 7;

/// Bytes or fields that are not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Ask another source: these bytes belong to another id.
    #[error("the manifest hashes to {actual}, not to {expected}")]
    WrongDigest {
        /// The id that was asked for.
        expected: SwarmId,
        /// The id of the bytes that came.
        actual: SwarmId,
    },
    /// Do not use: made by another format version or damaged.
    #[error("these bytes are not a manifest of a version this program knows")]
    Malformed,
    /// Do not use: a field is beyond its limit or contradicts another.
    #[error("the manifest breaks a rule: {0}")]
    Invalid(&'static str),
}

/// What a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentKind {
    /// Container headers, without which nothing plays.
    Header,
    /// An index of the container (`sidx`, `Cues`).
    Index,
    /// Media that starts at a keyframe.
    Media,
    /// Bytes without known structure.
    Data,
}

/// When the author wants a segment transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Before anything else.
    Start,
    /// In playback order.
    Playback,
    /// Only with spare capacity.
    Background,
}

/// The author's unit: a run of groups with a priority, a period and, where known, a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Length in groups, at least 1. Where it starts follows from those before it.
    pub group_count: u32,
    /// What it holds.
    pub kind: SegmentKind,
    /// 0 (least) to [`PRIORITY_MAX`].
    pub priority: u8,
    /// When to transfer it.
    pub period: Period,
    /// Presentation time of its first sample, ms.
    pub time_ms: Option<u64>,
    /// Duration of its samples, ms.
    pub duration_ms: Option<u64>,
}

/// What an author publishes about one content. Its digest is the swarm's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// File name, for people.
    pub name: String,
    /// Media type, such as `video/mp4`.
    pub media_type: String,
    /// Length of the content in bytes.
    pub length_bytes: u64,
    /// BLAKE3 digest of the content.
    pub root: ContentRoot,
    /// The segment table; its groups tile the content exactly.
    pub segments: Vec<Segment>,
    /// Duration of the media, ms, where known.
    pub duration_ms: Option<u64>,
    /// Who published it, in their own words.
    pub author: Option<String>,
    /// When it was published, seconds since 1970.
    pub created_s: u64,
    /// Addresses of trackers beside the one that the link names.
    pub trackers: Vec<String>,
}

impl Manifest {
    /// The canonical bytes. The error is a manifest that [`Manifest::from_bytes`] would refuse.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let bytes = postcard::to_extend(self, MAGIC.to_vec()).map_err(|_| ManifestError::Malformed)?;
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::Invalid("longer than 1 MiB; use fewer segments"));
        }
        Ok(bytes)
    }

    /// The id of the swarm that shares this content.
    pub fn swarm_id(&self) -> Result<SwarmId, ManifestError> {
        Ok(swarm_id_of(&self.to_bytes()?))
    }

    /// Reads canonical bytes that came from anybody and belong to `swarm`.
    pub fn from_bytes(swarm: SwarmId, bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::Invalid("longer than 1 MiB"));
        }
        let actual = swarm_id_of(bytes);
        if actual != swarm {
            return Err(ManifestError::WrongDigest { expected: swarm, actual });
        }
        let body = bytes.strip_prefix(MAGIC).ok_or(ManifestError::Malformed)?;
        let manifest: Self = postcard::from_bytes(body).map_err(|_| ManifestError::Malformed)?;
        if manifest.to_bytes()? != bytes {
            return Err(ManifestError::Malformed);
        }
        Ok(manifest)
    }

    /// How the content's bytes fall into groups.
    pub const fn geometry(&self) -> Geometry {
        Geometry::new(self.length_bytes)
    }

    /// Each segment with its range of groups, in order.
    pub fn segment_ranges(&self) -> impl Iterator<Item = (GroupRange, &Segment)> {
        self.segments.iter().scan(0u32, |start, segment| {
            let range = GroupRange::new(*start, start.saturating_add(segment.group_count));
            *start = range.end;
            Some((range, segment))
        })
    }

    /// Bytes of media a second, from length and duration; `None` where the duration is not known.
    pub fn rate_bytes_per_s(&self) -> Option<u64> {
        let duration_ms = self.duration_ms.filter(|duration| *duration > 0)?;
        Some((self.length_bytes.saturating_mul(1000) / duration_ms).max(1))
    }

    fn check(&self) -> Result<(), ManifestError> {
        let texts = [&self.name, &self.media_type].into_iter().chain(&self.author).chain(&self.trackers);
        if texts.into_iter().any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(ManifestError::Invalid("a text is longer than 1024 bytes"));
        }
        if self.trackers.len() > TRACKERS_MAX {
            return Err(ManifestError::Invalid("more than 16 trackers"));
        }
        if self.length_bytes == 0 || self.length_bytes > CONTENT_BYTES_MAX {
            return Err(ManifestError::Invalid("the content must have 1 byte to 64 GiB"));
        }
        if self.segments.len() > SEGMENTS_MAX {
            return Err(ManifestError::Invalid("more than 16,384 segments"));
        }
        if self.segments.iter().any(|segment| segment.group_count == 0 || segment.priority > PRIORITY_MAX) {
            return Err(ManifestError::Invalid("a segment is empty or its priority is above 7"));
        }
        let tiled: u64 = self.segments.iter().map(|segment| u64::from(segment.group_count)).sum();
        if tiled != u64::from(self.geometry().group_count()) {
            return Err(ManifestError::Invalid("the segments do not tile the content"));
        }
        Ok(())
    }
}

/// The id that `bytes` would have as a manifest.
pub fn swarm_id_of(bytes: &[u8]) -> SwarmId {
    SwarmId(*blake3::hash(bytes).as_bytes())
}

#[cfg(test)]
pub(crate) mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::segmentation::doubling;

    pub(crate) fn sample(length_bytes: u64, root: ContentRoot) -> Manifest {
        Manifest {
            name: "film.mp4".into(),
            media_type: "video/mp4".into(),
            length_bytes,
            root,
            segments: doubling(Geometry::new(length_bytes)),
            duration_ms: Some(60_000),
            author: Some("somebody".into()),
            created_s: 1_700_000_000,
            trackers: vec![],
        }
    }

    #[test]
    fn a_manifest_survives_its_canonical_form() {
        let manifest = sample(10_000_000, ContentRoot([7; 32]));
        let bytes = manifest.to_bytes().unwrap();
        let swarm = manifest.swarm_id().unwrap();
        assert_eq!(Manifest::from_bytes(swarm, &bytes).unwrap(), manifest);
        assert_eq!(manifest.rate_bytes_per_s(), Some(166_666));
    }

    #[test]
    fn a_manifest_of_another_digest_is_refused() {
        let mut bytes = sample(100, ContentRoot([7; 32])).to_bytes().unwrap();
        let swarm = swarm_id_of(&bytes);
        bytes[10] ^= 1;
        assert!(matches!(Manifest::from_bytes(swarm, &bytes), Err(ManifestError::WrongDigest { .. })));
    }

    #[test]
    fn bytes_that_do_not_encode_back_to_themselves_are_refused() {
        let mut bytes = sample(100, ContentRoot([7; 32])).to_bytes().unwrap();
        bytes.push(0);
        assert_eq!(Manifest::from_bytes(swarm_id_of(&bytes), &bytes), Err(ManifestError::Malformed));
        let garbage = b"TRB2 something else";
        assert_eq!(Manifest::from_bytes(swarm_id_of(garbage), garbage), Err(ManifestError::Malformed));
    }

    #[test]
    fn a_table_that_does_not_tile_the_content_is_refused() {
        let mut manifest = sample(1_000_000, ContentRoot([7; 32]));
        manifest.segments.pop();
        assert!(matches!(manifest.to_bytes(), Err(ManifestError::Invalid(_))));
        manifest.segments.clear();
        manifest.length_bytes = 0;
        assert!(manifest.to_bytes().is_err());
    }
}
