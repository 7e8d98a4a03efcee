//! Keyframes of a fragmented MP4: by the `sidx` at its front if that covers the whole film, or else by the head of
//! every fragment. Playback starts at a fragment, so that is where a keyframe counts as starting, whatever lies
//! before it in the fragment.

use std::io::{self, Read, Seek};
use std::ops::Range;

use shiguredo_mp4::boxes::{
    HdlrBox, MdatBox, MfraBox, MoofBox, MoovBox, SidxBox, TfhdBox, TrafBox, TrakBox, TrexBox, TrunBox,
};
use shiguredo_mp4::{Decode, SampleFlags};
use swarm_core::segmentation::Keyframe;

use crate::media::boxes::{self, Found};
use crate::media::mp4::{Listed, TrackClock, to_ms};
use crate::media::{KEYFRAMES_MAX, Media, MediaError};

/// Boxes looked at: a fragment is made of two to four.
const BOXES_MAX: usize = 4 * KEYFRAMES_MAX;

/// Bytes of a `moof`, a `sidx` or an `mfra`, at most.
const FRAGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Samples of one fragment, at most: a few bytes can stand for millions of them.
const SAMPLES_MAX: u64 = 1_000_000;

/// Bytes behind what a `sidx` describes that are no reason to doubt that it describes everything.
const TAIL_BYTES_MAX: u64 = 1024 * 1024;

/// Fills in keyframes, indexes and the duration from the boxes in `span`, which follow the headers, and from what those list.
pub(super) fn examine(
    file: &mut (impl Read + Seek),
    span: Range<u64>,
    (header, track, listed): (&MoovBox, &TrakBox, Listed),
    media: &mut Media,
) -> Result<(), MediaError> {
    let mut keyframes = listed.keyframes;
    let first = boxes::next(file, span.start, span.end)?;
    if let Some(found) = first.filter(|found| found.kind == SidxBox::TYPE)
        && let Some(index) = whole_index(file, &found, span.end)?
    {
        media.structure.indexes.push(found.span);
        if let Some(tail) = boxes::next(file, index.end, span.end)?.filter(|tail| tail.kind == MfraBox::TYPE)
        {
            media.structure.indexes.push(tail.span);
        }
        keyframes.extend(index.keyframes);
        media.structure.keyframes = keyframes;
        let end_ms = index.end_ms.max(listed.end_ms);
        media.structure.duration_ms = media.structure.duration_ms.or(Some(end_ms));
        return Ok(());
    }
    let mut walk = Walk::new(header, track);
    let walked = walk.run(file, span, media);
    keyframes.extend(walk.keyframes);
    media.structure.keyframes = keyframes;
    let end_ms = walk.end_ms.max(listed.end_ms);
    media.structure.duration_ms = media.structure.duration_ms.or(Some(end_ms).filter(|ms| *ms > 0));
    walked
}

/// What a `sidx` says of the whole film.
struct Index {
    keyframes: Vec<Keyframe>,
    /// Where what it describes ends.
    end: u64,
    end_ms: u64,
}

/// Reads a `sidx`; `None` if it describes only the next fragment, or other indexes.
fn whole_index(
    file: &mut (impl Read + Seek),
    found: &Found,
    length: u64,
) -> Result<Option<Index>, MediaError> {
    let (sidx, _) = SidxBox::decode(&boxes::read(file, found, FRAGMENT_BYTES_MAX)?)?;
    let mut offset = found.span.end.saturating_add(sidx.first_offset);
    let mut time = i128::from(sidx.earliest_presentation_time);
    let mut keyframes = Vec::new();
    for reference in &sidx.references {
        if reference.reference_type {
            return Ok(None);
        }
        if reference.starts_with_sap {
            keyframes.push(Keyframe { offset, time_ms: to_ms(time, sidx.timescale) });
        }
        offset = offset.saturating_add(reference.referenced_size.into());
        time += i128::from(reference.subsegment_duration);
    }
    let is_whole = offset <= length && length - offset <= TAIL_BYTES_MAX;
    // One with a single entry stands before each fragment; the walk finds the others.
    let is_useful = is_whole && keyframes.len() > 1;
    Ok(is_useful.then_some(Index { keyframes, end: offset, end_ms: to_ms(time, sidx.timescale) }))
}

/// A track, and what holds for its samples where a fragment says nothing else.
struct Track<'a> {
    id: u32,
    clock: TrackClock,
    defaults: Option<&'a TrexBox>,
}

/// A walk from fragment to fragment.
struct Walk<'a> {
    tracks: Vec<Track<'a>>,
    /// The track whose keyframes count.
    leading: u32,
    /// Whether all samples of that track are keyframes, whatever their flags say.
    is_sound: bool,
    keyframes: Vec<Keyframe>,
    /// Where the last fragment ends, in time.
    end_ms: u64,
}

impl<'a> Walk<'a> {
    fn new(header: &'a MoovBox, leading: &TrakBox) -> Self {
        let timescale = header.mvhd_box.timescale.get();
        let track = |trak: &TrakBox| {
            let id = trak.tkhd_box.track_id;
            let mut trex = header.mvex_box.iter().flat_map(|mvex| &mvex.trex_boxes);
            let defaults = trex.find(|trex| trex.track_id == id);
            Track { id, clock: TrackClock::new(trak, timescale), defaults }
        };
        Self {
            tracks: header.trak_boxes.iter().map(track).collect(),
            leading: leading.tkhd_box.track_id,
            is_sound: leading.mdia_box.hdlr_box.handler_type == HdlrBox::HANDLER_TYPE_SOUN,
            keyframes: Vec::new(),
            end_ms: 0,
        }
    }

    fn run(
        &mut self,
        file: &mut (impl Read + Seek),
        span: Range<u64>,
        media: &mut Media,
    ) -> Result<(), MediaError> {
        let mut at = span.start;
        // Where the boxes begin that lead to the next media: an index or event of the fragment, then its head.
        let mut unit_start = at;
        for _ in 0..BOXES_MAX {
            if at == span.end {
                return Ok(());
            }
            let found = boxes::next(file, at, span.end)?;
            let found = found.ok_or(MediaError::Odd("it is damaged or cut off between its fragments"))?;
            at = found.span.end;
            if found.kind == MoofBox::TYPE {
                self.add(&read_moof(file, &found)?, unit_start);
            } else if found.kind == MdatBox::TYPE {
                unit_start = at;
            } else if found.kind == MfraBox::TYPE {
                media.structure.indexes.push(found.span);
            }
        }
        Err(MediaError::Odd("it has too many fragments"))
    }

    /// Notes what a fragment says of the tracks.
    fn add(&mut self, moof: &MoofBox, unit_start: u64) {
        for traf in &moof.traf_boxes {
            let id = traf.tfhd_box.track_id;
            let Some(track) = self.tracks.iter().find(|track| track.id == id) else { continue };
            let mut samples = traf.trun_boxes.iter().flat_map(|trun| &trun.samples);
            let Some(first) = samples.next() else { continue };
            let decode_time = traf.tfdt_box.as_ref().map_or(0, |tfdt| tfdt.base_media_decode_time);
            let end_ms = track.clock.time_ms(decode_time.saturating_add(track.duration(traf)), 0);
            self.end_ms = self.end_ms.max(end_ms);
            let is_leading =
                id == self.leading && self.keyframes.last().map(|last| last.offset) != Some(unit_start);
            if is_leading && (self.is_sound || track.has_keyframe(traf)) {
                let time_ms = track.clock.time_ms(decode_time, first.composition_time_offset.unwrap_or(0));
                self.keyframes.push(Keyframe { offset: unit_start, time_ms });
            }
        }
    }
}

impl Track<'_> {
    fn has_keyframe(&self, traf: &TrafBox) -> bool {
        let default = default_of(
            traf,
            self.defaults,
            |tfhd| tfhd.default_sample_flags,
            |trex| trex.default_sample_flags,
        );
        let is_keyframe = |flags: SampleFlags| !flags.sample_is_non_sync_sample();
        traf.trun_boxes.iter().any(|trun| {
            let mut flags = trun.samples.iter().enumerate().map(|(index, sample)| {
                let of_first = trun.first_sample_flags.filter(|_| index == 0);
                of_first.or(sample.flags).or(default)
            });
            flags.any(|flags| flags.is_some_and(is_keyframe))
        })
    }

    /// How long the samples of a fragment last, in the track's time scale.
    fn duration(&self, traf: &TrafBox) -> u64 {
        let default = default_of(
            traf,
            self.defaults,
            |tfhd| tfhd.default_sample_duration,
            |trex| trex.default_sample_duration,
        );
        let samples = traf.trun_boxes.iter().flat_map(|trun| &trun.samples);
        samples.map(|sample| u64::from(sample.duration.or(default).unwrap_or(0))).sum()
    }
}

/// A default of the fragment, or else of the film.
fn default_of<T>(
    traf: &TrafBox,
    trex: Option<&TrexBox>,
    of_fragment: impl Fn(&TfhdBox) -> Option<T>,
    of_film: impl Fn(&TrexBox) -> T,
) -> Option<T> {
    of_fragment(&traf.tfhd_box).or_else(|| trex.map(of_film))
}

/// Reads a `moof`, after its sample counts were found to be believable: decoding makes an entry for each.
fn read_moof(file: &mut (impl Read + Seek), found: &Found) -> Result<MoofBox, MediaError> {
    let bytes = boxes::read(file, found, FRAGMENT_BYTES_MAX)?;
    let mut memory = io::Cursor::new(&bytes);
    let length = bytes.len() as u64;
    let mut sample_count = 0;
    let mut at = found.payload_start - found.span.start;
    while let Some(child) = boxes::next(&mut memory, at, length)? {
        at = child.span.end;
        if child.kind == TrafBox::TYPE {
            let mut inner = child.payload_start;
            while let Some(grandchild) = boxes::next(&mut memory, inner, child.span.end)? {
                inner = grandchild.span.end;
                if grandchild.kind == TrunBox::TYPE {
                    sample_count += sample_count_of(&bytes, &grandchild);
                }
            }
        }
    }
    if sample_count > SAMPLES_MAX {
        return Err(MediaError::Odd("one of its fragments claims to have millions of samples"));
    }
    let (moof, _) = MoofBox::decode(&bytes)?;
    Ok(moof)
}

/// The number of samples that a `trun` claims to have: its second field.
fn sample_count_of(bytes: &[u8], trun: &Found) -> u64 {
    let at = usize::try_from(trun.payload_start).unwrap_or(usize::MAX);
    let field = bytes.get(at..).and_then(|payload| payload.get(4..8)?.first_chunk::<4>());
    field.map_or(0, |field| u32::from_be_bytes(*field).into())
}

#[cfg(test)]
mod tests {
    use shiguredo_mp4::BoxHeader;

    use super::*;

    fn boxed(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(BoxHeader::MIN_SIZE + payload.len()).unwrap();
        [&length.to_be_bytes()[..], kind, payload].concat()
    }

    #[test]
    fn a_fragment_that_claims_millions_of_samples_is_not_decoded() {
        // No fields for each sample, so that its samples need no bytes.
        let trun = boxed(b"trun", &[&[0; 4][..], &16_000_000u32.to_be_bytes()].concat());
        let mfhd = boxed(b"mfhd", &[0; 8]);
        let tfhd = boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 1]);
        let moof =
            |trun: &[u8]| boxed(b"moof", &[&mfhd[..], &boxed(b"traf", &[&tfhd[..], trun].concat())].concat());
        let read = |bytes: &[u8]| {
            let mut file = io::Cursor::new(bytes);
            let found = boxes::next(&mut file, 0, bytes.len() as u64).unwrap().unwrap();
            read_moof(&mut file, &found)
        };
        assert!(matches!(read(&moof(&trun)), Err(MediaError::Odd(_))));
        let few = boxed(b"trun", &[&[0; 4][..], &3u32.to_be_bytes()].concat());
        assert_eq!(read(&moof(&few)).unwrap().traf_boxes[0].trun_boxes[0].samples.len(), 3);
    }
}
