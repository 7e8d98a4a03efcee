//! The clock that connections run by: faster than the wall's.
//!
//! The `webrtc` crate is told the time by its runtime and has timers that cannot be set, the least
//! retransmission timeout of SCTP first of all: a whole second, during which a link whose last packets were lost
//! is silent. On a clock that runs [`SPEED`] times as fast the same timers expire in a quarter of the time, which
//! is what browsers and TCP use. What can be set, and is meant in seconds of the wall, passes through
//! [`stretched`].

use std::time::{Duration, Instant};

/// How much faster the clock runs: the least retransmission timeout becomes 250 ms, above the 200 ms for which
/// a receiver may hold an acknowledgement back.
const SPEED: u32 = 4;

/// A time that the crate is to keep by the wall's clock, in its own.
pub(crate) const fn stretched(time: Duration) -> Duration {
    time.saturating_mul(SPEED)
}

/// A time of the crate's in the wall's.
pub(crate) fn shrunk(time: Duration) -> Duration {
    time / SPEED
}

/// A clock that started with the wall's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FastClock {
    start: Instant,
}

impl FastClock {
    /// Starts now.
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// What the crate takes for now.
    pub(crate) fn now(&self) -> Instant {
        self.at(Instant::now())
    }

    fn at(&self, wall: Instant) -> Instant {
        self.start + stretched(wall.saturating_duration_since(self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_the_crate_is_a_quarter_second_of_the_wall() {
        let clock = FastClock::new();
        let later = clock.at(clock.start + Duration::from_millis(250));
        assert_eq!(later - clock.start, Duration::from_secs(1));
        assert_eq!(shrunk(Duration::from_secs(1)), Duration::from_millis(250));
        assert_eq!(shrunk(stretched(Duration::from_secs(5))), Duration::from_secs(5));
    }

    #[test]
    fn the_clock_never_runs_backwards() {
        let clock = FastClock::new();
        assert_eq!(clock.at(clock.start - Duration::from_millis(1)), clock.start);
        assert!(clock.now() <= clock.now());
    }
}
