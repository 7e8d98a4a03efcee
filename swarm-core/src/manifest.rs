//! The manifest: everything an author says about one content, authenticated by its digest.
//!
//! Canonical bytes are the magic `TRB2` followed by the `postcard` form of [`Manifest`]. A manifest with mirrors begins
//! with `TRB3` instead, and the form of [`Mirrors`] follows. Only bytes that encode back to themselves are accepted, so
//! that one manifest has exactly one [`SwarmId`], their digest.
//!
//! The publisher's key is among them. Its signature over the id follows them wherever they are kept or sent.

mod attachment;
mod cues;
mod mirrors;
mod picture;
mod storyboard;
pub mod text;

use serde::{Deserialize, Serialize};

pub use attachment::{Attachment, AttachmentKind};
pub use mirrors::{Mirror, MirrorPolicy, Mirrors};
pub use storyboard::{Grid, Tiles};

use crate::group::{Geometry, GroupRange};
use crate::id::{ContentRoot, PublisherKey, SwarmId};
use crate::limits::{
    CHAPTERS_MAX, CONTENT_BYTES_MAX, MANIFEST_BYTES_MAX, MEDIA_MS_MAX, SEGMENTS_MAX, SUBTITLES_MAX,
    TEXT_BYTES_MAX,
};

use crate::publisher::{SIGNATURE_BYTES, SecretKey, Signature, Statement};

const MAGIC: &[u8; 4] = b"TRB2";

/// What manifests with mirrors begin with: programs that know none refuse them.
const MIRRORED_MAGIC: &[u8; 4] = b"TRB3";

/// What manifests without a publisher's key began with.
const OLD_MAGIC: &[u8; 4] = b"TRB1";

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
    /// Do not use: made by a program from before publishers had keys.
    #[error("this manifest is of an older version without a publisher's key; publish the file again")]
    Old,
    /// Do not use: somebody else made it in the publisher's name.
    #[error("the manifest is not signed by the publisher that it names")]
    Unsigned,
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
    /// Anything else: bytes without known structure, or media cut between keyframes.
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
    /// Presentation time of the keyframe it starts at, or about that of where it is cut otherwise, ms.
    pub time_ms: Option<u64>,
    /// Until the next segment with a time, or the end of the media, ms.
    pub duration_ms: Option<u64>,
}

/// A part of the media that the author gave a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chapter {
    /// Where it begins, ms. It ends where the next one begins.
    pub time_ms: u64,
    /// What it is called, for people; possibly empty.
    pub name: String,
}

/// Who published a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seal {
    /// The publisher's key.
    pub publisher: PublisherKey,
    /// Its signature over the manifest's id; no part of the canonical bytes.
    #[serde(skip)]
    pub signature: Signature,
}

/// What an author publishes about one content. Its digest is the swarm's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Who published it.
    pub seal: Seal,
    /// File name, for people.
    pub name: String,
    /// What it is called, for people, where that is known; otherwise they are shown the name.
    pub title: Option<String>,
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
    /// Named parts of the media, in the order of their times.
    pub chapters: Vec<Chapter>,
    /// Who published it, in their own words.
    pub author: Option<String>,
    /// When the file was last written, seconds since 1970: what the publisher takes for the time of the work.
    pub created_s: u64,
    /// Addresses of trackers beside the one that the link names, at most 8.
    pub trackers: Vec<String>,
    /// Poster, subtitles and storyboard.
    pub attachments: Vec<Attachment>,
    /// HTTP servers that have the content; follows everything else in the canonical bytes.
    #[serde(skip)]
    pub mirrors: Mirrors,
}

impl Manifest {
    /// The canonical bytes and the signature: what is kept and sent. The error is a manifest that
    /// [`Manifest::from_bytes`] would refuse whoever signed it; the signature itself is not checked here.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        let mut bytes = self.canonical()?;
        bytes.extend_from_slice(&self.seal.signature.0);
        Ok(bytes)
    }

    fn canonical(&self) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let magic = if self.mirrors.is_empty() { MAGIC } else { MIRRORED_MAGIC };
        let mut bytes = postcard::to_extend(self, magic.to_vec()).map_err(|_| ManifestError::Malformed)?;
        if !self.mirrors.is_empty() {
            bytes = postcard::to_extend(&self.mirrors, bytes).map_err(|_| ManifestError::Malformed)?;
        }
        if bytes.len() + SIGNATURE_BYTES > MANIFEST_BYTES_MAX {
            return Err(ManifestError::Invalid("longer than 1 MiB; use fewer or smaller attachments"));
        }
        Ok(bytes)
    }

    /// The id of the swarm that shares this content.
    pub fn swarm_id(&self) -> Result<SwarmId, ManifestError> {
        Ok(SwarmId(*blake3::hash(&self.canonical()?).as_bytes()))
    }

    /// The same manifest, published by the holder of this key.
    pub fn signed_by(mut self, key: &SecretKey) -> Result<Self, ManifestError> {
        self.seal.publisher = key.public();
        self.seal.signature = key.sign(&Statement::Manifest(self.swarm_id()?));
        Ok(self)
    }

    /// Reads bytes that came from anybody and belong to `swarm`.
    pub fn from_bytes(swarm: SwarmId, bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::Invalid("longer than 1 MiB"));
        }
        if bytes.starts_with(OLD_MAGIC) {
            return Err(ManifestError::Old);
        }
        let (canonical, signature) = split(bytes).ok_or(ManifestError::Malformed)?;
        let actual = SwarmId(*blake3::hash(canonical).as_bytes());
        if actual != swarm {
            return Err(ManifestError::WrongDigest { expected: swarm, actual });
        }
        let (magic, body) = canonical.split_first_chunk().ok_or(ManifestError::Malformed)?;
        let (mut manifest, rest): (Self, &[u8]) =
            postcard::take_from_bytes(body).map_err(|_| ManifestError::Malformed)?;
        if magic == MIRRORED_MAGIC {
            manifest.mirrors = postcard::from_bytes(rest).map_err(|_| ManifestError::Malformed)?;
        }
        // What does not encode back has another magic, bytes left over, or integers that are longer than necessary.
        if manifest.canonical()? != canonical {
            return Err(ManifestError::Malformed);
        }
        manifest.seal.signature = signature;
        if !manifest.seal.publisher.has_signed(&Statement::Manifest(swarm), &signature) {
            return Err(ManifestError::Unsigned);
        }
        Ok(manifest)
    }

    /// Takes out of every text what a manifest may not contain: see [`text`].
    pub fn clean_texts(&mut self) {
        let own = [&mut self.name, &mut self.media_type].into_iter().chain(&mut self.title);
        let attached = self.attachments.iter_mut().flat_map(|attachment| {
            [&mut attachment.media_type]
                .into_iter()
                .chain(&mut attachment.language)
                .chain(&mut attachment.label)
        });
        let chapters = self.chapters.iter_mut().map(|chapter| &mut chapter.name);
        for text in own.chain(&mut self.author).chain(chapters).chain(attached).chain(&mut self.trackers) {
            if !text::is_clean(text) {
                *text = text::cleaned(text);
            }
        }
    }

    /// The picture shown before the media plays, where there is one.
    pub fn poster(&self) -> Option<&Attachment> {
        self.attachments.iter().find(|attachment| attachment.kind == AttachmentKind::Poster)
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

    /// Whether the content is one that plays: sound or pictures by its type, or by its segments.
    pub fn is_media(&self) -> bool {
        let is_played = |kind: &str| self.media_type.starts_with(kind);
        is_played("video/")
            || is_played("audio/")
            || self.segments.iter().any(|segment| segment.kind == SegmentKind::Media)
    }

    fn check(&self) -> Result<(), ManifestError> {
        self.check_texts()?;
        if self.length_bytes == 0 || self.length_bytes > CONTENT_BYTES_MAX {
            return Err(ManifestError::Invalid("the content must have 1 byte to 64 GiB"));
        }
        self.check_segments()?;
        let is_in_order = self.chapters.is_sorted_by_key(|chapter| chapter.time_ms);
        if self.chapters.len() > CHAPTERS_MAX || !is_in_order {
            return Err(ManifestError::Invalid("more than 1,024 chapters, or they are not in order"));
        }
        let in_segments = self.segments.iter().flat_map(|segment| [segment.time_ms, segment.duration_ms]);
        let in_chapters = self.chapters.iter().map(|chapter| Some(chapter.time_ms));
        let mut times = in_segments.chain(in_chapters).chain([self.duration_ms]).flatten();
        if times.any(|time_ms| time_ms > MEDIA_MS_MAX) {
            return Err(ManifestError::Invalid("a time or duration is beyond 49 days"));
        }
        self.attachments.iter().try_for_each(Attachment::check)?;
        self.check_counts()
    }

    fn check_counts(&self) -> Result<(), ManifestError> {
        let [mut posters, mut subtitles, mut storyboards] = [0; 3];
        for attachment in &self.attachments {
            match attachment.kind {
                AttachmentKind::Poster => posters += 1,
                AttachmentKind::Subtitles => subtitles += 1,
                AttachmentKind::Storyboard(_) => storyboards += 1,
            }
        }
        if posters > 1 || subtitles > SUBTITLES_MAX || storyboards > 1 {
            return Err(ManifestError::Invalid("more than one poster, one storyboard or 16 subtitles"));
        }
        if storyboards > 0 && self.duration_ms.is_none_or(|duration| duration == 0) {
            return Err(ManifestError::Invalid("a storyboard of what has no duration"));
        }
        Ok(())
    }

    fn check_texts(&self) -> Result<(), ManifestError> {
        let own = [&self.name, &self.media_type].into_iter().chain(&self.title).chain(&self.author);
        let attached = self.attachments.iter().flat_map(|attachment| {
            [&attachment.media_type].into_iter().chain(&attachment.language).chain(&attachment.label)
        });
        let chapters = self.chapters.iter().map(|chapter| &chapter.name);
        let mut texts = own.chain(&self.trackers).chain(chapters).chain(attached);
        if texts.clone().any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(ManifestError::Invalid("a text is longer than 1024 bytes"));
        }
        if !texts.all(|text| text::is_clean(text)) {
            return Err(ManifestError::Invalid(
                "a text has control, invisible or bidirectional formatting characters",
            ));
        }
        mirrors::check_trackers(&self.trackers)?;
        self.mirrors.check()
    }

    fn check_segments(&self) -> Result<(), ManifestError> {
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

/// Canonical bytes, and the signature that follows them.
fn split(bytes: &[u8]) -> Option<(&[u8], Signature)> {
    let (canonical, signature) = bytes.split_last_chunk()?;
    Some((canonical, Signature(*signature)))
}

/// The id that `bytes` would have as a manifest with its signature.
pub fn swarm_id_of(bytes: &[u8]) -> SwarmId {
    let canonical = split(bytes).map_or(&[][..], |(canonical, _)| canonical);
    SwarmId(*blake3::hash(canonical).as_bytes())
}

#[cfg(test)]
pub(crate) mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::limits::{CUES_TOGETHER_MAX, SUBTITLES_BYTES_MAX};
    use crate::segmentation::doubling;

    /// The publisher of the samples.
    pub(crate) fn key() -> SecretKey {
        SecretKey::from_bytes(&[9; 32])
    }

    pub(crate) fn sample(length_bytes: u64, root: ContentRoot) -> Manifest {
        let manifest = Manifest {
            seal: Seal::default(),
            name: "film.mp4".into(),
            title: Some("A film".into()),
            media_type: "video/mp4".into(),
            length_bytes,
            root,
            segments: doubling(Geometry::new(length_bytes)),
            duration_ms: Some(60_000),
            chapters: vec![Chapter { time_ms: 30_000, name: "Finale".into() }],
            author: Some("somebody".into()),
            created_s: 1_700_000_000,
            trackers: vec![],
            attachments: vec![subtitles("WEBVTT\n")],
            mirrors: Mirrors::default(),
        };
        manifest.signed_by(&key()).unwrap()
    }

    fn subtitles(text: &str) -> Attachment {
        Attachment {
            kind: AttachmentKind::Subtitles,
            media_type: "text/vtt".into(),
            language: Some("en".into()),
            label: None,
            bytes: text.to_owned().into(),
        }
    }

    /// The beginning of a PNG of one pixel.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01";

    fn poster(media_type: &str) -> Attachment {
        Attachment {
            kind: AttachmentKind::Poster,
            media_type: media_type.into(),
            language: None,
            label: None,
            bytes: PNG.into(),
        }
    }

    /// The beginning of a WebP of that size.
    pub(crate) fn webp(width: u16, height: u16) -> Vec<u8> {
        let [width, height] = [width, height].map(u16::to_le_bytes);
        [b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a".as_slice(), &width, &height].concat()
    }

    /// Ten tiles in rows of four.
    pub(crate) fn storyboard(picture: &[u8]) -> Attachment {
        Attachment {
            kind: AttachmentKind::Storyboard(Grid { columns: 4, count: 10 }),
            media_type: "image/webp".into(),
            language: None,
            label: None,
            bytes: picture.to_vec().into(),
        }
    }

    #[test]
    fn a_poster_is_a_picture_of_a_known_type() {
        for media_type in ["image/jpeg", "image/png", "image/webp"] {
            let mut manifest = sample(100, ContentRoot([7; 32]));
            assert_eq!(manifest.poster(), None);
            manifest.attachments.push(poster(media_type));
            assert!(manifest.to_bytes().is_ok());
            assert_eq!(manifest.poster(), Some(&poster(media_type)));
        }
    }

    #[test]
    fn texts_that_could_deceive_a_reader_are_refused_and_can_be_cleaned() {
        for hostile in ["gpj.exe\u{202e}", "a\u{7}b", "a\nb", "\u{2066}x\u{2069}", "a\u{200f}", "\u{85}"] {
            let mut manifest = sample(100, ContentRoot([7; 32]));
            manifest.chapters[0].name = hostile.into();
            assert!(manifest.to_bytes().is_err(), "{hostile:?}");
            manifest.chapters[0].name = "Finale".into();
            manifest.title = Some(hostile.into());
            assert!(matches!(manifest.to_bytes(), Err(ManifestError::Invalid(_))), "{hostile:?}");
            manifest.clean_texts();
            assert!(manifest.to_bytes().is_ok(), "{hostile:?}");
        }
    }

    #[test]
    fn canonical_bytes_are_those_of_the_protocol_document() {
        let bytes = sample(100, ContentRoot([7; 32])).to_bytes().unwrap();
        let root = [7; 32];
        let manifest = sample(100, ContentRoot([7; 32]));
        let signature = manifest.seal.signature.0;
        let expected: [&[u8]; 17] = [
            b"TRB2",
            &key().public().0,
            b"\x08film.mp4",
            b"\x01\x06A film",
            b"\x09video/mp4",
            b"\x64",
            &root,
            // One segment: a group of data of priority 3 at playback, without times.
            &[1, 1, 3, 3, 1, 0, 0],
            // 60,000 ms.
            &[1, 0xe0, 0xd4, 0x03],
            // One chapter at 30,000 ms.
            b"\x01\xb0\xea\x01\x06Finale",
            b"\x01\x08somebody",
            // 1,700,000,000 s.
            &[0x80, 0xe2, 0xcf, 0xaa, 0x06],
            // No trackers; one attachment, of kind subtitles.
            &[0, 1, 1],
            b"\x08text/vtt",
            // Language, and no label.
            b"\x01\x02en\x00",
            b"\x07WEBVTT\n",
            &signature,
        ];
        assert_eq!(bytes, expected.concat());
        let seal = manifest.seal;
        let publisher = "fd1724385aa0c75b64fb78cd602fa1d991fdebf76b13c58ed702eac835e9f618";
        assert_eq!(seal.publisher.to_string(), publisher);
        let swarm = "92c459b0875ffedd0db2f280e17c7640b657eb3e7c676d1b471129e434e44b58";
        assert_eq!(manifest.swarm_id().unwrap().to_string(), swarm);
        let (left, right) = (
            "258a13fa756b9030edd6a824fd052f35484b49d258e1cae4ef82b35dec7c39ad",
            "d48161488f80ef5767881fbe967eb300ca3e342de0b70edb6ffb33f15b07bd01",
        );
        assert_eq!(seal.signature.to_string(), [left, right].concat());
    }

    #[test]
    fn an_entry_of_the_segment_table_has_at_most_twenty_bytes() {
        let segment = Segment {
            group_count: crate::limits::GROUPS_MAX,
            kind: SegmentKind::Data,
            priority: PRIORITY_MAX,
            period: Period::Background,
            time_ms: Some(MEDIA_MS_MAX),
            duration_ms: Some(MEDIA_MS_MAX),
        };
        assert!(postcard::to_allocvec(&segment).unwrap().len() <= 20);
    }

    #[test]
    fn what_a_page_could_not_show_is_refused() {
        let refused = |change: fn(&mut Manifest)| {
            let mut manifest = sample(100, ContentRoot([7; 32]));
            change(&mut manifest);
            assert!(matches!(manifest.to_bytes(), Err(ManifestError::Invalid(_))), "{manifest:?}");
        };
        refused(|manifest| manifest.attachments = vec![subtitles("WEBVTT"); SUBTITLES_MAX + 1]);
        refused(|manifest| manifest.attachments = vec![subtitles("")]);
        refused(|manifest| manifest.attachments = vec![subtitles(&" ".repeat(SUBTITLES_BYTES_MAX + 1))]);
        refused(|manifest| {
            let cues = "00:01.000 --> 00:02.000\nx\n".repeat(CUES_TOGETHER_MAX + 1);
            manifest.attachments = vec![subtitles(&cues)];
        });
        refused(|manifest| manifest.attachments[0].media_type = "text/html".into());
        refused(|manifest| manifest.attachments[0].kind = AttachmentKind::Poster);
        refused(|manifest| manifest.attachments = vec![poster("image/svg+xml")]);
        refused(|manifest| manifest.attachments = vec![poster("image/avif")]);
        refused(|manifest| manifest.attachments = vec![poster("image/png; charset=x")]);
        refused(|manifest| manifest.attachments = vec![poster("image/png"), poster("image/png")]);
        refused(|manifest| {
            let bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x55\xf0\0\0\x55\xf0".as_slice();
            manifest.attachments = vec![Attachment { bytes: bytes.into(), ..poster("image/png") }];
        });
        refused(|manifest| {
            let bytes = b"<svg/>".as_slice();
            manifest.attachments = vec![Attachment { bytes: bytes.into(), ..poster("image/png") }];
        });
        refused(|manifest| manifest.attachments = vec![subtitles(&" ".repeat(SUBTITLES_BYTES_MAX)); 5]);
        refused(|manifest| manifest.title = Some("a".repeat(TEXT_BYTES_MAX + 1)));
        refused(|manifest| manifest.chapters = vec![manifest.chapters[0].clone(); CHAPTERS_MAX + 1]);
        refused(|manifest| manifest.chapters.push(Chapter { time_ms: 0, name: String::new() }));
        refused(|manifest| manifest.chapters[0].time_ms = MEDIA_MS_MAX + 1);
        refused(|manifest| manifest.segments[0].duration_ms = Some(MEDIA_MS_MAX + 1));
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
        let garbage = [b"TRB2 something else".as_slice(), &[0; SIGNATURE_BYTES]].concat();
        assert_eq!(Manifest::from_bytes(swarm_id_of(&garbage), &garbage), Err(ManifestError::Malformed));
        for length in 0..SIGNATURE_BYTES {
            let short = &garbage[..length];
            assert!(Manifest::from_bytes(swarm_id_of(short), short).is_err());
        }
    }

    #[test]
    fn a_manifest_in_the_name_of_another_is_refused() {
        let manifest = sample(100, ContentRoot([7; 32]));
        let mut forged = manifest.clone().signed_by(&SecretKey::from_bytes(&[1; 32])).unwrap();
        forged.seal.publisher = key().public();
        let swarm = forged.swarm_id().unwrap();
        let read = |manifest: &Manifest| Manifest::from_bytes(swarm, &manifest.to_bytes().unwrap());
        assert_eq!(swarm, manifest.swarm_id().unwrap(), "the signature is beside what is hashed");
        assert_eq!((read(&forged), read(&manifest)), (Err(ManifestError::Unsigned), Ok(manifest)));
    }

    #[test]
    fn a_manifest_of_the_version_before_keys_gets_one_clear_line() {
        let mut bytes = sample(100, ContentRoot([7; 32])).to_bytes().unwrap();
        bytes[3] = b'1';
        let error = Manifest::from_bytes(swarm_id_of(&bytes), &bytes).unwrap_err();
        assert!(
            error.to_string().contains("older version") && error.to_string().contains("publish"),
            "{error}"
        );
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
