//! Converts between byte offsets, groups and presentation times.

use crate::group::{Geometry, GroupRange};
use crate::limits::{GROUP_BYTES, MEDIA_MS_MAX};
use crate::manifest::SegmentKind;
use crate::segmentation::cutting::Cut;
use crate::segmentation::{Keyframe, Structure};

/// Keyframes that are usable: offsets rise, times do not fall, both are within the content.
#[derive(Debug)]
pub(super) struct Timeline {
    keyframes: Vec<Keyframe>,
    duration_ms: Option<u64>,
    geometry: Geometry,
}

impl Timeline {
    pub(super) fn new(geometry: Geometry, structure: &Structure) -> Self {
        let mut keyframes: Vec<Keyframe> = Vec::new();
        for keyframe in &structure.keyframes {
            let follows = keyframes
                .last()
                .is_none_or(|last| last.offset < keyframe.offset && last.time_ms <= keyframe.time_ms);
            if follows && keyframe.offset < geometry.length_bytes() && keyframe.time_ms <= MEDIA_MS_MAX {
                keyframes.push(*keyframe);
            }
        }
        let duration_ms = structure.duration_ms.filter(|duration_ms| *duration_ms <= MEDIA_MS_MAX);
        Self { keyframes, duration_ms, geometry }
    }

    pub(super) fn keyframes(&self) -> &[Keyframe] {
        &self.keyframes
    }

    /// The group where that keyframe starts from which a player plays the moment `time_ms`. Before all keyframes it is the
    /// first one. `None` if no times are known.
    pub(super) fn group_before(&self, time_ms: u64) -> Option<u32> {
        let later = self.keyframes.partition_point(|keyframe| keyframe.time_ms <= time_ms);
        self.keyframes.get(later.saturating_sub(1)).map(|keyframe| group_of(keyframe.offset))
    }

    /// The groups of the GOPs that play from `start_ms` to before `end_ms`; to the end of the content without one.
    pub(super) fn groups(&self, start_ms: u64, end_ms: Option<u64>) -> Option<GroupRange> {
        let start = self.group_before(start_ms)?;
        let is_past = |duration_ms| duration_ms <= start_ms;
        if self.duration_ms.is_some_and(is_past) || end_ms.is_some_and(|end_ms| end_ms <= start_ms) {
            return None;
        }
        let first_after = end_ms.and_then(|end_ms| {
            let earlier = self.keyframes.partition_point(|keyframe| keyframe.time_ms < end_ms);
            self.keyframes.get(earlier)
        });
        // As everywhere, the group in which a keyframe starts belongs to that keyframe. A stretch has at least one group.
        let end = first_after.map_or(self.geometry.group_count(), |keyframe| group_of(keyframe.offset));
        Some(GroupRange::new(start, end.max(start.saturating_add(1))))
    }

    /// The moment at an offset, between two keyframes in proportion to the bytes. `None` before the first keyframe, and
    /// after the last one if the duration is not known.
    fn time_at(&self, offset: u64) -> Option<u64> {
        let next = self.keyframes.partition_point(|keyframe| keyframe.offset <= offset);
        let before = *self.keyframes.get(next.checked_sub(1)?)?;
        if before.offset == offset {
            return Some(before.time_ms);
        }
        let after = match self.keyframes.get(next) {
            Some(after) => *after,
            None => Keyframe { offset: self.geometry.length_bytes(), time_ms: self.duration_ms? },
        };
        let bytes = u128::from(after.offset - before.offset).max(1);
        let span_ms = u128::from(after.time_ms.saturating_sub(before.time_ms));
        let passed_ms = span_ms * u128::from(offset - before.offset) / bytes;
        Some(before.time_ms + u64::try_from(passed_ms).unwrap_or(0))
    }

    /// Gives the segments of media their times: that of the keyframe at which a segment starts, or else the time at its
    /// boundary. Each lasts until the next one starts.
    pub(super) fn set_times(&self, geometry: Geometry, cuts: &mut [Cut]) {
        let mut end_ms = self.duration_ms;
        for cut in cuts.iter_mut().rev() {
            if matches!(cut.segment.kind, SegmentKind::Header | SegmentKind::Index) {
                continue;
            }
            let time_ms = cut.keyframe_ms.or_else(|| self.time_at(geometry.offset(cut.range.start)));
            let Some(time_ms) = time_ms else { continue };
            cut.segment.time_ms = Some(time_ms);
            cut.segment.duration_ms = end_ms.map(|end_ms| end_ms.saturating_sub(time_ms));
            end_ms = Some(time_ms);
        }
    }
}

/// The group that has the byte at `offset`, which lies within the content.
pub(super) fn group_of(offset: u64) -> u32 {
    u32::try_from(offset / u64::from(GROUP_BYTES)).unwrap_or(u32::MAX)
}
