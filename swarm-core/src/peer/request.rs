//! Requests under way on a link: those we made, and those made of us.

use super::demand::URGENT;
use crate::group::GroupRange;
use crate::group_set::GroupSet;
use crate::limits::REQUEST_GROUPS_MAX;
use crate::peer_message::Class;
use crate::time::Timestamp;

/// A request that we made.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// What was asked for.
    pub(crate) range: GroupRange,
    /// Bit `i`: group `range.start + i` has not come yet.
    missing: u64,
    /// How urgent it was.
    pub(crate) class: Class,
    /// Whether its groups were given up on and may be asked elsewhere.
    pub(crate) is_released: bool,
}

impl Ask {
    pub(crate) fn new(range: GroupRange, class: Class) -> Self {
        Self { range, missing: mask_of(range), class, is_released: false }
    }

    /// A group of the range came; whether it had not before.
    pub(crate) fn came(&mut self, group: u32) -> bool {
        let bit = 1 << (group - self.range.start);
        let is_news = self.missing & bit != 0;
        self.missing &= !bit;
        is_news
    }

    /// Whether everything came.
    pub(crate) const fn is_whole(&self) -> bool {
        self.missing == 0
    }

    /// Whether a group was asked for and has not come yet.
    pub(crate) fn lacks(&self, group: u32) -> bool {
        self.range.has(group) && self.missing >> (group - self.range.start) & 1 == 1
    }

    /// The groups that have not come yet.
    pub(crate) fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        self.range.iter().filter(|group| self.missing >> (group - self.range.start) & 1 == 1)
    }
}

/// A request that the other side made.
#[derive(Debug, Clone)]
pub(crate) struct Serve {
    /// Its name for the request.
    pub(crate) id: u32,
    /// How urgent it is.
    class: Class,
    /// When its first group is due, by the other side's word.
    pub(crate) due: Timestamp,
    range: GroupRange,
    /// Bit `i`: group `range.start + i` has not been sent yet.
    unsent: u64,
}

impl Serve {
    pub(crate) fn new(id: u32, range: GroupRange, (class, due): (Class, Timestamp)) -> Self {
        Self { id, class, due, range, unsent: mask_of(range) }
    }

    /// It is made again: how urgent it is now.
    pub(crate) const fn remind(&mut self, (class, due): (Class, Timestamp)) {
        (self.class, self.due) = (class, due);
    }

    /// How urgent it is now: what was asked for early is urgent when its time has come.
    pub(crate) fn class_at(&self, now: Timestamp) -> Class {
        if self.class == Class::Window && self.due <= now + URGENT { Class::Urgent } else { self.class }
    }

    /// The next run of unsent groups that `held` has, at most `groups_max` long.
    pub(crate) fn next_run(&self, held: &GroupSet, groups_max: u32) -> Option<GroupRange> {
        let ready = self.unsent & held.bits_from(self.range.start);
        if ready == 0 {
            return None;
        }
        let first = ready.trailing_zeros();
        let start = self.range.start + first;
        Some(GroupRange::new(start, start + (ready >> first).trailing_ones().min(groups_max)))
    }

    /// The run of groups from the first to the last that was not sent yet.
    pub(crate) fn unsent(&self) -> Option<GroupRange> {
        let start = self.range.start;
        let last = u64::BITS - self.unsent.leading_zeros();
        (self.unsent != 0).then(|| GroupRange::new(start + self.unsent.trailing_zeros(), start + last))
    }

    /// Groups that have not been sent.
    pub(crate) const fn unsent_count(&self) -> u32 {
        self.unsent.count_ones()
    }

    /// Groups were sent; whether that was all.
    pub(crate) fn sent(&mut self, run: GroupRange) -> bool {
        for group in run.and(self.range).iter() {
            self.unsent &= !(1 << (group - self.range.start));
        }
        self.unsent == 0
    }
}

/// Bitmask of a range of at most 64 groups.
fn mask_of(range: GroupRange) -> u64 {
    match range.len().min(REQUEST_GROUPS_MAX) {
        0 => 0,
        groups => u64::MAX >> (u64::BITS - groups),
    }
}
