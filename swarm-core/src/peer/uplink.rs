//! How much all channels together carry away: the measure of an uplink.
//!
//! What waits there is bounded by this measure, so it must find out that an uplink is faster than thought, and must
//! not take a lack of demand for a lack of capacity. As in BBR (Cardwell et al. 2016): a sample is what was carried
//! between a frame's leaving and its acknowledgement, over the time between, which acknowledgements in bunches cannot
//! raise; and samples of frames that left while there was less to send than would have been taken count only if they
//! show more than is known.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::{Timestamp, micros};

/// Capacity before anything is known, bytes a second: 3 Mbit/s, so that whoever has more finds out in a round trip or two.
const GUESS: f64 = 375_000.0;
/// Busy time over which the average forgets: 250 ms.
const WINDOW_S: f64 = 0.25;
/// Busy time after which the capacity counts as known.
const SETTLED: Duration = Duration::from_millis(1000);
/// No sample is over less time: buffers on the way take a burst faster than they pass it on.
const SPAN_MIN: Duration = Duration::from_millis(50);
/// Frames on their way that are remembered; of more, the newest are no samples.
const FRAMES_MAX: usize = 256;

/// A frame that was handed over.
#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Timestamp,
    /// Bytes carried until then.
    carried: u64,
    /// Bytes handed over, with this frame.
    handed: u64,
    /// Whether there was less to send than would have been taken.
    is_slack: bool,
}

/// The capacity of this peer's uplink, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uplink {
    handed: u64,
    carried: u64,
    sent: VecDeque<Sent>,
    bytes_per_s: f64,
    /// Time of samples altogether.
    measured: Duration,
    last: Timestamp,
}

impl Uplink {
    pub(crate) fn new() -> Self {
        Self { bytes_per_s: GUESS, ..Self::default() }
    }

    /// A frame is handed over.
    pub(crate) fn handed_over(&mut self, now: Timestamp, bytes: u64, is_slack: bool) {
        self.handed += bytes;
        if self.sent.is_empty() {
            self.last = now;
        }
        if self.sent.len() < FRAMES_MAX {
            self.sent.push_back(Sent { at: now, carried: self.carried, handed: self.handed, is_slack });
        }
    }

    /// Bytes have left that were handed over earlier.
    pub(crate) fn carried(&mut self, now: Timestamp, bytes: u64) {
        self.carried += bytes;
        let mut newest = None;
        while let Some(sent) = self.sent.pop_front_if(|sent| sent.handed <= self.carried) {
            newest = Some(sent);
        }
        if let Some(sent) = newest {
            let span = now.since(sent.at).max(SPAN_MIN);
            self.fold(now, (self.carried - sent.carried) * 1_000_000 / micros(span), sent.is_slack);
        }
    }

    /// What was handed over and not carried is lost: a link closed.
    pub(crate) fn lost(&mut self, bytes: u64) {
        self.carried += bytes;
        self.sent.clear();
    }

    fn fold(&mut self, now: Timestamp, rate: u64, is_slack: bool) {
        let passed = now.since(self.last);
        self.last = now;
        let (rate, is_more) = (rate as f64, rate as f64 > self.bytes_per_s);
        if passed.is_zero() || (is_slack && !is_more) {
            return;
        }
        let known_s = self.measured.as_secs_f64().min(WINDOW_S);
        let weight = passed.as_secs_f64() / (passed.as_secs_f64() + known_s);
        // A guess yields by half to what shows more.
        let weight = if is_more && self.is_settling() { weight.max(0.5) } else { weight };
        self.bytes_per_s += (rate - self.bytes_per_s) * weight;
        if !is_slack {
            self.measured += passed;
        }
    }

    /// Whether the capacity is a guess.
    pub(crate) fn is_settling(&self) -> bool {
        self.measured < SETTLED
    }

    /// Bytes a second, at least 1 kB/s so that estimates of time stay finite.
    pub(crate) fn bytes_per_s(&self) -> u64 {
        (self.bytes_per_s as u64).max(1000)
    }

    /// The capacity once it has been measured for a second of busy time; `None` before.
    pub(crate) fn settled(&self) -> Option<u64> {
        (!self.is_settling()).then(|| self.bytes_per_s())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const FRAME: u64 = 16_384;
    const FRAME_US: u64 = 13_107;

    /// A 10 Mbit/s uplink with a round trip of 50 ms, to which as much is handed as the measure allows in 110 ms; with
    /// `demand`, no more than so many bytes a second.
    fn measure(duration_ms: u64, demand: Option<u64>) -> Uplink {
        let mut uplink = Uplink::new();
        let (mut waiting, mut free_us, mut sent) = (VecDeque::new(), 0, 0);
        for at_us in (0..duration_ms * 1000).step_by(100) {
            let now = Timestamp::from_micros(at_us);
            while waiting.pop_front_if(|acknowledged_us| *acknowledged_us <= at_us).is_some() {
                uplink.carried(now, FRAME);
            }
            let may_wait = (uplink.bytes_per_s() * 110 / 1000).max(2 * FRAME);
            let wanted = demand.map_or(u64::MAX, |demand| demand * at_us / 1_000_000);
            while (waiting.len() as u64 + 1) * FRAME <= may_wait && sent < wanted {
                let is_slack = (waiting.len() as u64) * FRAME < uplink.bytes_per_s() * 50 / 1000;
                uplink.handed_over(now, FRAME, is_slack);
                free_us = at_us.max(free_us) + FRAME_US;
                waiting.push_back(free_us + 50_000);
                sent += FRAME;
            }
        }
        uplink
    }

    #[test]
    fn a_busy_uplink_is_found_out_within_a_second_and_a_half() {
        let settled = measure(1500, None).settled().unwrap();
        assert!((1_180_000..=1_310_000).contains(&settled), "{settled}");
    }

    #[test]
    fn a_lack_of_demand_is_no_lack_of_capacity() {
        assert_eq!(measure(5000, Some(300_000)).settled(), None);
        let mut uplink = measure(3000, None);
        let before = uplink.bytes_per_s();
        uplink.lost(uplink.handed - uplink.carried);
        for second in 3..10 {
            uplink.handed_over(Timestamp::from_millis(second * 1000), FRAME, true);
            uplink.carried(Timestamp::from_millis(second * 1000 + 63), FRAME);
        }
        assert_eq!(uplink.settled(), Some(before));
    }

    #[test]
    fn what_leaves_in_no_time_says_nothing() {
        let mut uplink = Uplink::new();
        uplink.handed_over(Timestamp::ZERO, 1000, false);
        uplink.carried(Timestamp::ZERO, 1000);
        assert_eq!(uplink.bytes_per_s(), Uplink::new().bytes_per_s());
    }

    #[test]
    fn acknowledgements_in_bunches_are_no_speed() {
        let mut uplink = Uplink::new();
        for bunch in 0u64..40 {
            let at = |ms| Timestamp::from_millis(bunch * 100 + ms);
            (0..4).for_each(|_| uplink.handed_over(at(0), FRAME, false));
            (0..4).for_each(|_| uplink.carried(at(99), FRAME));
        }
        let settled = uplink.settled().unwrap();
        assert!(settled < 670_000, "{settled}");
    }
}
