//! How often one address may do something: publish, ask, shake hands.

use std::collections::HashMap;

use swarm_core::Timestamp;

use super::network::Site;
use super::token_bucket::{Rate, TokenBucket};
use crate::limits::PACES_SWEEP;

/// Who did it of late.
#[derive(Debug)]
pub(crate) struct Paces {
    rate: Rate,
    /// Forgotten once nothing is owed.
    buckets: HashMap<Site, TokenBucket>,
    /// How many there may be before those are dropped that owe nothing.
    sweep_at: usize,
}

impl Paces {
    /// That each address may do at this rate.
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, buckets: HashMap::new(), sweep_at: PACES_SWEEP }
    }

    /// Counts one, or says after how many ms it may be tried again.
    pub(crate) fn admit(&mut self, now: Timestamp, site: Site) -> Result<(), u32> {
        self.admit_several(now, site, 1)
    }

    /// Counts what costs as much as `count`, or says after how many ms it may be tried again.
    pub(crate) fn admit_several(&mut self, now: Timestamp, site: Site, count: u32) -> Result<(), u32> {
        let rate = self.rate;
        if self.buckets.len() >= self.sweep_at {
            self.buckets.retain(|_, bucket| !bucket.is_full(rate, now));
            self.sweep_at = PACES_SWEEP.max(self.buckets.len() * 2);
        }
        self.buckets.entry(site).or_insert_with(|| TokenBucket::new(rate, now)).take(rate, now, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const RATE: Rate = Rate { per_s: 1, burst: 600 };

    fn site(address: u32) -> Site {
        Site::of(Ipv4Addr::from_bits(address).into())
    }

    #[test]
    fn a_flood_is_refused_and_does_not_touch_others() {
        let mut paces = Paces::new(RATE);
        let admitted = (0..5_000).filter(|_| paces.admit(Timestamp::ZERO, site(1)).is_ok()).count();
        assert_eq!(admitted, RATE.burst as usize);
        assert_eq!(paces.admit(Timestamp::ZERO, site(1)), Err(1000));
        assert_eq!(paces.admit(Timestamp::ZERO, site(2)), Ok(()));
    }

    #[test]
    fn addresses_are_forgotten_once_they_owe_nothing() {
        let mut paces = Paces::new(RATE);
        for address in 0..PACES_SWEEP as u32 {
            paces.admit(Timestamp::ZERO, site(address)).unwrap();
        }
        paces.admit(Timestamp::from_millis(5_000), site(u32::MAX)).unwrap();
        assert_eq!(paces.buckets.len(), 1);
    }
}
