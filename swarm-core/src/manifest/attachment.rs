//! What is small enough to travel inside the manifest, and of which kinds.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::cues;
use super::picture::Picture;
use super::storyboard::{Grid, Tiles};
use crate::limits::{POSTER_BYTES_MAX, POSTER_PIXELS_MAX, STORYBOARD_BYTES_MAX, SUBTITLES_BYTES_MAX};
use crate::manifest::ManifestError;

/// Media types of posters: pictures that cannot carry a program, as an SVG could.
/// AVIF is none of them: its header need not name the size that browsers decode.
const POSTER_TYPES: [&str; 3] = ["image/jpeg", "image/png", "image/webp"];

/// Media types of storyboards: those in which a photograph is small.
const STORYBOARD_TYPES: [&str; 2] = ["image/jpeg", "image/webp"];

/// What an attachment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentKind {
    /// A picture shown before the media plays: JPEG, PNG or WebP, of at most 4 Mi pixels. One at most.
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
    /// Whether a manifest may have it. A page makes something of these bytes, so only types that cannot carry a program are let in, and
    /// only what a browser shows at little expense.
    pub fn check(&self) -> Result<(), ManifestError> {
        let (media_types, bytes_max): (&[&str], usize) = match self.kind {
            AttachmentKind::Poster => (&POSTER_TYPES, POSTER_BYTES_MAX),
            AttachmentKind::Subtitles => (&["text/vtt"], SUBTITLES_BYTES_MAX),
            AttachmentKind::Storyboard(_) => (&STORYBOARD_TYPES, STORYBOARD_BYTES_MAX),
        };
        if !media_types.contains(&self.media_type.as_str()) {
            return Err(ManifestError::Invalid(match self.kind {
                AttachmentKind::Poster => {
                    "a poster must be JPEG, PNG or WebP; AVIF and other types are not taken"
                }
                AttachmentKind::Subtitles => "subtitles must be WebVTT",
                AttachmentKind::Storyboard(_) => "a storyboard must be JPEG or WebP",
            }));
        }
        if self.bytes.is_empty() || self.bytes.len() > bytes_max {
            return Err(ManifestError::Invalid(
                "an attachment is empty, a poster above 64 KiB, a storyboard above 48 KiB, or subtitles above 256 KiB",
            ));
        }
        match self.kind {
            AttachmentKind::Poster if Picture::read(&self.bytes)?.pixels() > POSTER_PIXELS_MAX => {
                Err(ManifestError::Invalid("a poster has more than 4 million pixels"))
            }
            AttachmentKind::Poster => Ok(()),
            AttachmentKind::Subtitles => cues::check(&self.bytes),
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
