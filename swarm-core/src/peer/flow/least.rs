//! The least of recent measurements: queueing delay without the peaks, a path without its queues.

use std::time::Duration;

use crate::time::Timestamp;

/// The least measurement within two buckets of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeastLately {
    bucket: Duration,
    since: Timestamp,
    current: Option<i64>,
    before: Option<i64>,
}

impl LeastLately {
    pub(crate) const fn new(bucket: Duration) -> Self {
        Self { bucket, since: Timestamp::ZERO, current: None, before: None }
    }

    pub(crate) fn add(&mut self, now: Timestamp, value: i64) {
        let passed = now.since(self.since);
        if passed >= self.bucket {
            self.before = self.current.take().filter(|_| passed < self.bucket * 2);
            self.since = now;
        }
        self.current = Some(self.current.map_or(value, |least| least.min(value)));
    }

    /// The least of all remembered measurements. Old ones are forgotten when a new one comes.
    pub(crate) fn least(&self) -> Option<i64> {
        self.current.into_iter().chain(self.before).min()
    }

    /// The least measurement within the two buckets before now.
    pub(crate) fn least_at(&self, now: Timestamp) -> Option<i64> {
        let passed = now.since(self.since);
        let current = self.current.filter(|_| passed < self.bucket * 2);
        let before = self.before.filter(|_| passed < self.bucket);
        current.into_iter().chain(before).min()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_was_seen_is_forgotten_after_two_buckets() {
        let mut least = LeastLately::new(Duration::from_millis(100));
        let mut after = |ms, value| {
            least.add(Timestamp::from_millis(ms), value);
            least.least()
        };
        assert_eq!(after(0, 5), Some(5));
        assert_eq!(after(90, 9), Some(5));
        assert_eq!(after(110, 8), Some(5));
        assert_eq!(after(220, 9), Some(8));
        assert_eq!(after(900, 30), Some(30));
    }
}
