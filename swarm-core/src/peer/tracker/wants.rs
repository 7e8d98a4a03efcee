//! When the tracker hears what is looked for (M5): where playing starts or goes on elsewhere, and what cannot be had in
//! time. It answers with who provides and who looks for the same, with new neighbours where there are too few, and with
//! whom to ask ([`Advice`](super::Advice)).

use std::time::Duration;

use crate::group::GroupRange;
use crate::limits::GROUPS_MAX;
use crate::peer::content::Content;
use crate::peer::receive::{Demand, Need};
use crate::time::Timestamp;
use crate::tracker_message::{SegmentRun, Want};

/// The tracker hears of it at most this often.
const INTERVAL: Duration = Duration::from_secs(1);
/// Segments that are named at once, the earliest; a tracker assigns as many.
const SEGMENTS_MAX: usize = 16;

/// What the tracker was told last.
#[derive(Debug)]
pub(crate) struct Wants {
    /// The groups that were urgent at that time.
    told: GroupRange,
    next: Timestamp,
}

impl Default for Wants {
    /// Nothing was told yet.
    fn default() -> Self {
        Self { told: GroupRange::new(GROUPS_MAX, GROUPS_MAX), next: Timestamp::ZERO }
    }
}

impl Wants {
    /// Whether the tracker may be told something now.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        now >= self.next
    }

    /// What to tell the tracker, if that is news or cannot be had in time; `is_missed` says whether a group that is due
    /// in a time is expected much later.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        (content, demand): (&Content, &Demand),
        is_missed: impl Fn(u32, Duration) -> bool,
    ) -> Option<Vec<Want>> {
        let needs = demand.needs(now);
        let (need, first) = needs.iter().find_map(|need| {
            let first = content.held().next_missing(need.urgent.start)?;
            let is_pressing = || !self.told.has(first) || is_missed(first, demand.time_left(need, first));
            (need.urgent.has(first) && is_pressing()).then_some((need, first))
        })?;
        self.told = need.urgent;
        self.next = now + INTERVAL;
        Some(wants(content, demand, need, first))
    }
}

/// The segments from a group on that a reader needs soon and that are not whole yet.
fn wants(content: &Content, demand: &Demand, need: &Need, first: u32) -> Vec<Want> {
    let lacking = content.segments_lacking(GroupRange::new(first, need.urgent.end));
    let want = |(segment, group): (u32, u32)| Want {
        segments: SegmentRun(segment, 1),
        remaining_ms: millis(demand.time_left(need, group.max(first))),
    };
    lacking.take(SEGMENTS_MAX).map(want).collect()
}

/// A time in whole ms, as it goes on the wire.
pub(crate) fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
