//! How often one address may publish.

use std::collections::HashMap;

use swarm_core::Timestamp;

use super::network::Site;
use super::token_bucket::{Rate, TokenBucket};
use crate::limits::{PUBLICATION_BURST, PUBLICATION_RATE_PER_S, PUBLISHERS_SWEEP};

const RATE: Rate = Rate { per_s: PUBLICATION_RATE_PER_S, burst: PUBLICATION_BURST };

/// Who published of late.
#[derive(Debug, Default)]
pub struct Publishers {
    /// Forgotten once nothing is owed.
    buckets: HashMap<Site, TokenBucket>,
}

impl Publishers {
    /// Counts a publication, or says after how many ms it may be tried again.
    pub fn admit(&mut self, now: Timestamp, site: Site) -> Result<(), u32> {
        if self.buckets.len() >= PUBLISHERS_SWEEP && self.buckets.len().is_power_of_two() {
            self.buckets.retain(|_, bucket| !bucket.is_full(RATE, now));
        }
        self.buckets.entry(site).or_insert_with(|| TokenBucket::new(RATE, now)).take(RATE, now, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn site(address: u32) -> Site {
        Site::of(Ipv4Addr::from_bits(address).into())
    }

    #[test]
    fn a_flood_of_publications_is_refused_and_does_not_touch_others() {
        let mut publishers = Publishers::default();
        let admitted = (0..5_000).filter(|_| publishers.admit(Timestamp::ZERO, site(1)).is_ok()).count();
        assert_eq!(admitted, PUBLICATION_BURST as usize);
        assert_eq!(publishers.admit(Timestamp::ZERO, site(1)), Err(1000));
        assert_eq!(publishers.admit(Timestamp::ZERO, site(2)), Ok(()));
    }

    #[test]
    fn publishers_are_forgotten_once_they_owe_nothing() {
        let mut publishers = Publishers::default();
        for address in 0..PUBLISHERS_SWEEP as u32 {
            publishers.admit(Timestamp::ZERO, site(address)).unwrap();
        }
        publishers.admit(Timestamp::from_millis(5_000), site(u32::MAX)).unwrap();
        assert_eq!(publishers.buckets.len(), 1);
    }
}
