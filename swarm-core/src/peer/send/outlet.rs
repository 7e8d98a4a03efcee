//! One neighbour as a receiver of groups: the groups that wait for it, and its data channel.

use std::collections::BTreeSet;

use super::channel::Channel;
use super::queues::Queue;
use crate::group::{GroupRange, merged};
use crate::peer::neighbours::Link;
use crate::peer::tuning::UPLINK_GUESS;
use crate::peer_message::Class;
use crate::time::Timestamp;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) queue: Queue,
    pub(super) channel: Channel,
    pub(super) sent_bytes: u64,
    /// Groups that were sent before a request, until the request comes.
    ahead: BTreeSet<u32>,
}

impl Outlet {
    /// Nothing waits.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            queue: Queue::default(),
            channel: Channel::new(now, UPLINK_GUESS),
            sent_bytes: 0,
            ahead: BTreeSet::new(),
        }
    }

    /// The neighbour requests groups, with their deadline if they are urgent. Returns those for which there is no room.
    pub(super) fn requested(
        &mut self,
        now: Timestamp,
        range: GroupRange,
        (class, due): (Class, Timestamp),
    ) -> Vec<GroupRange> {
        let asked = range.iter().filter(|group| !self.ahead.remove(group)).collect::<Vec<_>>();
        let refused = asked.into_iter().filter(|group| !self.queue.add(now, *group, class, due));
        merged(refused.map(GroupRange::one))
    }

    /// Groups that the neighbour requested, and that still wait, have become urgent.
    pub(super) fn hastened(&mut self, now: Timestamp, range: GroupRange, due: Timestamp) {
        for group in range.iter() {
            if self.queue.is_waiting(group) {
                self.queue.add(now, group, Class::Urgent, due);
            }
        }
    }

    /// A group that the neighbour is about to request goes to it at once.
    pub(super) fn answers_ahead(&mut self, now: Timestamp, group: u32) {
        if self.queue.add(now, group, Class::Urgent, now) {
            self.ahead.insert(group);
        }
    }

    /// Whether a group waits for the neighbour, here or on its channel.
    pub(super) fn is_used(&self) -> bool {
        !self.queue.is_empty() || self.channel.buffered_bytes() > 0
    }

    /// Whether its channel holds its share, so that others go first.
    pub(super) const fn is_above(&self, share: u64) -> bool {
        self.channel.buffered_bytes() >= share
    }

    /// Whether another frame may be handed to its channel.
    pub(super) fn has_room(&self, link: &Link) -> bool {
        link.is_open() && self.channel.buffered_bytes() < self.channel.bytes_max()
    }
}
