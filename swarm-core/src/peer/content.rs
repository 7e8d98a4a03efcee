//! The local part of the content: manifest, verified groups, hash tree, and changes that are not announced yet.
//!
//! Open requests belong to `receive`.

use std::cmp::Reverse;
use std::sync::Arc;

use bytes::Bytes;

use crate::group::{Geometry, GroupRange};
use crate::group_set::GroupSet;
use crate::limits::{RUNS_MAX, SEGMENT_RUNS_MAX};
use crate::manifest::{Manifest, Period};
use crate::tracker_message::{SegmentRun, Share};
use crate::tree::{HashTree, Proof, Verified, VerifyError};

/// Groups to which the author gave the same period and priority.
#[derive(Debug)]
pub(crate) struct Tier {
    /// When the author wants them.
    pub(crate) period: Period,
    /// How important the author says they are.
    pub(crate) priority: u8,
    /// The groups.
    pub(crate) groups: GroupSet,
}

/// The local part of the content.
#[derive(Debug)]
pub(crate) struct Content {
    manifest: Arc<Manifest>,
    tree: HashTree,
    held: GroupSet,
    gained: GroupSet,
    dropped: GroupSet,
    tiers: Vec<Tier>,
    /// Segments announced to the tracker as whole.
    told_segments: Vec<bool>,
}

impl Content {
    /// A content with the groups that a store holds already. The sets are cut to the content's length.
    pub(crate) fn new(manifest: Arc<Manifest>, held: &GroupSet, tree: HashTree) -> Self {
        let count = manifest.geometry().group_count();
        let mut own = GroupSet::empty(count);
        own.union_with(held);
        Self {
            tree,
            held: own,
            gained: GroupSet::empty(count),
            dropped: GroupSet::empty(count),
            tiers: tiers(&manifest),
            told_segments: vec![false; manifest.segments.len()],
            manifest,
        }
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.manifest.geometry()
    }

    pub(crate) const fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    pub(crate) const fn held(&self) -> &GroupSet {
        &self.held
    }

    pub(crate) const fn tree(&self) -> &HashTree {
        &self.tree
    }

    pub(crate) fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// Bytes held.
    pub(crate) fn held_bytes(&self) -> u64 {
        if self.held.is_full() {
            return self.geometry().length_bytes();
        }
        self.held.runs(self.geometry().all()).map(|run| self.geometry().len_bytes(run)).sum()
    }

    /// Verifies what a link sent. It is held only after [`Content::gain`].
    pub(crate) fn verify(
        &mut self,
        range: GroupRange,
        proof: &Proof,
        bytes: Bytes,
    ) -> Result<Verified, VerifyError> {
        self.tree.verify(range, proof, bytes)
    }

    /// Learns pages of the tree file. Pages that do not lead to the root are refused.
    pub(crate) fn learn_pages(&mut self, pages: GroupRange, bytes: &[u8]) -> Result<(), VerifyError> {
        self.tree.learn_pages(pages, bytes)
    }

    /// A verified range is in the store. Returns how many of its bytes were new.
    pub(crate) fn gain(&mut self, range: GroupRange) -> u64 {
        let fresh: Vec<GroupRange> =
            range.iter().filter(|group| !self.held.has(*group)).map(GroupRange::one).collect();
        let mut bytes = 0;
        for group in fresh {
            bytes += self.geometry().len_bytes(group);
            self.held.insert(group);
            self.gained.insert(group);
            self.dropped.remove(group);
        }
        bytes
    }

    /// The groups to announce to a neighbour in a greeting.
    pub(crate) fn announced(&self) -> Vec<GroupRange> {
        self.held.runs(self.geometry().all()).collect()
    }

    /// A range is no longer in the store.
    pub(crate) fn lose(&mut self, range: GroupRange) {
        let runs: Vec<GroupRange> = self.held.runs(range).collect();
        for run in runs {
            self.held.remove(run);
            self.gained.remove(run);
            self.dropped.insert(run);
        }
    }

    /// The changes since the last call, `(gained, dropped)` for each message, with as many runs as one message holds.
    pub(crate) fn take_news(&mut self) -> Vec<(Vec<GroupRange>, Vec<GroupRange>)> {
        let all = self.geometry().all();
        let gained: Vec<GroupRange> = self.gained.runs(all).collect();
        let dropped: Vec<GroupRange> = self.dropped.runs(all).collect();
        self.gained.remove(all);
        self.dropped.remove(all);
        let gained = gained.chunks(RUNS_MAX).map(|runs| (runs.to_vec(), Vec::new()));
        let dropped = dropped.chunks(RUNS_MAX).map(|runs| (Vec::new(), runs.to_vec()));
        gained.chain(dropped).collect()
    }

    /// Segments that are whole, as runs, for a tracker that knows of none. From now on they count as announced. Runs that do
    /// not fit one message follow as news.
    pub(crate) fn tell_segments(&mut self) -> Vec<SegmentRun> {
        self.told_segments.fill(false);
        self.take_segment_news().0
    }

    /// Segments that became whole, and those that no longer are, since the tracker was last told.
    pub(crate) fn take_segment_news(&mut self) -> (Vec<SegmentRun>, Vec<SegmentRun>) {
        let whole = self.manifest.segment_ranges().map(|(range, _)| self.held.has_all(range));
        let changes: Vec<(bool, bool)> = self.told_segments.iter().copied().zip(whole).collect();
        let gained = runs_of(&changes, |change| *change == (false, true));
        let dropped = runs_of(&changes, |change| *change == (true, false));
        for (runs, is_whole) in [(&gained, true), (&dropped, false)] {
            for SegmentRun(first, count) in runs {
                let told = self.told_segments.iter_mut().skip(*first as usize).take(*count as usize);
                told.for_each(|told| *told = is_whole);
            }
        }
        (gained, dropped)
    }

    /// Groups of the segments that are an initial peer's share.
    pub(crate) fn share(&self, share: Share) -> GroupSet {
        let mut groups = GroupSet::empty(self.geometry().group_count());
        for (index, (range, _)) in (0u32..).zip(self.manifest.segment_ranges()) {
            if index % share.count.max(1) == share.index {
                groups.insert(range);
            }
        }
        groups
    }

    /// The segment that holds `group`.
    pub(crate) fn segment_of(&self, group: u32) -> Option<u32> {
        let index = self.manifest.segment_ranges().position(|(range, _)| range.has(group))?;
        u32::try_from(index).ok()
    }

    /// The segments with groups in a range that are not whole, each with its first group.
    pub(crate) fn segments_lacking(&self, range: GroupRange) -> impl Iterator<Item = (u32, u32)> + '_ {
        let segments = (0..).zip(self.manifest.segment_ranges().map(|(groups, _)| groups));
        let near = segments.filter(move |(_, groups)| !groups.and(range).is_empty());
        near.filter(|(_, groups)| !self.held.has_all(*groups)).map(|(index, groups)| (index, groups.start))
    }

    /// The groups of a run of segments; possibly empty.
    pub(crate) fn groups_of(&self, run: SegmentRun) -> GroupRange {
        let ranges = self.manifest.segment_ranges().map(|(range, _)| range);
        let mut chosen = ranges.skip(run.0 as usize).take(run.1 as usize);
        let Some(first) = chosen.next() else { return GroupRange::new(0, 0) };
        GroupRange::new(first.start, chosen.last().unwrap_or(first).end)
    }
}

/// The author's order: period `start`, then `playback`, then `background`; inside each by priority.
fn tiers(manifest: &Manifest) -> Vec<Tier> {
    let rank = |period: Period| match period {
        Period::Start => 0,
        Period::Playback => 1,
        Period::Background => 2,
    };
    let place = |tier: &Tier| (rank(tier.period), Reverse(tier.priority));
    let count = manifest.geometry().group_count();
    let mut tiers: Vec<Tier> = Vec::new();
    for (range, segment) in manifest.segment_ranges() {
        let known =
            tiers.iter_mut().find(|tier| tier.period == segment.period && tier.priority == segment.priority);
        if let Some(tier) = known {
            tier.groups.insert(range);
        } else {
            let mut groups = GroupSet::empty(count);
            groups.insert(range);
            let tier = Tier { period: segment.period, priority: segment.priority, groups };
            tiers.insert(tiers.partition_point(|other| place(other) <= place(&tier)), tier);
        }
    }
    tiers
}

/// Runs of the items that are chosen, the first [`SEGMENT_RUNS_MAX`] of them.
fn runs_of<T>(items: &[T], chosen: impl Fn(&T) -> bool) -> Vec<SegmentRun> {
    let mut runs: Vec<SegmentRun> = Vec::new();
    for (index, item) in (0u32..).zip(items) {
        if !chosen(item) {
            continue;
        }
        match runs.last_mut() {
            Some(SegmentRun(first, count)) if *first + *count == index => *count += 1,
            _ => runs.push(SegmentRun(index, 1)),
        }
    }
    runs.truncate(SEGMENT_RUNS_MAX);
    runs
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::id::ContentRoot;
    use crate::manifest::tests::sample;

    /// 1 MiB: segments of 4, 8, 16 and 32 groups, then 4.
    fn content(change: impl FnOnce(&mut Manifest)) -> Content {
        let mut manifest = sample(1024 * 1024, ContentRoot([1; 32]));
        change(&mut manifest);
        let tree = HashTree::unknown(manifest.geometry(), manifest.root);
        Content::new(Arc::new(manifest), &GroupSet::empty(10_000), tree)
    }

    #[test]
    fn what_is_gained_is_told_once() {
        let mut content = content(|_| ());
        assert_eq!(content.gain(GroupRange::new(3, 5)), 2 * 16384);
        assert_eq!(content.gain(GroupRange::new(4, 6)), 16384);
        content.lose(GroupRange::new(3, 4));
        let news = content.take_news();
        assert_eq!(news, [(vec![GroupRange::new(4, 6)], vec![]), (vec![], vec![GroupRange::new(3, 4)])]);
        assert!(content.take_news().is_empty());
        assert_eq!(content.held_bytes(), 2 * 16384);
    }

    #[test]
    fn the_tracker_hears_of_whole_segments_only() {
        let mut content = content(|_| ());
        content.gain(GroupRange::new(0, 11));
        assert_eq!(content.tell_segments(), [SegmentRun(0, 1)]);
        content.gain(GroupRange::new(11, 28));
        content.lose(GroupRange::one(0));
        assert_eq!(content.take_segment_news(), (vec![SegmentRun(1, 2)], vec![SegmentRun(0, 1)]));
        assert_eq!(content.segment_of(12), Some(2));
        assert_eq!(content.groups_of(SegmentRun(1, 2)), GroupRange::new(4, 28));
        assert!(content.groups_of(SegmentRun(u32::MAX, u32::MAX)).is_empty());
    }

    #[test]
    fn what_is_announced_is_sorted_and_disjoint_and_held() {
        let mut content = content(|_| ());
        for (start, end) in [(40, 44), (3, 5), (5, 7), (9, 10)] {
            content.gain(GroupRange::new(start, end));
        }
        let announced = [GroupRange::new(3, 7), GroupRange::new(9, 10), GroupRange::new(40, 44)];
        assert_eq!(content.announced(), announced);
        assert_eq!(content.take_news(), [(announced.to_vec(), vec![])]);
        content.lose(GroupRange::new(6, 41));
        let dropped = [GroupRange::new(6, 7), GroupRange::new(9, 10), GroupRange::one(40)];
        assert_eq!(content.take_news(), [(vec![], dropped.to_vec())]);
        // Dropped and gained again before any neighbour heard of it.
        content.lose(GroupRange::one(3));
        content.gain(GroupRange::one(3));
        assert_eq!(content.take_news(), [(vec![GroupRange::one(3)], vec![])]);
    }

    #[test]
    fn more_news_than_a_message_holds_is_told_in_several() {
        let geometry = Geometry::new(10_000 * 16384);
        let mut manifest = sample(geometry.length_bytes(), ContentRoot([1; 32]));
        manifest.segments = crate::segmentation::doubling(geometry);
        let tree = HashTree::unknown(geometry, manifest.root);
        let mut content = Content::new(Arc::new(manifest), &GroupSet::empty(10_000), tree);
        (0..5000).for_each(|index| _ = content.gain(GroupRange::one(2 * index)));
        let news = content.take_news();
        assert_eq!(
            news.iter().map(|(gained, _)| gained.len()).collect::<Vec<_>>(),
            [RUNS_MAX, 5000 - RUNS_MAX]
        );
    }

    #[test]
    fn initial_peers_share_the_segments_among_them() {
        let content = content(|_| ());
        let shares = [0, 1].map(|index| content.share(Share { index, count: 2 }));
        assert_eq!(shares[0].runs(content.geometry().all()).collect::<Vec<_>>().len(), 3);
        assert!(shares[0].has(0) && shares[1].has(4) && shares[0].has(12));
        assert_eq!(shares[0].count() + shares[1].count(), 64);
        assert_eq!(
            content.share(Share { index: 0, count: 0 }).count(),
            64,
            "a count of none is taken for one"
        );
    }

    #[test]
    fn segments_that_lack_something_are_found_by_the_groups_that_are_needed() {
        let mut content = content(|_| ());
        content.gain(GroupRange::new(4, 13));
        let lacking: Vec<_> = content.segments_lacking(GroupRange::new(3, 29)).collect();
        assert_eq!(lacking, [(0, 0), (2, 12), (3, 28)]);
        assert!(content.segments_lacking(GroupRange::new(5, 9)).next().is_none());
    }

    #[test]
    fn tiers_follow_the_authors_period_and_then_priority() {
        let content = content(|manifest| {
            manifest.segments[0].priority = 1;
            manifest.segments[1].period = Period::Background;
            manifest.segments[2].period = Period::Start;
            manifest.segments[3].priority = 7;
        });
        let order: Vec<u32> = content.tiers().iter().filter_map(|tier| tier.groups.next(0)).collect();
        assert_eq!(order, [12, 28, 60, 0, 4]);
    }
}
