//! Contents to share: pseudo-random bytes, and films that browsers play.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::places::{kept_dir, system_program};

/// Length of [`film`], seconds.
pub const FILM_SECONDS: f64 = 60.0;

/// Repetitions of [`film`] in [`long_film`].
const LONG_FILM_REPEATS: u32 = 39;

/// Writes a file of pseudo-random bytes. The same `seed` always gives the same bytes.
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

/// A film of 60 s, 720p, 4 Mbit/s, H.264 and AAC in MP4, index first. It is made once and then kept.
pub fn film() -> Result<PathBuf> {
    kept("film-60s-720p-4M.mp4", 28_000_000..34_000_000, |command| {
        command.args(["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=60"]);
        command.args(["-f", "lavfi", "-i", "sine=frequency=440:duration=60"]);
        // A constant rate makes the film as large as a real one, although its pictures are simple.
        command.args(["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "main", "-pix_fmt", "yuv420p"]);
        command.args(["-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "4M"]);
        command.args(["-x264-params", "nal-hrd=cbr", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0"]);
        command.args(["-c:a", "aac", "-b:a", "96k", "-movflags", "+faststart"]);
        Ok(())
    })
}

/// What [`described_film`] says of itself.
const RULES: &str = "title = \"The river\"\nauthor = \"The authors\"\n\
    [[chapter]]\ntime = \"0:00\"\nname = \"Spring\"\n[[chapter]]\ntime = \"0:30\"\nname = \"Sea\"\n\
    [[rule]]\nchapter = \"Sea\"\npriority = 7\n";

const SUBTITLES: &str = "WEBVTT\n\n00:00.000 --> 01:00.000\nThe river rises.\n";

/// [`film`] in `folder` with subtitles beside it, and a rules file with a title and two chapters, in this order.
pub fn described_film(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let (described, rules) = (folder.join("river.mp4"), folder.join("rules.toml"));
    fs::copy(film()?, &described).context("cannot copy the film")?;
    fs::write(folder.join("river.en.vtt"), SUBTITLES)?;
    fs::write(&rules, RULES)?;
    Ok((described, rules))
}

/// The film of [`film`] with its index after the media. Encoders write this order by default.
pub fn film_with_index_last() -> Result<PathBuf> {
    kept("film-60s-720p-4M-index-last.mp4", 28_000_000..34_000_000, |command| {
        command.arg("-i").arg(film()?).args(["-c", "copy"]);
        Ok(())
    })
}

/// A film of 40 minutes and about 1.2 GB: [`film`] repeated, index first. It is made once and then kept.
pub fn long_film() -> Result<PathBuf> {
    kept("film-40min-720p-4M.mp4", 1_100_000_000..1_300_000_000, |command| {
        command.args(["-stream_loop", &LONG_FILM_REPEATS.to_string(), "-i"]).arg(film()?);
        command.args(["-c", "copy", "-movflags", "+faststart"]);
        Ok(())
    })
}

/// A film of `bits_per_s` and `seconds`, 360p, without sound, index first. It is made once and then kept.
pub fn film_at_rate(bits_per_s: u64, seconds: u64) -> Result<PathBuf> {
    let expected_bytes = bits_per_s * seconds / 8;
    let lengths_bytes = expected_bytes / 10 * 8..expected_bytes / 10 * 12;
    kept(&format!("film-{seconds}s-360p-{bits_per_s}.mp4"), lengths_bytes, |command| {
        command.args(["-f", "lavfi", "-i", &format!("testsrc2=size=640x360:rate=25:duration={seconds}")]);
        let bits = bits_per_s.to_string();
        command.args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50"]);
        command.args(["-b:v", &bits, "-minrate", &bits, "-maxrate", &bits, "-bufsize", &bits]);
        command.args(["-x264-params", "nal-hrd=cbr", "-movflags", "+faststart"]);
        Ok(())
    })
}

/// Seconds of [`sound`].
pub const SOUND_SECONDS: f64 = 60.0;

/// A note of 60 s in `folder`, as ffmpeg writes the format, and with a cover of 600 by 600 pixels inside if that is asked for.
pub fn sound(folder: &Path, format: &str, has_cover: bool) -> Result<PathBuf> {
    let name = if has_cover { format!("sound-60s-cover.{format}") } else { format!("sound-60s.{format}") };
    let kept = kept(&name, 50_000..2_000_000, |command| {
        command.args(["-f", "lavfi", "-i", "sine=frequency=440:duration=60"]);
        if has_cover {
            command.args([
                "-f",
                "lavfi",
                "-i",
                "testsrc2=size=600x600:rate=1:duration=1",
                "-map",
                "0:a",
                "-map",
                "1:v",
            ]);
            command.args(["-c:v", "mjpeg", "-frames:v", "1", "-disposition:v:0", "attached_pic"]);
        }
        Ok(())
    })?;
    let path = folder.join(format!("note.{format}"));
    fs::copy(kept, &path).context("cannot copy the sound")?;
    Ok(path)
}

/// The kept film `name`. If it is missing, ffmpeg makes it with the arguments that `describe` adds.
fn kept(
    name: &str,
    lengths_bytes: Range<u64>,
    describe: impl FnOnce(&mut Command) -> Result<()>,
) -> Result<PathBuf> {
    let path = kept_dir()?.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let unfinished = kept_dir()?.join(format!("unfinished-{name}"));
    let mut command = Command::new(system_program(&["ffmpeg"])?);
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"]);
    describe(&mut command)?;
    let output = command.arg(&unfinished).output().context("cannot start ffmpeg")?;
    ensure!(output.status.success(), "ffmpeg failed: {}", String::from_utf8_lossy(&output.stderr));
    let length_bytes = fs::metadata(&unfinished)?.len();
    ensure!(
        lengths_bytes.contains(&length_bytes),
        "{name} has {length_bytes} bytes; {lengths_bytes:?} were expected"
    );
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
