//! What is small enough to travel inside the manifest, and of which kinds.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::storyboard::{Grid, Tiles};
use super::{cues, picture};
use crate::limits::{
    CUES_TOGETHER_MAX, POSTER_BYTES_MAX, POSTER_PIXELS_MAX, STORYBOARD_BYTES_MAX, SUBTITLES_BYTES_MAX,
};
use crate::manifest::ManifestError;

/// Media types of posters: pictures that cannot carry a program, as an SVG could.
const POSTER_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/webp", "image/avif"];

/// Media types of storyboards: those of the pictures whose size the header alone tells.
const STORYBOARD_TYPES: [&str; 2] = ["image/jpeg", "image/webp"];

/// What an attachment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentKind {
    /// A picture shown before the media plays: JPEG, PNG, WebP or AVIF, of at most 4 Mi pixels. One at most.
    Poster,
    /// Text shown with the media: WebVTT.
    Subtitles,
    /// Moments of the film as tiles of one picture, JPEG or WebP, of at most 4 Mi pixels. One at most, and only with a duration. Programs
    /// from before storyboards do not know this kind and refuse the manifest.
    Storyboard(Grid),
}

impl AttachmentKind {
    /// Its name in JSON and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Poster => "poster",
            Self::Subtitles => "subtitles",
            Self::Storyboard(_) => "storyboard",
        }
    }
}

/// Something small that travels inside the manifest, so that the link authenticates it and it is there at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is for.
    pub kind: AttachmentKind,
    /// Its media type; [`AttachmentKind`] says which there may be.
    pub media_type: String,
    /// Language tag (BCP 47), such as `en` or `pt-BR`, where known.
    pub language: Option<String>,
    /// What a menu calls it, where the author said.
    pub label: Option<String>,
    /// The file itself.
    pub bytes: Bytes,
}

impl Attachment {
    /// A page makes something of these bytes, so only types that cannot carry a program are let in.
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        let (media_types, bytes_max): (&[&str], usize) = match self.kind {
            AttachmentKind::Poster => (&POSTER_TYPES, POSTER_BYTES_MAX),
            AttachmentKind::Subtitles => (&["text/vtt"], SUBTITLES_BYTES_MAX),
            AttachmentKind::Storyboard(_) => (&STORYBOARD_TYPES, STORYBOARD_BYTES_MAX),
        };
        if !media_types.contains(&self.media_type.as_str()) {
            return Err(ManifestError::Invalid(
                "a poster is no JPEG, PNG, WebP or AVIF, a storyboard no JPEG or WebP, or subtitles are no WebVTT",
            ));
        }
        if self.bytes.is_empty() || self.bytes.len() > bytes_max {
            return Err(ManifestError::Invalid(
                "an attachment is empty, a poster above 64 KiB, a storyboard above 48 KiB, or subtitles above 256 KiB",
            ));
        }
        match self.kind {
            AttachmentKind::Poster => match picture::pixels(&self.bytes) {
                Some(0..=POSTER_PIXELS_MAX) => Ok(()),
                Some(_) | None => {
                    Err(ManifestError::Invalid("a poster is no picture, or has more than 4 million pixels"))
                }
            },
            AttachmentKind::Subtitles => match cues::together_max(&self.bytes) {
                0..=CUES_TOGETHER_MAX => Ok(()),
                _ => Err(ManifestError::Invalid("subtitles show more than 100 cues at a time")),
            },
            AttachmentKind::Storyboard(grid) => grid.tiles(&self.bytes).map(|_| ()),
        }
    }

    /// The tiles of a storyboard; `None` for other kinds, and for a storyboard that a manifest may not have.
    pub fn tiles(&self) -> Option<Tiles> {
        match self.kind {
            AttachmentKind::Storyboard(grid) => grid.tiles(&self.bytes).ok(),
            AttachmentKind::Poster | AttachmentKind::Subtitles => None,
        }
    }
}
