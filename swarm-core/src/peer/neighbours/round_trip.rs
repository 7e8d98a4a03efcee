//! How long a link's path takes there and back, from the pings that were answered.

use std::time::Duration;

use crate::peer::tuning::{PING_INTERVAL, PING_INTERVAL_EARLY};

/// Assumed until a ping was answered: an ordinary path across a country.
const GUESS: Duration = Duration::from_millis(50);
/// Number of pings of a new link that follow one another closely: the first ones are delayed, because both ends are busy
/// starting.
const EARLY_PINGS: u32 = 6;

/// The round-trip time of one link.
#[derive(Debug, Clone, Default)]
pub(crate) struct RoundTrip {
    smoothed: Option<Duration>,
    least: Option<Duration>,
    pongs: u32,
}

impl RoundTrip {
    /// A ping was answered after this long.
    pub(crate) fn measured(&mut self, sample: Duration) {
        // The usual smoothing of round-trip times (RFC 6298 §2.3).
        self.smoothed = Some(self.smoothed.map_or(sample, |rtt| (rtt * 7 + sample) / 8));
        // Grows by a sixteenth with each ping, so that a longer path is noticed.
        self.least = Some(self.least.map_or(sample, |least| sample.min(least * 17 / 16)));
        self.pongs = self.pongs.saturating_add(1);
    }

    /// Smoothed round trip, queues on the path included.
    pub(crate) const fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// Smoothed round trip, or a guess.
    pub(crate) fn or_guess(&self) -> Duration {
        self.smoothed.unwrap_or(GUESS)
    }

    /// Round trip of the path without queues: about the least recent measurement.
    pub(crate) const fn least(&self) -> Option<Duration> {
        self.least
    }

    /// How long to wait before the next ping.
    pub(super) const fn next_interval(&self) -> Duration {
        if self.pongs >= EARLY_PINGS { PING_INTERVAL } else { PING_INTERVAL_EARLY }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_longer_path_is_found_out_and_a_queue_is_not_taken_for_one() {
        let mut round_trip = RoundTrip::default();
        let mut least_after = |millis| {
            round_trip.measured(Duration::from_millis(millis));
            round_trip.least()
        };
        assert_eq!(least_after(100), Some(Duration::from_millis(100)));
        assert_eq!(least_after(400), Some(Duration::from_micros(106_250)));
        assert_eq!(least_after(20), Some(Duration::from_millis(20)));
        assert!((0..60).any(|_| least_after(400) == Some(Duration::from_millis(400))));
    }

    #[test]
    fn what_is_usual_moves_slowly_and_settles() {
        let mut round_trip = RoundTrip::default();
        assert_eq!((round_trip.or_guess(), round_trip.smoothed()), (GUESS, None));
        round_trip.measured(Duration::from_millis(80));
        round_trip.measured(Duration::from_millis(160));
        assert_eq!(round_trip.or_guess(), Duration::from_millis(90));
        assert_eq!(round_trip.next_interval(), PING_INTERVAL_EARLY);
        (0..4).for_each(|_| round_trip.measured(Duration::from_millis(90)));
        assert_eq!(round_trip.next_interval(), PING_INTERVAL);
    }
}
