//! Units of forwarding of which an initial peer pushed a part: the rest goes to the same viewer, before anything new.
//!
//! Whoever holds a part of a unit can give nothing to others, so a unit that is spread over many is as good as not
//! injected. Where groups are forwarded one by one nothing is ever left of a unit, and this is empty.

use std::collections::BTreeMap;

use super::unit::Unit;
use crate::group::GroupRange;
use crate::id::LinkId;

/// Viewers that may be in the middle of a unit at a time: while one's channel is full the other goes on.
const UNITS_AT_ONCE: usize = 2;

/// What is left of units that were begun.
#[derive(Debug, Default)]
pub(crate) struct Rests {
    /// What is forwarded together.
    pub(crate) unit: Unit,
    rests: BTreeMap<LinkId, GroupRange>,
}

impl Rests {
    pub(crate) const fn new(unit: Unit) -> Self {
        Self { unit, rests: BTreeMap::new() }
    }

    /// Groups were pushed to a viewer, of a content that ends at `end`. What is left of their unit; possibly nothing.
    pub(crate) fn pushed(&mut self, to: LinkId, range: GroupRange, end: u32) -> GroupRange {
        let rest = self.unit.rest(range).and(GroupRange::new(0, end));
        self.rests.remove(&to);
        if !rest.is_empty() {
            self.rests.insert(to, rest);
        }
        rest
    }

    /// Whether a group is to follow others of its unit.
    pub(crate) fn has(&self, group: u32) -> bool {
        self.rests.values().any(|rest| rest.has(group))
    }

    /// Whether no other unit is to be begun.
    pub(crate) fn is_full(&self) -> bool {
        self.rests.len() >= UNITS_AT_ONCE
    }

    /// The next groups for a viewer, of the unit that it was given a part of.
    pub(crate) fn next(&self, to: LinkId, groups_max: u32) -> Option<GroupRange> {
        let rest = self.rests.get(&to)?;
        Some(rest.and(GroupRange::new(rest.start, rest.start.saturating_add(groups_max))))
    }

    /// A viewer will not be given the rest of a unit if that is of these groups. What it was to be given.
    pub(crate) fn abandon(&mut self, to: LinkId, groups: GroupRange) -> Option<GroupRange> {
        self.rests.get(&to).filter(|rest| !rest.and(groups).is_empty())?;
        self.rests.remove(&to)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const A: LinkId = LinkId(1);
    const B: LinkId = LinkId(2);

    #[test]
    fn the_rest_of_a_unit_is_its_receivers_until_it_has_all_of_it() {
        let mut rests = Rests::new(Unit::of(8));
        assert_eq!(rests.pushed(A, GroupRange::new(8, 11), 100), GroupRange::new(11, 16));
        assert!(rests.has(11) && rests.has(15) && !rests.has(10) && !rests.has(16));
        assert_eq!((rests.next(A, 3), rests.next(B, 3)), (Some(GroupRange::new(11, 14)), None));
        rests.pushed(A, GroupRange::new(11, 14), 100);
        assert_eq!(rests.next(A, 3), Some(GroupRange::new(14, 16)));
        assert!(rests.pushed(A, GroupRange::new(14, 16), 100).is_empty());
        assert_eq!(rests.next(A, 3), None);
    }

    #[test]
    fn two_units_are_begun_at_a_time_and_one_that_is_abandoned_makes_room() {
        let mut rests = Rests::new(Unit::of(8));
        rests.pushed(A, GroupRange::one(0), 100);
        assert!(!rests.is_full());
        rests.pushed(B, GroupRange::one(8), 100);
        assert!(rests.is_full());
        assert_eq!(rests.abandon(A, GroupRange::new(8, 16)), None, "that is another's unit");
        assert_eq!(rests.abandon(A, GroupRange::new(0, 8)), Some(GroupRange::new(1, 8)));
        assert!(!rests.is_full() && !rests.has(1));
    }

    #[test]
    fn the_last_unit_ends_with_the_content() {
        let mut rests = Rests::new(Unit::of(8));
        assert_eq!(rests.pushed(A, GroupRange::one(16), 19), GroupRange::new(17, 19));
        assert!(rests.pushed(A, GroupRange::new(17, 19), 19).is_empty() && !rests.has(19));
    }

    #[test]
    fn single_groups_leave_no_rest() {
        let mut rests = Rests::new(Unit::GROUP);
        (0..9).for_each(|group| assert!(rests.pushed(A, GroupRange::one(group), 9).is_empty()));
        assert_eq!((rests.next(A, 3), rests.is_full()), (None, false));
    }
}
