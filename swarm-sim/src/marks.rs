//! What the author said of which part of the content, and when a viewer had all of each part.

use serde::Serialize;
use swarm_core::manifest::{PRIORITY_MAX, Period};
use swarm_core::{GroupRange, GroupSet, Manifest};

/// Something for each part, by the author's word.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct ByMark<T> {
    /// The highest priority.
    pub marked: T,
    /// Whatever is neither.
    pub plain: T,
    /// Period `background`.
    pub background: T,
}

impl<T> ByMark<T> {
    fn of(&mut self, period: Period, priority: u8) -> &mut T {
        match period {
            Period::Background => &mut self.background,
            Period::Start | Period::Playback if priority == PRIORITY_MAX => &mut self.marked,
            Period::Start | Period::Playback => &mut self.plain,
        }
    }

    /// Makes of each part something else.
    pub(crate) fn map<U>(&self, mut make: impl FnMut(&T) -> U) -> ByMark<U> {
        ByMark { marked: make(&self.marked), plain: make(&self.plain), background: make(&self.background) }
    }
}

/// The groups of each part.
pub(crate) fn parts(manifest: &Manifest) -> ByMark<GroupSet> {
    let none = GroupSet::empty(manifest.geometry().group_count());
    let mut parts = ByMark { marked: none.clone(), plain: none.clone(), background: none };
    for (range, segment) in manifest.segment_ranges() {
        parts.of(segment.period, segment.priority).insert(range);
    }
    parts
}

/// A viewer's way through the parts.
#[derive(Debug)]
pub(crate) struct Progress {
    parts: ByMark<Part>,
}

#[derive(Debug)]
struct Part {
    lacking: GroupSet,
    done_at: Option<u64>,
}

impl Progress {
    pub(crate) fn new(parts: &ByMark<GroupSet>) -> Self {
        Self { parts: parts.map(|groups| Part { lacking: groups.clone(), done_at: None }) }
    }

    /// Groups were stored at a time, µs.
    pub(crate) fn stored(&mut self, now: u64, range: GroupRange) {
        for part in [&mut self.parts.marked, &mut self.parts.plain, &mut self.parts.background] {
            if part.lacking.remove(range) > 0 && part.lacking.is_empty() {
                part.done_at = Some(now);
            }
        }
    }

    /// When each part was complete, µs.
    pub(crate) fn done_at(&self) -> ByMark<Option<u64>> {
        self.parts.map(|part| part.done_at)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Scenario, run};

    /// Four viewers and 16 MiB: a quarter marked, a quarter for spare capacity.
    fn scenario(has_author_rules: bool) -> Scenario {
        Scenario { peers: 4, mib: 16, has_author_rules, ..Scenario::default() }
    }

    #[test]
    fn what_is_marked_is_complete_at_every_viewer_before_background_is_at_any() {
        let report = run(&scenario(true));
        assert!(report.finished, "{report:?}");
        let seconds = report.complete_seconds.unwrap();
        let [marked, plain, background] =
            [seconds.marked, seconds.plain, seconds.background].map(Option::unwrap);
        assert!(marked < report.first_background_seconds.unwrap(), "{report:?}");
        assert!(marked < plain && plain < background, "{report:?}");
    }

    #[test]
    fn without_rules_there_is_no_order_to_report() {
        let report = run(&Scenario { peers: 1, mib: 1, ..scenario(false) });
        assert_eq!((report.complete_seconds, report.first_background_seconds), (None, None));
        assert!(!serde_json::to_string(&report).unwrap().contains("complete_seconds"));
    }
}
