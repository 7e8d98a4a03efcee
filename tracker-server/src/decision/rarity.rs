//! How rare each segment of one content is, and how much its author and the viewers care.
//!
//! Counts are kept as peers change, so that asking costs nothing. Initial peers are not counted: they hold
//! everything, and a segment that only they hold is as rare as can be.

use std::time::Duration;

use swarm_core::Timestamp;
use swarm_core::manifest::{self, PRIORITY_MAX, Period};
use swarm_core::tracker_message::SegmentRun;

use super::segment_set::SegmentSet;
use crate::limits::{AT_RISK_HOLDERS_MAX, AT_RISK_REFRESH_MS, AT_RISK_RUNS_MAX};

/// What the tracker needs of a segment's entry in the manifest (M8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// The author's priority, 0 (least) to [`PRIORITY_MAX`].
    pub priority: u8,
    /// When the author wants it transferred.
    pub period: Period,
}

impl From<&manifest::Segment> for Wish {
    fn from(segment: &manifest::Segment) -> Self {
        Self { priority: segment.priority, period: segment.period }
    }
}

impl Wish {
    /// The place in the author's order: what matters most has the least.
    const fn rank(self) -> u8 {
        let period = match self.period {
            Period::Start => 0,
            Period::Playback => 1,
            Period::Background => 2,
        };
        let priority = if self.priority > PRIORITY_MAX { PRIORITY_MAX } else { self.priority };
        period * (PRIORITY_MAX + 1) + (PRIORITY_MAX - priority)
    }
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    rank: u8,
    /// Viewers that hold it.
    holders: u32,
    /// Peers that look for it.
    lookers: u32,
}

/// The segments of one content as the swarm has them.
#[derive(Debug)]
pub(super) struct Rarity {
    segments: Vec<Segment>,
    /// Segments at risk as they were found last, and when.
    listed: Option<(Timestamp, Vec<SegmentRun>)>,
}

impl Rarity {
    /// A content that nobody has and nobody wants.
    pub(super) fn new(wishes: impl IntoIterator<Item = Wish>) -> Self {
        let segment = |wish: Wish| Segment { rank: wish.rank(), holders: 0, lookers: 0 };
        Self { segments: wishes.into_iter().map(segment).collect(), listed: None }
    }

    /// The same content, of which nobody has or wants anything.
    pub(super) fn emptied(&self) -> Self {
        let segment = |segment: &Segment| Segment { rank: segment.rank, holders: 0, lookers: 0 };
        Self { segments: self.segments.iter().map(segment).collect(), listed: None }
    }

    /// Number of segments.
    pub(super) fn segment_count(&self) -> u32 {
        u32::try_from(self.segments.len()).unwrap_or(u32::MAX)
    }

    /// The place of a segment in the author's order: what matters most has the least.
    pub(super) fn rank(&self, segment: u32) -> u8 {
        self.segment(segment).map_or(u8::MAX, |segment| segment.rank)
    }

    /// Whether the author wants a segment before anything else.
    pub(super) fn is_for_start(&self, segment: u32) -> bool {
        self.rank(segment) <= PRIORITY_MAX
    }

    /// Viewers that hold a segment.
    pub(super) fn holders(&self, segment: u32) -> u32 {
        self.segment(segment).map_or(0, |segment| segment.holders)
    }

    /// Whether so few viewers hold a segment that it may be lost.
    pub(super) fn is_rare(&self, segment: u32) -> bool {
        self.holders(segment) <= AT_RISK_HOLDERS_MAX
    }

    /// A viewer that held `before` holds `after`.
    pub(super) fn held(&mut self, before: &SegmentSet, after: &SegmentSet) {
        self.count(before, after, |segment| &mut segment.holders);
    }

    /// A peer that looked for `before` looks for `after`.
    pub(super) fn looked(&mut self, before: &SegmentSet, after: &SegmentSet) {
        self.count(before, after, |segment| &mut segment.lookers);
    }

    /// The segments that somebody looks for and that are rare, the author's most important first. Looked for
    /// anew once a second at most, however many ask.
    pub(super) fn at_risk(&mut self, now: Timestamp) -> Vec<SegmentRun> {
        let refresh = Duration::from_millis(u64::from(AT_RISK_REFRESH_MS));
        match &self.listed {
            Some((at, listed)) if now < *at + refresh => listed.clone(),
            Some(_) | None => {
                let listed = self.find_at_risk();
                self.listed = Some((now, listed.clone()));
                listed
            }
        }
    }

    fn find_at_risk(&self) -> Vec<SegmentRun> {
        let mut runs: Vec<(u8, SegmentRun)> = Vec::new();
        for (segment, Segment { rank, holders, lookers }) in (0..).zip(&self.segments) {
            if *lookers == 0 || *holders > AT_RISK_HOLDERS_MAX {
                continue;
            }
            match runs.last_mut() {
                Some((last_rank, SegmentRun(first, count)))
                    if last_rank == rank && *first + *count == segment =>
                {
                    *count += 1;
                }
                Some(_) | None => runs.push((*rank, SegmentRun(segment, 1))),
            }
        }
        runs.sort_by_key(|(rank, _)| *rank);
        runs.into_iter().take(AT_RISK_RUNS_MAX).map(|(_, run)| run).collect()
    }

    fn count(&mut self, before: &SegmentSet, after: &SegmentSet, of: impl Fn(&mut Segment) -> &mut u32) {
        for (sets, change) in [((after, before), 1), ((before, after), -1)] {
            for segment in sets.0.not_in(sets.1) {
                if let Some(segment) =
                    usize::try_from(segment).ok().and_then(|index| self.segments.get_mut(index))
                {
                    let count = of(segment);
                    *count = count.saturating_add_signed(change);
                }
            }
        }
    }

    fn segment(&self, segment: u32) -> Option<&Segment> {
        usize::try_from(segment).ok().and_then(|index| self.segments.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Wish = Wish { priority: 3, period: Period::Playback };
    const NOW: Timestamp = Timestamp::ZERO;

    fn set(runs: &[SegmentRun]) -> SegmentSet {
        SegmentSet::of(10, runs)
    }

    fn none() -> SegmentSet {
        SegmentSet::default()
    }

    #[test]
    fn a_segment_is_at_risk_while_somebody_wants_it_and_one_viewer_holds_it_at_most() {
        let mut rarity = Rarity::new([PLAIN; 10]);
        rarity.held(&none(), &set(&[SegmentRun(0, 4)]));
        rarity.held(&none(), &set(&[SegmentRun(0, 2)]));
        assert!(rarity.at_risk(NOW).is_empty(), "nobody wants any");
        rarity.looked(&none(), &set(&[SegmentRun(1, 4)]));
        let later = Timestamp::from_millis(u64::from(AT_RISK_REFRESH_MS));
        assert!(rarity.at_risk(Timestamp::from_millis(1)).is_empty(), "looked for once a second");
        assert_eq!(rarity.at_risk(later), [SegmentRun(2, 3)]);
        rarity.held(&set(&[SegmentRun(0, 4)]), &set(&[SegmentRun(1, 4)]));
        rarity.held(&none(), &set(&[SegmentRun(3, 2)]));
        rarity.looked(&set(&[SegmentRun(1, 4)]), &set(&[SegmentRun(0, 4)]));
        let much_later = Timestamp::from_millis(60_000);
        assert_eq!(rarity.at_risk(much_later), [SegmentRun(0, 1), SegmentRun(2, 1)]);
    }

    #[test]
    fn what_the_author_wants_first_is_named_first_and_the_list_is_bounded() {
        let first = Wish { period: Period::Start, ..PLAIN };
        let high = Wish { priority: 7, ..PLAIN };
        let last = Wish { priority: 7, period: Period::Background };
        let mut rarity = Rarity::new([last, PLAIN, high, first, PLAIN, PLAIN]);
        let all = SegmentSet::full(6);
        rarity.looked(&none(), &all);
        let order = [(3, 1), (2, 1), (1, 1), (4, 2), (0, 1)].map(|(first, count)| SegmentRun(first, count));
        assert_eq!(rarity.at_risk(NOW), order);
        let wishes = (0..1000).map(|index| if index % 2 == 0 { PLAIN } else { high });
        let mut rarity = Rarity::new(wishes);
        rarity.looked(&none(), &SegmentSet::full(1000));
        assert_eq!(rarity.at_risk(NOW).len(), AT_RISK_RUNS_MAX);
    }

    #[test]
    fn a_rank_follows_period_then_priority() {
        let wish = |priority, period| Wish { priority, period }.rank();
        assert!(wish(0, Period::Start) < wish(7, Period::Playback));
        assert!(wish(4, Period::Playback) < wish(3, Period::Playback));
        assert!(wish(0, Period::Playback) < wish(255, Period::Background));
    }
}
