//! Contents to share: bytes that cannot be guessed, and films that browsers play.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::places::{kept_dir, system_program};

/// Length of [`film`], seconds.
pub const FILM_SECONDS: f64 = 60.0;

/// Writes a file of bytes that follow from `seed` and from nothing else.
pub fn random_file(path: &Path, length_bytes: u64, seed: u64) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut file = BufWriter::new(file);
    let mut bytes = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    let mut left = length_bytes;
    let mut part = vec![0; 1024 * 1024];
    while left > 0 {
        bytes.fill(&mut part);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(part.len());
        file.write_all(part.get(..length).unwrap_or_default())?;
        left -= length as u64;
    }
    Ok(file.flush()?)
}

/// BLAKE3 of a file, in hexadecimal digits.
pub fn digest(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

/// A film of 60 s, 720p, 4 Mbit/s, H.264 and AAC in MP4, index first: made once, then kept.
pub fn film() -> Result<PathBuf> {
    let path = kept_dir()?.join("film-60s-720p-4M.mp4");
    if path.is_file() {
        return Ok(path);
    }
    let unfinished = kept_dir()?.join("unfinished.mp4");
    let mut command = Command::new(system_program(&["ffmpeg"])?);
    command.args(["-hide_banner", "-loglevel", "error", "-y"]);
    command.args(["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=60"]);
    command.args(["-f", "lavfi", "-i", "sine=frequency=440:duration=60"]);
    // A constant rate, so that the film is as large as a real one although its pictures are simple.
    command.args(["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "main", "-pix_fmt", "yuv420p"]);
    command.args(["-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "4M"]);
    command.args(["-x264-params", "nal-hrd=cbr", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0"]);
    command.args(["-c:a", "aac", "-b:a", "96k", "-movflags", "+faststart"]).arg(&unfinished);
    let output = command.output().context("cannot start ffmpeg")?;
    ensure!(output.status.success(), "ffmpeg failed: {}", String::from_utf8_lossy(&output.stderr));
    let length_bytes = fs::metadata(&unfinished)?.len();
    ensure!(
        (28_000_000..34_000_000).contains(&length_bytes),
        "the film has {length_bytes} bytes, not about 30 MB"
    );
    fs::rename(&unfinished, &path)?;
    Ok(path)
}

/// The same film with its index behind the media, as encoders write it if nobody asks for anything else.
pub fn film_with_index_last() -> Result<PathBuf> {
    let path = kept_dir()?.join("film-60s-720p-4M-index-last.mp4");
    if path.is_file() {
        return Ok(path);
    }
    let unfinished = kept_dir()?.join("unfinished-index-last.mp4");
    let mut command = Command::new(system_program(&["ffmpeg"])?);
    command.args(["-hide_banner", "-loglevel", "error", "-y", "-i"]).arg(film()?);
    let output = command.args(["-c", "copy"]).arg(&unfinished).output().context("cannot start ffmpeg")?;
    ensure!(output.status.success(), "ffmpeg failed: {}", String::from_utf8_lossy(&output.stderr));
    fs::rename(&unfinished, &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, seed| {
            let path = folder.path().join(name);
            random_file(&path, 1_500_000, seed).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), 1_500_000);
            digest(&path).unwrap()
        };
        assert_eq!(file("a", 1), file("b", 1));
        assert_ne!(file("a", 1), file("c", 2));
    }
}
