//! How fast a link carries bytes while it has something to carry.

use std::time::Duration;

use crate::time::Timestamp;

/// Busy time over which the average forgets: 1 s.
const WINDOW_S: f64 = 1.0;
/// The first guess counts like this much busy time, so that measurements replace it within a few frames.
const GUESS_S: f64 = 0.05;
/// Bytes are collected for this long before they count, so that one burst from a socket is not a sample.
const SAMPLE: Duration = Duration::from_millis(10);

/// Exponentially weighted mean of bytes a second, over busy time only.
///
/// Only additions, multiplications and divisions: the same bits natively and in a browser.
#[derive(Debug, Clone)]
pub(crate) struct Rate {
    bytes_per_s: f64,
    observed_s: f64,
    sample_bytes: u64,
    sample_start: Option<Timestamp>,
    is_measured: bool,
}

impl Rate {
    /// Starts from a guess, bytes a second.
    pub(crate) fn new(guess: u64) -> Self {
        Self {
            bytes_per_s: guess as f64,
            observed_s: GUESS_S,
            sample_bytes: 0,
            sample_start: None,
            is_measured: false,
        }
    }

    /// Whether anything was carried.
    pub(crate) const fn is_measured(&self) -> bool {
        self.is_measured
    }

    /// Replaces the guess. A measured rate stays.
    pub(crate) fn expect(&mut self, guess: u64) {
        if !self.is_measured {
            self.bytes_per_s = guess as f64;
        }
    }

    /// The link has something to carry from now on.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.sample_start.get_or_insert(now);
    }

    /// The link carried `bytes`.
    pub(crate) fn carried(&mut self, now: Timestamp, bytes: u64) {
        let start = *self.sample_start.get_or_insert(now);
        self.sample_bytes += bytes;
        let span = now.since(start);
        if span >= SAMPLE {
            self.fold(span);
            self.sample_start = Some(now);
        }
    }

    /// The link has nothing left to carry; the time until the next [`Rate::begin`] does not count.
    pub(crate) fn end(&mut self, now: Timestamp) {
        if let Some(start) = self.sample_start.take() {
            let span = now.since(start);
            // A transfer shorter than a sample says little about the rate; it is dropped.
            if span >= SAMPLE {
                self.fold(span);
            }
            self.sample_bytes = 0;
        }
    }

    fn fold(&mut self, span: Duration) {
        let span_s = span.as_secs_f64();
        let sample = self.sample_bytes as f64 / span_s;
        self.is_measured = true;
        let weight = span_s / (span_s + self.observed_s);
        self.bytes_per_s += (sample - self.bytes_per_s) * weight;
        self.observed_s = (self.observed_s + span_s).min(WINDOW_S);
        self.sample_bytes = 0;
    }

    /// A failure: the link is believed to be half as fast.
    pub(crate) fn halve(&mut self) {
        self.bytes_per_s /= 2.0;
    }

    /// Bytes a second, at least 1 kB/s so that estimates of time stay finite.
    pub(crate) fn bytes_per_s(&self) -> u64 {
        (self.bytes_per_s as u64).max(1000)
    }

    /// The measured rate; `None` while it is only a guess.
    pub(crate) fn measured(&self) -> Option<u64> {
        self.is_measured.then(|| self.bytes_per_s())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const RATE_GUESS: u64 = 250_000;

    fn feed(rate: &mut Rate, from_ms: u64, frames: u64, bytes: u64, every_ms: u64) {
        rate.begin(Timestamp::from_millis(from_ms));
        for frame in 1..=frames {
            rate.carried(Timestamp::from_millis(from_ms + frame * every_ms), bytes);
        }
        rate.end(Timestamp::from_millis(from_ms + frames * every_ms));
    }

    #[test]
    fn a_guess_yields_to_measurement_within_a_fraction_of_a_second() {
        let mut rate = Rate::new(RATE_GUESS);
        assert_eq!(rate.measured(), None);
        feed(&mut rate, 0, 25, 100_000, 10);
        let measured = rate.measured().unwrap();
        assert!((8_000_000..=10_000_000).contains(&measured), "{measured}");
    }

    #[test]
    fn what_was_measured_does_not_yield_to_a_guess() {
        let mut rate = Rate::new(RATE_GUESS);
        rate.expect(4_000_000);
        assert_eq!((rate.bytes_per_s(), rate.measured()), (4_000_000, None));
        feed(&mut rate, 0, 100, 10_000, 10);
        rate.expect(4_000_000);
        assert!((950_000..=1_200_000).contains(&rate.bytes_per_s()), "{}", rate.bytes_per_s());
    }

    #[test]
    fn idle_time_does_not_count() {
        let mut rate = Rate::new(1_000_000);
        for second in 0..10 {
            feed(&mut rate, second * 1000, 10, 10_000, 10);
        }
        assert!((950_000..=1_050_000).contains(&rate.bytes_per_s()), "{}", rate.bytes_per_s());
    }

    #[test]
    fn it_never_falls_to_nothing() {
        let mut rate = Rate::new(5000);
        (0..20).for_each(|_| rate.halve());
        assert_eq!(rate.bytes_per_s(), 1000);
    }
}
