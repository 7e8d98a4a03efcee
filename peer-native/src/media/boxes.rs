//! From box to box of an MP4, without reading what is in them.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use shiguredo_mp4::{BoxHeader, BoxType, Decode};

use crate::media::MediaError;

/// A box: its type and where it lies in the file.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) kind: BoxType,
    pub(super) span: Range<u64>,
    pub(super) payload_start: u64,
}

/// The box at `at`; `None` where none fits before `end`.
pub(super) fn next(file: &mut (impl Read + Seek), at: u64, end: u64) -> io::Result<Option<Found>> {
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
        span: at..after,
        payload_start: at + header_bytes as u64,
    }))
}

/// The bytes of a whole box, header and all, if it is not longer than `bytes_max`.
pub(super) fn read(
    file: &mut (impl Read + Seek),
    found: &Found,
    bytes_max: u64,
) -> Result<Vec<u8>, MediaError> {
    let length = found.span.end - found.span.start;
    if length > bytes_max {
        return Err(MediaError::Odd("one of its header boxes is too long"));
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(found.span.start))?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
