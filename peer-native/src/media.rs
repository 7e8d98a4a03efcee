//! What the headers of a media file say: its type by its name, its duration by its `moov` box.
//!
//! Files are hostile even when they are local: every length is checked, little is read, and whatever is odd
//! means only that the duration is not known.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use shiguredo_mp4::boxes::{FtypBox, MehdBox, MoovBox, MvexBox, MvhdBox};
use shiguredo_mp4::{BoxHeader, BoxType, Decode};

/// Boxes looked at before giving up: a fragmented file has two for each fragment, but its `moov` comes first.
const BOXES_MAX: usize = 1024;

/// Bytes of a box with a duration in it, at most.
const DURATION_BOX_BYTES_MAX: u64 = 4096;

/// Type of a file whose name says nothing.
const MEDIA_TYPE_DEFAULT: &str = "application/octet-stream";

/// Media type by a file's name.
pub fn media_type(path: &Path) -> String {
    mime_guess::from_path(path).first_raw().unwrap_or(MEDIA_TYPE_DEFAULT).to_owned()
}

/// Duration of the media in `file`, ms; `None` where it is no MP4 or does not say.
pub fn duration_ms(file: &mut (impl Read + Seek)) -> Option<u64> {
    match mp4_duration_ms(file) {
        Ok(duration) => duration,
        Err(error) => {
            tracing::debug!(%error, "the media's duration is not known");
            None
        }
    }
}

/// A box: its type and where its payload lies.
struct Found {
    kind: BoxType,
    start: u64,
    payload: std::ops::Range<u64>,
}

fn mp4_duration_ms(file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let length = file.seek(SeekFrom::End(0))?;
    if next_box(file, 0, length)?.is_none_or(|first| first.kind != FtypBox::TYPE) {
        return Ok(None);
    }
    let Some(moov) = find(file, 0..length, MoovBox::TYPE)? else { return Ok(None) };
    let Some(mvhd) = find(file, moov.payload.clone(), MvhdBox::TYPE)? else { return Ok(None) };
    let header: MvhdBox = decode(file, &mvhd)?;
    let mut duration = header.duration;
    if duration == 0 {
        // Fragmented: the whole length is elsewhere, if anywhere.
        let mvex = find(file, moov.payload, MvexBox::TYPE)?;
        let mehd = mvex.map(|mvex| find(file, mvex.payload, MehdBox::TYPE)).transpose()?.flatten();
        duration = mehd
            .map(|mehd| decode::<MehdBox>(file, &mehd))
            .transpose()?
            .map_or(0, |mehd| mehd.fragment_duration);
    }
    // All ones means that the writer did not know, in either width.
    let is_known = duration != 0 && duration != u64::from(u32::MAX) && duration != u64::MAX;
    let duration_ms = u128::from(duration) * 1000 / u128::from(header.timescale.get());
    Ok(u64::try_from(duration_ms).ok().filter(|duration_ms| is_known && *duration_ms > 0))
}

/// The first box of a type among the siblings in `span`.
fn find(
    file: &mut (impl Read + Seek),
    span: std::ops::Range<u64>,
    kind: BoxType,
) -> io::Result<Option<Found>> {
    let mut at = span.start;
    for _ in 0..BOXES_MAX {
        let Some(found) = next_box(file, at, span.end)? else { return Ok(None) };
        if found.kind == kind {
            return Ok(Some(found));
        }
        at = found.payload.end;
    }
    Ok(None)
}

/// The box at `at`; `None` where none fits before `end`.
fn next_box(file: &mut (impl Read + Seek), at: u64, end: u64) -> io::Result<Option<Found>> {
    if at >= end {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take((end - at).min(BoxHeader::MAX_SIZE as u64)).read_to_end(&mut bytes)?;
    let Ok((header, header_bytes)) = BoxHeader::decode(&bytes) else { return Ok(None) };
    // Size 0: to the end.
    let size = match header.box_size.get() {
        0 => end - at,
        size => size,
    };
    let after = at.checked_add(size).filter(|after| *after <= end && size >= header_bytes as u64);
    Ok(after.map(|after| Found {
        kind: header.box_type,
        start: at,
        payload: at + header_bytes as u64..after,
    }))
}

fn decode<T: Decode>(file: &mut (impl Read + Seek), found: &Found) -> io::Result<T> {
    let length = found.payload.end - found.start;
    if length > DURATION_BOX_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a header box is too long"));
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(found.start))?;
    file.take(length).read_to_end(&mut bytes)?;
    let (decoded, _) = T::decode(&bytes).map_err(io::Error::other)?;
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn boxed(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(8 + payload.len()).unwrap();
        [&length.to_be_bytes()[..], kind, payload].concat()
    }

    /// A header of version 0 with this time scale and duration.
    fn mvhd(timescale: u32, duration: u32) -> Vec<u8> {
        let mut payload = vec![0; 12];
        payload.extend(timescale.to_be_bytes());
        payload.extend(duration.to_be_bytes());
        payload.extend([0; 80]);
        boxed(b"mvhd", &payload)
    }

    fn file(moov: &[u8]) -> Vec<u8> {
        let ftyp = boxed(b"ftyp", b"isom\0\0\0\0isom");
        [ftyp, boxed(b"mdat", &[7; 100]), boxed(b"moov", moov)].concat()
    }

    fn duration_of(bytes: &[u8]) -> Option<u64> {
        duration_ms(&mut Cursor::new(bytes))
    }

    #[test]
    fn the_duration_is_read_wherever_the_header_is() {
        assert_eq!(duration_of(&file(&mvhd(600, 36_300))), Some(60_500));
    }

    #[test]
    fn a_fragmented_file_says_it_elsewhere_or_not_at_all() {
        let mehd = boxed(b"mvex", &boxed(b"mehd", &[&[0; 4][..], &12_000u32.to_be_bytes()].concat()));
        assert_eq!(duration_of(&file(&[mvhd(1000, 0), mehd].concat())), Some(12_000));
        assert_eq!(duration_of(&file(&mvhd(1000, 0))), None);
        assert_eq!(duration_of(&file(&mvhd(1000, u32::MAX))), None);
    }

    #[test]
    fn odd_files_have_no_duration_and_do_no_harm() {
        let whole = file(&mvhd(600, 36_300));
        for length in 0..whole.len() {
            assert_eq!(duration_of(&whole[..length]), None, "cut to {length} bytes");
        }
        assert_eq!(duration_of(b"not a film at all, but long enough to look like one"), None);
        assert_eq!(duration_of(&file(&mvhd(0, 5))), None);
        for index in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[index] = 0xff;
            let _ = duration_of(&damaged);
        }
        let endless =
            [boxed(b"ftyp", &[0; 8]), [0, 0, 0, 8].to_vec(), b"free".to_vec()].concat().repeat(5000);
        assert_eq!(duration_of(&endless), None);
    }

    #[test]
    fn types_follow_the_name() {
        assert_eq!(media_type(Path::new("a.mp4")), "video/mp4");
        assert_eq!(media_type(Path::new("a")), "application/octet-stream");
    }
}
