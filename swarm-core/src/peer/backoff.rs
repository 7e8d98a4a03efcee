//! Waiting longer after each failure, with the deadline kept here so that drivers only sleep.

use std::time::Duration;

use super::chance::Chance;

/// First wait.
const FIRST_MS: u64 = 500;
/// Longest wait: a viewer whose tracker comes back notices within half a minute.
const LONGEST_MS: u64 = 30_000;

/// First wait of peers that all failed in the same instant: at least this…
const CROWD_FIRST_MS: u64 = 100;
/// … and up to this much longer. 10,000 peers of a proxy that reloads then come back at 5 in a millisecond.
const CROWD_SPREAD_MS: u32 = 2_000;

/// Doubling waits from 0.5 s to 30 s, each shortened by up to a quarter so that a swarm that lost its
/// tracker does not come back in one instant.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    failures: u32,
    is_in_crowd: bool,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { failures: 0, is_in_crowd: false }
    }

    /// For what all peers lose in the same instant: their first waits are spread over 0.1 s to 2.1 s.
    pub(crate) const fn of_crowd() -> Self {
        Self { failures: 0, is_in_crowd: true }
    }

    /// Success: the next wait is the first again.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failure: how long to wait.
    pub(crate) fn next(&mut self, chance: &mut Chance) -> Duration {
        let whole_ms = (FIRST_MS << self.failures.min(10)).min(LONGEST_MS);
        let is_first = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        if is_first && self.is_in_crowd {
            return Duration::from_millis(CROWD_FIRST_MS + u64::from(chance.below(CROWD_SPREAD_MS + 1)));
        }
        let spread = u32::try_from(whole_ms / 4).unwrap_or(0);
        Duration::from_millis(whole_ms - u64::from(chance.below(spread)))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn waits_double_to_half_a_minute_and_start_over_after_success() {
        let mut backoff = Backoff::new();
        let mut chance = Chance::new(9);
        let waits: Vec<u128> = (0..50).map(|_| backoff.next(&mut chance).as_millis()).collect();
        assert!((375..=500).contains(&waits[0]) && (750..=1000).contains(&waits[1]));
        assert!(waits[10..].iter().all(|wait| (22_500..=30_000).contains(wait)));
        backoff.reset();
        assert!(backoff.next(&mut chance).as_millis() <= 500);
    }

    #[test]
    fn a_crowd_that_fails_together_comes_back_evenly_over_two_seconds() {
        let first = |seed| Backoff::of_crowd().next(&mut Chance::new(seed)).as_millis();
        let waits: Vec<u128> = (0..1000).map(first).collect();
        assert!(waits.iter().all(|wait| (100..=2100).contains(wait)), "{waits:?}");
        for tenth in 0..10 {
            let slot = 100 + tenth * 200..300 + tenth * 200;
            let count = waits.iter().filter(|wait| slot.contains(*wait)).count();
            assert!((60..=140).contains(&count), "{count} of 1000 within {slot:?} ms");
        }
        assert_eq!(waits, (0..1000).map(first).collect::<Vec<_>>(), "the same seed gives the same wait");
        let (mut backoff, mut chance) = (Backoff::of_crowd(), Chance::new(9));
        let waits: Vec<u128> = (0..8).map(|_| backoff.next(&mut chance).as_millis()).collect();
        assert!((750..=1000).contains(&waits[1]) && (22_500..=30_000).contains(&waits[7]), "{waits:?}");
    }
}
