//! Whether browsers will play a file, and what to do if they will not.

use std::path::Path;

use shiguredo_mp4::boxes::{HdlrBox, MoovBox, SampleEntry};
use shiguredo_mp4::{BaseBox, BoxType};

use crate::media::Remark;

/// `object_type_indication` of MPEG-1 and MPEG-2 layer III in an MP4 (ISO 14496-1, registered at mp4ra.org).
const MP3_TYPES: [u8; 2] = [0x69, 0x6b];

/// Those of AAC: MPEG-4, and MPEG-2 in three profiles.
const AAC_TYPES: [u8; 4] = [0x40, 0x66, 0x67, 0x68];

/// Sample entries of sound that browsers play and the MP4 library has no type for.
const SOUND_TYPES: [BoxType; 2] = [BoxType::Normal(*b".mp3"), BoxType::Normal(*b"vorb")];

/// Sample entries of H.264 that the MP4 library has no type for.
const VIDEO_TYPES: [BoxType; 1] = [BoxType::Normal(*b"avc3")];

/// Codecs of Matroska that browsers play.
const MATROSKA_CODECS: [&str; 8] =
    ["V_VP8", "V_VP9", "V_AV1", "V_MPEG4/ISO/AVC", "A_OPUS", "A_VORBIS", "A_FLAC", "A_AAC"];

/// Codecs of Matroska that browsers play, with whatever follows.
const MATROSKA_CODEC_PREFIXES: [&str; 2] = ["A_AAC/", "A_MPEG/L3"];

/// Containers that browsers do not open, by media type.
const CONTAINERS_UNKNOWN: [&str; 9] = [
    "video/x-msvideo",
    "video/avi",
    "video/x-ms-wmv",
    "video/x-ms-asf",
    "video/x-flv",
    "video/mpeg",
    "video/mp2t",
    "video/vnd.dlna.mpeg-tts",
    "audio/x-ms-wma",
];

/// Media types whose containers are known by their first bytes.
const CONTAINERS_KNOWN: [&str; 6] =
    ["video/mp4", "video/x-m4v", "audio/mp4", "video/webm", "audio/webm", "video/x-matroska"];

/// How to write the same media into a new file.
pub(super) fn remux(name: &str) -> String {
    format!("ffmpeg -i {} -c copy -movflags +faststart {}", quoted(name), quoted(&renamed(name)))
}

/// How to make a file that every browser plays.
fn reencode(name: &str) -> String {
    format!("ffmpeg -i {} -c:v libx264 -pix_fmt yuv420p -c:a aac {}", quoted(name), quoted(&renamed(name)))
}

/// A track that most browsers do not play.
#[derive(Debug)]
pub(super) struct Unplayed {
    codec: String,
    is_video: bool,
}

/// The tracks of an MP4 that browsers do not play.
pub(super) fn unplayed_of_mp4(header: &MoovBox) -> Vec<Unplayed> {
    let mut unplayed = Vec::new();
    for track in &header.trak_boxes {
        let handler = track.mdia_box.hdlr_box.handler_type;
        let entries = &track.mdia_box.minf_box.stbl_box.stsd_box.entries;
        let is_video = handler == HdlrBox::HANDLER_TYPE_VIDE;
        let is_media = is_video || handler == HdlrBox::HANDLER_TYPE_SOUN;
        if let Some(entry) = entries.iter().find(|entry| is_media && !is_played(entry)) {
            let is_hevc = matches!(entry, SampleEntry::Hev1(_) | SampleEntry::Hvc1(_));
            let codec = if is_hevc { "HEVC".to_owned() } else { four_letters(entry.box_type()) };
            unplayed.push(Unplayed { codec, is_video });
        }
    }
    unplayed
}

/// A track of Matroska, if browsers do not play it.
pub(super) fn unplayed_of_matroska(codec: &str, is_video: bool) -> Option<Unplayed> {
    let is_played = MATROSKA_CODECS.contains(&codec)
        || MATROSKA_CODEC_PREFIXES.iter().any(|prefix| codec.starts_with(prefix));
    let shown = if codec == "V_MPEGH/ISO/HEVC" { "HEVC" } else { codec };
    (!is_played).then(|| Unplayed { codec: shown.to_owned(), is_video })
}

/// Warns of tracks that browsers do not play.
pub(super) fn warn_of_codecs(unplayed: &[Unplayed], name: &str, remarks: &mut Vec<Remark>) {
    if unplayed.is_empty() {
        return;
    }
    let is_picture = unplayed.iter().any(|track| track.is_video);
    let what = if is_picture { "picture" } else { "sound" };
    let codecs: Vec<&str> = unplayed.iter().map(|track| track.codec.as_str()).collect();
    let codecs = codecs.join(", ");
    // The picture takes long to encode; what is good of it is kept.
    let remedy = if is_picture {
        reencode(name)
    } else {
        format!("ffmpeg -i {} -c:v copy -c:a aac {}", quoted(name), quoted(&renamed(name)))
    };
    let text =
        format!("most browsers do not play the {what} of {name} ({codecs}); re-encode it with: {remedy}");
    remarks.push(Remark::Warning(text));
}

/// Warns of a container that browsers do not open, or not all of them.
pub(crate) fn warn_of_container(media_type: &str, name: &str, remarks: &mut Vec<Remark>) {
    if CONTAINERS_UNKNOWN.contains(&media_type) {
        let text = format!("browsers do not play {media_type}; make another file with: {}", reencode(name));
        remarks.push(Remark::Warning(text));
    } else if media_type == "video/x-matroska" {
        let text = format!("not all browsers play Matroska; WebM or MP4 is played by all: {}", remux(name));
        remarks.push(Remark::Warning(text));
    }
}

/// Of a file that does not begin like any media: its name may promise more than it holds.
pub(crate) fn warn_of_name(media_type: &str, name: &str, remarks: &mut Vec<Remark>) {
    if CONTAINERS_KNOWN.contains(&media_type) {
        let text = format!(
            "{name} is named like {media_type} but does not begin like it; it is published as plain bytes, which \
             browsers will hardly play. Check the file, or make it anew with: {}",
            remux(name)
        );
        remarks.push(Remark::Warning(text));
    }
}

fn is_played(entry: &SampleEntry) -> bool {
    match entry {
        SampleEntry::Avc1(_)
        | SampleEntry::Vp08(_)
        | SampleEntry::Vp09(_)
        | SampleEntry::Av01(_)
        | SampleEntry::Opus(_)
        | SampleEntry::Flac(_)
        | SampleEntry::Stpp(_)
        | SampleEntry::Wvtt(_)
        | SampleEntry::Tx3g(_) => true,
        SampleEntry::Hev1(_) | SampleEntry::Hvc1(_) => false,
        SampleEntry::Mp4a(mp4a) => {
            let kind = mp4a.esds_box.es.dec_config_descr.object_type_indication;
            AAC_TYPES.contains(&kind) || MP3_TYPES.contains(&kind)
        }
        SampleEntry::Unknown(unknown) => {
            SOUND_TYPES.contains(&unknown.box_type) || VIDEO_TYPES.contains(&unknown.box_type)
        }
    }
}

fn four_letters(kind: BoxType) -> String {
    let printable = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' };
    kind.as_bytes().iter().map(printable).collect()
}

/// The name of a new file beside the old one.
fn renamed(name: &str) -> String {
    let stem = Path::new(name).file_stem().map_or(name.into(), |stem| stem.to_string_lossy());
    format!("{stem}-web.mp4")
}

/// A name as a shell takes it.
fn quoted(name: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "._-/".contains(letter);
    let is_option = name.starts_with('-');
    let prefixed = if is_option { format!("./{name}") } else { name.to_owned() };
    if prefixed.chars().all(is_plain) { prefixed } else { format!("'{}'", prefixed.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(remarks: &[Remark]) -> Vec<&str> {
        remarks
            .iter()
            .filter_map(|remark| match remark {
                Remark::Warning(text) => Some(text.as_str()),
                Remark::Info(_) => None,
            })
            .collect()
    }

    #[test]
    fn codecs_of_no_browser_are_named_with_the_remedy() {
        let mut remarks = Vec::new();
        let unplayed = |codecs: &[(&str, bool)]| -> Vec<Unplayed> {
            codecs.iter().filter_map(|(codec, is_video)| unplayed_of_matroska(codec, *is_video)).collect()
        };
        let played =
            [("V_VP9", true), ("V_MPEG4/ISO/AVC", true), ("A_OPUS", false), ("A_AAC/MPEG4/LC", false)];
        warn_of_codecs(&unplayed(&played), "a.mkv", &mut remarks);
        assert!(remarks.is_empty());
        warn_of_codecs(&unplayed(&[("V_MPEGH/ISO/HEVC", true), ("A_AC3", false)]), "a.mkv", &mut remarks);
        warn_of_codecs(&unplayed(&[("V_VP9", true), ("A_AC3", false)]), "a b.mkv", &mut remarks);
        let warnings = warnings(&remarks);
        assert!(
            warnings[0].contains("(HEVC, A_AC3)") && warnings[0].contains("-c:v libx264"),
            "{}",
            warnings[0]
        );
        assert!(
            warnings[1].contains("(A_AC3)") && warnings[1].contains("'a b.mkv' -c:v copy"),
            "{}",
            warnings[1]
        );
    }

    #[test]
    fn containers_of_no_browser_are_named() {
        let mut remarks = Vec::new();
        warn_of_container("video/mp4", "a.mp4", &mut remarks);
        assert!(remarks.is_empty());
        warn_of_container("video/x-msvideo", "a.avi", &mut remarks);
        assert!(warnings(&remarks)[0].ends_with("a-web.mp4"));
    }

    #[test]
    fn names_are_quoted_for_a_shell() {
        assert_eq!(quoted("a.mp4"), "a.mp4");
        assert_eq!(quoted("it's.mp4"), r"'it'\''s.mp4'");
        assert_eq!(quoted("-i.mp4"), "./-i.mp4");
        assert_eq!(renamed("dir/a.b.mkv"), "a.b-web.mp4");
    }
}
