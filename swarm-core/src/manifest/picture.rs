//! The size of a picture, read from its header. A browser needs four bytes of memory for each pixel, however small the file is: a PNG of
//! 58 kB can hold 484 million of them.

/// Pixels of a JPEG, PNG, WebP or AVIF; `None` if the bytes are none of these. Browsers, too, tell the format by the bytes and not by the
/// media type.
pub(super) fn pixels(bytes: &[u8]) -> Option<u64> {
    let (width, height) = png(bytes).or_else(|| jpeg_or_webp(bytes)).or_else(|| avif(bytes))?;
    (width > 0 && height > 0).then(|| u64::from(width) * u64::from(height))
}

/// Width and height of a JPEG or WebP, pixels; `None` if the bytes are none of these.
pub(super) fn jpeg_or_webp(bytes: &[u8]) -> Option<(u32, u32)> {
    jpeg(bytes).or_else(|| webp(bytes))
}

/// PNG specification, section 11.2.1: the first part is IHDR.
fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    let part = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(4..)?.strip_prefix(b"IHDR")?;
    Some((big(part, 0, 4)?, big(part, 4, 4)?))
}

/// ITU-T T.81, annex B: segments follow one another up to the frame header.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut rest = bytes.strip_prefix(b"\xff\xd8")?;
    loop {
        let &[0xff, marker, ref segment @ ..] = rest else { return None };
        match marker {
            // A fill byte.
            0xff => rest = rest.get(1..)?,
            0xc4 | 0xc8 | 0xcc => rest = segment.get(big(segment, 0, 2)? as usize..)?,
            0xc0..=0xcf => return Some((big(segment, 5, 2)?, big(segment, 3, 2)?)),
            0xdb..=0xfe => rest = segment.get(big(segment, 0, 2)? as usize..)?,
            // Among them the beginning of the pixels, before which their number has to stand.
            _ => return None,
        }
    }
}

/// RFC 9649, section 2: lossy, lossless or extended.
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    let part = bytes.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WEBP")?;
    let data = part.get(8..)?;
    match part.get(..4)? {
        b"VP8 " if data.get(3..6)? == b"\x9d\x01\x2a" => {
            Some((little(data, 6, 2)? & 0x3fff, little(data, 8, 2)? & 0x3fff))
        }
        b"VP8L" if data.first() == Some(&0x2f) => {
            let bits = little(data, 1, 4)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => Some((little(data, 4, 3)? + 1, little(data, 7, 3)? + 1)),
        _ => None,
    }
}

/// ISO/IEC 23008-12, section 6.5.3: the largest of all extents. A picture of tiles has one for itself and one for the tiles.
fn avif(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(4..8)? != b"ftyp" {
        return None;
    }
    let extents = bytes.windows(16).filter(|window| window.starts_with(b"ispe"));
    let sizes = extents.filter_map(|extent| Some((big(extent, 8, 4)?, big(extent, 12, 4)?)));
    sizes.max_by_key(|(width, height)| u64::from(*width) * u64::from(*height))
}

/// An unsigned number of up to 4 bytes, the most significant first.
fn big(bytes: &[u8], from: usize, count: usize) -> Option<u32> {
    Some(bytes.get(from..from + count)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// The same, the least significant first.
fn little(bytes: &[u8], from: usize, count: usize) -> Option<u32> {
    Some(bytes.get(from..from + count)?.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_size_is_read_of_each_format_by_its_bytes() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x55\xf0\0\0\x55\xf0\x01\0\0\0\0";
        assert_eq!(pixels(png), Some(22_000 * 22_000));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xdb\0\x03x\xff\xc2\0\x11\x08\x01\x68\x02\x80\x03";
        assert_eq!(pixels(jpeg), Some(640 * 360));
        let lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x80\x42\x68\x01";
        assert_eq!(pixels(lossy), Some(640 * 360));
        let lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x7f\xc2\x59\0\0";
        assert_eq!(pixels(lossless), Some(640 * 360));
        let extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\x67\x01\0";
        assert_eq!(pixels(extended), Some(640 * 360));
        let tile = b"\0\0\0\x14ispe\0\0\0\0\0\0\x02\0\0\0\x02\0";
        let whole = b"\0\0\0\x14ispe\0\0\0\0\0\0\x02\x80\0\0\x02\x68";
        let avif = [b"\0\0\0\x18ftypavif".as_slice(), tile, whole, tile].concat();
        assert_eq!(pixels(&avif), Some(640 * 616));
    }

    #[test]
    fn what_is_no_picture_or_ends_too_early_has_no_size() {
        for bytes in [
            b"".as_slice(),
            b"picture",
            b"GIF89a\x01\0\x01\0",
            b"<svg width='9' height='9'/>",
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0",
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\0\0\0\0\x01",
            b"\xff\xd8\xff\xe0\0\x04abgarbage\xff\xc0\0\x11\x08\0\x01\0\x01",
            b"\xff\xd8\xff\xe0\xff\xff",
            b"\xff\xd8\xff\xda\0\x02\xff\xc0\0\x11\x08\0\x01\0\x01",
            b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0",
            b"\0\0\0\x18ftypavif",
        ] {
            assert_eq!(pixels(bytes), None, "{bytes:?}");
        }
    }
}
