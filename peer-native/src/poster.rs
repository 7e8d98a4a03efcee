//! A picture of a film, or the cover of a file of sound, made by ffmpeg where that is installed. Everything about it may fail; then there is none.

use std::path::Path;
use std::time::{Duration, Instant};

use swarm_core::limits::POSTER_BYTES_MAX;
use swarm_core::manifest::{Attachment, AttachmentKind};

use crate::ffmpeg::{Run, format_of};

/// How long ffmpeg may take for all attempts together.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Width in pixels and ffmpeg's quality (2 the best to 31) of one attempt after the other, until one is small enough.
const ATTEMPTS: [(u32, u32); 3] = [(640, 4), (640, 10), (320, 10)];

/// How far into the film the picture is taken: past titles, where something is to be seen.
const POSITION: f64 = 0.1;

/// What a JPEG begins with.
const JPEG_START: [u8; 3] = [0xff, 0xd8, 0xff];

/// A picture of a film of this duration.
pub(crate) fn of_film(path: &Path, duration_ms: Option<u64>) -> Option<Attachment> {
    picture(path, Some(duration_ms.unwrap_or(0) as f64 / 1000.0 * POSITION))
}

/// The cover inside a file of sound.
pub(crate) fn of_sound(path: &Path) -> Option<Attachment> {
    // A cover has no time; ffmpeg finds none where it is to begin at one.
    picture(path, None)
}

fn picture(path: &Path, position_s: Option<f64>) -> Option<Attachment> {
    let format = format_of(path)?;
    let deadline = Instant::now() + TIMEOUT;
    let fitting = |(width, quality)| {
        let bytes = frame((path, format), position_s, (width, quality), deadline)?;
        (bytes.starts_with(&JPEG_START) && bytes.len() <= POSTER_BYTES_MAX).then_some(bytes)
    };
    let bytes = ATTEMPTS.into_iter().find_map(fitting)?;
    Some(Attachment {
        kind: AttachmentKind::Poster,
        media_type: "image/jpeg".into(),
        language: None,
        label: None,
        bytes: bytes.into(),
    })
}

fn frame(
    (path, format): (&Path, &str),
    position_s: Option<f64>,
    (width, quality): (u32, u32),
    deadline: Instant,
) -> Option<Vec<u8>> {
    let position = position_s.map(|seconds| format!("{seconds:.3}"));
    Run::new()
        .args(position.iter().flat_map(|seconds| ["-ss", seconds.as_str()]))
        .film(path, format)
        .args(["-frames:v", "1", "-vf", &format!("scale='min({width},iw)':-2")])
        .args(["-q:v", &quality.to_string(), "-c:v", "mjpeg", "-f", "image2pipe", "pipe:1"])
        .output(Vec::new(), POSTER_BYTES_MAX, deadline)
}
