//! An author's rule for a part of a content (M8). The publisher's program defines how authors write it down.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::group::{Geometry, GroupRange};
use crate::manifest::{Chapter, PRIORITY_MAX, Period, Segment, SegmentKind};
use crate::segmentation::cutting::Cut;
use crate::segmentation::timeline::{Timeline, group_of};

/// Kinds of segments that a rule can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Container headers.
    Header,
    /// Indexes.
    Index,
    /// Segments that start at a keyframe.
    Keyframe,
    /// Segments that start a chapter.
    Chapter,
}

/// The part of the content that a rule names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// From a time to before another, ms, or to the end. Media only: headers and indexes have no time.
    Time {
        /// First moment.
        start_ms: u64,
        /// First moment after the part.
        end_ms: Option<u64>,
    },
    /// Byte offsets. An end beyond the content means its end.
    Bytes(Range<u64>),
    /// The first chapter of this name. Media only, like a time.
    Chapter(String),
    /// All segments of a kind.
    Kind(Kind),
}

/// Priority and period that the author gives to a part of the content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Which part.
    pub scope: Scope,
    /// The priority to give it, at most [`PRIORITY_MAX`].
    pub priority: Option<u8>,
    /// The period to transfer it in.
    pub period: Option<Period>,
}

impl Scope {
    /// Whether the scope is a stretch of time. Headers and indexes have no time, so they are not in it.
    pub(super) const fn has_times(&self) -> bool {
        matches!(self, Self::Time { .. } | Self::Chapter(_))
    }

    pub(super) fn groups(
        &self,
        geometry: Geometry,
        timeline: &Timeline,
        chapters: &[Chapter],
    ) -> Option<GroupRange> {
        match self {
            Self::Time { start_ms, end_ms } => timeline.groups(*start_ms, *end_ms),
            Self::Bytes(bytes) => {
                let end = bytes.end.min(geometry.length_bytes());
                let is_within = bytes.start < end;
                is_within.then(|| GroupRange::new(group_of(bytes.start), group_of(end - 1).saturating_add(1)))
            }
            Self::Chapter(name) => {
                let index = chapters.iter().position(|chapter| chapter.name == *name)?;
                let end_ms = chapters.get(index + 1).map(|next| next.time_ms);
                timeline.groups(chapters.get(index)?.time_ms, end_ms)
            }
            Self::Kind(_) => None,
        }
    }
}

impl Rule {
    /// Whether the rule applies to a segment. `named`: the groups of its scope; they begin and end at boundaries.
    pub(super) fn is_about(&self, cut: &Cut, named: Option<GroupRange>, chapter_groups: &[u32]) -> bool {
        let is_named = named.is_some_and(|range| range.has(cut.range.start));
        let is_media = !matches!(cut.segment.kind, SegmentKind::Header | SegmentKind::Index);
        match &self.scope {
            Scope::Bytes(_) => is_named,
            Scope::Time { .. } | Scope::Chapter(_) => is_named && is_media,
            Scope::Kind(Kind::Header) => cut.segment.kind == SegmentKind::Header,
            Scope::Kind(Kind::Index) => cut.segment.kind == SegmentKind::Index,
            Scope::Kind(Kind::Keyframe) => cut.segment.kind == SegmentKind::Media,
            Scope::Kind(Kind::Chapter) => {
                is_media && chapter_groups.iter().any(|group| cut.starts.contains(group))
            }
        }
    }

    pub(super) fn apply(&self, segment: &mut Segment) {
        if let Some(priority) = self.priority {
            segment.priority = priority.min(PRIORITY_MAX);
        }
        if let Some(period) = self.period {
            segment.period = period;
        }
    }
}
