//! How many pixels browsers decode of a picture, read from its bytes. A browser needs four bytes of memory for each pixel, however small
//! the file is: a PNG of 58 kB can hold 484 million of them. Browsers tell the format by the bytes and not by the media type.
//!
//! A file may name a size in several places, and browsers do not agree about which of them counts. So a file is read to its end, and one
//! that names different sizes, holds several pictures or moves is refused. AVIF is not read at all: its header need not name the size that the
//! coded picture has.

use super::ManifestError;

/// Scans of a JPEG: a browser goes over all pixels for each, and one takes a few bytes. Encoders make ten.
const SCANS_MAX: usize = 64;

const NO_PICTURE: &str = "a poster is no whole JPEG, PNG or WebP, or a storyboard no JPEG or WebP";
const ANIMATED: &str = "a poster or a storyboard is animated: use one picture that does not move";
const SEVERAL: &str =
    "a poster or a storyboard holds several pictures, or names its size twice: save it as one picture";
const SCANS: &str = "a poster or a storyboard is a JPEG of more than 64 scans";

/// A picture that does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Picture {
    /// Pixels, at least 1.
    pub(super) width: u32,
    /// Pixels, at least 1.
    pub(super) height: u32,
    /// PNG; otherwise JPEG or WebP.
    pub(super) is_png: bool,
}

impl Picture {
    /// Reads a JPEG, PNG or WebP.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        let png_bytes = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n");
        let size = if let Some(parts) = png_bytes {
            png(parts)
        } else if let Some(segments) = bytes.strip_prefix(b"\xff\xd8") {
            jpeg(segments)
        } else {
            webp(bytes)
        };
        match size.map_err(ManifestError::Invalid)? {
            (0, _) | (_, 0) => Err(ManifestError::Invalid(NO_PICTURE)),
            (width, height) => Ok(Self { width, height, is_png: png_bytes.is_some() }),
        }
    }

    /// How many pixels are decoded.
    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// PNG specification (third edition), sections 5.3 and 11.2.1: the first part is IHDR, of 13 bytes. acTL, fcTL and fdAT are an
/// animation; gdAT is a second picture, which Chromium decodes on bright screens.
fn png(parts: &[u8]) -> Result<(u32, u32), &'static str> {
    let header = parts.strip_prefix(b"\0\0\0\x0dIHDR").ok_or(NO_PICTURE)?;
    let size = big(header, 0, 4).zip(big(header, 4, 4)).ok_or(NO_PICTURE)?;
    // 13 bytes and a checksum.
    let mut rest = header.get(17..);
    while let Some((length, after)) = rest.and_then(|part| Some((big(part, 0, 4)?, part.get(4..)?))) {
        match after.get(..4) {
            Some(b"IHDR" | b"gdAT") => return Err(SEVERAL),
            Some(b"acTL" | b"fcTL" | b"fdAT") => return Err(ANIMATED),
            Some(b"IEND") | None => break,
            Some(_) => rest = after.get(8..).and_then(|data| data.get(length as usize..)),
        }
    }
    Ok(size)
}

/// ITU-T T.81, annex B: segments up to the frame header, which has the size; then segments and coded pixels. A second frame header, DNL
/// (a height after the pixels) and a second picture, listed by CIPA DC-007 or behind the end, are refused. Chromium decodes the latter on
/// bright screens.
fn jpeg(segments: &[u8]) -> Result<(u32, u32), &'static str> {
    let mut rest = segments;
    let mut size = None;
    let mut scans = 0;
    loop {
        let (marker, segment) = match (rest, size) {
            // A fill byte.
            ([0xff, 0xff, ..], None) => {
                rest = rest.get(1..).ok_or(NO_PICTURE)?;
                continue;
            }
            ([0xff, marker, segment @ ..], None) => (*marker, segment),
            // Decoders do not agree about what they skip.
            (_, None) => return Err(NO_PICTURE),
            (_, Some(size)) => match next_marker(rest) {
                Some(found) => found,
                None => return Ok(size),
            },
        };
        let length = big(segment, 0, 2).map_or(usize::MAX, |length| length as usize);
        match (marker, size) {
            (0xc4 | 0xc8 | 0xcc | 0xdb | 0xdd..=0xfe, _) => {
                if marker == 0xe2 && segment.get(2..).is_some_and(|data| data.starts_with(b"MPF\0")) {
                    return Err(SEVERAL);
                }
            }
            (0xc0..=0xcf, None) => {
                size = Some(big(segment, 5, 2).zip(big(segment, 3, 2)).ok_or(NO_PICTURE)?);
            }
            // Among them the beginning of the pixels, before which their number has to stand.
            (_, None) => return Err(NO_PICTURE),
            (0xc0..=0xcf | 0xd8 | 0xdc, Some(_)) => return Err(SEVERAL),
            (0xd9, Some(_)) if segment.windows(3).any(|bytes| bytes == b"\xff\xd8\xff") => {
                return Err(SEVERAL);
            }
            (0xd9, Some(size)) => return Ok(size),
            (0xda, Some(_)) => scans += 1,
            // Markers without a segment: restarts, and those that mean nothing.
            (_, Some(_)) => {
                rest = segment;
                continue;
            }
        }
        if scans > SCANS_MAX {
            return Err(SCANS);
        }
        rest = match (segment.get(length..), size) {
            (Some(after), _) => after,
            (None, Some(size)) => return Ok(size),
            (None, None) => return Err(NO_PICTURE),
        };
    }
}

/// The next marker in coded pixels, where 0xff is followed by 0, and what comes after it.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let at = bytes.windows(2).position(|pair| matches!(*pair, [0xff, 0x01..=0xfe]))?;
    Some((*bytes.get(at + 1)?, bytes.get(at + 2..)?))
}

/// RFC 9649, section 2: lossy (VP8), lossless (VP8L) or extended (VP8X, with a canvas, and then one of the two).
fn webp(bytes: &[u8]) -> Result<(u32, u32), &'static str> {
    let after_riff = bytes.strip_prefix(b"RIFF").and_then(|rest| rest.get(4..));
    let mut rest = after_riff.and_then(|rest| rest.strip_prefix(b"WEBP"));
    let mut size = None;
    while let Some((length, after)) = rest.and_then(|part| Some((little(part, 4, 4)?, part.get(8..)?))) {
        let length = length as usize;
        let data = after.get(..length).unwrap_or(after);
        let found = match rest.and_then(|part| part.get(..4)) {
            Some(b"ANIM" | b"ANMF") => return Err(ANIMATED),
            Some(b"VP8X") if data.first().is_some_and(|flags| flags & 2 != 0) => return Err(ANIMATED),
            Some(b"VP8X") => {
                little(data, 4, 3).zip(little(data, 7, 3)).map(|(width, height)| (width + 1, height + 1))
            }
            Some(b"VP8 ") => lossy(data),
            Some(b"VP8L") => lossless(data),
            _ => size,
        };
        let found = found.ok_or(NO_PICTURE)?;
        if size.is_some_and(|size| size != found) {
            return Err(SEVERAL);
        }
        size = Some(found);
        // Parts have an even number of bytes.
        rest = after.get(length..).and_then(|next| next.get(length % 2..));
    }
    size.ok_or(NO_PICTURE)
}

/// RFC 6386, section 9.1.
fn lossy(data: &[u8]) -> Option<(u32, u32)> {
    if data.get(3..6)? != b"\x9d\x01\x2a" {
        return None;
    }
    Some((little(data, 6, 2)? & 0x3fff, little(data, 8, 2)? & 0x3fff))
}

/// RFC 9649, section 3.4.
fn lossless(data: &[u8]) -> Option<(u32, u32)> {
    let bits = (data.first() == Some(&0x2f)).then(|| little(data, 1, 4))??;
    Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
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

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x55\xf0\0\0\x55\xf0\x01\0\0\0\0sums";
    const JPEG: &[u8] =
        b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xdb\0\x03x\xff\xc2\0\x0b\x08\x01\x68\x02\x80\x01\x01\x11\0";
    const LOSSY: &[u8] = b"VP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\x80\x42\x68\x01";
    const LOSSLESS: &[u8] = b"VP8L\x05\0\0\0\x2f\x7f\xc2\x59\0\0";
    const EXTENDED: &[u8] = b"VP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\x67\x01\0";

    fn webp(parts: &[&[u8]]) -> Vec<u8> {
        [b"RIFF\0\0\0\0WEBP", parts.concat().as_slice()].concat()
    }

    /// Pixels, or why it is refused.
    fn read(bytes: &[u8]) -> Result<u64, &'static str> {
        match Picture::read(bytes) {
            Ok(picture) => Ok(picture.pixels()),
            Err(ManifestError::Invalid(why)) => Err(why),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn the_size_is_read_of_each_format_by_its_bytes() {
        assert_eq!(read(PNG), Ok(22_000 * 22_000));
        assert_eq!(read(JPEG), Ok(640 * 360));
        for parts in [&[LOSSY][..], &[LOSSLESS], &[EXTENDED], &[EXTENDED, b"ICCP\x01\0\0\0xy", LOSSLESS]] {
            assert_eq!(read(&webp(parts)), Ok(640 * 360), "{parts:?}");
        }
        // A scan with stuffed bytes and a restart, another one, and what a camera writes behind the end.
        let pixels = b"\xff\xda\0\x02a\xff\0\xc0b\xff\xd0c\xff\xda\0\x02d\xff\xd9trailing\xff\xc0\0\x0b\x08\xff\xff\xff\xff";
        assert_eq!(read(&[JPEG, pixels].concat()), Ok(640 * 360));
        // A thumbnail lies in a segment.
        assert_eq!(
            read(&[JPEG, b"\xff\xe1\0\x0e\xff\xd8\xff\xc0\0\x0b\x08\xff\xff\xff\xff\x01\xff\xd9"].concat()),
            Ok(640 * 360)
        );
        assert_eq!(
            read(&[PNG, b"\0\0\0\x04tEXtIHDRsums\0\0\0\0IENDsums\0\0\0\0acTLsums"].concat()),
            Ok(22_000 * 22_000)
        );
    }

    #[test]
    fn a_picture_that_names_two_sizes_or_holds_another_one_is_refused() {
        let large = b"\xff\xc0\0\x0b\x08\xff\xff\xff\xff\x01\x01\x11\0".as_slice();
        for further in [
            large,
            &[b"\xff\xda\0\x02a\xff\0", large].concat(),
            &[b"garbage", large].concat(),
            &[b"\xff\xda\0\x02a\xff\xd9\xff\xd8", large].concat(),
            b"\xff\xda\0\x02a\xff\xdc\0\x04\xff\xff",
            b"\xff\xe2\0\x08MPF\0zz",
            b"\xff\xd8",
        ] {
            assert_eq!(read(&[JPEG, further].concat()), Err(SEVERAL), "{further:?}");
        }
        for kind in ["IHDR", "gdAT"] {
            let further = [b"\0\0\0\x02tEXtxxsums\0\0\0\x01", kind.as_bytes(), b"xsums"].concat();
            assert_eq!(read(&[PNG, &further].concat()), Err(SEVERAL), "{kind}");
        }
        let large = b"VP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f".as_slice();
        for parts in [[EXTENDED, large], [LOSSY, large], [LOSSLESS, large], [large, EXTENDED]] {
            assert_eq!(read(&webp(&parts)), Err(SEVERAL), "{parts:?}");
        }
    }

    #[test]
    fn a_picture_that_moves_is_refused() {
        for kind in ["acTL", "fcTL", "fdAT"] {
            let part = [b"\0\0\0\x01bKGDxsums\0\0\0\x01", kind.as_bytes(), b"xsums"].concat();
            assert_eq!(read(&[PNG, &part].concat()), Err(ANIMATED), "{kind}");
        }
        let flagged = b"VP8X\x0a\0\0\0\x02\0\0\0\x7f\x02\0\x67\x01\0".as_slice();
        for parts in
            [&[flagged][..], &[EXTENDED, b"ANIM\0\0\0\0"], &[EXTENDED, b"x\0\0\0\x01\0\0\0xyANMF\0\0\0\0"]]
        {
            assert_eq!(read(&webp(parts)), Err(ANIMATED), "{parts:?}");
        }
    }

    #[test]
    fn a_jpeg_has_few_scans() {
        let scans = |count| read(&[JPEG, b"\xff\xda\0\x02x".repeat(count).as_slice()].concat());
        assert_eq!(scans(SCANS_MAX), Ok(640 * 360));
        assert_eq!(scans(SCANS_MAX + 1), Err(SCANS));
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
            b"\x89PNG\r\n\x1a\n\0\0\0\x0eIHDR\0\0\0\x01\0\0\0\x01",
            b"\xff\xd8\xff\xe0\0\x04abgarbage\xff\xc0\0\x11\x08\0\x01\0\x01",
            b"\xff\xd8\xff\xe0\xff\xff",
            b"\xff\xd8\xff\xda\0\x02\xff\xc0\0\x11\x08\0\x01\0\x01",
            b"\xff\xd8\xff\xc0\0\x11\x08\0\0\0\x01",
            b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0",
            b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x80\x42\x68\x01",
            b"RIFF\0\0\0\0WEBP",
            b"\0\0\0\x18ftypavif\0\0\0\0mif1\0\0\0\x14ispe\0\0\0\0\0\0\x02\0\0\0\x02\0",
        ] {
            assert_eq!(read(bytes), Err(NO_PICTURE), "{bytes:?}");
        }
    }
}
