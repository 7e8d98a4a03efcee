//! How many viewers hold each group, over open links. Rarity and injection go by it.
//!
//! Derived from what the links announced; [`Neighbours`](super::Neighbours) is its only writer.

use crate::group::GroupRange;
use crate::group_set::GroupSet;

/// How many viewers hold each group, over open links.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Copies {
    counts: Vec<u16>,
    /// Groups that at least one viewer holds.
    present: GroupSet,
}

impl Copies {
    pub(crate) fn new(group_count: u32) -> Self {
        Self { counts: vec![0; group_count as usize], present: GroupSet::empty(group_count) }
    }

    /// A viewer came to hold a group.
    pub(super) fn add(&mut self, group: u32) {
        if let Some(count) = self.counts.get_mut(group as usize) {
            *count = count.saturating_add(1);
            self.present.insert(GroupRange::one(group));
        }
    }

    /// A viewer that held a group no longer does, or left.
    pub(super) fn remove(&mut self, group: u32) {
        if let Some(count) = self.counts.get_mut(group as usize) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.present.remove(GroupRange::one(group));
            }
        }
    }

    pub(crate) fn of(&self, group: u32) -> u16 {
        self.counts.get(group as usize).copied().unwrap_or(0)
    }

    pub(crate) const fn present(&self) -> &GroupSet {
        &self.present
    }
}
