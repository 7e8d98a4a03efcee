//! A set of segments: what a peer holds or looks for, as the tracker keeps it.

use swarm_core::tracker_message::SegmentRun;
use swarm_core::{GroupRange, GroupSet};

/// A set of segments below the number that the manifest has; others are ignored when added.
#[derive(Debug, Clone, Default)]
pub(crate) struct SegmentSet(
    // The bitmap of swarm-core counts whatever is indexed; here its indices are segments.
    GroupSet,
);

impl SegmentSet {
    /// No segment, of a content that has `segment_count`.
    pub(crate) fn empty(segment_count: u32) -> Self {
        Self(GroupSet::empty(segment_count))
    }

    /// Every segment.
    pub(crate) fn full(segment_count: u32) -> Self {
        Self(GroupSet::full(segment_count))
    }

    /// The segments of `runs`.
    pub(crate) fn of(segment_count: u32, runs: &[SegmentRun]) -> Self {
        let mut set = Self::empty(segment_count);
        runs.iter().for_each(|run| set.insert(*run));
        set
    }

    /// Adds a run.
    pub(crate) fn insert(&mut self, run: SegmentRun) {
        self.0.insert(range_of(run));
    }

    /// Takes a run out.
    pub(crate) fn remove(&mut self, run: SegmentRun) {
        self.0.remove(range_of(run));
    }

    /// Whether a segment is in the set.
    pub(crate) fn has(&self, segment: u32) -> bool {
        self.0.has(segment)
    }

    /// Whether every segment of the content is.
    pub(crate) fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// Whether none is.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The segments, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter()
    }

    /// The first `runs_max` runs of the set.
    pub(crate) fn runs(&self, runs_max: usize) -> Vec<SegmentRun> {
        let runs = self.0.runs(GroupRange::new(0, self.0.capacity())).take(runs_max);
        runs.map(|run| SegmentRun(run.start, run.len())).collect()
    }

    /// The segments that are not in `other`, in order.
    pub(crate) fn not_in<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        let words = (0..self.0.word_count()).map(|index| self.0.word(index) & !other.0.word(index));
        (0u32..).zip(words).filter(|(_, word)| *word != 0).flat_map(|(index, word)| {
            (0..u64::BITS).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index * u64::BITS + bit)
        })
    }

    /// Takes the segments of another set out.
    pub(crate) fn remove_all(&mut self, other: &Self) {
        for run in other.0.runs(GroupRange::new(0, other.0.capacity())) {
            self.0.remove(run);
        }
    }

    /// Whether a segment is in both sets.
    pub(crate) fn is_overlapping(&self, other: &Self) -> bool {
        (0..self.0.word_count()).any(|index| self.0.word(index) & other.0.word(index) != 0)
    }

    /// The first `runs_max` runs of segments that are in both sets.
    pub(crate) fn runs_in_both(&self, other: &Self, runs_max: usize) -> Vec<SegmentRun> {
        other
            .0
            .runs(GroupRange::new(0, other.0.capacity()))
            .flat_map(|run| self.0.runs(run))
            .take(runs_max)
            .map(|run| SegmentRun(run.start, run.len()))
            .collect()
    }
}

fn range_of(run: SegmentRun) -> GroupRange {
    GroupRange::from((run.0, run.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_sets_share_comes_in_runs() {
        let left = SegmentSet::of(20, &[SegmentRun(0, 5), SegmentRun(10, 5)]);
        let right = SegmentSet::of(20, &[SegmentRun(3, 9), SegmentRun(14, 1)]);
        assert!(left.is_overlapping(&right));
        assert_eq!(left.runs_in_both(&right, 9), [SegmentRun(3, 2), SegmentRun(10, 2), SegmentRun(14, 1)]);
        assert_eq!(left.runs_in_both(&right, 1), [SegmentRun(3, 2)]);
    }

    #[test]
    fn what_one_set_has_and_the_other_lacks_is_told_whatever_their_lengths() {
        let left = SegmentSet::of(200, &[SegmentRun(0, 3), SegmentRun(150, 2)]);
        let right = SegmentSet::of(100, &[SegmentRun(1, 50)]);
        assert_eq!(left.not_in(&right).collect::<Vec<_>>(), [0, 150, 151]);
        assert_eq!(right.not_in(&left).count(), 48);
        assert_eq!(left.not_in(&SegmentSet::default()).count(), 5);
        let mut rest = left.clone();
        rest.remove_all(&right);
        assert_eq!(rest.iter().collect::<Vec<_>>(), [0, 150, 151]);
    }

    #[test]
    fn segments_that_the_content_lacks_are_ignored() {
        let set = SegmentSet::of(3, &[SegmentRun(0, u32::MAX), SegmentRun(u32::MAX, u32::MAX)]);
        assert!(set.is_full());
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
