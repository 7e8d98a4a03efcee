//! What a sender tells about its uplink: how much it carries, and how long frames wait for it.

use std::time::Duration;

use super::Sender;
use crate::id::LinkId;
use crate::peer::neighbours::Neighbours;
use crate::peer::tuning::{GROUP, PATH_GUESS, UPLINK_GUESS, URGENT_EVERY};
use crate::time::Timestamp;

impl Sender {
    /// Upload capacity, bytes a second, within the limit; 0 if not known.
    pub(crate) fn uplink(&self) -> u64 {
        match (self.uplink.settled(), self.budget.limit_bytes_per_s()) {
            (None, Some(limit)) => limit,
            (measured, _) => self.budget.within(measured.unwrap_or(0)),
        }
    }

    /// The upload capacity and `true`; while it is not known, the highest rate of a sample and `false`.
    pub(crate) fn uplink_seen(&self, now: Timestamp, neighbours: &Neighbours) -> (u64, bool) {
        if let Some(bound) = self.bound(now, neighbours) {
            return (self.budget.within(bound), true);
        }
        match self.uplink() {
            0 => (self.budget.within(self.uplink.most_bytes_per_s()), false),
            known => (known, true),
        }
    }

    /// Upper bound of the uplink, if a frame has been in flight for so long that it shows one.
    fn bound(&self, now: Timestamp, neighbours: &Neighbours) -> Option<u64> {
        // Frames rarely wait for long. Only then are all links examined.
        self.uplink.bound(now, Duration::ZERO)?;
        let path = neighbours.open().filter_map(|(_, link)| link.rtt.least()).max().unwrap_or(PATH_GUESS);
        self.uplink.bound(now, path)
    }

    /// Upload capacity as far as it was measured, or a guess.
    pub(crate) fn uplink_estimate(&self) -> u64 {
        self.budget.within(self.uplink.bytes_per_s())
    }

    /// Upload capacity; while it is not known, the measured rate if that is more than the uplink assumed of a viewer, else
    /// 0. A strong viewer whose neighbours want little of it never measures its capacity.
    pub(crate) fn uplink_at_least(&self) -> u64 {
        match self.uplink() {
            0 => Some(self.uplink_estimate()).filter(|seen| *seen > UPLINK_GUESS).unwrap_or(0),
            known => known,
        }
    }

    /// The measured capacity, if it is known.
    pub(crate) fn uplink_settled(&self) -> Option<u64> {
        self.uplink.settled()
    }

    /// How long the frame that was handed to a channel last waits for the uplink: in one queue for all channels, or for the
    /// turn of its channel.
    pub(crate) fn queue_before(&self, id: LinkId, path: Duration) -> Duration {
        let turn = self.outlets.get(id).map_or(Duration::ZERO, |outlet| outlet.channel.turn());
        // Bytes on the path do not wait any more.
        self.uplink.queue().max(turn.saturating_sub(path))
    }

    /// Whether no more is in flight than the uplink carries during a round trip and the target delay.
    pub(crate) fn is_queue_short(&mut self, now: Timestamp) -> bool {
        let waiting = self.waiting_bytes(now);
        self.uplink.is_queue_short(waiting)
    }

    /// How long the urgent backlog takes to leave, ms.
    pub(crate) fn backlog_ms(&self, now: Timestamp, neighbours: &Neighbours) -> u32 {
        let urgent_bytes = self.outlets.sums().urgent * GROUP;
        let bound = self.bound(now, neighbours).map(|bound| self.budget.within(bound));
        let rate = bound.unwrap_or_else(|| self.uplink_estimate());
        let before = self.pressing_bytes.min(urgent_bytes.saturating_mul(URGENT_EVERY - 1));
        let ms = urgent_bytes.saturating_add(before).saturating_mul(1000) / rate.max(1);
        u32::try_from(ms).unwrap_or(u32::MAX)
    }
}
