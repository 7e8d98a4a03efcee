//! Waiting longer after each failure, with the deadline kept here so that drivers only sleep.

use std::time::Duration;

use super::chance::Chance;

/// First wait.
const FIRST_MS: u64 = 500;
/// Longest wait: a viewer whose tracker comes back notices within half a minute.
const LONGEST_MS: u64 = 30_000;

/// Doubling waits from 0.5 s to 30 s, each shortened by up to a quarter so that a swarm that lost its
/// tracker does not come back in one instant.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { failures: 0 }
    }

    /// Success: the next wait is the first again.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failure: how long to wait.
    pub(crate) fn next(&mut self, chance: &mut Chance) -> Duration {
        let whole_ms = (FIRST_MS << self.failures.min(10)).min(LONGEST_MS);
        self.failures = self.failures.saturating_add(1);
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
}
