//! Small pictures of a film's moments in one picture, made by ffmpeg where that is installed. Everything about it may fail; then there is none.
//!
//! ffmpeg seeks to each moment and decodes little there, so the time does not grow with the film. Moments are taken in an order in which any
//! number of them are spread over the film. When the time is up, the storyboard has fewer tiles.

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use swarm_core::limits::STORYBOARD_BYTES_MAX;
use swarm_core::manifest::{Attachment, AttachmentKind, Grid};
use swarm_core::segmentation::Keyframe;

use crate::ffmpeg::{Run, format_of};

/// How long the pictures may take to be taken.
const TAKING_TIMEOUT: Duration = Duration::from_secs(6);

/// How long they may take to be put together, for all attempts.
const JOINING_TIMEOUT: Duration = Duration::from_secs(3);

/// Runs of ffmpeg at a time, at most: each decodes with one thread.
const WORKERS_MAX: usize = 4;

/// Moments that one run of ffmpeg takes: each opens the film, whose index in memory may have 30 MB.
const BATCH: usize = 6;

/// Moments that are taken at most. A tile that fits 60 times has 800 bytes, of which a person recognises a scene.
const MOMENTS_MAX: u64 = 60;

/// Tiles of a storyboard at least: fewer say less than the poster.
const TILES_MIN: usize = 4;

/// Moments that are taken if a film has fewer keyframes: between keyframes, up to a second has to be decoded for each.
const BETWEEN_KEYFRAMES_MAX: usize = 15;

/// How far apart moments are at least: players ask for whole seconds.
const INTERVAL_MIN_MS: u64 = 1000;

/// Pixels of a tile: 160 by 90, which fit over the timeline of a phone. Other shapes have about as many.
const TILE_PIXELS: u32 = 14_400;

/// Bytes of one picture that ffmpeg may write: more than three for each pixel.
const FRAME_BYTES_MAX: usize = 4 * TILE_PIXELS as usize;

/// How much after a keyframe's time ffmpeg is asked to seek, so that rounding does not lead to the one before.
const KEYFRAME_MARGIN_MS: u64 = 20;

/// Bytes of one attempt that are looked at: how much too large it is tells how many tiles would fit.
const ATTEMPT_BYTES_MAX: usize = 1 << 20;

/// How the picture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoder {
    /// Has about half of JPEG's bytes, but not every ffmpeg writes it.
    WebP,
    Jpeg,
}

impl Encoder {
    /// From the best to the worst of which something is recognised. What does not fit then has fewer tiles.
    const fn qualities(self) -> [&'static str; 3] {
        match self {
            Self::WebP => ["75", "50", "30"],
            Self::Jpeg => ["5", "12", "20"],
        }
    }

    const fn arguments(self, quality: &str) -> [&str; 6] {
        match self {
            Self::WebP => ["-pix_fmt", "yuv420p", "-c:v", "libwebp", "-quality", quality],
            Self::Jpeg => ["-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-q:v", quality],
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::WebP => "image/webp",
            Self::Jpeg => "image/jpeg",
        }
    }
}

/// A storyboard of a film of this duration.
pub(crate) fn of_film(path: &Path, duration_ms: Option<u64>, keyframes: &[Keyframe]) -> Option<Attachment> {
    let duration_ms = duration_ms?;
    let count = count(duration_ms, keyframes)?;
    let film = (path, format_of(path)?);
    let moments = moments(count, duration_ms, keyframes);
    let frames = taken(film, &moments, Instant::now() + TAKING_TIMEOUT)?;
    let shots = Shots { duration_ms, moments, frames };
    let deadline = Instant::now() + JOINING_TIMEOUT;
    [Encoder::WebP, Encoder::Jpeg].into_iter().find_map(|encoder| shots.joined(encoder, deadline))
}

/// How many moments are taken of such a film; nothing if it is too short.
fn count(duration_ms: u64, keyframes: &[Keyframe]) -> Option<usize> {
    let count = usize::try_from((duration_ms / INTERVAL_MIN_MS).min(MOMENTS_MAX)).ok()?;
    (count >= TILES_MIN).then(|| count.min(keyframes.len().max(BETWEEN_KEYFRAMES_MAX)))
}

/// Where one picture is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    at_ms: u64,
    /// Whether the nearest keyframe before it will do, which is far less to decode.
    is_keyframe: bool,
}

/// For each of `count` equal parts of a film: its keyframe nearest to the middle, or the middle if it has none.
fn moments(count: usize, duration_ms: u64, keyframes: &[Keyframe]) -> Vec<Moment> {
    let edge = |index: usize| index as u64 * duration_ms / count as u64;
    let mut times: Vec<u64> = keyframes.iter().map(|keyframe| keyframe.time_ms).collect();
    times.sort_unstable();
    let moment = |index| {
        let (start, end) = (edge(index), edge(index + 1));
        let middle = start.midpoint(end);
        let first = times.partition_point(|time| *time < start);
        let inside = times.iter().skip(first).take_while(|time| **time + KEYFRAME_MARGIN_MS < end);
        match inside.min_by_key(|time| time.abs_diff(middle)) {
            Some(time) => Moment { at_ms: time + KEYFRAME_MARGIN_MS, is_keyframe: true },
            None => Moment { at_ms: middle, is_keyframe: false },
        }
    };
    (0..count).map(moment).collect()
}

/// A picture as ffmpeg writes it (PPM): red, green and blue of each pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Frame {
    /// The first one of these bytes, and what follows it.
    fn of_ppm(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut fields = bytes.splitn(4, |byte| byte.is_ascii_whitespace());
        let (kind, width, height, rest) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let number = |field: &[u8]| str::from_utf8(field).ok()?.parse::<u16>().ok().map(usize::from);
        let (width, height) = (number(width)?, number(height)?);
        let (pixels, after) = rest.strip_prefix(b"255\n")?.split_at_checked(width * height * 3)?;
        let is_picture = kind == b"P6" && !pixels.is_empty();
        is_picture.then(|| (Self { width, height, pixels: pixels.to_vec() }, after))
    }
}

/// The pictures of these moments, as far as they are taken in time; nothing if the first one cannot be.
fn taken(film: (&Path, &str), moments: &[Moment], deadline: Instant) -> Option<Vec<Option<Frame>>> {
    let order = spread(moments.len());
    let (first, rest) = order.split_first()?;
    let mut taken: Vec<Option<Frame>> = vec![None; moments.len()];
    // Without ffmpeg, or of what it cannot decode, the first one fails, and so would the others.
    *taken.get_mut(*first)? = Some(run(film, &[*moments.get(*first)?], deadline)?.pop()?);
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(WORKERS_MAX);
    let (batches, next) = (rest.chunks(BATCH).collect::<Vec<_>>(), AtomicUsize::new(0));
    let work = || {
        let mut own = Vec::new();
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let moments: Vec<Moment> =
                batch.iter().filter_map(|index| moments.get(*index)).copied().collect();
            own.extend(batch.iter().copied().zip(frames(film, &moments, deadline)));
        }
        own
    };
    let all = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect::<Vec<_>>()
    });
    for (index, frame) in all {
        if let Some(place) = taken.get_mut(index) {
            *place = frame;
        }
    }
    Some(taken)
}

/// The numbers below `count` so that those before any place are spread over all: by their bits, the least significant one first.
fn spread(count: usize) -> Vec<usize> {
    let bits = count.next_power_of_two().trailing_zeros();
    let reversed = |number: usize| number.reverse_bits().checked_shr(usize::BITS - bits).unwrap_or(0);
    (0..count.next_power_of_two()).map(reversed).filter(|number| *number < count).collect()
}

/// The pictures of these moments, by one run of ffmpeg: most of a run's time is its start. Where they are not all there, each one is taken
/// by itself.
fn frames(film: (&Path, &str), moments: &[Moment], deadline: Instant) -> Vec<Option<Frame>> {
    let together = run(film, moments, deadline).unwrap_or_default();
    match moments {
        _ if together.len() == moments.len() => together.into_iter().map(Some).collect(),
        [] | [_] => vec![None; moments.len()],
        [_, _, ..] => {
            let alone = |moment: &Moment| run(film, &[*moment], deadline)?.pop();
            moments.iter().map(alone).collect()
        }
    }
}

/// The film is opened once for each moment, and the first frame from there on is kept.
fn run((path, format): (&Path, &str), moments: &[Moment], deadline: Instant) -> Option<Vec<Frame>> {
    // As many pixels for every shape, up to four times as wide as high.
    let side = |shape: &str| format!("2*round(sqrt({TILE_PIXELS}*{shape})/2)");
    let (width, height) = (side("clip(dar\\,1/4\\,4)"), side("clip(1/dar\\,1/4\\,4)"));
    let (mut run, mut graph, mut joints) = (Run::new(), String::new(), String::new());
    for (index, Moment { at_ms, is_keyframe }) in moments.iter().enumerate() {
        let position = format!("{}.{:03}", at_ms / 1000, at_ms % 1000);
        let keyframe: &[&str] =
            if *is_keyframe { &["-skip_frame", "nokey", "-noaccurate_seek"] } else { &["-accurate_seek"] };
        run = run
            .args(["-threads", "1"])
            .args(keyframe.iter().copied())
            .args(["-ss", &position])
            .film(path, format);
        graph +=
            &format!("[{index}:v:0]trim=end_frame=1,scale=w={width}:h={height},setsar=1,setpts=0[{index}];");
        joints += &format!("[{index}]");
    }
    // Times one after the other at a rate that ffmpeg knows, or it would leave frames out or repeat them.
    let count = moments.len();
    graph += &format!("{joints}concat=n={count},settb=1/25,setpts=N,fps=25[all]");
    let bytes = run
        .args(["-filter_complex", &graph, "-map", "[all]", "-frames:v", &count.to_string()])
        .args(["-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "pipe:1"])
        .output(Vec::new(), count * FRAME_BYTES_MAX, deadline)?;
    let mut frames = Vec::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let (frame, after) = Frame::of_ppm(rest)?;
        frames.push(frame);
        rest = after;
    }
    Some(frames)
}

/// What was taken of a film.
struct Shots {
    duration_ms: u64,
    moments: Vec<Moment>,
    /// One for each moment, if it could be taken.
    frames: Vec<Option<Frame>>,
}

impl Shots {
    /// As many tiles as are there and fit, in the best quality in which they fit.
    fn joined(&self, encoder: Encoder, deadline: Instant) -> Option<Attachment> {
        let mut count = self.moments.len();
        while count >= TILES_MIN {
            let Some(frames) = self.picked(count) else {
                // Where time was short, by halves: machines of about the same speed make the same storyboard, and with it the same link.
                count = if self.frames.iter().all(Option::is_some) { count - 1 } else { count / 2 };
                continue;
            };
            let sheet = Sheet::of(&frames)?;
            let mut length = 0;
            for quality in encoder.qualities() {
                let bytes = sheet.encoded(encoder, quality, deadline)?;
                length = bytes.len();
                if length <= STORYBOARD_BYTES_MAX {
                    return sheet.attached(encoder, bytes);
                }
            }
            // A little less than would fit if all tiles had as many bytes.
            count = (count - 1).min(count * STORYBOARD_BYTES_MAX * 19 / 20 / length);
        }
        None
    }

    /// Of each of `count` equal parts of the film the picture nearest to its middle; nothing if one has none.
    fn picked(&self, count: usize) -> Option<Vec<&Frame>> {
        let edge = |index: usize| index as u64 * self.duration_ms / count as u64;
        let shape = self.frames.iter().flatten().next().map(|frame| (frame.width, frame.height))?;
        let part = |index| {
            let (start, end) = (edge(index), edge(index + 1));
            let inside = self.moments.iter().zip(&self.frames).filter_map(|(moment, frame)| {
                let frame = frame.as_ref().filter(|frame| (frame.width, frame.height) == shape)?;
                (start..end).contains(&moment.at_ms).then_some((moment.at_ms, frame))
            });
            let nearest = inside.min_by_key(|(at_ms, _)| at_ms.abs_diff(start.midpoint(end)))?;
            Some(nearest.1)
        };
        (0..count).map(part).collect()
    }
}

/// The tiles in one picture.
struct Sheet {
    grid: Grid,
    whole: Frame,
}

impl Sheet {
    /// About as many rows as columns, so that neither side is long. Places without a tile are black.
    fn of(tiles: &[&Frame]) -> Option<Self> {
        let (count, first) = (tiles.len(), tiles.first()?);
        let columns = count.isqrt().max(1) + usize::from(count.isqrt().pow(2) < count);
        let (row_bytes, rows) = (first.width * 3, count.div_ceil(columns));
        let (width, height) = (first.width * columns, first.height * rows);
        let mut pixels = vec![0; width * height * 3];
        for (index, tile) in tiles.iter().enumerate() {
            let (column, row) = (index % columns, index / columns);
            for (line, bytes) in tile.pixels.chunks_exact(row_bytes).enumerate() {
                let at = (row * first.height + line) * width * 3 + column * row_bytes;
                pixels.get_mut(at..at + row_bytes)?.copy_from_slice(bytes);
            }
        }
        let grid = Grid { columns: columns.try_into().ok()?, count: count.try_into().ok()? };
        Some(Self { grid, whole: Frame { width, height, pixels } })
    }

    /// As a file, however long it is; nothing if ffmpeg does not write this kind or the time is up.
    fn encoded(&self, encoder: Encoder, quality: &str, deadline: Instant) -> Option<Vec<u8>> {
        let Frame { width, height, pixels } = &self.whole;
        Run::new()
            .args(["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", &format!("{width}x{height}")])
            .args(["-i", "pipe:0", "-frames:v", "1"])
            .args(encoder.arguments(quality))
            .args(["-f", "image2pipe", "pipe:1"])
            .output(pixels.clone(), ATTEMPT_BYTES_MAX, deadline)
    }

    /// The attachment, if a manifest may have it.
    fn attached(&self, encoder: Encoder, bytes: Vec<u8>) -> Option<Attachment> {
        let attachment = Attachment {
            kind: AttachmentKind::Storyboard(self.grid),
            media_type: encoder.media_type().into(),
            language: None,
            label: None,
            bytes: bytes.into(),
        };
        attachment.tiles().is_some().then_some(attachment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyframes(times: &[u64]) -> Vec<Keyframe> {
        times.iter().map(|time_ms| Keyframe { offset: 0, time_ms: *time_ms }).collect()
    }

    #[test]
    fn a_moment_is_the_keyframe_nearest_to_the_middle_of_its_part_or_the_middle() {
        let found = moments(4, 40_000, &keyframes(&[0, 4000, 9990, 10_000, 30_000]));
        let of = |at_ms, is_keyframe| Moment { at_ms, is_keyframe };
        assert_eq!(found, [of(4020, true), of(10_020, true), of(25_000, false), of(30_020, true)]);
        let without = moments(2, 3000, &[]);
        assert_eq!(without, [of(750, false), of(2250, false)]);
    }

    #[test]
    fn moments_are_as_many_as_keyframes_within_bounds() {
        let two_seconds = |count: u64| keyframes(&(0..count).map(|index| index * 2000).collect::<Vec<_>>());
        assert_eq!(count(7_200_000, &two_seconds(3600)), Some(60));
        assert_eq!(count(60_000, &two_seconds(30)), Some(30));
        assert_eq!(count(60_000, &two_seconds(1)), Some(15));
        assert_eq!(count(8999, &two_seconds(5)), Some(8), "one a second");
        assert_eq!(count(4000, &[]), Some(4));
        assert_eq!(count(3999, &[]), None);
    }

    #[test]
    fn any_number_of_first_pictures_is_spread_over_the_film() {
        for count in [1, 4, 7, 60, 64] {
            let order = spread(count);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..count).collect::<Vec<_>>());
        }
        assert_eq!(spread(8), [0, 4, 2, 6, 1, 5, 3, 7]);
    }

    /// Shots of one pixel that shows the number of the moment.
    fn shots(count: usize, missing: &[usize]) -> Shots {
        let shot = |index: usize| Frame { width: 1, height: 1, pixels: vec![index as u8; 3] };
        let frames = (0..count).map(|index| (!missing.contains(&index)).then(|| shot(index))).collect();
        Shots { duration_ms: count as u64 * 1000, moments: moments(count, count as u64 * 1000, &[]), frames }
    }

    #[test]
    fn what_could_not_be_taken_makes_tiles_fewer_and_each_stays_in_its_part() {
        let first = |picked: Vec<&Frame>| picked.iter().map(|frame| frame.pixels[0]).collect::<Vec<_>>();
        let all = shots(8, &[]);
        assert_eq!(all.picked(8).map(first), Some((0..8).collect()));
        assert_eq!(all.picked(4).map(first), Some(vec![0, 2, 4, 6]));
        let some = shots(8, &[2, 3, 7]);
        assert_eq!(some.picked(8), None);
        assert_eq!(some.picked(4), None, "the second quarter has no picture");
        assert_eq!(some.picked(2).map(first), Some(vec![1, 5]));
        assert_eq!(shots(8, &[0, 1, 2, 3, 4, 5, 6, 7]).picked(1), None);
    }

    #[test]
    fn tiles_lie_in_rows_in_the_order_of_reading() {
        let tiles: Vec<Frame> =
            (1..=5).map(|number| Frame { width: 2, height: 1, pixels: vec![number; 6] }).collect();
        let sheet = Sheet::of(&tiles.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((sheet.grid.columns, sheet.grid.count), (3, 5));
        assert_eq!((sheet.whole.width, sheet.whole.height), (6, 2));
        let reds: Vec<u8> = sheet.whole.pixels.iter().step_by(3).copied().collect();
        assert_eq!(reds, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 0, 0]);
        for (count, columns) in [(4, 2), (9, 3), (10, 4), (60, 8)] {
            let tiles = vec![&tiles[0]; count];
            assert_eq!(Sheet::of(&tiles).unwrap().grid.columns, columns, "{count}");
        }
    }

    #[test]
    fn a_picture_is_read_whole_or_not_at_all() {
        let frame = Frame { width: 2, height: 1, pixels: vec![1, 2, 3, 4, 5, 6] };
        let two = b"P6\n2 1\n255\n\x01\x02\x03\x04\x05\x06P6\n";
        assert_eq!(Frame::of_ppm(two), Some((frame, b"P6\n".as_slice())));
        for bytes in [
            b"".as_slice(),
            b"P6\n2 1\n255\n\x01",
            b"P6\n0 0\n255\n",
            b"P6\n2 1\n65535\n\x01\x02\x03\x04\x05\x06",
            b"P5\n2 1\n255\n\x01\x02\x03\x04\x05\x06",
            b"P6\n-2 1\n255\n\x01\x02\x03\x04\x05\x06",
            b"P6\n99999 99999\n255\n\x01",
        ] {
            assert_eq!(Frame::of_ppm(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn no_picture_is_taken_after_the_time_is_up() {
        let film = (Path::new("film.mp4"), "mov");
        let moments = moments(8, 8000, &[]);
        assert_eq!(taken(film, &moments, Instant::now()), None);
    }
}
