//! What a sender says of its uplink: how much it carries, and how long frames wait for it.

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

    /// The same, or the most that was uploaded so far; with whether it is the capacity.
    pub(crate) fn uplink_seen(&self, now: Timestamp, neighbours: &Neighbours) -> (u64, bool) {
        if let Some(bound) = self.bound(now, neighbours) {
            return (self.budget.within(bound), true);
        }
        match self.uplink() {
            0 => (self.budget.within(self.uplink.most_bytes_per_s()), false),
            known => (known, true),
        }
    }

    /// What the uplink carries at most, if a frame has been on its way for so long that this is less than was assumed.
    fn bound(&self, now: Timestamp, neighbours: &Neighbours) -> Option<u64> {
        // Rarely has a frame waited for long: only then all links are looked at.
        self.uplink.bound(now, Duration::ZERO)?;
        let path = neighbours.open().filter_map(|(_, link)| link.rtt.least()).max().unwrap_or(PATH_GUESS);
        self.uplink.bound(now, path)
    }

    /// Upload capacity as far as it was seen, or a guess.
    pub(crate) fn uplink_estimate(&self) -> u64 {
        self.budget.within(self.uplink.bytes_per_s())
    }

    /// Upload capacity, or what was carried within one sample where that is more than a viewer is expected to carry; 0 if
    /// not known. A strong viewer whose neighbours want little of it never measures its capacity.
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

    /// How long the frame that was handed over last to a channel waits for the uplink: in one queue of all channels, or
    /// for its channel's turn.
    pub(crate) fn queue_before(&self, id: LinkId, path: Duration) -> Duration {
        let turn = self.outlets.get(id).map_or(Duration::ZERO, |outlet| outlet.channel.turn());
        // What is on the path waits no more.
        self.uplink.queue().max(turn.saturating_sub(path))
    }

    /// Whether no more is on its way than the uplink carries during a round trip and the delay aimed at.
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
