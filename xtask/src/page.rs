//! Compresses the built page: a `.br` file beside each file that shrinks, for servers to send as it is.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use brotli::CompressorWriter;

/// Endings of files that are worth compressing.
const ENDINGS: [&str; 8] = ["css", "html", "js", "json", "mjs", "svg", "wasm", "webmanifest"];

const BUFFER_BYTES: usize = 64 * 1024;
const QUALITY_MAX: u32 = 11;
const WINDOW_LOG: u32 = 22;

/// How large the page is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    files: usize,
    plain_bytes: usize,
    brotli_bytes: usize,
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kilobytes = |bytes: usize| bytes.div_ceil(1000);
        let (plain, brotli) = (kilobytes(self.plain_bytes), kilobytes(self.brotli_bytes));
        write!(f, "{} files, {plain} kB, {brotli} kB over the wire with brotli", self.files)
    }
}

/// Compresses every file below `folder` that is worth it.
pub(crate) fn compress(folder: &Path) -> Result<Sizes> {
    let mut sizes = Sizes::default();
    for path in files(folder)? {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if !ENDINGS.contains(&ending) {
            continue;
        }
        let plain = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let compressed = brotli(&plain)?;
        let beside = path.with_extension(format!("{ending}.br"));
        fs::write(&beside, &compressed).with_context(|| format!("cannot write {}", beside.display()))?;
        sizes.files += 1;
        sizes.plain_bytes += plain.len();
        sizes.brotli_bytes += compressed.len();
    }
    Ok(sizes)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

fn brotli(plain: &[u8]) -> Result<Vec<u8>> {
    let mut compressed = Vec::new();
    let mut writer = CompressorWriter::new(&mut compressed, BUFFER_BYTES, QUALITY_MAX, WINDOW_LOG);
    writer.write_all(plain)?;
    drop(writer);
    Ok(compressed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_comes_back_whole() {
        let plain = b"tributary ".repeat(1000);
        let compressed = brotli(&plain).unwrap();
        assert!(compressed.len() < plain.len() / 10);
        let mut again = Vec::new();
        brotli::BrotliDecompress(&mut &compressed[..], &mut again).unwrap();
        assert_eq!(again, plain);
    }
}
