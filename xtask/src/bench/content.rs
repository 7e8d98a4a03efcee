//! What a bench shares: bytes that cannot be guessed, or a film; and who holds how much of it on disk.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::options::Rate;
use crate::process;

/// Bytes in a megabyte.
pub(crate) const MB: u64 = 1_000_000;

/// The unit in which files are compared: a group.
const GROUP_BYTES: usize = 16 * 1024;

/// Writes a file that no compression or cache makes smaller; the same one each time.
pub(crate) fn random_file(path: &Path, length_bytes: u64) -> Result<()> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let words = usize::try_from(length_bytes.div_ceil(8)).context("too large for this machine")?;
    let mut bytes: Vec<u8> = Vec::with_capacity(words * 8);
    for _ in 0..words {
        bytes.extend(next_word(&mut state).to_le_bytes());
    }
    bytes.truncate(usize::try_from(length_bytes)?);
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// The next word of `SplitMix64` (Steele, Lea and Flood, 2014).
fn next_word(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// A film of this rate, about `length_bytes` long, H.264 in MP4 with the index first; made once, then kept.
pub(crate) fn film(folder: &Path, length_bytes: u64, rate: Rate) -> Result<PathBuf> {
    let path = folder.join(format!("film-{}MB-{rate}Mbit.mp4", length_bytes / MB));
    if path.is_file() {
        return Ok(path);
    }
    let unfinished = folder.join(format!("unfinished-{}.mp4", std::process::id()));
    let seconds = length_bytes as f64 * 8.0 / rate.bits_per_s as f64;
    let (bits, picture) = (rate.bits_per_s.to_string(), format!("testsrc2=s=640x360:r=25:d={seconds}"));
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-y", "-f", "lavfi", "-i", &picture]);
    command.args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50"]);
    // A constant rate, so that the film is as large as a real one although its pictures are simple.
    command.args(["-b:v", &bits, "-minrate", &bits, "-maxrate", &bits, "-bufsize", &bits]);
    command.args(["-x264-params", "nal-hrd=cbr", "-movflags", "+faststart"]).arg(&unfinished);
    process::run(&mut command)?;
    fs::rename(&unfinished, &path).with_context(|| format!("cannot keep {}", path.display()))?;
    Ok(path)
}

/// Whether the files, each as long as the original and with holes, hold all of it together: for every group, one
/// of them has the original's bytes.
pub(crate) fn hold_all_together(original: &Path, copies: &[PathBuf]) -> Result<bool> {
    let mut original = File::open(original).with_context(|| format!("cannot read {}", original.display()))?;
    let mut copies: Vec<File> = copies.iter().filter_map(|path| File::open(path).ok()).collect();
    let mut expected = Vec::new();
    loop {
        expected.clear();
        (&mut original).take(GROUP_BYTES as u64).read_to_end(&mut expected)?;
        if expected.is_empty() {
            return Ok(true);
        }
        let mut is_held = false;
        for copy in &mut copies {
            let mut found = Vec::with_capacity(GROUP_BYTES);
            // Each is read to stay at the same place in all.
            copy.take(GROUP_BYTES as u64).read_to_end(&mut found)?;
            is_held |= found == expected;
        }
        if !is_held {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_all_together_when_each_group_is_in_one_of_them() {
        let folder = std::env::temp_dir().join(format!("bench-content-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = |name: &str| folder.join(name);
        random_file(&file("original"), 3 * GROUP_BYTES as u64 + 100).unwrap();
        let original = fs::read(file("original")).unwrap();
        let with_holes = |name: &str, holes: &[usize]| {
            let mut bytes = original.clone();
            for hole in holes {
                bytes[hole * GROUP_BYTES..].iter_mut().take(GROUP_BYTES).for_each(|byte| *byte = 0);
            }
            fs::write(file(name), bytes).unwrap();
            file(name)
        };
        let (a, b) = (with_holes("a", &[0, 3]), with_holes("b", &[1, 2]));
        let is_all = |copies: &[PathBuf]| hold_all_together(&file("original"), copies).unwrap();
        assert!(is_all(&[a.clone(), b.clone()]));
        assert!(!is_all(&[a.clone(), with_holes("c", &[3])]));
        assert!(!is_all(&[a, file("missing")]));
        assert!(!is_all(&[]));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn random_bytes_are_no_holes() {
        let mut state = 1;
        assert!((0..1000).all(|_| next_word(&mut state) != 0));
    }
}
