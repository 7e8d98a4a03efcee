//! How much all channels together carry away: the measure of an uplink.
//!
//! What waits there is bounded by this measure, so it must find out that an uplink is faster than thought, and must
//! not take a lack of demand for a lack of capacity. As in BBR (Cardwell et al. 2016, "delivery rate"): a sample begins
//! with an acknowledgement, since what comes before the first is a round trip, not the uplink; it lasts long enough
//! that acknowledgements in bursts are no sign of speed; and while there was less to send than would have
//! been taken, it counts only if it shows more than is known.

use std::time::Duration;

use super::rate::RATE_GUESS;
use crate::time::Timestamp;

/// A sample lasts at least this long: a few frames.
const SAMPLE: Duration = Duration::from_millis(50);
/// The same while the capacity is a guess: to find out soon matters more than to be exact.
const SAMPLE_EARLY: Duration = Duration::from_millis(10);

/// Busy time over which the average forgets: 1 s.
const WINDOW_S: f64 = 1.0;
/// Busy time that the first guess counts for.
const GUESS_S: f64 = 0.05;

#[derive(Debug, Clone, Copy)]
struct Sample {
    start: Timestamp,
    bytes: u64,
    is_slack: bool,
}

/// The capacity of this peer's uplink, as far as it is known.
///
/// Only additions, multiplications and divisions: the same bits natively and in a browser.
#[derive(Debug, Clone)]
pub(crate) struct Uplink {
    bytes_per_s: f64,
    observed_s: f64,
    sample: Option<Sample>,
    is_measured: bool,
}

impl Uplink {
    pub(crate) const fn new() -> Self {
        Self { bytes_per_s: RATE_GUESS as f64, observed_s: GUESS_S, sample: None, is_measured: false }
    }

    /// Bytes have left that were handed over earlier.
    pub(crate) fn carried(&mut self, now: Timestamp, bytes: u64) {
        let sample_time = if self.is_settling() { SAMPLE_EARLY } else { SAMPLE };
        let Some(sample) = &mut self.sample else {
            self.sample = Some(Sample { start: now, bytes: 0, is_slack: false });
            return;
        };
        sample.bytes += bytes;
        if now.since(sample.start) >= sample_time {
            let sample = *sample;
            self.fold(now, sample);
            self.sample = Some(Sample { start: now, bytes: 0, is_slack: false });
        }
    }

    /// Nothing waits any more; the time until something leaves again does not count.
    pub(crate) const fn rest(&mut self) {
        self.sample = None;
    }

    /// There was less to carry than the uplink would have taken.
    pub(crate) const fn slacken(&mut self) {
        if let Some(sample) = &mut self.sample {
            sample.is_slack = true;
        }
    }

    fn fold(&mut self, now: Timestamp, sample: Sample) {
        let span_s = now.since(sample.start).as_secs_f64();
        let rate = sample.bytes as f64 / span_s;
        if sample.is_slack && rate < self.bytes_per_s {
            return;
        }
        self.is_measured |= !sample.is_slack;
        // A guess yields at once to what shows more.
        let is_found_out = self.is_settling() && !sample.is_slack && rate > self.bytes_per_s;
        let weight = if is_found_out { 1.0 } else { span_s / (span_s + self.observed_s) };
        self.bytes_per_s += (rate - self.bytes_per_s) * weight;
        self.observed_s = (self.observed_s + span_s).min(WINDOW_S);
    }

    fn is_settling(&self) -> bool {
        self.observed_s < WINDOW_S
    }

    /// Bytes a second, at least 1 kB/s so that estimates of time stay finite.
    pub(crate) fn bytes_per_s(&self) -> u64 {
        (self.bytes_per_s as u64).max(1000)
    }

    /// The capacity once it has been measured for a second of busy time; `None` before.
    pub(crate) fn settled(&self) -> Option<u64> {
        (self.is_measured && !self.is_settling()).then(|| self.bytes_per_s())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// A 10 Mbit/s uplink with a round trip of 50 ms, to which as much is handed as the measure allows in 110 ms; with
    /// `demand`, no more than so many bytes a second.
    fn measure(duration_ms: u64, demand: Option<u64>) -> Uplink {
        let mut uplink = Uplink::new();
        let (mut waiting, mut leaves_us) = (std::collections::VecDeque::new(), 0);
        let mut sent = 0;
        for at_us in (0..duration_ms * 1000).step_by(100) {
            let now = Timestamp::from_micros(at_us);
            while let Some(acknowledged) = waiting.pop_front_if(|at| *at <= at_us) {
                assert!(acknowledged <= at_us);
                uplink.carried(now, 16_384);
            }
            if waiting.is_empty() {
                uplink.rest();
            }
            let room = uplink.bytes_per_s() * 110 / 1000;
            while waiting.len() as u64 * 16_384 < room.max(40_960) {
                if demand.is_some_and(|demand| sent * 1_000_000 > demand * at_us) {
                    uplink.slacken();
                    break;
                }
                leaves_us = at_us.max(leaves_us) + 13_107;
                waiting.push_back(leaves_us + 50_000);
                sent += 16_384;
            }
        }
        uplink
    }

    #[test]
    fn a_busy_uplink_is_found_out_within_a_second_and_a_half() {
        let uplink = measure(1500, None);
        let settled = uplink.settled().unwrap();
        assert!((1_180_000..=1_310_000).contains(&settled), "{settled}");
    }

    #[test]
    fn a_lack_of_demand_is_no_lack_of_capacity() {
        let mut uplink = measure(3000, None);
        uplink.rest();
        let before = uplink.bytes_per_s();
        for frame in 0..100 {
            uplink.slacken();
            uplink.carried(Timestamp::from_millis(3000 + 30 * frame), 16_384);
        }
        assert_eq!(uplink.bytes_per_s(), before);
        assert_eq!(measure(3000, Some(300_000)).settled(), None);
    }
}
