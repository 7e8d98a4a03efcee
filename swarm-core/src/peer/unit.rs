//! The unit of forwarding: how many groups a peer must hold together before it passes any of them on.
//!
//! In the method it is one group, and everything in here is the identity. Larger units exist for comparison
//! ([`Policy`](super::Policy)): whoever is given a part of one can do nothing with it before the rest has come, so
//! whoever pushes, asks or waits must think in whole units. All arithmetic for that is here.

use std::time::Duration;

use crate::group::GroupRange;
use crate::limits::GROUP_BYTES;

/// Rate at which a unit is taken to travel, bytes a second: 10 Mbit/s, for which twelve neighbours ask at once.
const RATE: u64 = 100_000;

/// A unit of forwarding. Units lie side by side from group 0 on; the last of a content may be short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit(u32);

impl Default for Unit {
    fn default() -> Self {
        Self::GROUP
    }
}

impl Unit {
    /// Each group by itself: the method.
    pub const GROUP: Self = Self(1);

    /// Units of so many groups, 1 at least.
    pub const fn of(groups: u32) -> Self {
        Self(if groups == 0 { 1 } else { groups })
    }

    /// The unit that a group lies in; it may reach beyond the content.
    pub(crate) const fn around(self, group: u32) -> GroupRange {
        let start = group - group % self.0;
        GroupRange::new(start, start.saturating_add(self.0))
    }

    /// The whole units of a run of groups in a content that ends at `end`; possibly none.
    pub(crate) fn whole(self, run: GroupRange, end: u32) -> GroupRange {
        let first = self.around(run.start);
        let start = if first.start == run.start { run.start } else { first.end };
        GroupRange::new(start, if run.end == end { end } else { self.around(run.end).start })
    }

    /// What follows a run of groups in the unit of its last.
    pub(crate) const fn rest(self, run: GroupRange) -> GroupRange {
        GroupRange::new(run.end, self.around(run.end.saturating_sub(1)).end)
    }

    /// How much longer a whole unit is on its way than a group.
    pub(crate) fn delay(self) -> Duration {
        Duration::from_micros(u64::from(self.0 - 1) * u64::from(GROUP_BYTES) * 1_000_000 / RATE)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn single_groups_are_whole_by_themselves_and_never_late() {
        let unit = Unit::of(0);
        assert_eq!(unit, Unit::GROUP);
        assert_eq!(unit.around(7), GroupRange::one(7));
        assert_eq!(unit.whole(GroupRange::new(3, 8), 20), GroupRange::new(3, 8));
        assert!(unit.rest(GroupRange::new(3, 8)).is_empty());
        assert_eq!(unit.delay(), Duration::ZERO);
    }

    #[test]
    fn of_a_run_only_whole_units_count_and_the_last_may_be_short() {
        let unit = Unit::of(4);
        assert_eq!(unit.whole(GroupRange::new(3, 17), 18), GroupRange::new(4, 16));
        assert_eq!(unit.whole(GroupRange::new(4, 18), 18), GroupRange::new(4, 18));
        assert!(unit.whole(GroupRange::new(5, 7), 18).is_empty());
        assert!(unit.whole(GroupRange::new(5, 8), 18).is_empty());
    }

    #[test]
    fn what_follows_a_run_is_the_rest_of_the_unit_that_it_ends_in() {
        let unit = Unit::of(4);
        assert_eq!(unit.rest(GroupRange::new(2, 5)), GroupRange::new(5, 8));
        assert!(unit.rest(GroupRange::new(2, 8)).is_empty());
    }

    #[test]
    fn the_larger_a_unit_the_longer_it_is_on_its_way() {
        assert!(Unit::of(4).delay() < Unit::of(16).delay());
        assert_eq!(Unit::of(5).delay(), Duration::from_micros(655_360));
    }
}
