//! WebM and Matroska: headers up to the first cluster, the index (`Cues`) wherever it is, keyframes by a walk over
//! all frames that reads none of them.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use matroska_demuxer::{Frame, Info, MatroskaFile, TrackEntry, TrackType};
use swarm_core::limits::{CHAPTERS_MAX, GROUP_BYTES, MEDIA_MS_MAX, TEXT_BYTES_MAX};
use swarm_core::manifest::Chapter;
use swarm_core::segmentation::Keyframe;

use crate::media::skimming::{Progress, Skimming};
use crate::media::{CHAPTER_NAME_BYTES_MAX, Media, MediaError, playable, shortened};

/// Bytes of an element's id and length.
const ELEMENT_HEADER_BYTES_MAX: u64 = 12;

const NS_PER_MS: u64 = 1_000_000;

/// Fills in what a Matroska file says.
pub(super) fn examine(
    file: &mut (impl Read + Seek),
    name: &str,
    media: &mut Media,
) -> Result<(), MediaError> {
    file.rewind()?;
    // The demuxer panics on a file whose table of contents names two further ones (`expect_err` in
    // `parse_seek_head` of 0.8.1), and in debug builds on lengths whose sum overflows. Both take a crafted or badly
    // damaged file, which is to cost its publisher some speed and not the program.
    let read = catch_unwind(AssertUnwindSafe(|| read(file, name, media)));
    let cues = read.unwrap_or(Err(MediaError::Odd("its table of contents makes no sense")))?;
    if let Some(span) = cues.map(|at| element_span(file, at)).transpose()?.flatten() {
        split_at(&mut media.structure.headers, &span);
        media.structure.indexes.push(span);
    }
    Ok(())
}

/// Takes `span` out of the header that it lies in, if it does.
fn split_at(headers: &mut Vec<Range<u64>>, span: &Range<u64>) {
    let within = headers.iter_mut().find(|header| header.contains(&span.start) && span.end <= header.end);
    if let Some(header) = within {
        let after = span.end..header.end;
        header.end = span.start;
        headers.push(after);
    }
}

/// Reads all but the extent of the index; where that starts.
fn read(file: &mut (impl Read + Seek), name: &str, media: &mut Media) -> Result<Option<u64>, MediaError> {
    let (reader, progress) = Skimming::new(file)?;
    let mut demuxer = MatroskaFile::open(reader)?;
    // Opening ends at the first cluster.
    media.structure.headers.push(0..progress.position());
    progress.skim();
    media.structure.duration_ms = duration_ms(demuxer.info());
    media.title = demuxer.info().title().map(|title| shortened(title.to_owned(), TEXT_BYTES_MAX));
    media.structure.chapters = chapters(&demuxer);
    let played = demuxer.tracks().iter().filter(|track| is_played(track));
    let unplayed = played.filter_map(|track| {
        playable::unplayed_of_matroska(track.codec_id(), track.track_type() == TrackType::Video)
    });
    playable::warn_of_codecs(&unplayed.collect::<Vec<_>>(), name, &mut media.remarks);
    let leading = leading_track(demuxer.tracks()).ok_or(MediaError::Odd("it has no tracks"))?;
    let mut walk = Walk::new(leading, demuxer.tracks(), demuxer.info());
    let walked = walk.run(&mut demuxer, &progress);
    // Recorders and live encoders do not know how long a film will be when they write its header.
    media.structure.duration_ms = media.structure.duration_ms.or(walk.end_ms());
    media.structure.keyframes = walk.into_keyframes();
    walked?;
    if media.structure.keyframes.is_empty() {
        return Err(MediaError::Odd("no keyframes are to be found in it"));
    }
    Ok(progress.cues())
}

/// The last frame of a track.
struct Last {
    track: u64,
    /// How long each frame of the track lasts, ns, if that is said.
    usual_ns: Option<u64>,
    timestamp: u64,
    /// How long the frame lasts, if that is said, in units of the file.
    duration: Option<u64>,
    /// From the frame before it, in units of the file.
    step: u64,
}

impl Last {
    fn new(track: &TrackEntry) -> Self {
        let usual_ns = track.default_duration().map(std::num::NonZeroU64::get);
        Self { track: track.track_number().get(), usual_ns, timestamp: 0, duration: None, step: 0 }
    }

    fn note(&mut self, frame: &Frame) {
        // Frames are stored in the order of decoding: a shown time may step back.
        if frame.timestamp >= self.timestamp {
            self.step = frame.timestamp - self.timestamp;
            (self.timestamp, self.duration) = (frame.timestamp, frame.duration);
        }
    }

    fn end_ms(&self, scale_ns: u64) -> u64 {
        let lasts_ms = match (self.duration, self.usual_ns) {
            (Some(duration), _) => ms(duration, scale_ns),
            (None, Some(usual_ns)) => usual_ns / NS_PER_MS,
            (None, None) => ms(self.step, scale_ns),
        };
        ms(self.timestamp, scale_ns).saturating_add(lasts_ms)
    }
}

/// A walk from frame to frame.
struct Walk {
    /// Number of the track whose keyframes count, and whether it is of sound.
    track: u64,
    is_sound: bool,
    timestamp_scale_ns: u64,
    keyframes: Vec<Keyframe>,
    /// First frames of clusters, for files that do not mark their keyframes.
    cluster_starts: Vec<Keyframe>,
    /// Of what is seen and heard.
    last: Vec<Last>,
}

impl Walk {
    fn new(track: &TrackEntry, tracks: &[TrackEntry], info: &Info) -> Self {
        let played = tracks.iter().filter(|track| is_played(track));
        Self {
            last: played.map(Last::new).collect(),
            track: track.track_number().get(),
            is_sound: track.track_type() == TrackType::Audio,
            timestamp_scale_ns: info.timestamp_scale().get(),
            keyframes: Vec::new(),
            cluster_starts: Vec::new(),
        }
    }

    fn run<R: Read + Seek>(
        &mut self,
        demuxer: &mut MatroskaFile<R>,
        progress: &Progress,
    ) -> Result<(), MediaError> {
        let mut frame = Frame::default();
        // The cluster in which no frame of the track was seen yet.
        let mut fresh_cluster = None;
        loop {
            let start = progress.position();
            if !demuxer.next_frame(&mut frame)? {
                break;
            }
            fresh_cluster = progress.take_cluster().or(fresh_cluster);
            let mut last = self.last.iter_mut();
            last.find(|last| last.track == frame.track).into_iter().for_each(|last| last.note(&frame));
            if frame.track != self.track {
                continue;
            }
            let cluster = fresh_cluster.take();
            let time_ms = ms(frame.timestamp, self.timestamp_scale_ns);
            // Playback from the first frame of a cluster needs the cluster's head.
            let keyframe = Keyframe { offset: cluster.unwrap_or(start), time_ms };
            if cluster.is_some() {
                push(&mut self.cluster_starts, keyframe);
            }
            if self.is_sound || frame.is_keyframe == Some(true) {
                push(&mut self.keyframes, keyframe);
            }
        }
        if progress.is_exhausted() {
            return Err(MediaError::Odd("it has too many frames"));
        }
        Ok(())
    }

    /// When the last frame ends; `None` without frames.
    fn end_ms(&self) -> Option<u64> {
        let ends = self.last.iter().map(|last| last.end_ms(self.timestamp_scale_ns));
        ends.max().filter(|ms| (1..=MEDIA_MS_MAX).contains(ms))
    }

    fn into_keyframes(self) -> Vec<Keyframe> {
        if self.keyframes.is_empty() { self.cluster_starts } else { self.keyframes }
    }
}

/// Adds a keyframe unless the last one starts in the same group, where no boundary can be between them.
fn push(keyframes: &mut Vec<Keyframe>, keyframe: Keyframe) {
    let group = |keyframe: &Keyframe| keyframe.offset / u64::from(GROUP_BYTES);
    if keyframes.last().is_none_or(|last| group(last) != group(&keyframe)) {
        keyframes.push(keyframe);
    }
}

/// Whether a track is seen or heard.
fn is_played(track: &TrackEntry) -> bool {
    [TrackType::Video, TrackType::Audio].contains(&track.track_type())
}

fn leading_track(tracks: &[TrackEntry]) -> Option<&TrackEntry> {
    let of_type = |kind| tracks.iter().find(move |track| track.track_type() == kind);
    of_type(TrackType::Video).or_else(|| of_type(TrackType::Audio))
}

fn duration_ms(info: &Info) -> Option<u64> {
    let ns = info.duration()? * info.timestamp_scale().get() as f64;
    let ms = ns / NS_PER_MS as f64;
    (ms >= 1.0 && ms <= MEDIA_MS_MAX as f64).then_some(ms as u64)
}

/// A time in units of `scale_ns`, ms.
fn ms(time: u64, scale_ns: u64) -> u64 {
    let ms = u128::from(time) * u128::from(scale_ns) / u128::from(NS_PER_MS);
    u64::try_from(ms).unwrap_or(u64::MAX)
}

/// Chapters of the first edition that has any.
fn chapters<R: Read + Seek>(demuxer: &MatroskaFile<R>) -> Vec<Chapter> {
    let editions = demuxer.chapters().unwrap_or_default();
    let atoms = editions.iter().map(|edition| edition.chapter_atoms()).find(|atoms| !atoms.is_empty());
    let mut chapters: Vec<Chapter> = atoms
        .unwrap_or_default()
        .iter()
        .map(|atom| {
            let name = atom.displays().first().map(|display| display.string().to_owned());
            let name = shortened(name.unwrap_or_default(), CHAPTER_NAME_BYTES_MAX);
            Chapter { time_ms: atom.time_start() / NS_PER_MS, name }
        })
        .filter(|chapter| chapter.time_ms <= MEDIA_MS_MAX)
        .take(CHAPTERS_MAX)
        .collect();
    chapters.sort_by_key(|chapter| chapter.time_ms);
    chapters
}

/// The bytes of the element at `at`, whose id has four bytes: its length follows as a number whose first byte's
/// leading zeros say how long it is (RFC 8794, section 4). `None` if that makes no sense.
fn element_span(file: &mut (impl Read + Seek), at: u64) -> io::Result<Option<Range<u64>>> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take(ELEMENT_HEADER_BYTES_MAX).read_to_end(&mut head)?;
    let Some([first, rest @ ..]) = head.get(4..) else { return Ok(None) };
    let more = first.leading_zeros();
    let Some(rest) = usize::try_from(more).ok().and_then(|more| rest.get(..more)) else { return Ok(None) };
    let highest = u64::from(*first) & (0x7f >> more.min(7));
    let length = rest.iter().fold(highest, |length, byte| (length << 8) | u64::from(*byte));
    let end = at.saturating_add(5 + u64::from(more)).saturating_add(length);
    Ok(Some(at..end))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::media::Remark;

    /// An element with a length of eight bytes.
    fn element(id: &[u8], payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u64 | 1 << 56).to_be_bytes();
        [id, &length, payload].concat()
    }

    fn head() -> Vec<u8> {
        let doc_type = element(&[0x42, 0x82], b"webm");
        let version = element(&[0x42, 0x87], &[4]);
        let read_version = element(&[0x42, 0x85], &[2]);
        element(&[0x1a, 0x45, 0xdf, 0xa3], &[doc_type, version, read_version].concat())
    }

    fn examined(bytes: &[u8]) -> Media {
        crate::media::examine(&mut Cursor::new(bytes), "film.webm", "video/webm")
    }

    /// A table of contents that names places from the segment's start on.
    fn seek_head(places: &[(&[u8], u64)]) -> Vec<u8> {
        let entry = |(id, at): &(&[u8], u64)| {
            let fields = [element(&[0x53, 0xab], id), element(&[0x53, 0xac], &at.to_be_bytes())];
            element(&[0x4d, 0xbb], &fields.concat())
        };
        element(&[0x11, 0x4d, 0x9b, 0x74], &places.iter().flat_map(entry).collect::<Vec<_>>())
    }

    fn is_warned(media: &Media) -> bool {
        matches!(media.remarks.as_slice(), [Remark::Warning(_)])
    }

    /// A film of three clusters of 2 s, each a frame of sound, a keyframe and another frame; an index at the end.
    fn film() -> Vec<u8> {
        film_with(&element(&[0x44, 0x89], &6000f64.to_be_bytes()))
    }

    /// The same with this field for its duration.
    fn film_with(duration: &[u8]) -> Vec<u8> {
        let info = [
            element(&[0x2a, 0xd7, 0xb1], &1_000_000u32.to_be_bytes()),
            duration.to_vec(),
            element(&[0x7b, 0xa9], "The river".as_bytes()),
            element(&[0x4d, 0x80], b"test"),
            element(&[0x57, 0x41], b"test"),
        ];
        let track = |number: u8, kind: u8, codec: &str, rest: Vec<u8>| {
            let fields = [
                element(&[0xd7], &[number]),
                element(&[0x73, 0xc5], &[number]),
                element(&[0x83], &[kind]),
                element(&[0x86], codec.as_bytes()),
                rest,
            ];
            element(&[0xae], &fields.concat())
        };
        let size = element(&[0xe0], &[element(&[0xb0], &[160]), element(&[0xba], &[90])].concat());
        let tracks = [track(1, 1, "V_VP9", size), track(2, 2, "A_AC3", element(&[0xe1], &[]))];
        let display = element(&[0x80], &element(&[0x85], "Opening".as_bytes()));
        let atom = [element(&[0x73, 0xc4], &[1]), element(&[0x91], &[0]), display].concat();
        let chapters = element(&[0x10, 0x43, 0xa7, 0x70], &element(&[0x45, 0xb9], &element(&[0xb6], &atom)));
        let frame =
            |track: u8, flags: u8| element(&[0xa3], &[&[0x80 | track, 0, 0, flags][..], &[7; 9000]].concat());
        let cluster = |index: u16| {
            let time = element(&[0xe7], &(index * 2000).to_be_bytes());
            element(&[0x1f, 0x43, 0xb6, 0x75], &[time, frame(2, 0x80), frame(1, 0x80), frame(1, 0)].concat())
        };
        let place = [element(&[0xf7], &[1]), element(&[0xf1], &[0])].concat();
        let cue = [element(&[0xb3], &[0]), element(&[0xb7], &place)].concat();
        let parts = [
            element(&[0x15, 0x49, 0xa9, 0x66], &info.concat()),
            element(&[0x16, 0x54, 0xae, 0x6b], &tracks.concat()),
            chapters,
            cluster(0),
            cluster(1),
            cluster(2),
            element(&[0x1c, 0x53, 0xbb, 0x6b], &element(&[0xbb], &cue)),
        ];
        [head(), element(&[0x18, 0x53, 0x80, 0x67], &parts.concat())].concat()
    }

    #[test]
    fn a_film_is_read_without_reading_its_frames() {
        let film = film();
        let media = examined(&film);
        let find = |id: [u8; 4]| -> Vec<u64> {
            let found = film.windows(4).enumerate().filter(|(_, window)| *window == id);
            found.map(|(at, _)| at as u64).collect()
        };
        let clusters = find([0x1f, 0x43, 0xb6, 0x75]);
        let cues = find([0x1c, 0x53, 0xbb, 0x6b])[0];
        let (header, index) = (0..clusters[0], cues..film.len() as u64);
        assert_eq!(
            (&media.structure.headers[..], &media.structure.indexes[..]),
            (&[header][..], &[index][..])
        );
        let keyframes: Vec<_> =
            media.structure.keyframes.iter().map(|one| (one.offset, one.time_ms)).collect();
        assert_eq!(keyframes, [(clusters[0], 0), (clusters[1], 2000), (clusters[2], 4000)]);
        assert_eq!((media.structure.duration_ms, media.title.as_deref()), (Some(6000), Some("The river")));
        assert_eq!(media.structure.chapters, [Chapter { time_ms: 0, name: "Opening".into() }]);
        assert!(matches!(media.remarks.as_slice(), [Remark::Warning(text)] if text.contains("A_AC3")));
    }

    #[test]
    fn a_duration_that_the_header_does_not_say_is_computed_from_the_frames() {
        // The last frames begin at 4 s. The others begin 2 s apart.
        assert_eq!(examined(&film_with(&[])).structure.duration_ms, Some(6000));
        assert_eq!(
            examined(&film_with(&element(&[0x44, 0x89], &0f64.to_be_bytes()))).structure.duration_ms,
            Some(6000)
        );
        let mut last = Last { track: 1, usual_ns: None, timestamp: 0, duration: None, step: 0 };
        let mut end = |timestamp, duration, usual_ns| {
            last.usual_ns = usual_ns;
            last.note(&Frame { timestamp, duration, ..Frame::default() });
            last.end_ms(NS_PER_MS)
        };
        assert_eq!(end(40, None, None), 80, "as long as the one before");
        assert_eq!(end(60, None, Some(33 * NS_PER_MS)), 93);
        assert_eq!(end(70, Some(5), Some(33 * NS_PER_MS)), 75);
        assert_eq!(end(30, Some(1000), None), 75, "shown before the last one");
    }

    proptest! {
        #[test]
        fn damage_costs_knowledge_and_nothing_else(
            cut in 0usize..90_000,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let mut film = film();
            film.truncate(cut.max(8));
            // Fields are rare among frames: most of the damage goes where fields are.
            let fields: Vec<usize> = (4..film.len()).filter(|at| film[*at] != 7).collect();
            for (at, value) in damage {
                film[*at.get(&fields)] = value;
            }
            let media = examined(&film);
            prop_assert!(media.structure.keyframes.len() <= 9);
        }
    }

    #[test]
    fn tables_of_contents_that_lead_astray_do_no_harm() {
        let id: &[u8] = &[0x11, 0x4d, 0x9b, 0x74];
        let segment = |payload: &[u8]| [head(), element(&[0x18, 0x53, 0x80, 0x67], payload)].concat();
        // Itself, for ever; itself twice; a place beyond all numbers.
        for places in [vec![(id, 0)], vec![(id, 0), (id, 0)], vec![(id, u64::MAX)]] {
            assert!(is_warned(&examined(&segment(&seek_head(&places)))));
        }
    }

    #[test]
    fn lengths_of_elements_are_read() {
        let span = |bytes: &[u8]| element_span(&mut Cursor::new(bytes), 1).unwrap();
        assert_eq!(span(&[0, 1, 2, 3, 4, 0x85]), Some(1..11));
        assert_eq!(span(&[0, 1, 2, 3, 4, 0x41, 0x00]), Some(1..7 + 256));
        assert_eq!(span(&[&[0, 1, 2, 3, 4][..], &(1u64 << 56 | 9).to_be_bytes()].concat()), Some(1..22));
        assert_eq!(span(&[0, 1, 2, 3, 4, 0x41]), None);
        assert_eq!(span(&[0, 1, 2, 3, 4, 0x00]), None);
    }

    #[test]
    fn odd_files_do_no_harm() {
        assert!(is_warned(&examined(&head())));
        let whole = [head(), element(&[0x18, 0x53, 0x80, 0x67], &[0xff; 100])].concat();
        for index in 4..whole.len() {
            let mut damaged = whole.clone();
            damaged[index] ^= 0xff;
            examined(&damaged);
            examined(&whole[..index]);
        }
    }
}
