//! Keyframes and chapters of a plain MP4, by the sample tables in its `moov`.

use std::io::{self, Read, Seek, SeekFrom};
use std::num::NonZeroU32;

use shiguredo_mp4::aux::SampleTableAccessor;
use shiguredo_mp4::boxes::{HdlrBox, MoovBox, SampleEntry, StblBox, TrakBox};
use shiguredo_mp4::{BaseBox, BoxType};
use swarm_core::limits::{CHAPTERS_MAX, MEDIA_MS_MAX};
use swarm_core::manifest::Chapter;
use swarm_core::segmentation::Keyframe;

use crate::media::mp4::{Movie, TrackClock};
use crate::media::{CHAPTER_NAME_BYTES_MAX, KEYFRAMES_MAX, MediaError, shortened};

/// Text of QuickTime, in which chapters are written; subtitles of MP4 have other types.
const TEXT_TYPE: BoxType = BoxType::Normal(*b"text");

/// Where playback of a track can start, in the order of the bytes.
pub(super) fn keyframes(track: &TrakBox, movie: Movie) -> Result<Vec<Keyframe>, MediaError> {
    let clock = TrackClock::of_movie(track, movie);
    let table = SampleTableAccessor::new(stbl(track))?;
    // Without a list all samples are keyframes. A fixed sample size makes a few bytes stand for billions of them.
    let all = table.sample_count() as usize;
    let listed = stbl(track).stss_box.as_ref().map(|stss| stss.sample_numbers.as_slice());
    let step = listed.map_or(all, <[NonZeroU32]>::len).div_ceil(KEYFRAMES_MAX).max(1);
    let indexes: Box<dyn Iterator<Item = NonZeroU32>> = match listed {
        Some(numbers) => Box::new(numbers.iter().copied().step_by(step)),
        None => Box::new((1..=table.sample_count()).step_by(step).filter_map(NonZeroU32::new)),
    };
    let mut keyframes: Vec<Keyframe> = indexes
        .filter_map(|index| table.get_sample(index))
        .map(|sample| Keyframe {
            offset: sample.data_offset(),
            time_ms: clock.time_ms(sample.timestamp(), sample.composition_time_offset().unwrap_or(0)),
        })
        .collect();
    keyframes.sort_unstable_by_key(|keyframe| keyframe.offset);
    Ok(keyframes)
}

/// Chapters, as far as they are samples of a text track (QuickTime's way, which ffmpeg and others write).
pub(super) fn chapters(
    file: &mut (impl Read + Seek),
    header: &MoovBox,
    movie: Movie,
) -> Result<Vec<Chapter>, MediaError> {
    let is_text = |entry: &SampleEntry| entry.box_type() == TEXT_TYPE;
    let track = header.trak_boxes.iter().find(|track| {
        let is_of_text = track.mdia_box.hdlr_box.handler_type == HdlrBox::HANDLER_TYPE_TEXT;
        is_of_text && stbl(track).stsd_box.entries.iter().all(is_text)
    });
    let Some(track) = track else { return Ok(Vec::new()) };
    let clock = TrackClock::of_movie(track, movie);
    let table = SampleTableAccessor::new(stbl(track))?;
    let mut chapters = Vec::new();
    for sample in table.samples().take(CHAPTERS_MAX) {
        let time_ms = clock.time_ms(sample.timestamp(), 0);
        if time_ms <= MEDIA_MS_MAX {
            let name = text_of(file, sample.data_offset(), sample.data_size())?;
            chapters.push(Chapter { time_ms, name });
        }
    }
    chapters.sort_by_key(|chapter| chapter.time_ms);
    Ok(chapters)
}

/// The text of a text sample: its length in 16 bits, then UTF-8.
fn text_of(file: &mut (impl Read + Seek), offset: u64, size: u32) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    let take = u64::from(size).min(2 + CHAPTER_NAME_BYTES_MAX as u64);
    file.take(take).read_to_end(&mut bytes)?;
    let Some((length, text)) = bytes.split_first_chunk::<2>() else { return Ok(String::new()) };
    let length = usize::from(u16::from_be_bytes(*length)).min(text.len());
    let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned();
    Ok(shortened(text, CHAPTER_NAME_BYTES_MAX))
}

fn stbl(track: &TrakBox) -> &StblBox {
    &track.mdia_box.minf_box.stbl_box
}
