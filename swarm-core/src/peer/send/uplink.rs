//! How much may be in flight from this peer over all channels together, and how much the uplink carries.
//!
//! A queue in front of the uplink delays the frames of all channels; a slow receiver delays its own. So the least delay
//! beyond a channel's best, over all channels of the last tenth of a second or two, is the uplink's queue, and the window
//! follows it. Without that distinction a publisher whose viewers have slow downlinks takes their queues for its own and
//! sends at a fraction of its rate.
//!
//! The capacity is measured only while the uplink holds frames back: a frame waits only for room in the window, and either
//! more is in flight than the path alone holds at that rate (Little's law), or the window is at its minimum. A lack of
//! demand says nothing about the capacity.

use std::time::Duration;

use crate::peer::flow::{Capacity, DelayWindow, LeastLately, bytes_in};
use crate::peer::tuning::{
    GROUP, PATH_GUESS, QUEUE_BUCKET, RATE_SAMPLE_BYTES, RATE_SAMPLE_MAX, UPLINK_BOUND_AFTER,
    UPLINK_DELAY_LOW, UPLINK_DELAY_TARGET, UPLINK_FIRST, UPLINK_GUESS, UPLINK_MAX, UPLINK_MIN, UPLINK_SAMPLE,
    UPLINK_SETTLED,
};
use crate::time::{Timestamp, micros};

/// See the [module](self).
#[derive(Debug, Clone)]
pub(crate) struct Uplink {
    window: DelayWindow,
    delay: LeastLately,
    /// Begin of the sample; bytes carried in it; and the fewest bytes in flight during it, or 0 if at some moment no frame
    /// waited for room.
    sample_since: Timestamp,
    sample_bytes: u64,
    sample_waiting: u64,
    /// Whether something waits for room in the window.
    is_blocked: bool,
    bytes_per_s: u64,
    capacity: Capacity,
    busy: Duration,
    carried_bytes: u64,
    /// Usual round trip of what is carried.
    path: Duration,
    /// When something last left, or began to wait; whether something waits.
    progress_at: Timestamp,
    is_waiting: bool,
}

impl Uplink {
    /// `hint`: the capacity from earlier, bytes a second.
    pub(crate) fn new(hint: Option<u64>) -> Self {
        let first = hint.map_or(UPLINK_FIRST, |hint| bytes_in(hint, PATH_GUESS + UPLINK_DELAY_TARGET));
        Self {
            window: DelayWindow::new(first, UPLINK_MIN..=UPLINK_MAX, UPLINK_DELAY_LOW..UPLINK_DELAY_TARGET),
            delay: LeastLately::new(QUEUE_BUCKET),
            sample_since: Timestamp::ZERO,
            sample_bytes: 0,
            sample_waiting: 0,
            is_blocked: false,
            bytes_per_s: hint.unwrap_or(UPLINK_GUESS),
            capacity: Capacity::new(hint.unwrap_or(0)),
            busy: if hint.is_some() { UPLINK_SETTLED } else { Duration::ZERO },
            carried_bytes: 0,
            path: PATH_GUESS,
            progress_at: Timestamp::ZERO,
            is_waiting: false,
        }
    }

    /// Bytes that may be in flight over all channels. The least delay of a frame is that of a channel which is served at once;
    /// other frames wait behind those of their own channel. So while a queue shows, no more may be in flight than the uplink
    /// carries during a round trip and the target delay.
    pub(crate) fn window_bytes(&self) -> u64 {
        if self.has_queue() { self.window.bytes().min(self.short_queue_bytes()) } else { self.window.bytes() }
    }

    /// Bytes that the uplink carries during a round trip and the target delay.
    fn short_queue_bytes(&self) -> u64 {
        bytes_in(self.capacity.most(), self.path + UPLINK_DELAY_TARGET).max(UPLINK_MIN)
    }

    /// Whether even the frames of the channel that is served soonest wait.
    fn has_queue(&self) -> bool {
        let low = i64::try_from(micros(UPLINK_DELAY_LOW)).unwrap_or(i64::MAX);
        self.window.was_cut() && self.delay.least().is_some_and(|least| least >= low)
    }

    /// Whether no more is in flight than the uplink carries during a round trip and the target delay.
    pub(crate) fn is_queue_short(&self, waiting_bytes: u64) -> bool {
        waiting_bytes < self.short_queue_bytes()
    }

    /// Whether another frame may be handed over while this much is in flight.
    pub(crate) fn has_room(&self, waiting_bytes: u64) -> bool {
        waiting_bytes < self.window_bytes()
    }

    /// A frame is handed over, the first after a pause if `waiting_bytes` is 0.
    pub(crate) fn handed_over(&mut self, now: Timestamp, waiting_bytes: u64) {
        if waiting_bytes == 0 {
            // A sample with pauses is a lower bound of the rate, but it is kept: on a fast path every frame has left before the
            // next is handed over, so a sample that began again after each pause would never end.
            self.sample_waiting = 0;
            let span = now.since(self.sample_since);
            if self.sample_bytes == 0 || span >= UPLINK_SAMPLE {
                if self.sample_bytes > 0 {
                    self.fold(span, false);
                }
                self.begin(now);
            }
            self.progress_at = now;
        }
        self.is_waiting = true;
    }

    /// Begins a sample.
    const fn begin(&mut self, now: Timestamp) {
        self.sample_since = now;
        self.sample_bytes = 0;
        self.sample_waiting = if self.is_blocked { u64::MAX } else { 0 };
    }

    /// Sets whether a frame would leave at once if the window had room for it.
    pub(crate) const fn set_blocked(&mut self, is_blocked: bool) {
        self.is_blocked = is_blocked;
        if !is_blocked {
            self.sample_waiting = 0;
        }
    }

    /// Bytes have left. `delay`: by how much the time of one of their frames exceeded the least time. `rtt`: the link's round
    /// trip. `waiting_bytes`: bytes in flight until now. `is_wanted`: whether more would have been sent.
    pub(crate) fn carried(
        &mut self,
        now: Timestamp,
        bytes: u64,
        delay: Option<Duration>,
        rtt: Duration,
        (waiting_bytes, is_wanted): (u64, bool),
    ) {
        self.sample_bytes += bytes;
        self.carried_bytes += bytes;
        self.progress_at = now;
        self.path = (self.path * 15 + rtt) / 16;
        self.is_waiting = waiting_bytes > bytes;
        if let Some(delay) = delay {
            self.delay.add(now, i64::try_from(micros(delay)).unwrap_or(i64::MAX));
        }
        let queue = self.queue();
        let is_limit = is_wanted && waiting_bytes + GROUP > self.window.bytes();
        // One frame that waited shows a queue at once; the least wait of all frames shows it only after a while.
        self.window.delivered_after(bytes, rtt, (queue, delay.unwrap_or(queue)), is_limit);
        self.sample_waiting = self.sample_waiting.min(waiting_bytes);
        let span = now.since(self.sample_since);
        let is_long = self.sample_bytes >= RATE_SAMPLE_BYTES || span >= RATE_SAMPLE_MAX;
        if span >= UPLINK_SAMPLE && is_long {
            let is_fed = waiting_bytes >= bytes_in(self.capacity.most(), rtt + UPLINK_DELAY_TARGET);
            self.fold(span, is_fed);
            self.begin(now);
        }
    }

    fn fold(&mut self, span: Duration, is_fed: bool) {
        let rate = self.sample_bytes * 1_000_000 / micros(span).max(1);
        self.capacity.sample(rate, is_fed);
        let is_queued = self.sample_waiting >= bytes_in(rate, self.path + UPLINK_DELAY_LOW);
        if self.sample_waiting > 0 && (is_queued || self.window.is_least()) {
            // The first sample replaces the guess. Later ones count by their length, in a mean over about half a second.
            let known = self.busy.min((UPLINK_SAMPLE * 4).max(span));
            let (known, span_us) = (micros(known), micros(span));
            self.bytes_per_s = (self.bytes_per_s * known + rate * span_us) / (known + span_us).max(1);
            self.busy += span;
        } else if rate > self.bytes_per_s {
            self.bytes_per_s = rate;
        }
    }

    /// Highest recent rate of a sample, bytes a second.
    pub(crate) const fn most_bytes_per_s(&self) -> u64 {
        self.capacity.most()
    }

    /// Bytes carried since the start.
    pub(crate) const fn carried_bytes(&self) -> u64 {
        self.carried_bytes
    }

    /// How long frames wait in front of the uplink. Zero if it carried less than half of its highest rate: then frames wait
    /// for their receivers.
    pub(super) fn queue(&self) -> Duration {
        if !self.capacity.is_busy() {
            return Duration::ZERO;
        }
        Duration::from_micros(self.delay.least().map_or(0, |least| u64::try_from(least).unwrap_or(0)))
    }

    /// Measured bytes a second, at least 1 kB/s so that estimates of time stay finite.
    pub(crate) fn bytes_per_s(&self) -> u64 {
        self.bytes_per_s.max(1000)
    }

    /// Upper bound of the uplink, bytes a second, if a frame has been in flight for so long that it shows one. So a slow
    /// uplink is noticed before its first frame has left. `path`: the longest round trip.
    pub(crate) fn bound(&self, now: Timestamp, path: Duration) -> Option<u64> {
        let waited = now.since(self.progress_at).checked_sub(path).filter(|_| self.is_waiting)?;
        let bound = GROUP * 1_000_000 / micros(waited).max(1);
        (waited >= UPLINK_BOUND_AFTER && bound < self.bytes_per_s()).then_some(bound)
    }

    /// The capacity once it was measured while the uplink was busy; `None` before.
    pub(crate) fn settled(&self) -> Option<u64> {
        (self.busy >= UPLINK_SETTLED).then(|| self.bytes_per_s())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::peer::send::channel::Channel;
    use std::collections::VecDeque;

    const FRAME: u64 = 16_384;

    /// An uplink of `rate` bytes a second and a round trip of 50 ms, to which as much is handed as it admits; with
    /// `demand`, no more than so many bytes a second. What was on its way at most after half a second, too.
    fn measure(rate: u64, duration_ms: u64, demand: Option<u64>) -> (Uplink, u64) {
        let mut uplink = Uplink::new(None);
        let mut channel = Channel::new(Timestamp::ZERO, 100_000);
        let (mut leaving, mut free_us, mut sent, mut most) = (VecDeque::new(), 0, 0, 0);
        for at_us in (0..duration_ms * 1000).step_by(100) {
            let now = Timestamp::from_micros(at_us);
            let wanted = demand.map_or(u64::MAX, |demand| demand * at_us / 1_000_000);
            while leaving.front().is_some_and(|left_us| *left_us <= at_us) {
                leaving.pop_front();
                let waiting = channel.buffered_bytes();
                let drained = channel.drained(now, waiting - FRAME, (PATH_GUESS, None), (Duration::ZERO, 0));
                uplink.carried(now, drained.bytes, drained.delay, PATH_GUESS, (waiting, sent < wanted));
            }
            while uplink.has_room(channel.buffered_bytes()) && sent < wanted {
                uplink.handed_over(now, channel.buffered_bytes());
                channel.handed_over(now, FRAME, 0, Duration::ZERO);
                free_us = at_us.max(free_us) + FRAME * 1_000_000 / rate;
                leaving.push_back(free_us + 50_000);
                sent += FRAME;
            }
            uplink.set_blocked(sent < wanted);
            if at_us > 500_000 {
                most = most.max(channel.buffered_bytes());
            }
        }
        (uplink, most)
    }

    #[test]
    fn a_busy_uplink_is_found_out_within_a_second_and_queues_little() {
        for rate in [125_000, 1_250_000, 12_500_000] {
            let (uplink, most) = measure(rate, 1500, None);
            let settled = uplink.settled().unwrap();
            assert!((rate / 10 * 9..=rate / 10 * 11).contains(&settled), "{settled} of {rate}");
            // The path of 50 ms, the target of 60, and 20 more: fast growth ends where a frame waited for 20 ms, and what was
            // handed over meanwhile has yet to show. A frame is handed over whole while there is any room.
            assert!(most <= rate * 130 / 1000 + 3 * FRAME, "{most} of {rate}");
        }
    }

    /// Frames leave one every `interval` ms from `ms` on for so long, each `delay` ms later than at best.
    fn late(uplink: &mut Uplink, (ms, until): (u64, u64), interval: usize, delay: u64) {
        for ms in (ms..until).step_by(interval) {
            let delay = Some(Duration::from_millis(delay));
            uplink.carried(Timestamp::from_millis(ms), FRAME, delay, PATH_GUESS, (2 * FRAME, true));
        }
    }

    #[test]
    fn an_uplink_that_carries_less_than_half_of_what_it_can_has_no_queue() {
        let mut uplink = Uplink::new(Some(1_000_000));
        let window = uplink.window.bytes();
        uplink.handed_over(Timestamp::ZERO, 0);
        // A third of it: receivers are slow, and what waits for them waits nowhere else.
        late(&mut uplink, (0, 1000), 50, 200);
        assert_eq!((uplink.queue(), uplink.window.bytes()), (Duration::ZERO, window));
        assert_eq!(uplink.settled(), Some(1_000_000), "nothing waited for the uplink");
        // Eight tenths of it.
        late(&mut uplink, (1000, 1500), 20, 200);
        assert_eq!(uplink.queue(), Duration::from_millis(200));
        assert!(uplink.window.bytes() < window);
    }

    #[test]
    fn a_lack_of_demand_is_no_lack_of_capacity() {
        let (uplink, _) = measure(1_250_000, 5000, Some(300_000));
        assert_eq!(uplink.settled(), None);
    }

    #[test]
    fn an_uplink_from_which_each_frame_leaves_before_the_next_comes_is_seen_to_carry_that_much() {
        let mut uplink = Uplink::new(None);
        for ms in 0..500 {
            uplink.handed_over(Timestamp::from_micros(ms * 1000), 0);
            let at = Timestamp::from_micros(ms * 1000 + 100);
            uplink.carried(at, FRAME, Some(Duration::ZERO), Duration::ZERO, (FRAME, true));
        }
        assert!((15_000_000..17_000_000).contains(&uplink.bytes_per_s()), "{}", uplink.bytes_per_s());
        assert_eq!(uplink.settled(), None, "it may carry more");
    }

    #[test]
    fn an_uplink_that_carries_one_frame_a_second_is_known_after_the_first() {
        let (uplink, _) = measure(12_500, 3000, None);
        let settled = uplink.settled().unwrap();
        assert!((10_000..=13_000).contains(&settled), "{settled}");
    }
}
