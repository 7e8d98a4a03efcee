//! A set of groups as a bitmap: what a peer holds, wants or has asked for.
//!
//! Rarest-first leaves holes everywhere, so a list of runs would degenerate; a bitmap costs 8 KiB for a
//! gibibyte of content and answers every question with word operations.

use crate::group::GroupRange;
use crate::limits::GROUPS_MAX;

const BITS: u32 = u64::BITS;

/// A set of group indices below a fixed capacity. Indices beyond the capacity are ignored when added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupSet {
    words: Vec<u64>,
    capacity: u32,
    count: u32,
}

impl GroupSet {
    /// The empty set of groups below `capacity` (at most [`GROUPS_MAX`]).
    pub fn empty(capacity: u32) -> Self {
        let capacity = capacity.min(GROUPS_MAX);
        Self { words: vec![0; capacity.div_ceil(BITS) as usize], capacity, count: 0 }
    }

    /// All groups below `capacity`.
    pub fn full(capacity: u32) -> Self {
        let mut set = Self::empty(capacity);
        set.insert(GroupRange::new(0, capacity));
        set
    }

    /// The groups that at least two of `sets` hold; sets of another capacity do not count.
    pub fn in_two_of<'a>(capacity: u32, sets: impl IntoIterator<Item = &'a Self>) -> Self {
        let (mut once, mut twice) = (Self::empty(capacity), Self::empty(capacity));
        for set in sets.into_iter().filter(|set| set.capacity == capacity) {
            let counted = once.words.iter_mut().zip(&mut twice.words);
            for ((once, twice), word) in counted.zip(&set.words) {
                *twice |= *once & word;
                *once |= word;
            }
        }
        twice.count = twice.words.iter().map(|word| word.count_ones()).sum();
        twice
    }

    /// One past the largest index the set can hold.
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Number of groups in the set.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether no group is in the set.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether every group below the capacity is in the set.
    pub const fn is_full(&self) -> bool {
        self.count == self.capacity
    }

    /// Whether `group` is in the set.
    pub fn has(&self, group: u32) -> bool {
        self.words.get((group / BITS) as usize).is_some_and(|word| word >> (group % BITS) & 1 == 1)
    }

    /// Adds a range; returns how many of its groups were new.
    pub fn insert(&mut self, range: GroupRange) -> u32 {
        self.apply(range, |word, mask| *word |= mask)
    }

    /// Takes a range out; returns how many of its groups were there.
    pub fn remove(&mut self, range: GroupRange) -> u32 {
        self.apply(range, |word, mask| *word &= !mask)
    }

    /// Applies `change` to each word that `range` touches and returns by how much the count moved.
    fn apply(&mut self, range: GroupRange, change: impl Fn(&mut u64, u64)) -> u32 {
        let range = range.and(GroupRange::new(0, self.capacity));
        let mut moved = 0;
        for (index, mask) in masks(range) {
            if let Some(word) = self.words.get_mut(index) {
                let before = word.count_ones();
                change(word, mask);
                let after = word.count_ones();
                moved += before.abs_diff(after);
                self.count = self.count + after - before;
            }
        }
        moved
    }

    /// How many groups of `range` are in the set.
    pub fn count_in(&self, range: GroupRange) -> u32 {
        masks(range.and(GroupRange::new(0, self.capacity)))
            .filter_map(|(index, mask)| self.words.get(index).map(|word| (word & mask).count_ones()))
            .sum()
    }

    /// Whether any group of `range` is in the set.
    pub fn has_any(&self, range: GroupRange) -> bool {
        masks(range.and(GroupRange::new(0, self.capacity)))
            .any(|(index, mask)| self.words.get(index).is_some_and(|word| word & mask != 0))
    }

    /// Whether all groups of `range` are in the set; true for an empty range.
    pub fn has_all(&self, range: GroupRange) -> bool {
        range.end <= self.capacity && self.count_in(range) == range.len()
    }

    /// The first group at or after `from` that is in the set.
    pub fn next(&self, from: u32) -> Option<u32> {
        self.scan(from, |word| word)
    }

    /// The first group at or after `from`, below the capacity, that is not in the set.
    pub fn next_missing(&self, from: u32) -> Option<u32> {
        self.scan(from, |word| !word)
    }

    fn scan(&self, from: u32, read: impl Fn(u64) -> u64) -> Option<u32> {
        let first = (from / BITS) as usize;
        for (index, word) in self.words.iter().enumerate().skip(first) {
            let mut word = read(*word);
            if index == first {
                word &= u64::MAX << (from % BITS);
            }
            if word != 0 {
                let group = u32::try_from(index).ok()? * BITS + word.trailing_zeros();
                return (group < self.capacity).then_some(group);
            }
        }
        None
    }

    /// The maximal runs of groups in the set that lie in `within`, in order.
    pub fn runs(&self, within: GroupRange) -> impl Iterator<Item = GroupRange> + '_ {
        let within = within.and(GroupRange::new(0, self.capacity));
        let mut at = within.start;
        std::iter::from_fn(move || {
            let start = self.next(at).filter(|start| *start < within.end)?;
            let end = self.next_missing(start).unwrap_or(self.capacity).min(within.end);
            at = end;
            Some(GroupRange::new(start, end))
        })
    }

    /// The groups in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs(GroupRange::new(0, self.capacity)).flat_map(GroupRange::iter)
    }

    /// Adds all groups of `other`.
    pub fn union_with(&mut self, other: &Self) {
        for run in other.runs(GroupRange::new(0, other.capacity)) {
            self.insert(run);
        }
    }

    /// Words of the bitmap, least significant bit first: for callers that combine several sets.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

/// The words that `range` touches, each with the mask of its bits.
pub(crate) fn masks(range: GroupRange) -> impl Iterator<Item = (usize, u64)> {
    let (first, last) = (range.start / BITS, range.end.saturating_sub(1) / BITS);
    let words = if range.is_empty() { 0..0 } else { first..last + 1 };
    words.map(move |index| {
        let low = if index == first { range.start % BITS } else { 0 };
        let high = if index == last { (range.end - 1) % BITS } else { BITS - 1 };
        (index as usize, (u64::MAX << low) & (u64::MAX >> (BITS - 1 - high)))
    })
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    #[test]
    fn an_empty_range_touches_nothing() {
        let mut set = GroupSet::empty(100);
        assert_eq!(set.insert(GroupRange::new(64, 64)), 0);
        assert!(set.is_empty());
        assert_eq!(set.next_missing(99), Some(99));
        assert_eq!(set.next(0), None);
    }

    #[test]
    fn groups_beyond_the_capacity_are_ignored() {
        let mut set = GroupSet::empty(70);
        assert_eq!(set.insert(GroupRange::new(60, u32::MAX)), 10);
        assert!(!set.has(70) && !set.has(u32::MAX));
        assert_eq!(set.next_missing(60), None);
        assert!(!set.has_all(GroupRange::new(60, 71)));
    }

    #[test]
    fn groups_in_two_of_several_sets_are_found() {
        let set = |capacity, start, end| {
            let mut set = GroupSet::empty(capacity);
            set.insert(GroupRange::new(start, end));
            set
        };
        let sets = [set(100, 0, 70), set(100, 60, 80), set(100, 78, 100), set(200, 0, 200)];
        let twice = GroupSet::in_two_of(100, &sets);
        assert_eq!(twice.iter().collect::<Vec<_>>(), [(60..70).collect::<Vec<_>>(), vec![78, 79]].concat());
        assert_eq!(twice.count(), 12);
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_set_of_numbers(
            steps in prop::collection::vec((any::<bool>(), 0u32..220, 0u32..90), 0..40),
        ) {
            let mut set = GroupSet::empty(200);
            let mut model = BTreeSet::new();
            for (add, start, len) in steps {
                let range = GroupRange::new(start, start + len);
                let inside: Vec<u32> = range.iter().filter(|group| *group < 200).collect();
                let moved = if add { set.insert(range) } else { set.remove(range) };
                let changed = inside
                    .iter()
                    .filter(|group| if add { model.insert(**group) } else { model.remove(group) })
                    .count();
                prop_assert_eq!(moved as usize, changed);
                prop_assert_eq!(set.count() as usize, model.len());
                prop_assert_eq!(set.has_any(range), model.range(range.iter()).next().is_some());
                prop_assert_eq!(set.count_in(range) as usize, model.range(range.iter()).count());
            }
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
        }
    }
}
