//! What a file says of its media: its type, its structure, its chapters, and whether browsers will play it.
//!
//! Owns reading files; how a content is cut by what is found is [`swarm_core::segmentation`]'s. Files are hostile
//! even when they are local: every length is checked, little is read however long the file is, and whatever is odd
//! means only that less is known.

mod boxes;
mod fragments;
mod matroska;
mod mp4;
mod playable;
mod samples;
mod skimming;

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use swarm_core::segmentation::{Keyframe, Structure};

/// Keyframes that are remembered of one file: one every 4 s for 12 days, or every frame of a short one.
const KEYFRAMES_MAX: usize = 262_144;

/// Bytes of a chapter's name; what is longer is cut.
const CHAPTER_NAME_BYTES_MAX: usize = 256;

/// Type of a file whose name says nothing.
const MEDIA_TYPE_DEFAULT: &str = "application/octet-stream";

/// What is known of a file.
#[derive(Debug, Default)]
pub struct Media {
    /// Where what is. Empty for a file without media structure.
    pub structure: Structure,
    /// What the file calls itself.
    pub title: Option<String>,
    /// What the publisher should know, each a sentence.
    pub remarks: Vec<Remark>,
}

/// Something that the publisher should know of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// All is well, and this may be a surprise.
    Info(String),
    /// Viewers will be worse off than they could be; says what to do.
    Warning(String),
}

/// A file that claims to be of a kind but cannot be read as one.
#[derive(Debug, thiserror::Error)]
enum MediaError {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("{0}")]
    Mp4(#[from] shiguredo_mp4::Error),
    #[error("{0}")]
    Samples(#[from] shiguredo_mp4::aux::SampleTableAccessorError),
    #[error("{0}")]
    Matroska(#[from] matroska_demuxer::DemuxError),
    #[error("{0}")]
    Odd(&'static str),
}

/// Media type by a file's name.
pub(crate) fn media_type(path: &Path) -> String {
    mime_guess::from_path(path).first_raw().unwrap_or(MEDIA_TYPE_DEFAULT).to_owned()
}

/// Reads what is to be known of an open file. `name` is what remarks call it. Never fails: what cannot be read is a
/// remark, and the content is cut without it.
pub fn examine(file: &mut (impl Read + Seek), name: &str, media_type: &str) -> Media {
    let mut media = Media::default();
    playable::warn_of_container(media_type, name, &mut media.remarks);
    let found = match kind(file) {
        Ok(Some(Container::Mp4)) => mp4::examine(file, name, &mut media),
        Ok(Some(Container::Matroska)) => matroska::examine(file, name, &mut media),
        Ok(None) => {
            playable::warn_of_name(media_type, name, &mut media.remarks);
            return media;
        }
        Err(error) => Err(error.into()),
    };
    if let Err(error) = found {
        // What was found before the error stays: a header is worth having first in any case.
        let text = format!(
            "{name} is not quite the media that it claims to be: {error}; it is published with what can be read \
             of it, so starts and seeks may be slower. Repair it with: {}",
            playable::remux(name)
        );
        media.remarks.push(Remark::Warning(text));
    }
    thin_out(&mut media.structure.keyframes);
    media
}

#[derive(Debug, Clone, Copy)]
enum Container {
    Mp4,
    Matroska,
}

/// The container, by the first bytes.
fn kind(file: &mut (impl Read + Seek)) -> io::Result<Option<Container>> {
    let mut start = Vec::new();
    file.rewind()?;
    file.take(8).read_to_end(&mut start)?;
    Ok(match start.as_slice() {
        [_, _, _, _, b'f', b't', b'y', b'p'] => Some(Container::Mp4),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Some(Container::Matroska),
        _ => None,
    })
}

/// Keeps at most [`KEYFRAMES_MAX`] of them, evenly.
fn thin_out(keyframes: &mut Vec<Keyframe>) {
    let step = keyframes.len().div_ceil(KEYFRAMES_MAX).max(1);
    *keyframes = std::mem::take(keyframes).into_iter().step_by(step).collect();
}

/// A text cut to `bytes_max` at a character's boundary.
pub(crate) fn shortened(mut text: String, bytes_max: usize) -> String {
    let end = (0..=text.len().min(bytes_max)).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

/// The length of a file in bytes.
fn length_of(file: &mut impl Seek) -> io::Result<u64> {
    file.seek(SeekFrom::End(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_the_name() {
        assert_eq!(media_type(Path::new("a.mp4")), "video/mp4");
        assert_eq!(media_type(Path::new("a")), "application/octet-stream");
    }

    #[test]
    fn a_file_of_no_known_container_has_no_structure_and_no_remarks() {
        for bytes in
            [&b""[..], b"a", b"a text that is long enough to look at", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"]
        {
            let media = examine(&mut io::Cursor::new(bytes), "a", "text/plain");
            assert_eq!(media.structure, Structure::default());
            assert!(media.remarks.is_empty());
        }
    }

    #[test]
    fn a_file_that_only_its_name_makes_a_film_is_warned_of() {
        for media_type in ["video/mp4", "video/webm", "audio/mp4"] {
            let media = examine(&mut io::Cursor::new(b"not found\n"), "film.mp4", media_type);
            assert_eq!(media.structure, Structure::default());
            let [Remark::Warning(text)] = &media.remarks[..] else { panic!("{:?}", media.remarks) };
            assert!(text.contains("film.mp4") && text.contains(media_type), "{text}");
        }
        let media = examine(&mut io::Cursor::new(b"ID3"), "song.mp3", "audio/mpeg");
        assert!(media.remarks.is_empty(), "nothing is known of how these begin");
    }

    #[test]
    fn names_are_cut_at_characters() {
        assert_eq!(shortened("añb".into(), 2), "a");
        assert_eq!(shortened("añb".into(), 3), "añ");
        assert_eq!(shortened("añb".into(), 9), "añb");
    }

    #[test]
    fn too_many_keyframes_are_thinned_out_evenly() {
        let all = (0..KEYFRAMES_MAX as u64 + 1).map(|index| Keyframe { offset: index, time_ms: index });
        let mut keyframes: Vec<_> = all.collect();
        thin_out(&mut keyframes);
        assert_eq!(keyframes.len(), KEYFRAMES_MAX / 2 + 1);
        assert_eq!(keyframes[1].offset, 2);
    }
}
