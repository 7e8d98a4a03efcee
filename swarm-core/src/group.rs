//! Groups and ranges of groups: the one coordinate system of contents.

use serde::{Deserialize, Serialize};

use crate::limits::{GROUP_BYTES, GROUPS_MAX};

/// A half-open run of groups, `start..end`, never reversed. Empty only if `start == end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(u32, u32)", into = "(u32, u32)")]
pub struct GroupRange {
    /// First group.
    pub start: u32,
    /// One past the last group.
    pub end: u32,
}

// On the wire a range is its start and its length, so that a reversed one cannot be said.
impl From<(u32, u32)> for GroupRange {
    fn from((start, len): (u32, u32)) -> Self {
        Self { start, end: start.saturating_add(len) }
    }
}

impl From<GroupRange> for (u32, u32) {
    fn from(range: GroupRange) -> Self {
        (range.start, range.len())
    }
}

impl GroupRange {
    /// The range `start..end`; empty at `start` if `end` lies before it.
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end: if end < start { start } else { end } }
    }

    /// The range of one group.
    pub const fn one(group: u32) -> Self {
        Self::new(group, group.saturating_add(1))
    }

    /// Number of groups.
    pub const fn len(self) -> u32 {
        self.end - self.start
    }

    /// Whether the range holds no group.
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `group` lies in the range.
    pub const fn has(self, group: u32) -> bool {
        self.start <= group && group < self.end
    }

    /// The groups that both ranges hold; possibly empty.
    pub fn and(self, other: Self) -> Self {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The groups, in order.
    pub fn iter(self) -> std::ops::Range<u32> {
        self.start..self.end
    }
}

/// The same groups as few ranges: sorted, disjoint, none empty.
pub fn merged(ranges: impl IntoIterator<Item = GroupRange>) -> Vec<GroupRange> {
    merged_list(ranges.into_iter().filter(|range| !range.is_empty()).collect())
}

/// [`merged`] without empty ranges, once in the program for all its callers.
fn merged_list(mut sorted: Vec<GroupRange>) -> Vec<GroupRange> {
    sorted.sort_unstable();
    let mut merged: Vec<GroupRange> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            Some(_) | None => merged.push(range),
        }
    }
    merged
}

/// The geometry of one content: how its bytes fall into groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    length_bytes: u64,
}

impl Geometry {
    /// Geometry of a content of `length_bytes`; the caller has checked it against
    /// [`CONTENT_BYTES_MAX`](crate::limits::CONTENT_BYTES_MAX).
    pub const fn new(length_bytes: u64) -> Self {
        Self { length_bytes }
    }

    /// Bytes in the content.
    pub const fn length_bytes(self) -> u64 {
        self.length_bytes
    }

    /// Number of groups; an empty content has none.
    pub fn group_count(self) -> u32 {
        let count = self.length_bytes.div_ceil(u64::from(GROUP_BYTES));
        u32::try_from(count).unwrap_or(GROUPS_MAX).min(GROUPS_MAX)
    }

    /// All groups.
    pub fn all(self) -> GroupRange {
        GroupRange::new(0, self.group_count())
    }

    /// Byte offset at which a group starts, clipped to the content.
    pub fn offset(self, group: u32) -> u64 {
        (u64::from(group) * u64::from(GROUP_BYTES)).min(self.length_bytes)
    }

    /// The bytes of a range: `start..end` offsets, clipped to the content.
    pub fn bytes(self, range: GroupRange) -> std::ops::Range<u64> {
        self.offset(range.start)..self.offset(range.end)
    }

    /// Length in bytes of a range, clipped to the content.
    pub fn len_bytes(self, range: GroupRange) -> u64 {
        self.offset(range.end) - self.offset(range.start)
    }

    /// The group that holds the byte at `offset`, clipped to the last group.
    pub fn group_at(self, offset: u64) -> u32 {
        let group = u32::try_from(offset / u64::from(GROUP_BYTES)).unwrap_or(u32::MAX);
        group.min(self.group_count().saturating_sub(1))
    }

    /// The smallest range of groups that covers the given bytes.
    pub fn covering(self, bytes: std::ops::Range<u64>) -> GroupRange {
        if bytes.is_empty() {
            return GroupRange::new(0, 0);
        }
        GroupRange::new(self.group_at(bytes.start), self.group_at(bytes.end - 1) + 1).and(self.all())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_last_group_may_be_short() {
        let geometry = Geometry::new(16384 * 2 + 5);
        assert_eq!(geometry.group_count(), 3);
        assert_eq!(geometry.len_bytes(GroupRange::new(2, 3)), 5);
        assert_eq!(geometry.bytes(GroupRange::new(1, 3)), 16384..16384 * 2 + 5);
        assert_eq!(geometry.covering(0..1), GroupRange::new(0, 1));
        assert_eq!(geometry.covering(16383..16385), GroupRange::new(0, 2));
        assert_eq!(Geometry::new(0).group_count(), 0);
    }

    #[test]
    fn a_hostile_range_cannot_overflow() {
        let range = GroupRange::from((u32::MAX, u32::MAX));
        assert!(range.is_empty());
        assert_eq!(GroupRange::new(5, 3).len(), 0);
    }
}
