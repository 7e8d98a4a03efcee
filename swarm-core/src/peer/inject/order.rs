//! Which group is injected next: the first that no viewer holds, in the author's order.

use super::Field;
use crate::group::{GroupRange, merged};
use crate::group_set::{GroupSet, masks};
use crate::peer::neighbours::Link;
use crate::peer::receive::Demand;
use crate::peer::tuning::FRESH_HORIZON;
use crate::peer_message::Playing;

/// Groups under way to a viewer, groups that ever left, and the groups that this peer injects first.
#[derive(Debug, Default)]
pub(crate) struct Order {
    under_way: GroupSet,
    left: GroupSet,
    own: GroupSet,
}

impl Order {
    pub(super) fn new(group_count: u32) -> Self {
        let (under_way, left) = (GroupSet::empty(group_count), GroupSet::empty(group_count));
        Self { under_way, left, own: GroupSet::full(group_count) }
    }

    /// Which groups this initial peer injects first; the others it injects when its own are done.
    pub(super) fn set_own(&mut self, own: GroupSet) {
        self.own = own;
    }

    pub(super) fn pushed(&mut self, range: GroupRange) {
        self.under_way.insert(range);
        self.left.insert(range);
    }

    pub(super) fn given_up(&mut self, range: GroupRange) {
        self.under_way.remove(range);
    }

    /// Whether all these groups have ever left from here.
    pub(super) fn has_left(&self, range: GroupRange) -> bool {
        self.left.has_all(range)
    }

    /// Whether a group is held here, and neither held by a feeder nor under way to one.
    pub(super) fn is_fresh(&self, group: u32, field: &Field<'_>) -> bool {
        field.content.held().has(group)
            && !field.neighbours.copies().present().has(group)
            && !self.under_way.has(group)
    }

    /// The first fresh group that a viewer wants. Among the groups of other initial peers it is the last one: they begin at
    /// the front, so this peer meets them only once.
    pub(super) fn next(&self, field: &Field<'_>, wanted: &[GroupRange]) -> Option<u32> {
        let tiers = field.content.tiers();
        let own = tiers.iter().find_map(|tier| {
            let sets = [&tier.groups, &self.own];
            let (index, word) = wanted.iter().find_map(|range| self.fresh(sets, field, *range).next())?;
            group_of(index, word.trailing_zeros())
        });
        own.or_else(|| {
            let sets = [&tiers.last()?.groups, field.content.held()];
            let (index, word) =
                wanted.iter().rev().find_map(|range| self.fresh(sets, field, *range).last())?;
            group_of(index, u64::BITS - 1 - word.leading_zeros())
        })
    }

    /// The first group of these ranges that this peer injects first, that is not under way, and that no viewer holds which can
    /// pass it on soon.
    pub(super) fn first_in(&self, field: &Field<'_>, ranges: &[GroupRange]) -> Option<u32> {
        let sets = [field.content.held(), &self.own];
        let prompt = field.neighbours.prompt_copies().present();
        let (index, word) =
            ranges.iter().find_map(|range| self.lacking(sets, (field, prompt), *range).next())?;
        group_of(index, word.trailing_zeros())
    }

    /// How many such groups there are.
    pub(super) fn fresh_count(&self, field: &Field<'_>, ranges: &[GroupRange]) -> u32 {
        let sets = [field.content.held(), &self.own];
        let prompt = field.neighbours.prompt_copies().present();
        let words = ranges.iter().flat_map(|range| self.lacking(sets, (field, prompt), *range));
        words.map(|(_, word)| word.count_ones()).sum()
    }

    /// Number of wanted groups that no feeder holds, under way or not.
    pub(super) fn lacking_count(field: &Field<'_>, wanted: &[GroupRange]) -> u32 {
        let present = field.neighbours.copies().present();
        let all = GroupRange::new(0, present.capacity());
        wanted.iter().map(|range| range.and(all).len() - present.count_in(*range)).sum()
    }

    /// Whether a viewer wants a group that no feeder holds. If no viewer is trusted to pass it on, viewers can get it only
    /// here.
    pub(super) fn is_lacking(field: &Field<'_>) -> bool {
        if field.neighbours.copies().present().is_full() {
            return false;
        }
        let viewers = field.neighbours.viewers().filter(|(_, link)| !is_complete(link));
        Self::lacking_count(field, &merged(viewers.map(|(_, link)| link.standing().wants))) > 0
    }

    /// The words, with their places, of the fresh groups of a range that are in both sets; none is empty.
    fn fresh<'a>(
        &'a self,
        sets: [&'a GroupSet; 2],
        field: &'a Field<'_>,
        range: GroupRange,
    ) -> impl Iterator<Item = (usize, u64)> + 'a {
        self.lacking(sets, (field, field.neighbours.copies().present()), range)
    }

    /// The same for groups that are not under way, whether held by viewers or not, except those of `covered`.
    fn lacking<'a>(
        &'a self,
        sets: [&'a GroupSet; 2],
        (field, covered): (&'a Field<'_>, &'a GroupSet),
        range: GroupRange,
    ) -> impl Iterator<Item = (usize, u64)> + 'a {
        let held = field.content.held();
        let words = masks(range.and(GroupRange::new(0, held.capacity()))).map(move |(index, mask)| {
            let covered = covered.word(index) | self.under_way.word(index);
            let candidates = sets.iter().fold(held.word(index) & mask, |word, set| word & set.word(index));
            (index, candidates & !covered)
        });
        words.filter(|(_, word)| *word != 0)
    }
}

/// The groups that a player needs soon: its start buffer, if it has nothing yet.
pub(super) fn due_range(playing: Playing, demand: &Demand) -> GroupRange {
    let horizon = if playing.ahead_ms == 0 { demand.start_buffer() } else { FRESH_HORIZON };
    GroupRange::new(playing.group, demand.first_due_after(playing, horizon))
}

/// Whether a neighbour holds everything.
pub(super) fn is_complete(link: &Link) -> bool {
    link.have().is_some_and(GroupSet::is_full)
}

fn group_of(index: usize, bit: u32) -> Option<u32> {
    Some(u32::try_from(index).ok()? * u64::BITS + bit)
}
