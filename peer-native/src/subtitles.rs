//! Subtitles beside a film: `film.vtt`, `film.en.vtt`, `film.en.Commentary.vtt` belong to `film.mp4`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use swarm_core::limits::{SUBTITLES_BYTES_MAX, SUBTITLES_MAX};
use swarm_core::manifest::{Attachment, AttachmentKind};

use crate::media::Remark;

/// Files in a folder that are looked at for subtitles.
const ENTRIES_MAX: usize = 100_000;

/// The subtitles beside a file, in the order of their names. What looks like subtitles and is none is a remark.
pub(crate) fn beside(path: &Path, remarks: &mut Vec<Remark>) -> Vec<Attachment> {
    let mut files = match files_beside(path) {
        Ok(files) => files,
        Err(error) => {
            tracing::debug!(%error, "no subtitles are looked for");
            return Vec::new();
        }
    };
    files.sort();
    if let Some(excess) = files.get(SUBTITLES_MAX) {
        let text = format!("{} and what follows is left out: there may be 16 subtitles", excess.0.display());
        remarks.push(Remark::Warning(text));
    }
    files.truncate(SUBTITLES_MAX);
    let read =
        |(path, marks): (PathBuf, String)| match read(&path).and_then(|bytes| attachment(bytes, &marks)) {
            Ok(attachment) => Some(attachment),
            Err(reason) => {
                remarks.push(Remark::Warning(format!("{} is left out: {reason}", path.display())));
                None
            }
        };
    files.into_iter().filter_map(read).collect()
}

/// Whether a file is subtitles of another one, so that it need not be published by itself.
pub(crate) fn is_beside(subtitles: &Path, file: &Path) -> bool {
    subtitles.parent() == file.parent()
        && file.file_stem().is_some_and(|stem| marks(subtitles, stem).is_some())
}

/// Files that are named like subtitles of `path`, each with what stands between the two names.
fn files_beside(path: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem()) else { return Ok(Vec::new()) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)?.take(ENTRIES_MAX) {
        let beside = entry?.path();
        if let Some(marks) = marks(&beside, stem)
            && beside.is_file()
            && beside != path
        {
            files.push((beside, marks));
        }
    }
    Ok(files)
}

/// What stands between the stem of a film and `.vtt` in the name of its subtitles: `en` in `film.en.vtt`.
fn marks(subtitles: &Path, stem: &OsStr) -> Option<String> {
    let name = subtitles.file_name()?.to_str()?.strip_prefix(stem.to_str()?)?;
    let marks = name.strip_suffix(".vtt")?;
    if marks.is_empty() { Some(String::new()) } else { marks.strip_prefix('.').map(str::to_owned) }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("it cannot be read: {error}"))?;
    let limit = SUBTITLES_BYTES_MAX as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() > SUBTITLES_BYTES_MAX {
        return Err("subtitles may have 256 KiB".into());
    }
    let text = str::from_utf8(&bytes).map_err(|_| "subtitles must be UTF-8 text".to_owned())?;
    if !text.trim_start_matches('\u{feff}').starts_with("WEBVTT") {
        return Err("it does not begin with WEBVTT; make it one with: ffmpeg -i FILE.srt FILE.vtt".into());
    }
    Ok(bytes)
}

/// Subtitles that a manifest may have; otherwise why it may not.
fn attachment(bytes: Vec<u8>, marks: &str) -> Result<Attachment, String> {
    let (first, rest) = marks.split_once('.').unwrap_or((marks, ""));
    let (language, label) = if is_language(first) { (Some(first), rest) } else { (None, marks) };
    let attachment = Attachment {
        kind: AttachmentKind::Subtitles,
        media_type: "text/vtt".into(),
        language: language.map(str::to_owned),
        label: Some(label.to_owned()).filter(|label| !label.is_empty()),
        bytes: bytes.into(),
    };
    attachment.check().map_err(|error| error.to_string())?;
    Ok(attachment)
}

/// Whether a text has the form of a language tag (BCP 47): two or three letters, then parts of up to eight.
fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let is_primary =
        |part: &str| (2..=3).contains(&part.len()) && part.bytes().all(|letter| letter.is_ascii_lowercase());
    let is_further = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|letter| letter.is_ascii_alphanumeric())
    };
    parts.next().is_some_and(is_primary) && parts.all(is_further)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtitles_are_found_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let film = folder.path().join("film.mp4");
        write("film.mp4", "");
        write("film.vtt", "WEBVTT\n");
        write("film.en.vtt", "\u{feff}WEBVTT\n");
        write("film.pt-BR.Commentary.vtt", "WEBVTT\n");
        write("film.Singalong.vtt", "WEBVTT\n");
        write("film.de.vtt", "1\n00:00 --> 00:01\n");
        write("films.vtt", "WEBVTT\n");
        write("other.vtt", "WEBVTT\n");
        let mut remarks = Vec::new();
        let found = beside(&film, &mut remarks);
        let named: Vec<_> = found.iter().map(|one| (one.language.as_deref(), one.label.as_deref())).collect();
        let expected = [
            (None, Some("Singalong")),
            (Some("en"), None),
            (Some("pt-BR"), Some("Commentary")),
            (None, None),
        ];
        assert_eq!(named, expected);
        assert!(matches!(remarks.as_slice(), [Remark::Warning(text)] if text.contains("film.de.vtt")));
        assert!(is_beside(&folder.path().join("film.en.vtt"), &film));
        assert!(!is_beside(&folder.path().join("other.vtt"), &film));
    }

    #[test]
    fn subtitles_that_a_manifest_cannot_hold_are_left_out_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let film = folder.path().join("film.mp4");
        let long = format!("WEBVTT\n{}", " ".repeat(SUBTITLES_BYTES_MAX));
        fs::write(folder.path().join("film.vtt"), long).unwrap();
        for index in 0..SUBTITLES_MAX + 1 {
            fs::write(folder.path().join(format!("film.{index:02}.vtt")), "WEBVTT").unwrap();
        }
        let mut remarks = Vec::new();
        assert_eq!(beside(&film, &mut remarks).len(), SUBTITLES_MAX);
        assert_eq!(remarks.len(), 1);
        let deep = format!("WEBVTT\n\n00:00.000 --> 10:00.000\n{}x\n", "<i>".repeat(1_000));
        fs::write(folder.path().join("film.00.vtt"), deep).unwrap();
        fs::remove_file(folder.path().join("film.01.vtt")).unwrap();
        fs::remove_file(folder.path().join("film.vtt")).unwrap();
        remarks.clear();
        assert_eq!(beside(&film, &mut remarks).len(), SUBTITLES_MAX - 1);
        let [Remark::Warning(warning)] = remarks.as_slice() else { panic!("{remarks:?}") };
        assert!(warning.contains("film.00.vtt is left out") && warning.contains("64 tags"), "{warning}");
        fs::remove_dir_all(folder.path()).unwrap();
        assert!(beside(&film, &mut remarks).is_empty());
    }
}
