//! Small clips of every kind that publishers have, made by ffmpeg.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::places::system_program;

/// Seconds that every clip lasts.
pub const CLIP_SECONDS: u64 = 5;

/// H.264 and AAC, a keyframe a second.
pub const H264: [&str; 10] =
    ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-pix_fmt", "yuv420p"];

/// AV1 and Opus, a keyframe a second.
pub const AV1: [&str; 10] =
    ["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "25", "-c:a", "libopus"];

/// VP9 and Opus, a keyframe a second.
pub const VP9: [&str; 10] =
    ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25", "-c:a", "libopus"];

/// Makes a clip of 160 × 90 pixels with a tone in `folder`; `arguments` say how it is encoded.
pub fn film(folder: &Path, name: &str, arguments: &[&str]) -> Result<PathBuf> {
    let picture = format!("testsrc2=size=160x90:rate=25:duration={CLIP_SECONDS}");
    made(folder, name, &["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone()], arguments)
}

/// Makes a clip of sound alone.
pub fn sound(folder: &Path, name: &str, arguments: &[&str]) -> Result<PathBuf> {
    made(folder, name, &["-f", "lavfi", "-i", &tone()], arguments)
}

/// Makes a picture.
pub fn picture(folder: &Path, name: &str) -> Result<PathBuf> {
    made(folder, name, &["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=1:duration=1"], &["-frames:v", "1"])
}

/// Makes a file of the streams of another one, with the metadata of an FFMETADATA file.
pub fn with_metadata(folder: &Path, name: &str, source: &Path, metadata: &Path) -> Result<PathBuf> {
    let (source, metadata) = (source.display().to_string(), metadata.display().to_string());
    let maps = ["-map_metadata", "1", "-map_chapters", "1", "-c", "copy"];
    made(folder, name, &["-i", &source, "-i", &metadata], &maps)
}

fn tone() -> String {
    format!("sine=frequency=440:duration={CLIP_SECONDS}")
}

fn made(folder: &Path, name: &str, inputs: &[&str], arguments: &[&str]) -> Result<PathBuf> {
    let path = folder.join(name);
    let mut command = Command::new(system_program(&["ffmpeg"])?);
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"]);
    let output = command.args(inputs).args(arguments).arg(&path).output().context("cannot start ffmpeg")?;
    ensure!(output.status.success(), "ffmpeg failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(path)
}
