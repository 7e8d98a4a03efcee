//! Runs ffmpeg, where it is installed, to make pictures of a film. Bounds its time and what it may read and write.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How often a process that closed its output is asked whether it has ended.
const END_INTERVAL: Duration = Duration::from_millis(5);

/// ffmpeg's name of the format that a file begins like, of those that hold all of a film themselves. ffmpeg would also read
/// playlists, whatever their name, and show a picture of the files that they name.
pub(crate) fn format_of(path: &Path) -> Option<&'static str> {
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

/// One run of ffmpeg.
pub(crate) struct Run {
    command: Command,
}

impl Run {
    pub(crate) fn new() -> Self {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error"]);
        Self { command }
    }

    pub(crate) fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Reads this file as this format, and nothing else.
    pub(crate) fn film(mut self, path: &Path, format: &str) -> Self {
        // A path that begins with a letter and a colon, or with a dash, must not be taken for a protocol or an option.
        let mut input = std::ffi::OsString::from("file:");
        input.push(path);
        self.command.args(["-protocol_whitelist", "file", "-f", format, "-i"]).arg(input);
        self
    }

    /// What it writes, of which more than `bytes_max` is cut off, if it succeeds before the deadline. `input` is given to it.
    pub(crate) fn output(mut self, input: Vec<u8>, bytes_max: usize, deadline: Instant) -> Option<Vec<u8>> {
        if Instant::now() >= deadline {
            return None;
        }
        let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
        let mut child = self
            .command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .inspect_err(|error| tracing::info!(%error, "no picture: ffmpeg does not start"))
            .ok()?;
        if let Some(mut stdin) = child.stdin.take() {
            // It ends with the process, which is killed below at the latest.
            std::thread::spawn(move || {
                let _ = stdin.write_all(&input);
            });
        }
        let bytes = read(&mut child, bytes_max, deadline);
        // It has ended or is of no use any more.
        let _ = child.kill();
        let is_success = child.wait().is_ok_and(|status| status.success());
        bytes.filter(|_| is_success)
    }
}

/// What a process writes, up to a little more than is of use, if it is done in time.
fn read(child: &mut Child, bytes_max: usize, deadline: Instant) -> Option<Vec<u8>> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(bytes_max as u64 + 1).read_to_end(&mut bytes);
        // If nobody waits any more, it was too late.
        let _ = sender.send(read.ok().map(|_| bytes));
    });
    let bytes = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()??;
    // It closed its output and is about to end.
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(END_INTERVAL),
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
            assert_eq!(crate::poster::of_film(&path, Some(2000)), None, "{playlist}");
            assert_eq!(crate::storyboard::of_film(&path, Some(60_000), &[]), None, "{playlist}");
        }
        assert_eq!(format_of(folder.path()), None);
    }
}
