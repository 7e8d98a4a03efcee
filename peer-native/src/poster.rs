//! A picture of a film, or the cover of a file of sound, made by ffmpeg where that is installed. Everything about it may fail; then there is none.

use std::fs::File;
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

/// ffmpeg's name of the format that a file begins like, of those that hold all of a film themselves. ffmpeg would also read
/// playlists, whatever their name, and show a picture of the files that they name.
fn format_of(path: &Path) -> Option<&'static str> {
    let mut start = [0; 12];
    File::open(path).ok()?.read_exact(&mut start).ok()?;
    match start {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("mov"),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Some("matroska"),
        [b'O', b'g', b'g', b'S', ..] => Some("ogg"),
        [b'I', b'D', b'3', ..] => Some("mp3"),
        [b'f', b'L', b'a', b'C', ..] => Some("flac"),
        [_, ..] => None,
    }
}

fn frame(
    (path, format): (&Path, &str),
    position_s: Option<f64>,
    (width, quality): (u32, u32),
    deadline: Instant,
) -> Option<Vec<u8>> {
    // A path that begins with a letter and a colon, or with a dash, must not be taken for a protocol or an option.
    let mut input = std::ffi::OsString::from("file:");
    input.push(path);
    let mut child = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file"])
        .args(position_s.map(|seconds| ["-ss".to_owned(), format!("{seconds:.3}")]).into_iter().flatten())
        .args(["-f", format, "-i"])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_begins_like_a_film_is_given_to_ffmpeg() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.mp4");
        let format = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            format_of(&path)
        };
        assert_eq!(format(b"\0\0\0\x20ftypisom\0\0\x02\0"), Some("mov"));
        assert_eq!(format(b"\x1a\x45\xdf\xa3 matroska"), Some("matroska"));
        assert_eq!(format(b"OggS\0\x02 theora"), Some("ogg"));
        assert_eq!(format(b"ID3\x03\0\0\0\x01=8TS"), Some("mp3"));
        assert_eq!(format(b"fLaC\0\0\0\x22\x12\0\x12\0"), Some("flac"));
        for playlist in ["#EXTM3U\n#EXTINF:2,\n/etc/hostname\n", "ffconcat version 1.0\nfile other.png\n", ""]
        {
            assert_eq!(format(playlist.as_bytes()), None, "{playlist}");
            assert_eq!(of_film(&path, Some(2000)), None, "{playlist}");
        }
        assert_eq!(format_of(folder.path()), None);
    }
}
