//! MP4: where the headers are, and which of the two ways leads to the keyframes.
//!
//! ```text
//! plain       ftyp moov mdat │ ftyp mdat moov          sample tables in moov: `samples`
//! fragmented  ftyp moov [sidx] (moof mdat)* [mfra]     sidx, or else every moof: `fragments`
//! hybrid      ftyp moov mdat (moof mdat)* [mfra]       both: the tables list the beginning only
//! ```

use std::io::{Cursor, Read, Seek};

use shiguredo_mp4::Decode;
use shiguredo_mp4::boxes::{HdlrBox, MdatBox, MoofBox, MoovBox, MvexBox, MvhdBox, SidxBox, TrakBox};
use swarm_core::segmentation::Keyframe;

use crate::media::boxes::{self, Found};
use crate::media::{Media, MediaError, Remark, fragments, length_of, playable, samples};

/// Boxes looked at before the first media and the `moov` must have been found.
const HEADER_BOXES_MAX: usize = 1024;

/// Bytes of a `moov`, at most: sample tables of several days.
const MOOV_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The boxes that matter, as far as they are there.
#[derive(Debug, Default)]
struct Landmarks {
    moov: Option<Found>,
    /// The first box with media or about a fragment.
    media: Option<Found>,
    sidx: Option<Found>,
}

/// Fills in what an MP4 says.
pub(super) fn examine(
    file: &mut (impl Read + Seek),
    name: &str,
    media: &mut Media,
) -> Result<(), MediaError> {
    let length = length_of(file)?;
    let landmarks = landmarks(file, length)?;
    let Some(moov) = landmarks.moov else {
        return Err(MediaError::Odd("it has no index (`moov`), so it was not written to its end"));
    };
    set_headers(media, &moov, landmarks.media.as_ref(), name);
    let header = read_moov(file, &moov)?;
    playable::warn_of_codecs(&playable::unplayed_of_mp4(&header), name, &mut media.remarks);
    let movie = Movie::new(&header);
    media.structure.duration_ms = movie.whole_ms;
    let Some(track) = leading_track(&header) else {
        return Err(MediaError::Odd("it has no tracks that can be read"));
    };
    if header.mvex_box.is_some() {
        let first = landmarks.sidx.as_ref().or(landmarks.media.as_ref());
        let from = first.map_or(moov.span.end, |first| first.span.start);
        let listed = Listed { keyframes: samples::keyframes(track, movie)?, end_ms: movie.listed_ms };
        fragments::examine(file, from..length, (&header, track, listed), media)?;
    } else {
        media.structure.keyframes = samples::keyframes(track, movie)?;
        media.structure.chapters = samples::chapters(file, &header, movie)?;
    }
    match media.structure.keyframes.last() {
        None => Err(MediaError::Odd("no keyframes are to be found in it")),
        Some(last) if last.offset >= length => {
            Err(MediaError::Odd("it is cut off before the end of its media"))
        }
        Some(_) => Ok(()),
    }
}

/// Reads a `moov` track by track, so that one that makes no sense does not cost what the others say.
fn read_moov(file: &mut (impl Read + Seek), moov: &Found) -> Result<MoovBox, MediaError> {
    let bytes = boxes::read(file, moov, MOOV_BYTES_MAX)?;
    let mut memory = Cursor::new(&bytes);
    let (mut mvhd, mut mvex, mut trak_boxes) = (None, None, Vec::new());
    let mut at = moov.payload_start - moov.span.start;
    while let Some(child) = boxes::next(&mut memory, at, bytes.len() as u64)? {
        let range = usize::try_from(at).unwrap_or(usize::MAX)..;
        let from_child = bytes.get(range).unwrap_or_default();
        at = child.span.end;
        if child.kind == MvhdBox::TYPE {
            mvhd = Some(MvhdBox::decode(from_child)?.0);
        } else if child.kind == MvexBox::TYPE {
            mvex = Some(MvexBox::decode(from_child)?.0);
        } else if child.kind == TrakBox::TYPE {
            match TrakBox::decode(from_child) {
                Ok((trak, _)) => trak_boxes.push(trak),
                Err(error) => tracing::info!(%error, "a track is passed over"),
            }
        }
    }
    let mvhd_box = mvhd.ok_or(MediaError::Odd("its index (`moov`) has no header"))?;
    Ok(MoovBox { mvhd_box, trak_boxes, mvex_box: mvex, unknown_boxes: Vec::new() })
}

/// What the tables of a fragmented film list themselves: nothing, or its beginning.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) keyframes: Vec<Keyframe>,
    pub(super) end_ms: u64,
}

/// The clock of the whole film.
#[derive(Debug, Clone, Copy)]
pub(super) struct Movie {
    timescale: u32,
    /// The duration, where the headers say it.
    whole_ms: Option<u64>,
    /// The duration of what the tables list.
    listed_ms: u64,
}

impl Movie {
    fn new(header: &MoovBox) -> Self {
        let timescale = header.mvhd_box.timescale.get();
        let ms = |duration: u64| {
            // All ones means that the writer did not know, in either width.
            let is_known = duration != u64::from(u32::MAX) && duration != u64::MAX;
            Some(to_ms(duration.into(), timescale)).filter(|ms| is_known && *ms > 0)
        };
        let listed_ms = ms(header.mvhd_box.duration);
        let whole_ms = match &header.mvex_box {
            // Fragmented: the header speaks of what the tables list (ISO/IEC 14496-12, 8.8.1 and 8.8.2).
            Some(mvex) => mvex.mehd_box.as_ref().and_then(|mehd| ms(mehd.fragment_duration)),
            None => listed_ms,
        };
        Self { timescale, whole_ms, listed_ms: listed_ms.unwrap_or(0) }
    }
}

/// How the times of a track's samples become times of the film, by its edit list.
#[derive(Debug, Clone, Copy)]
pub(super) struct TrackClock {
    timescale: u32,
    /// Media time at which the film starts.
    start: i64,
    /// Before it the film is empty, ms.
    delay_ms: u64,
}

impl TrackClock {
    pub(super) fn new(track: &TrakBox, movie_timescale: u32) -> Self {
        let edits = track.edts_box.as_ref().and_then(|edts| edts.elst_box.as_ref());
        let mut clock = Self { timescale: track.mdia_box.mdhd_box.timescale.get(), start: 0, delay_ms: 0 };
        for edit in edits.iter().flat_map(|elst| &elst.entries) {
            if edit.media_time >= 0 {
                clock.start = edit.media_time;
                break;
            }
            let delay_ms = to_ms(edit.edit_duration.into(), movie_timescale);
            clock.delay_ms = clock.delay_ms.saturating_add(delay_ms);
        }
        clock
    }

    pub(super) fn of_movie(track: &TrakBox, movie: Movie) -> Self {
        Self::new(track, movie.timescale)
    }

    /// Presentation time in the film of a sample decoded at `decode_time` and shown `composition` later.
    pub(super) fn time_ms(self, decode_time: u64, composition: i64) -> u64 {
        let time = i128::from(decode_time) + i128::from(composition) - i128::from(self.start);
        to_ms(time, self.timescale).saturating_add(self.delay_ms)
    }
}

/// A time in units of a time scale, ms; 0 if it is negative.
pub(super) fn to_ms(time: i128, timescale: u32) -> u64 {
    let ms = time.max(0).saturating_mul(1000) / i128::from(timescale.max(1));
    u64::try_from(ms).unwrap_or(u64::MAX)
}

/// The track whose keyframes decide where playback can start: video before sound.
fn leading_track(header: &MoovBox) -> Option<&TrakBox> {
    let of_type =
        |handler| header.trak_boxes.iter().find(move |trak| trak.mdia_box.hdlr_box.handler_type == handler);
    of_type(HdlrBox::HANDLER_TYPE_VIDE).or_else(|| of_type(HdlrBox::HANDLER_TYPE_SOUN))
}

fn landmarks(file: &mut (impl Read + Seek), length: u64) -> Result<Landmarks, MediaError> {
    let mut landmarks = Landmarks::default();
    let mut at = 0;
    for _ in 0..HEADER_BOXES_MAX {
        let Some(found) = boxes::next(file, at, length)? else { break };
        at = found.span.end;
        let is_media = [MdatBox::TYPE, MoofBox::TYPE].contains(&found.kind);
        if found.kind == MoovBox::TYPE {
            landmarks.moov = Some(found);
        } else if is_media && landmarks.media.is_none() {
            landmarks.media = Some(found);
        } else if found.kind == SidxBox::TYPE && landmarks.media.is_none() && landmarks.sidx.is_none() {
            landmarks.sidx = Some(found);
        }
        if landmarks.moov.is_some() && landmarks.media.is_some() {
            break;
        }
    }
    Ok(landmarks)
}

/// The header at the front, and where the `moov` comes after the media, that too.
fn set_headers(media: &mut Media, moov: &Found, first_media: Option<&Found>, name: &str) {
    let is_after = |first: &&Found| first.span.start < moov.span.start;
    if let Some(first) = first_media.filter(is_after) {
        media.structure.headers = vec![0..first.payload_start, moov.span.clone()];
        let text =
            format!("{name} has its index (`moov`) at the end, which is fine here: peers get it first");
        media.remarks.push(Remark::Info(text));
    } else {
        media.structure.headers.push(0..moov.span.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(8 + payload.len()).unwrap();
        [&length.to_be_bytes()[..], kind, payload].concat()
    }

    /// A header of version 0 with this time scale and duration.
    fn mvhd(timescale: u32, duration: u32) -> Vec<u8> {
        let mut payload = vec![0; 12];
        payload.extend(timescale.to_be_bytes());
        payload.extend(duration.to_be_bytes());
        payload.extend([0; 80]);
        boxed(b"mvhd", &payload)
    }

    fn file(moov: &[u8]) -> Vec<u8> {
        let ftyp = boxed(b"ftyp", b"isom\0\0\0\0isom");
        [ftyp, boxed(b"mdat", &[7; 100]), boxed(b"moov", moov)].concat()
    }

    fn examined(bytes: &[u8]) -> Media {
        crate::media::examine(&mut Cursor::new(bytes), "film.mp4", "video/mp4")
    }

    fn duration_of(moov: &[u8]) -> Option<u64> {
        examined(&file(moov)).structure.duration_ms
    }

    #[test]
    fn the_duration_is_read_wherever_the_header_is() {
        assert_eq!(duration_of(&mvhd(600, 36_300)), Some(60_500));
    }

    #[test]
    fn a_fragmented_file_says_it_elsewhere_or_not_at_all() {
        let mehd = boxed(b"mvex", &boxed(b"mehd", &[&[0; 4][..], &12_000u32.to_be_bytes()].concat()));
        assert_eq!(duration_of(&[mvhd(1000, 0), mehd].concat()), Some(12_000));
        assert_eq!(duration_of(&mvhd(1000, 0)), None);
        assert_eq!(duration_of(&mvhd(1000, u32::MAX)), None);
    }

    #[test]
    fn a_header_at_the_end_is_found_and_said_to_be_fine() {
        let bytes = file(&mvhd(600, 36_300));
        let media = examined(&bytes);
        let length = bytes.len() as u64;
        assert_eq!(media.structure.headers, [0..28, length - 116..length]);
        assert!(matches!(&media.remarks[0], Remark::Info(text) if text.contains("fine")));
        assert!(matches!(&media.remarks[1], Remark::Warning(text) if text.contains("no tracks")));
    }

    #[test]
    fn odd_files_have_no_structure_and_do_no_harm() {
        let whole = file(&mvhd(600, 36_300));
        for length in 8..whole.len() {
            let media = examined(&whole[..length]);
            assert_eq!(media.structure.duration_ms, None, "cut to {length} bytes");
            assert!(matches!(media.remarks.last(), Some(Remark::Warning(_))), "cut to {length} bytes");
        }
        for index in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[index] = 0xff;
            examined(&damaged);
        }
        let endless = [boxed(b"ftyp", &[0; 8]), boxed(b"free", &[]).repeat(5000)].concat();
        assert_eq!(examined(&endless).structure.duration_ms, None);
    }

    #[test]
    fn times_follow_the_edit_list() {
        let clock = TrackClock { timescale: 1000, start: 80, delay_ms: 500 };
        assert_eq!(clock.time_ms(2000, 80), 2500);
        assert_eq!(clock.time_ms(0, 0), 500);
        assert_eq!(TrackClock { timescale: 1, ..clock }.time_ms(u64::MAX, i64::MAX), u64::MAX);
    }
}
