//! How a content is cut into segments of varied length.
//!
//! A pure function over plain data: how long the content is, what is known of its media ([`Structure`]) and what
//! the author wants ([`Rule`]). The publisher's program reads files and rules. How peers use the table is in
//! [`peer`](crate::peer).
//!
//! ```text
//! bytes     0 ──────────────────────────────────────────────────────────────── end
//! segments  header │ first GOP │ 64 KiB │ 128 KiB │ … │ 4 MiB │ 4 MiB │ … │ index
//! priority  7      │ 6         │ 3      │ 3       │   │ 3     │ 3     │   │ 7
//! period    start  │ start     │ playback …                              │ start
//! ```
//!
//! * **Headers and indexes** come first in priority wherever they lie, so that an MP4 with its `moov` at the end
//!   starts as fast as one with it at the front. They own every group that has a byte of them.
//! * **The first GOP** is shown first.
//! * **The rest** has lengths that double from 64 KiB to 4 MiB, each cut at the last keyframe before its target
//!   length. So early parts, which are needed soon, are small units, and the long rest has few. A GOP longer than
//!   its target is one segment if it fits 4 MiB.
//!
//! A boundary lies before the group in which a keyframe's bytes start. So a group with the end of one GOP and the
//! start of the next belongs to the later segment. A viewer that starts or seeks there needs only that segment. A
//! viewer that plays on from the earlier segment needs the later one next in any case.

mod cutting;
mod rule;
mod timeline;

#[cfg(test)]
mod tests;

use std::ops::Range;

pub use rule::{Kind, Rule, Scope};

use crate::group::{Geometry, GroupRange};
use crate::limits::{CHAPTERS_MAX, GROUP_BYTES};
use crate::manifest::{Chapter, Segment};
use cutting::Plan;
use timeline::Timeline;

/// Groups in the first segment without media structure: 64 KiB.
const FIRST_GROUPS: u32 = 64 * 1024 / GROUP_BYTES;

/// Groups in the longest ordinary segment: 4 MiB.
const LONGEST_GROUPS: u32 = 4 * 1024 * 1024 / GROUP_BYTES;

/// Most headers and indexes that get segments of their own. Further ones belong to the media around them.
pub const LANDMARKS_MAX: usize = 256;

/// Most rules for one content.
pub const RULES_MAX: usize = 1024;

/// A place where playback can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyframe {
    /// Where its bytes start, including the header of its fragment or cluster, which must be read before them.
    pub offset: u64,
    /// Presentation time, ms.
    pub time_ms: u64,
}

/// The known structure of a content's media. The default is a content without media structure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Structure {
    /// Byte ranges of container headers, without which nothing plays.
    pub headers: Vec<Range<u64>>,
    /// Byte ranges of indexes.
    pub indexes: Vec<Range<u64>>,
    /// Keyframes in the order of their bytes. Those whose times run backwards are ignored.
    pub keyframes: Vec<Keyframe>,
    /// Duration, ms, where known.
    pub duration_ms: Option<u64>,
    /// Named parts, in the order of their times.
    pub chapters: Vec<Chapter>,
}

impl Structure {
    /// The groups that a scope other than [`Scope::Kind`] names: of bytes every group that has one of them, of times
    /// and chapters whole GOPs, each from the group in which its keyframe starts to before that of the next one.
    /// `None` if there is no such thing in this content.
    pub fn groups(&self, geometry: Geometry, scope: &Scope) -> Option<GroupRange> {
        scope.groups(geometry, &Timeline::new(geometry, self), &self.chapters)
    }
}

/// Cuts a content into segments.
///
/// Rules apply in their order. For each group the last rule that names it decides, separately for priority and for
/// period. Rules and chapters force boundaries, so that a rule covers exactly the groups that it names. A rule that
/// names no group has no effect; a caller finds such rules with [`Structure::groups`] and tells the author.
///
/// The segments tile the content, at most [`SEGMENTS_MAX`](crate::limits::SEGMENTS_MAX) of them: for a content
/// that would need more, the longest length doubles until they suffice.
pub fn segments(geometry: Geometry, structure: &Structure, rules: &[Rule]) -> Vec<Segment> {
    let timeline = Timeline::new(geometry, structure);
    let chapters = structure.chapters.get(..CHAPTERS_MAX).unwrap_or(&structure.chapters);
    let rules = rules.get(..RULES_MAX).unwrap_or(rules);
    let named: Vec<Option<GroupRange>> =
        rules.iter().map(|rule| rule.scope.groups(geometry, &timeline, chapters)).collect();
    let chapter_groups: Vec<u32> =
        chapters.iter().filter_map(|chapter| timeline.group_before(chapter.time_ms)).collect();
    let mut plan = Plan::new(geometry, structure, &timeline);
    plan.force_in_media(chapter_groups.iter().copied());
    for (rule, range) in rules.iter().zip(&named) {
        let ends = range.iter().flat_map(|range| [range.start, range.end]);
        if rule.scope.has_times() { plan.force_in_media(ends) } else { plan.force(ends) }
    }
    let mut cuts = plan.cuts();
    for (rule, range) in rules.iter().zip(named) {
        for cut in &mut cuts {
            if rule.is_about(cut, range, &chapter_groups) {
                rule.apply(&mut cut.segment);
            }
        }
    }
    timeline.set_times(geometry, &mut cuts);
    cuts.into_iter().map(|cut| cut.segment).collect()
}

/// Cuts a content without media structure into segments of doubling length. The last one has the remaining groups.
pub fn doubling(geometry: Geometry) -> Vec<Segment> {
    segments(geometry, &Structure::default(), &[])
}
