//! Where the boundaries of segments lie.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use crate::group::{Geometry, GroupRange};
use crate::limits::SEGMENTS_MAX;
use crate::manifest::{PRIORITY_DEFAULT, PRIORITY_MAX, Period, Segment, SegmentKind};
use crate::segmentation::timeline::{Timeline, group_of};
use crate::segmentation::{FIRST_GROUPS, LANDMARKS_MAX, LONGEST_GROUPS, Structure};

/// Priority of the first GOP: below headers, above everything that the author did not raise.
const PRIORITY_FIRST: u8 = 6;

/// A segment and where it lies.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) range: GroupRange,
    pub(super) segment: Segment,
    /// Time of the keyframe that it starts at.
    pub(super) keyframe_ms: Option<u64>,
    /// Groups in which the first keyframe or chapter of this segment may begin: its first group, and groups of a header
    /// before it, if that header owns the group where the keyframe begins.
    pub(super) starts: RangeInclusive<u32>,
}

/// A run of groups between two forced boundaries.
#[derive(Debug, Clone, Copy)]
struct Run {
    range: GroupRange,
    kind: SegmentKind,
}

/// A group at which a segment should start.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    group: u32,
    time_ms: u64,
    /// The group where the keyframe's bytes start. It differs from `group` if it belongs to a header.
    origin: u32,
}

/// Everything that decides where the boundaries lie.
#[derive(Debug)]
pub(super) struct Plan {
    group_count: u32,
    /// Headers, indexes and what lies between them, tiling the content.
    runs: Vec<Run>,
    /// In order, each group once.
    candidates: Vec<Candidate>,
    /// Forced boundaries, which stand at any length of segments.
    forced: BTreeSet<u32>,
}

impl Plan {
    pub(super) fn new(geometry: Geometry, structure: &Structure, timeline: &Timeline) -> Self {
        let group_count = geometry.group_count();
        let mut runs: Vec<Run> = Vec::new();
        for (spans, kind) in
            [(&structure.headers, SegmentKind::Header), (&structure.indexes, SegmentKind::Index)]
        {
            let spans = spans.iter().take(LANDMARKS_MAX).filter_map(|span| covering(geometry, span));
            for range in spans {
                add(&mut runs, range, kind);
            }
        }
        let runs = filled(runs, group_count);
        let mut candidates: Vec<Candidate> = Vec::new();
        for keyframe in timeline.keyframes() {
            let origin = group_of(keyframe.offset);
            let group = media_from(&runs, origin);
            if group < group_count && candidates.last().is_none_or(|last| last.group < group) {
                candidates.push(Candidate { group, time_ms: keyframe.time_ms, origin });
            }
        }
        Self { group_count, runs, candidates, forced: BTreeSet::new() }
    }

    /// Makes boundaries before these groups.
    pub(super) fn force(&mut self, groups: impl Iterator<Item = u32>) {
        let group_count = self.group_count;
        self.forced.extend(groups.filter(|group| (1..group_count).contains(group)));
    }

    /// Makes boundaries before these groups, or behind the header or index that has them.
    pub(super) fn force_in_media(&mut self, groups: impl Iterator<Item = u32>) {
        let groups: Vec<u32> = groups.map(|group| media_from(&self.runs, group)).collect();
        self.force(groups.into_iter());
    }

    /// The segments, with the smallest longest length for which the table can hold them.
    pub(super) fn cuts(&self) -> Vec<Cut> {
        let mut longest = LONGEST_GROUPS;
        loop {
            let cuts = self.cuts_up_to(longest);
            // If the longest length is that of the content, only headers, indexes and forced boundaries remain, which are few.
            if cuts.len() <= SEGMENTS_MAX || longest >= self.group_count {
                return cuts;
            }
            longest = longest.saturating_mul(2);
        }
    }

    fn cuts_up_to(&self, longest: u32) -> Vec<Cut> {
        let first_gop = self.first_gop(longest);
        let mut cuts = Vec::new();
        let mut target = FIRST_GROUPS;
        for run in &self.runs {
            let mut at = run.range.start;
            while at < run.range.end {
                let is_first_gop = first_gop.has(at);
                let end = if run.kind != SegmentKind::Data {
                    at.saturating_add(longest)
                } else if is_first_gop {
                    first_gop.end
                } else {
                    let end = self.media_end(at, target, longest);
                    target = target.saturating_mul(2).min(longest);
                    if at < first_gop.start { end.min(first_gop.start) } else { end }
                };
                let forced = self.forced.range(at + 1..).next().copied().unwrap_or(run.range.end);
                let range = GroupRange::new(at, end.min(forced).min(run.range.end));
                cuts.push(self.cut(range, run.kind, is_first_gop));
                at = range.end;
            }
        }
        cuts
    }

    /// The first GOP with what little media lies before it, or several if they are very short; empty at the end if
    /// there is none.
    fn first_gop(&self, longest: u32) -> GroupRange {
        let none = GroupRange::new(self.group_count, self.group_count);
        let Some(first) = self.candidates.first().map(|candidate| candidate.group) else { return none };
        let Some(run) = self.runs.iter().find(|run| run.range.has(first)) else { return none };
        let is_near = first - run.range.start <= FIRST_GROUPS;
        let start = if is_near { run.range.start } else { first };
        let end = self.candidate_from(first.saturating_add(FIRST_GROUPS)).unwrap_or(self.group_count);
        GroupRange::new(start, end.min(start.saturating_add(longest)).min(run.range.end))
    }

    /// The last keyframe up to the target. If there is none, the next one within the longest length. If there is none, the
    /// target.
    fn media_end(&self, at: u32, target: u32, longest: u32) -> u32 {
        let wanted = at.saturating_add(target);
        let after = self.candidates.partition_point(|candidate| candidate.group <= wanted);
        let before = after.checked_sub(1).and_then(|index| self.candidates.get(index));
        if let Some(candidate) = before.filter(|candidate| candidate.group > at) {
            return candidate.group;
        }
        let reach = at.saturating_add(longest);
        self.candidate_from(wanted).filter(|group| *group <= reach).unwrap_or(wanted)
    }

    fn candidate_from(&self, group: u32) -> Option<u32> {
        let index = self.candidates.partition_point(|candidate| candidate.group < group);
        self.candidates.get(index).map(|candidate| candidate.group)
    }

    fn cut(&self, range: GroupRange, kind: SegmentKind, is_first_gop: bool) -> Cut {
        let (priority, period) = match kind {
            SegmentKind::Header | SegmentKind::Index => (PRIORITY_MAX, Period::Start),
            SegmentKind::Media | SegmentKind::Data if is_first_gop => (PRIORITY_FIRST, Period::Start),
            SegmentKind::Media | SegmentKind::Data => (PRIORITY_DEFAULT, Period::Playback),
        };
        let found = self.candidates.binary_search_by_key(&range.start, |candidate| candidate.group).ok();
        // Media before the first keyframe belongs to its GOP.
        let found = found.or_else(|| {
            self.candidates.first().filter(|first| is_first_gop && range.has(first.group)).map(|_| 0)
        });
        let candidate = found.and_then(|index| self.candidates.get(index));
        let candidate = candidate.filter(|_| kind == SegmentKind::Data);
        let kind = if candidate.is_some() { SegmentKind::Media } else { kind };
        let segment =
            Segment { group_count: range.len(), kind, priority, period, time_ms: None, duration_ms: None };
        let origin = candidate.map_or(range.start, |candidate| candidate.origin);
        let starts = origin.min(range.start)..=origin.max(range.start);
        Cut { range, segment, keyframe_ms: candidate.map(|candidate| candidate.time_ms), starts }
    }
}

/// The groups that have a byte of `span`.
fn covering(geometry: Geometry, span: &Range<u64>) -> Option<GroupRange> {
    let end = span.end.min(geometry.length_bytes());
    (span.start < end).then(|| GroupRange::new(group_of(span.start), group_of(end - 1).saturating_add(1)))
}

/// Adds the part of `range` that no run has yet, keeping the runs in order.
fn add(runs: &mut Vec<Run>, range: GroupRange, kind: SegmentKind) {
    let mut free = vec![range];
    for run in runs.iter() {
        free = free
            .into_iter()
            .flat_map(|range| {
                let before = GroupRange::new(range.start, range.end.min(run.range.start));
                let after = GroupRange::new(range.start.max(run.range.end), range.end);
                let is_apart = range.and(run.range).is_empty();
                if is_apart { [range, GroupRange::new(range.end, range.end)] } else { [before, after] }
            })
            .filter(|range| !range.is_empty())
            .collect();
    }
    runs.extend(free.into_iter().map(|range| Run { range, kind }));
    runs.sort_unstable_by_key(|run| run.range.start);
}

/// The runs, and the gaps between them.
fn filled(taken: Vec<Run>, group_count: u32) -> Vec<Run> {
    let mut runs = Vec::with_capacity(taken.len() * 2 + 1);
    let mut at = 0;
    let end = Run { range: GroupRange::new(group_count, group_count), kind: SegmentKind::Data };
    for run in taken.into_iter().chain([end]) {
        let between = GroupRange::new(at, run.range.start);
        if !between.is_empty() {
            runs.push(Run { range: between, kind: SegmentKind::Data });
        }
        at = run.range.end;
        runs.extend((!run.range.is_empty()).then_some(run));
    }
    runs
}

/// The first group from `group` on that belongs to no header or index. A keyframe that starts inside a header or index
/// continues there.
fn media_from(runs: &[Run], group: u32) -> u32 {
    let after = runs.partition_point(|run| run.range.start <= group);
    let Some(from) = after.checked_sub(1).and_then(|index| runs.get(index..)) else { return group };
    let taken = from.iter().take_while(|run| run.kind != SegmentKind::Data);
    taken.last().map_or(group, |run| run.range.end)
}
