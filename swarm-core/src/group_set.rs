//! A set of groups: what a peer holds, wants or has asked for.
//!
//! Rarest-first leaves holes everywhere, so a list of runs would degenerate. The set is a bitmap in pages of 4,096 groups.
//! A page of which all groups, or none, are in the set takes no memory of its own: memory grows with the groups that
//! were touched, not with the length that a manifest claims. Every question is answered with word operations.

use crate::group::GroupRange;
use crate::limits::GROUPS_MAX;

const BITS: u32 = u64::BITS;

/// Words of a page: 4,096 groups, which are 64 MiB of content in 512 bytes.
const PAGE_WORDS: u32 = 64;

/// Groups of a page. The last one of a set may have fewer.
const PAGE_GROUPS: u32 = PAGE_WORDS * BITS;

/// Some groups of a set. Each content of a page has exactly one form, so that equal sets compare as equal.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Page {
    Empty,
    Full,
    /// At least one group is in the set, and at least one is not.
    Mixed {
        count: u32,
        words: Box<[u64]>,
    },
}

impl Page {
    /// The page of these words, which hold `len` groups.
    fn of(words: Box<[u64]>, len: u32) -> Self {
        match words.iter().map(|word| word.count_ones()).sum() {
            0 => Self::Empty,
            count if count == len => Self::Full,
            count => Self::Mixed { count, words },
        }
    }

    const fn count(&self, len: u32) -> u32 {
        match self {
            Self::Empty => 0,
            Self::Full => len,
            Self::Mixed { count, .. } => *count,
        }
    }

    /// Adds or removes the groups of `part`. Both ranges count from the start of the page; `len`: groups of the page.
    fn set(&mut self, part: GroupRange, len: u32, is_added: bool) {
        let uniform = if is_added { Self::Full } else { Self::Empty };
        if part.len() == len || *self == uniform {
            *self = uniform;
            return;
        }
        if let Self::Empty | Self::Full = self {
            let mut words = vec![0; len.div_ceil(BITS) as usize].into_boxed_slice();
            if *self == Self::Full {
                masks(GroupRange::new(0, len)).zip(&mut words).for_each(|((_, mask), word)| *word = mask);
            }
            *self = Self::Mixed { count: self.count(len), words };
        }
        let Self::Mixed { count, words } = self else { return };
        for (index, mask) in masks(part) {
            let Some(word) = words.get_mut(index) else { continue };
            let before = word.count_ones();
            *word = if is_added { *word | mask } else { *word & !mask };
            *count = *count + word.count_ones() - before;
        }
        match *count {
            0 => *self = Self::Empty,
            count if count == len => *self = Self::Full,
            _ => {}
        }
    }

    /// How many groups of `part` are in the set.
    fn count_in(&self, part: GroupRange) -> u32 {
        match self {
            Self::Empty => 0,
            Self::Full => part.len(),
            Self::Mixed { words, .. } => masks(part)
                .filter_map(|(index, mask)| words.get(index).map(|word| (word & mask).count_ones()))
                .sum(),
        }
    }

    fn has_any(&self, part: GroupRange) -> bool {
        match self {
            Self::Empty => false,
            Self::Full => !part.is_empty(),
            Self::Mixed { words, .. } => {
                masks(part).any(|(index, mask)| words.get(index).is_some_and(|word| word & mask != 0))
            }
        }
    }

    /// The first place at or after `from` that is in the set, or that is not. It may lie behind the last group.
    fn next(&self, from: u32, is_in: bool) -> Option<u32> {
        let words = match self {
            Self::Empty => return (!is_in).then_some(from),
            Self::Full => return is_in.then_some(from),
            Self::Mixed { words, .. } => words,
        };
        let first = (from / BITS) as usize;
        for (index, word) in words.iter().enumerate().skip(first) {
            let mut word = if is_in { *word } else { !*word };
            if index == first {
                word &= u64::MAX << (from % BITS);
            }
            if word != 0 {
                return Some(u32::try_from(index).ok()? * BITS + word.trailing_zeros());
            }
        }
        None
    }
}

/// A set of group indices below a fixed capacity. Indices beyond the capacity are ignored when added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupSet {
    pages: Vec<Page>,
    capacity: u32,
    count: u32,
}

impl GroupSet {
    /// The empty set of groups below `capacity` (at most [`GROUPS_MAX`]).
    pub fn empty(capacity: u32) -> Self {
        let capacity = capacity.min(GROUPS_MAX);
        Self { pages: vec![Page::Empty; capacity.div_ceil(PAGE_GROUPS) as usize], capacity, count: 0 }
    }

    /// All groups below `capacity`.
    pub fn full(capacity: u32) -> Self {
        let mut set = Self::empty(capacity);
        set.insert(GroupRange::new(0, capacity));
        set
    }

    /// The groups that at least two of `sets` hold; sets of another capacity do not count.
    pub(crate) fn in_two_of<'a>(capacity: u32, sets: impl IntoIterator<Item = &'a Self>) -> Self {
        let sets: Vec<&Self> = sets.into_iter().filter(|set| set.capacity == capacity).collect();
        let mut twice = Self::empty(capacity);
        for index in 0..twice.pages.len() {
            let pages = sets.iter().filter_map(|set| set.pages.get(index));
            if pages.filter(|page| **page != Page::Empty).count() < 2 {
                continue;
            }
            let span = twice.span(index);
            let first = (span.start / BITS) as usize;
            let words = (first..first + span.len().div_ceil(BITS) as usize).map(|word| {
                let counted = sets.iter().map(|set| set.word(word));
                counted.fold((0, 0), |(once, twice), word| (once | word, twice | (once & word))).1
            });
            let page = Page::of(words.collect(), span.len());
            twice.count += page.count(span.len());
            twice.pages.get_mut(index).into_iter().for_each(|place| *place = page.clone());
        }
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

    /// The groups of a page.
    fn span(&self, page: usize) -> GroupRange {
        let start = u32::try_from(page).map_or(u32::MAX, |page| page.saturating_mul(PAGE_GROUPS));
        GroupRange::new(start, start.saturating_add(PAGE_GROUPS).min(self.capacity))
    }

    /// The pages that a range touches, each with its part of the range, counted from the start of the page.
    fn parts(&self, range: GroupRange) -> impl Iterator<Item = (usize, GroupRange)> + use<> {
        let range = range.and(GroupRange::new(0, self.capacity));
        let pages = (range.start / PAGE_GROUPS) as usize..range.end.div_ceil(PAGE_GROUPS) as usize;
        let pages = if range.is_empty() { 0..0 } else { pages };
        pages.map(move |page| {
            let start = page as u32 * PAGE_GROUPS;
            let part = range.and(GroupRange::new(start, start + PAGE_GROUPS));
            (page, GroupRange::new(part.start - start, part.end - start))
        })
    }

    /// Whether `group` is in the set.
    pub fn has(&self, group: u32) -> bool {
        self.word((group / BITS) as usize) >> (group % BITS) & 1 == 1
    }

    /// Adds a range; returns how many of its groups were new.
    pub fn insert(&mut self, range: GroupRange) -> u32 {
        self.apply(range, true)
    }

    /// Takes a range out; returns how many of its groups were there.
    pub fn remove(&mut self, range: GroupRange) -> u32 {
        self.apply(range, false)
    }

    /// Adds or removes a range and returns by how much the count moved.
    fn apply(&mut self, range: GroupRange, is_added: bool) -> u32 {
        let before = self.count;
        for (index, part) in self.parts(range) {
            let len = self.span(index).len();
            if let Some(page) = self.pages.get_mut(index) {
                let before = page.count(len);
                page.set(part, len, is_added);
                self.count = self.count + page.count(len) - before;
            }
        }
        before.abs_diff(self.count)
    }

    /// How many groups of `range` are in the set.
    pub fn count_in(&self, range: GroupRange) -> u32 {
        let parts = self.parts(range);
        parts.filter_map(|(index, part)| self.pages.get(index).map(|page| page.count_in(part))).sum()
    }

    /// Whether any group of `range` is in the set.
    pub fn has_any(&self, range: GroupRange) -> bool {
        let mut parts = self.parts(range);
        parts.any(|(index, part)| self.pages.get(index).is_some_and(|page| page.has_any(part)))
    }

    /// Whether all groups of `range` are in the set; true for an empty range.
    pub fn has_all(&self, range: GroupRange) -> bool {
        range.end <= self.capacity && self.count_in(range) == range.len()
    }

    /// The first group at or after `from` that is in the set.
    pub fn next(&self, from: u32) -> Option<u32> {
        self.scan(from, true)
    }

    /// The first group at or after `from`, below the capacity, that is not in the set.
    pub fn next_missing(&self, from: u32) -> Option<u32> {
        self.scan(from, false)
    }

    fn scan(&self, from: u32, is_in: bool) -> Option<u32> {
        let first = (from / PAGE_GROUPS) as usize;
        for (index, page) in self.pages.iter().enumerate().skip(first) {
            let start = self.span(index).start;
            if let Some(place) = page.next(from.saturating_sub(start), is_in) {
                let group = start + place;
                return (group < self.capacity).then_some(group);
            }
        }
        None
    }

    /// The maximal runs of groups in the set that lie in `within`, in order.
    pub fn runs(&self, within: GroupRange) -> impl Iterator<Item = GroupRange> + '_ {
        self.runs_of(within, true)
    }

    /// The maximal runs of groups in `within`, below the capacity, that are not in the set, in order.
    pub fn missing_runs(&self, within: GroupRange) -> impl Iterator<Item = GroupRange> + '_ {
        self.runs_of(within, false)
    }

    fn runs_of(&self, within: GroupRange, is_in: bool) -> impl Iterator<Item = GroupRange> + '_ {
        let within = within.and(GroupRange::new(0, self.capacity));
        let mut at = within.start;
        std::iter::from_fn(move || {
            let start = self.scan(at, is_in).filter(|start| *start < within.end)?;
            let end = self.scan(start, !is_in).unwrap_or(self.capacity).min(within.end);
            at = end;
            Some(GroupRange::new(start, end))
        })
    }

    /// The groups in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs(GroupRange::new(0, self.capacity)).flat_map(GroupRange::iter)
    }

    /// Adds all groups of `other`.
    pub(crate) fn union_with(&mut self, other: &Self) {
        for run in other.runs(GroupRange::new(0, other.capacity)) {
            self.insert(run);
        }
    }

    /// A word of the bitmap, least significant bit first: for callers that combine several sets. Zero beyond the end.
    pub fn word(&self, index: usize) -> u64 {
        match self.pages.get(index / PAGE_WORDS as usize) {
            None | Some(Page::Empty) => 0,
            Some(Page::Mixed { words, .. }) => words.get(index % PAGE_WORDS as usize).copied().unwrap_or(0),
            Some(Page::Full) => {
                let behind = u64::from(self.capacity).saturating_sub(index as u64 * u64::from(BITS));
                if behind >= u64::from(BITS) { u64::MAX } else { (1 << behind) - 1 }
            }
        }
    }

    /// Number of words of the bitmap.
    pub const fn word_count(&self) -> usize {
        self.capacity.div_ceil(BITS) as usize
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

    #[test]
    fn what_a_set_takes_follows_what_was_touched_and_not_its_capacity() {
        let mixed =
            |set: &GroupSet| set.pages.iter().filter(|page| matches!(page, Page::Mixed { .. })).count();
        let mut set = GroupSet::empty(GROUPS_MAX);
        assert_eq!((set.pages.len(), mixed(&set)), (1024, 0), "a table of 24 KiB");
        assert_eq!(mixed(&GroupSet::full(GROUPS_MAX)), 0);
        set.insert(GroupRange::new(5_000_000 / 2, 3_000_000));
        assert_eq!(mixed(&set), 2, "one at each end");
        set.insert(GroupRange::new(0, GROUPS_MAX));
        assert_eq!(set, GroupSet::full(GROUPS_MAX));
        set.remove(GroupRange::one(GROUPS_MAX - 1));
        assert_eq!((set.count(), set.next_missing(0)), (GROUPS_MAX - 1, Some(GROUPS_MAX - 1)));
        set.remove(GroupRange::new(1, GROUPS_MAX));
        set.remove(GroupRange::one(0));
        assert_eq!(set, GroupSet::empty(GROUPS_MAX));
    }

    #[test]
    fn words_end_with_the_capacity_in_whatever_form_a_page_is() {
        for capacity in [1, 63, 64, 65, 4096, 4097, 8191, 8192] {
            let full = GroupSet::full(capacity);
            let ones: u32 = (0..full.word_count() + 2).map(|index| full.word(index).count_ones()).sum();
            assert_eq!(ones, capacity);
            assert_eq!(GroupSet::in_two_of(capacity, [&full, &full]), full);
            assert!((0..full.word_count()).all(|index| GroupSet::empty(capacity).word(index) == 0));
        }
    }

    /// Places at and around the ends of pages, and anywhere.
    fn place() -> impl Strategy<Value = u32> {
        let edge = prop::sample::select(vec![0, PAGE_GROUPS, 2 * PAGE_GROUPS, 10_000]);
        prop_oneof![edge.clone(), edge.prop_map(|at| at.saturating_sub(1)), 0..10_100u32]
    }

    proptest! {
        #[test]
        fn pages_behave_like_one_set_of_numbers(
            steps in prop::collection::vec((any::<bool>(), place(), place()), 0..30), at in place(),
        ) {
            let (mut set, mut model) = (GroupSet::empty(10_000), BTreeSet::new());
            for (add, start, end) in steps {
                let range = GroupRange::new(start, end.max(start));
                if add { set.insert(range) } else { set.remove(range) };
                for group in range.iter().filter(|group| *group < 10_000) {
                    if add { model.insert(group); } else { model.remove(&group); }
                }
                prop_assert_eq!(set.count_in(range), if add { range.and(GroupRange::new(0, 10_000)).len() } else { 0 });
            }
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.count() as usize, model.len());
            prop_assert_eq!(set.next(at), model.range(at..).next().copied());
            prop_assert_eq!(set.next_missing(at), (at..10_000).find(|group| !model.contains(group)));
            let missing: u32 = set.missing_runs(GroupRange::new(0, u32::MAX)).map(GroupRange::len).sum();
            prop_assert_eq!(missing, 10_000 - set.count());
            let mut again = GroupSet::empty(10_000);
            again.union_with(&set);
            prop_assert_eq!(again, set);
        }

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
