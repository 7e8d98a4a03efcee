//! All neighbours as receivers of groups, and sums over them.
//!
//! A publisher with a thousand viewers hands over thousands of frames a second. So the values over all outlets that each
//! frame needs are kept as sums. [`Outlets::change`] is the only way to an outlet that may change, so it is the only writer
//! of the sums.

use std::ops::{AddAssign, SubAssign};

use super::outlet::Outlet;
use crate::group::{GroupRange, merged};
use crate::id::LinkId;
use crate::peer::sorted::ByLink;
use crate::peer::tuning::CHANNEL_STUCK;
use crate::peer_message::Class;
use crate::time::Timestamp;

/// Sums over outlets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums {
    /// Requested groups that wait.
    pub(super) groups: u64,
    /// Of these, urgent ones.
    pub(super) urgent: u64,
    /// Outlets with urgent groups.
    pub(super) with_urgent: u64,
    /// Outlets that something waits for.
    pub(super) used: u64,
    /// Channels with bytes.
    pub(super) filled: u64,
    /// Bytes on all channels.
    buffered_bytes: u64,
}

impl Sums {
    fn of(outlet: &Outlet) -> Self {
        Self {
            groups: outlet.queue.len() as u64,
            urgent: u64::from(outlet.queue.urgent_count()),
            with_urgent: u64::from(outlet.queue.urgent_count() > 0),
            used: u64::from(outlet.is_used()),
            filled: u64::from(outlet.channel.buffered_bytes() > 0),
            buffered_bytes: outlet.channel.buffered_bytes(),
        }
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.groups += other.groups;
        self.urgent += other.urgent;
        self.with_urgent += other.with_urgent;
        self.used += other.used;
        self.filled += other.filled;
        self.buffered_bytes += other.buffered_bytes;
    }
}

impl SubAssign for Sums {
    fn sub_assign(&mut self, other: Self) {
        self.groups -= other.groups;
        self.urgent -= other.urgent;
        self.with_urgent -= other.with_urgent;
        self.used -= other.used;
        self.filled -= other.filled;
        self.buffered_bytes -= other.buffered_bytes;
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Outlets {
    outlets: ByLink<Outlet>,
    sums: Sums,
    /// Since this time, bytes have left or begun to wait on each channel with bytes. So none is stuck before [`CHANNEL_STUCK`]
    /// has passed.
    drained_since: Timestamp,
    /// Outlets whose channel changed since their low-water marks were examined.
    touched: Vec<LinkId>,
}

impl Outlets {
    pub(super) fn open(&mut self, now: Timestamp, id: LinkId) {
        self.outlets.entry(id, || Outlet::new(now));
    }

    pub(super) fn close(&mut self, id: LinkId) {
        if let Some(outlet) = self.outlets.remove(id) {
            self.sums -= Sums::of(&outlet);
        }
    }

    pub(super) fn get(&self, id: LinkId) -> Option<&Outlet> {
        self.outlets.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LinkId, &Outlet)> {
        self.outlets.iter()
    }

    /// All, from the one after `last` on.
    pub(super) fn turn(&self, last: Option<LinkId>) -> impl Iterator<Item = (LinkId, &Outlet)> {
        self.outlets.turn(last)
    }

    pub(super) const fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Changes one outlet, if it is there.
    pub(super) fn change<R>(&mut self, id: LinkId, change: impl FnOnce(&mut Outlet) -> R) -> Option<R> {
        let outlet = self.outlets.value_mut(id)?;
        self.sums -= Sums::of(outlet);
        let result = change(outlet);
        self.sums += Sums::of(outlet);
        Some(result)
    }

    /// The same for something that happens on the channel.
    pub(super) fn change_channel<R>(
        &mut self,
        id: LinkId,
        change: impl FnOnce(&mut Outlet) -> R,
    ) -> Option<R> {
        let result = self.change(id, change)?;
        self.touched.push(id);
        Some(result)
    }

    /// Drops groups from all queues. Returns the dropped ones of each.
    pub(super) fn drop_where(&mut self, is_meant: impl Fn(u32, Class) -> bool) -> Vec<(LinkId, GroupRange)> {
        let waiting = self.outlets.iter().filter(|(_, outlet)| !outlet.queue.is_empty());
        let ids: Vec<LinkId> = waiting.map(|(id, _)| id).collect();
        let mut dropped = Vec::new();
        for id in ids {
            let meant = self.change(id, |outlet| {
                let waiting = outlet.queue.groups().filter(|(group, class)| is_meant(*group, *class));
                let meant: Vec<u32> = waiting.map(|(group, _)| group).collect();
                meant.iter().for_each(|group| _ = outlet.queue.remove(*group));
                meant
            });
            let ranges = merged(meant.into_iter().flatten().map(GroupRange::one));
            dropped.extend(ranges.into_iter().map(|range| (id, range)));
        }
        dropped
    }

    /// Bytes in flight over all channels that are not stuck. `carried`: bytes that have left all channels since the start.
    pub(super) fn waiting_bytes(&mut self, now: Timestamp, carried: u64) -> u64 {
        if now < self.drained_since + CHANNEL_STUCK {
            return self.sums.buffered_bytes;
        }
        let channels = || self.outlets.values().iter().map(|outlet| &outlet.channel);
        self.drained_since = channels().filter_map(|channel| channel.waits_since()).min().unwrap_or(now);
        let moving = channels().filter(|channel| !channel.is_stuck(now, carried));
        moving.map(|channel| channel.buffered_bytes()).sum()
    }

    /// New low-water marks for the driver, of links that are known.
    pub(super) fn low_water(&mut self, is_known: impl Fn(LinkId) -> bool) -> Vec<(LinkId, u64)> {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        let marks = touched.drain(..).filter(|id| is_known(*id)).filter_map(|id| {
            let channel = &mut self.outlets.value_mut(id)?.channel;
            let bytes_max = channel.bytes_max();
            Some((id, channel.new_low_water(bytes_max)?))
        });
        let marks = marks.collect();
        self.touched = touched;
        marks
    }

    /// The sums equal those computed from all outlets, also for the bytes on channels that are not stuck.
    #[cfg(test)]
    pub(super) fn check_invariants(&mut self, now: Timestamp, carried: u64) {
        let mut sums = Sums::default();
        self.outlets.values().iter().for_each(|outlet| sums += Sums::of(outlet));
        assert_eq!(sums, self.sums);
        let moving = self.outlets.values().iter().filter(|outlet| !outlet.channel.is_stuck(now, carried));
        let moving: u64 = moving.map(|outlet| outlet.channel.buffered_bytes()).sum();
        assert_eq!(moving, self.waiting_bytes(now, carried));
    }
}
