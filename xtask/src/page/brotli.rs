//! Compresses files of the page ahead of time, for servers to send as they are.

use std::io::Write;
use std::path::Path;

use ::brotli::CompressorWriter;
use anyhow::Result;

/// Endings of files that are worth compressing.
const ENDINGS: [&str; 8] = ["css", "html", "js", "json", "mjs", "svg", "wasm", "webmanifest"];

const BUFFER_BYTES: usize = 64 * 1024;
const QUALITY_MAX: u32 = 11;
const WINDOW_LOG: u32 = 22;

/// Whether a file is of a kind that shrinks.
pub(super) fn is_worth_it(path: &Path) -> bool {
    path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| ENDINGS.contains(&ending))
}

/// The bytes as small as brotli makes them.
pub(super) fn compressed(plain: &[u8]) -> Result<Vec<u8>> {
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
        let compressed = compressed(&plain).unwrap();
        assert!(compressed.len() < plain.len() / 10);
        let mut again = Vec::new();
        ::brotli::BrotliDecompress(&mut &compressed[..], &mut again).unwrap();
        assert_eq!(again, plain);
    }
}
