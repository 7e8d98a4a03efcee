//! What viewers told an initial peer that they need soon, and that none of their neighbours holds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::group::GroupRange;
use crate::id::LinkId;
use crate::limits::NEED_RANGES_MAX;
use crate::time::Timestamp;

/// A need that is told again after this long lasts: whoever holds the group is no neighbour of the asker, or does not
/// send it.
pub(crate) const LASTS_AFTER: Duration = Duration::from_millis(1000);

/// What one viewer needs.
#[derive(Debug)]
pub(crate) struct Told {
    ranges: Vec<GroupRange>,
    /// What it needed before, too.
    lasting: Vec<GroupRange>,
    /// When `lasting` was last made.
    at: Timestamp,
}

impl Told {
    const fn nothing(now: Timestamp) -> Self {
        Self { ranges: Vec::new(), lasting: Vec::new(), at: now }
    }

    /// The groups it needs, as far as they are of these, in the order in which it told them.
    pub(crate) fn now(&self, of: GroupRange) -> impl Iterator<Item = u32> {
        self.ranges.iter().flat_map(move |range| range.and(of).iter())
    }

    /// Those it has needed for a while.
    pub(crate) fn lasting(&self, of: GroupRange) -> impl Iterator<Item = u32> {
        self.lasting.iter().flat_map(move |range| range.and(of).iter())
    }
}

/// What viewers need, by their links.
#[derive(Debug, Default)]
pub(crate) struct Needs(BTreeMap<LinkId, Told>);

impl Needs {
    /// A viewer tells what it needs, in place of what it told before.
    pub(crate) fn told(&mut self, now: Timestamp, link: LinkId, ranges: Vec<GroupRange>) {
        let told = self.0.entry(link).or_insert_with(|| Told::nothing(now));
        let is_repeated = now >= told.at + LASTS_AFTER;
        let before = if is_repeated { &told.ranges } else { &told.lasting };
        let both =
            |range: &GroupRange| before.iter().map(|other| range.and(*other)).find(|both| !both.is_empty());
        told.lasting = ranges.iter().filter_map(both).collect();
        told.ranges = ranges;
        if is_repeated {
            told.at = now;
        }
    }

    /// A viewer needs these groups besides.
    pub(crate) fn told_more(&mut self, now: Timestamp, link: LinkId, range: GroupRange) {
        let told = self.0.entry(link).or_insert_with(|| Told::nothing(now));
        if told.ranges.len() < NEED_RANGES_MAX {
            told.ranges.push(range);
        }
    }

    /// A link closed.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.0.remove(&link);
    }

    /// What one viewer needs.
    pub(crate) fn of(&self, link: LinkId) -> Option<&Told> {
        self.0.get(&link)
    }

    /// Whether a viewer needs a group.
    pub(crate) fn has(&self, link: LinkId, group: u32) -> bool {
        self.of(link).is_some_and(|told| told.ranges.iter().any(|range| range.has(group)))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const LINK: LinkId = LinkId(1);
    const ALL: GroupRange = GroupRange::new(0, 100);

    fn lasting(needs: &Needs) -> Vec<u32> {
        needs.of(LINK).map_or_else(Vec::new, |told| told.lasting(ALL).collect())
    }

    #[test]
    fn what_is_told_again_a_second_later_lasts_until_it_is_no_longer_told() {
        let mut needs = Needs::default();
        let at = Timestamp::from_millis;
        needs.told(at(0), LINK, vec![GroupRange::new(5, 8)]);
        needs.told(at(500), LINK, vec![GroupRange::new(5, 9)]);
        assert!(lasting(&needs).is_empty());
        needs.told(at(1000), LINK, vec![GroupRange::new(6, 10)]);
        assert_eq!(lasting(&needs), [6, 7, 8]);
        assert_eq!(needs.of(LINK).unwrap().now(ALL).collect::<Vec<_>>(), [6, 7, 8, 9]);
        needs.told(at(1500), LINK, vec![GroupRange::new(8, 10)]);
        assert_eq!(lasting(&needs), [8]);
        needs.forget(LINK);
        assert!(!needs.has(LINK, 8));
    }

    #[test]
    fn no_more_than_a_message_may_name_is_kept() {
        let mut needs = Needs::default();
        (0..99).for_each(|group| needs.told_more(Timestamp::ZERO, LINK, GroupRange::one(group)));
        assert_eq!(needs.of(LINK).unwrap().now(ALL).count(), NEED_RANGES_MAX);
    }
}
