//! How many viewers hold each group, over open links. Rarity and injection go by it.
//!
//! Derived from what the links announced; [`Neighbours`](super::Neighbours) is its only writer. Groups next to each other
//! that the same number of viewers hold are counted together, so memory grows with what differs.

use crate::group::GroupRange;
use crate::group_set::GroupSet;

/// Groups of a page, which are counted together while their counts are equal. Otherwise a page takes 2 KiB.
const PAGE_GROUPS: u32 = 1024;

/// The counts of some groups.
#[derive(Debug, Clone)]
enum Page {
    Uniform(u16),
    Mixed(Box<[u16]>),
}

impl Page {
    /// Adds one to the counts of `part`, or subtracts one. `len`: groups of the page.
    fn change(&mut self, part: GroupRange, len: u32, is_added: bool) {
        let step = |count: u16| if is_added { count.saturating_add(1) } else { count.saturating_sub(1) };
        match self {
            Self::Uniform(count) if part.len() == len => *count = step(*count),
            Self::Uniform(count) => {
                *self = Self::Mixed(vec![*count; len as usize].into());
                self.change(part, len, is_added);
            }
            Self::Mixed(counts) => {
                let touched = counts.get_mut(part.start as usize..part.end as usize);
                touched.into_iter().flatten().for_each(|count| *count = step(*count));
                let first = counts.first().copied().unwrap_or(0);
                if part.len() == len && counts.iter().all(|count| *count == first) {
                    *self = Self::Uniform(first);
                }
            }
        }
    }

    fn of(&self, place: u32) -> u16 {
        match self {
            Self::Uniform(count) => *count,
            Self::Mixed(counts) => counts.get(place as usize).copied().unwrap_or(0),
        }
    }
}

/// How many viewers hold each group, over open links.
#[derive(Debug, Default, Clone)]
pub(crate) struct Copies {
    pages: Vec<Page>,
    /// Groups that at least one viewer holds.
    present: GroupSet,
}

impl Copies {
    pub(crate) fn new(group_count: u32) -> Self {
        let pages = (0..group_count.div_ceil(PAGE_GROUPS)).map(|_| Page::Uniform(0));
        Self { pages: pages.collect(), present: GroupSet::empty(group_count) }
    }

    /// A viewer came to hold groups.
    fn add(&mut self, range: GroupRange) {
        self.change(range, true);
        self.present.insert(range);
    }

    /// A viewer that held groups no longer does, or left.
    fn remove(&mut self, range: GroupRange) {
        self.change(range, false);
        let mut at = range.start;
        while at < range.end {
            // Groups that are counted together are all present or all absent.
            let end = match self.pages.get((at / PAGE_GROUPS) as usize) {
                Some(Page::Uniform(_)) => (at / PAGE_GROUPS + 1) * PAGE_GROUPS,
                Some(Page::Mixed(_)) => at + 1,
                None => return,
            };
            if self.of(at) == 0 {
                self.present.remove(GroupRange::new(at, end.min(range.end)));
            }
            at = end;
        }
    }

    fn change(&mut self, range: GroupRange, is_added: bool) {
        let group_count = self.present.capacity();
        let range = range.and(GroupRange::new(0, group_count));
        for (index, page) in (range.start / PAGE_GROUPS..)
            .zip(self.pages.iter_mut().skip((range.start / PAGE_GROUPS) as usize))
        {
            let start = index * PAGE_GROUPS;
            let span = GroupRange::new(start, start.saturating_add(PAGE_GROUPS).min(group_count));
            let part = range.and(span);
            if part.is_empty() {
                return;
            }
            page.change(GroupRange::new(part.start - start, part.end - start), span.len(), is_added);
        }
    }

    pub(crate) fn of(&self, group: u32) -> u16 {
        self.pages.get((group / PAGE_GROUPS) as usize).map_or(0, |page| page.of(group % PAGE_GROUPS))
    }

    pub(crate) const fn present(&self) -> &GroupSet {
        &self.present
    }
}

/// How far the groups that a viewer holds count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    /// Not at all: it passes nothing on.
    No,
    /// As a copy, but not for a group that a player needs soon: the viewer has too much to send before.
    Later,
    #[default]
    Fully,
}

/// The copies that count, and those among them that count fully.
#[derive(Debug, Default)]
pub(super) struct Tally {
    all: Copies,
    /// `None` as long as every copy counts fully.
    prompt: Option<Copies>,
}

impl Tally {
    pub(super) fn new(group_count: u32) -> Self {
        Self { all: Copies::new(group_count), prompt: None }
    }

    pub(super) const fn all(&self) -> &Copies {
        &self.all
    }

    pub(super) fn prompt(&self) -> &Copies {
        self.prompt.as_ref().unwrap_or(&self.all)
    }

    /// A viewer's copies of these groups counted like `from` and now count like `to`. `from` is `No` when it gains them,
    /// `to` is `No` when it drops them.
    pub(super) fn change(&mut self, range: GroupRange, from: Counts, to: Counts) {
        if to == Counts::Later && self.prompt.is_none() {
            self.prompt = Some(self.all.clone());
        }
        shift(&mut self.all, range, from != Counts::No, to != Counts::No);
        if let Some(prompt) = &mut self.prompt {
            shift(prompt, range, from == Counts::Fully, to == Counts::Fully);
        }
    }
}

fn shift(copies: &mut Copies, range: GroupRange, before: bool, after: bool) {
    match (before, after) {
        (false, true) => copies.add(range),
        (true, false) => copies.remove(range),
        (true, true) | (false, false) => {}
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_claim_of_everything_takes_no_memory_for_each_group() {
        let group_count = crate::limits::GROUPS_MAX;
        let mut copies = Copies::new(group_count);
        let all = GroupRange::new(0, group_count);
        let mixed =
            |copies: &Copies| copies.pages.iter().filter(|page| matches!(page, Page::Mixed(_))).count();
        (0..3).for_each(|_| copies.add(all));
        assert_eq!((copies.of(group_count - 1), mixed(&copies)), (3, 0));
        copies.remove(GroupRange::new(10, 5000));
        assert_eq!(mixed(&copies), 2, "one at each end");
        copies.remove(GroupRange::new(0, 10));
        copies.remove(GroupRange::new(5000, group_count));
        (0..2).for_each(|_| copies.remove(all));
        assert_eq!((mixed(&copies), copies.present().is_empty()), (0, true));
    }

    proptest! {
        #[test]
        fn they_behave_like_a_list_of_counts(
            steps in prop::collection::vec((any::<bool>(), 0u32..3100, 0u32..3100), 0..20),
        ) {
            let mut copies = Copies::new(3000);
            let mut model = vec![0u16; 3000];
            for (is_added, start, end) in steps {
                let range = GroupRange::new(start, end);
                let touched = model.iter_mut().take(range.end as usize).skip(range.start as usize);
                touched.for_each(|count| if is_added { *count += 1 } else { *count = count.saturating_sub(1) });
                if is_added { copies.add(range) } else { copies.remove(range) }
            }
            for (group, count) in (0..).zip(model) {
                prop_assert_eq!(copies.of(group), count);
                prop_assert_eq!(copies.present().has(group), count > 0);
            }
        }
    }
}
