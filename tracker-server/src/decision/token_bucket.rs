//! How many messages somebody may send: a token bucket that is told the time.
//!
//! Written here rather than taken from a crate: the decisions must be replayable from their inputs, and the
//! limiters on offer bring a clock, atomics or a hash map of their own for what is twenty lines of integers.

use swarm_core::Timestamp;

const MICROS_PER_TOKEN: u64 = 1_000_000;

/// The shape of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that come back each second; at least 1.
    pub per_s: u32,
    /// Tokens that can be saved up.
    pub burst: u32,
}

/// The state of one limit. Starts full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenBucket {
    /// Saved tokens, in millionths.
    micro_tokens: u64,
    /// When they were counted.
    at: Timestamp,
}

impl TokenBucket {
    /// A full bucket.
    pub(crate) fn new(rate: Rate, now: Timestamp) -> Self {
        Self { micro_tokens: capacity(rate), at: now }
    }

    /// Takes `cost` tokens; if they are not there, takes nothing and says after how many ms they would be.
    pub(crate) fn take(&mut self, rate: Rate, now: Timestamp, cost: u32) -> Result<(), u32> {
        self.refill(rate, now);
        let cost = u64::from(cost.min(rate.burst)) * MICROS_PER_TOKEN;
        match self.micro_tokens.checked_sub(cost) {
            Some(rest) => {
                self.micro_tokens = rest;
                Ok(())
            }
            None => {
                let micros = (cost - self.micro_tokens).div_ceil(u64::from(rate.per_s.max(1)));
                Err(u32::try_from(micros.div_ceil(1000)).unwrap_or(u32::MAX))
            }
        }
    }

    /// Whether nothing is owed: a bucket in this state may be forgotten.
    pub(crate) fn is_full(&mut self, rate: Rate, now: Timestamp) -> bool {
        self.refill(rate, now);
        self.micro_tokens == capacity(rate)
    }

    fn refill(&mut self, rate: Rate, now: Timestamp) {
        let elapsed_micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let gained = elapsed_micros.saturating_mul(u64::from(rate.per_s));
        self.micro_tokens = self.micro_tokens.saturating_add(gained).min(capacity(rate));
        self.at = self.at.max(now);
    }
}

fn capacity(rate: Rate) -> u64 {
    u64::from(rate.burst) * MICROS_PER_TOKEN
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_s: 10, burst: 3 };

    #[test]
    fn a_burst_passes_and_the_next_is_told_how_long_to_wait() {
        let mut bucket = TokenBucket::new(RATE, Timestamp::ZERO);
        for _ in 0..3 {
            assert_eq!(bucket.take(RATE, Timestamp::ZERO, 1), Ok(()));
        }
        assert_eq!(bucket.take(RATE, Timestamp::ZERO, 1), Err(100));
        assert_eq!(bucket.take(RATE, Timestamp::from_millis(40), 1), Err(60));
        assert_eq!(bucket.take(RATE, Timestamp::from_millis(100), 1), Ok(()));
    }

    #[test]
    fn tokens_are_not_saved_beyond_the_burst() {
        let mut bucket = TokenBucket::new(RATE, Timestamp::ZERO);
        let later = Timestamp::from_millis(1_000_000);
        assert!(bucket.is_full(RATE, later));
        assert_eq!(bucket.take(RATE, later, 3), Ok(()));
        assert_eq!(bucket.take(RATE, later, 1), Err(100));
        assert!(!bucket.is_full(RATE, later));
    }

    #[test]
    fn a_cost_beyond_the_burst_empties_the_bucket_instead_of_being_refused_for_ever() {
        let mut bucket = TokenBucket::new(RATE, Timestamp::ZERO);
        assert_eq!(bucket.take(RATE, Timestamp::ZERO, 100), Ok(()));
        assert!(bucket.take(RATE, Timestamp::ZERO, 1).is_err());
    }

    #[test]
    fn time_that_seems_to_go_back_gives_nothing() {
        let mut bucket = TokenBucket::new(RATE, Timestamp::from_millis(1000));
        assert_eq!(bucket.take(RATE, Timestamp::from_millis(1000), 3), Ok(()));
        assert!(bucket.take(RATE, Timestamp::ZERO, 1).is_err());
        assert_eq!(bucket.take(RATE, Timestamp::from_millis(1099), 1), Err(1));
    }
}
