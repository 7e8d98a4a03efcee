//! The upload limit as a virtual clock (the generic cell rate algorithm): exact, without drift.

use std::time::Duration;

use crate::peer::input::UploadLimit;
use crate::peer::tuning::BURST;
use crate::time::Timestamp;

/// See the [module](self).
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    limit: UploadLimit,
    /// When everything admitted so far would have left at exactly the limit.
    paid_until: Timestamp,
}

impl Budget {
    pub(crate) const fn new(limit: UploadLimit) -> Self {
        Self { limit, paid_until: Timestamp::ZERO }
    }

    pub(crate) const fn set(&mut self, limit: UploadLimit) {
        self.limit = limit;
    }

    pub(crate) fn is_off(&self) -> bool {
        matches!(self.limit, UploadLimit::Off | UploadLimit::BitsPerSecond(0))
    }

    /// When the next frame may leave; `None` for never.
    pub(crate) fn ready_at(&self) -> Option<Timestamp> {
        match self.limit {
            UploadLimit::Unlimited => Some(Timestamp::ZERO),
            UploadLimit::BitsPerSecond(0) | UploadLimit::Off => None,
            UploadLimit::BitsPerSecond(_) => Some(self.paid_until - BURST),
        }
    }

    /// A frame leaves.
    pub(crate) fn spend(&mut self, now: Timestamp, bytes: u64) {
        if let UploadLimit::BitsPerSecond(bits) = self.limit {
            let cost = Duration::from_micros(bytes.saturating_mul(8_000_000) / bits.max(1));
            self.paid_until = self.paid_until.max(now) + cost;
        }
    }

    /// A rate, bytes a second, cut to the upload limit.
    pub(crate) fn within(&self, bytes_per_s: u64) -> u64 {
        match self.limit {
            UploadLimit::Off => 0,
            UploadLimit::BitsPerSecond(bits) => bytes_per_s.min(bits / 8),
            UploadLimit::Unlimited => bytes_per_s,
        }
    }

    /// The limit, bytes a second, if there is one.
    pub(crate) const fn limit_bytes_per_s(&self) -> Option<u64> {
        match self.limit {
            UploadLimit::BitsPerSecond(bits) => Some(bits / 8),
            UploadLimit::Off | UploadLimit::Unlimited => None,
        }
    }
}

impl super::Sender {
    /// Bytes left that were not in a queue. They count against the upload limit.
    pub(crate) fn sent_beside(&mut self, now: Timestamp, bytes: u64) {
        self.budget.spend(now, bytes);
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_limit_holds_over_a_minute_whatever_the_frames() {
        let mut budget = Budget::new(UploadLimit::BitsPerSecond(8_000_000));
        let mut now = Timestamp::from_millis(60_000);
        let start = now;
        let mut sent = 0;
        while now.since(start) < Duration::from_secs(60) {
            now = now.max(budget.ready_at().unwrap());
            budget.spend(now, 50_000);
            sent += 50_000;
        }
        assert!((60_000_000..=60_200_000).contains(&sent), "{sent}");
        budget.set(UploadLimit::Off);
        assert_eq!(budget.ready_at(), None);
    }
}
