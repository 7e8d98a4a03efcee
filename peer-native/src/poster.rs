//! A picture of a film, made by ffmpeg where that is installed. Everything about it may fail; then there is none.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use swarm_core::limits::POSTER_BYTES_MAX;
use swarm_core::manifest::{Attachment, AttachmentKind};

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
    let deadline = Instant::now() + TIMEOUT;
    let position_s = duration_ms.unwrap_or(0) as f64 / 1000.0 * POSITION;
    let fitting = |(width, quality)| {
        let bytes = frame(path, position_s, width, quality, deadline)?;
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

fn frame(path: &Path, position_s: f64, width: u32, quality: u32, deadline: Instant) -> Option<Vec<u8>> {
    // A path that begins with a letter and a colon, or with a dash, must not be taken for a protocol or an option.
    let mut input = std::ffi::OsString::from("file:");
    input.push(path);
    let mut child = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file"])
        .args(["-ss", &format!("{position_s:.3}"), "-i"])
        .arg(input)
        .args(["-frames:v", "1", "-vf", &format!("scale='min({width},iw)':-2")])
        .args(["-q:v", &quality.to_string(), "-c:v", "mjpeg", "-f", "image2pipe", "pipe:1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .inspect_err(|error| tracing::info!(%error, "no poster: ffmpeg does not start"))
        .ok()?;
    let bytes = output(&mut child, deadline);
    // It has ended or is of no use any more.
    let _ = child.kill();
    let is_success = child.wait().is_ok_and(|status| status.success());
    bytes.filter(|_| is_success)
}

/// What a process writes, up to a little more than is of use, if it is done in time.
fn output(child: &mut Child, deadline: Instant) -> Option<Vec<u8>> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(POSTER_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
        // If nobody waits any more, it was too late.
        let _ = sender.send(read.ok().map(|_| bytes));
    });
    let bytes = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()??;
    // It closed its output and is about to end.
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Ok(Some(_)) | Err(_) => break,
        }
    }
    Some(bytes)
}
