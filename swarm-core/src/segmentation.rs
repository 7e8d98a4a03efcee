//! How a content is cut into segments of varied length (DESIGN §4, M1).
//!
//! Without known media structure the lengths double from 64 KiB to 4 MiB: the first bytes, which decide
//! how soon anything starts, travel in small units; the bulk travels in few.

use crate::group::Geometry;
use crate::limits::{GROUP_BYTES, SEGMENTS_MAX};
use crate::manifest::{PRIORITY_DEFAULT, Period, Segment, SegmentKind};

/// Groups in the first segment: 64 KiB.
const FIRST_GROUPS: u32 = 64 * 1024 / GROUP_BYTES;

/// Groups in the longest ordinary segment: 4 MiB.
const LONGEST_GROUPS: u32 = 4 * 1024 * 1024 / GROUP_BYTES;

/// Cuts a content without media structure into segments of doubling length.
///
/// The last segment is what remains. A content beyond 64 GiB would exceed the segment limit; up to it, the
/// longest segment suffices (16,384 × 4 MiB).
pub fn doubling(geometry: Geometry) -> Vec<Segment> {
    let mut remaining = geometry.group_count();
    // Leave one entry for every doubling step; the rest of the table must be able to hold the content.
    let entries = u32::try_from(SEGMENTS_MAX).unwrap_or(u32::MAX) - 8;
    let longest = LONGEST_GROUPS.max(remaining.div_ceil(entries));
    let mut length = FIRST_GROUPS;
    let mut segments = Vec::new();
    while remaining > 0 {
        let group_count = length.min(remaining);
        segments.push(Segment {
            group_count,
            kind: SegmentKind::Data,
            priority: PRIORITY_DEFAULT,
            period: Period::Playback,
            time_ms: None,
            duration_ms: None,
        });
        remaining -= group_count;
        length = length.saturating_mul(2).min(longest);
    }
    segments
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::limits::CONTENT_BYTES_MAX;

    fn lengths(length_bytes: u64) -> Vec<u32> {
        doubling(Geometry::new(length_bytes)).iter().map(|segment| segment.group_count).collect()
    }

    #[test]
    fn lengths_double_up_to_four_mebibytes() {
        let mib = 1024 * 1024;
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(64 * 1024), [4]);
        assert_eq!(lengths(64 * 1024 + 1), [4, 1]);
        assert_eq!(lengths(13 * mib), [4, 8, 16, 32, 64, 128, 256, 256, 68]);
        assert!(lengths(0).is_empty());
    }

    #[test]
    fn the_largest_content_fits_the_table() {
        let table = lengths(CONTENT_BYTES_MAX);
        assert!(table.len() <= SEGMENTS_MAX);
        let total: u64 = table.iter().map(|count| u64::from(*count)).sum();
        assert_eq!(total, CONTENT_BYTES_MAX / u64::from(GROUP_BYTES));
    }
}
