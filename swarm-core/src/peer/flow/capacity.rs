//! The highest measured rate of one end of a path: of the uplink or of the downlink.

use crate::peer::tuning::CAPACITY_FALL;

/// The rates of samples, bytes a second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Capacity {
    last: u64,
    most: u64,
}

impl Capacity {
    /// `most`: the rate known from an earlier run, 0 if none is.
    pub(crate) const fn new(most: u64) -> Self {
        Self { last: 0, most }
    }

    /// A sample was carried at a rate. `is_fed`: enough was in flight for the highest rate, so a lower one means that the end
    /// has become slower.
    pub(crate) fn sample(&mut self, rate: u64, is_fed: bool) {
        let fallen = if is_fed { self.most - self.most / CAPACITY_FALL } else { self.most };
        self.most = rate.max(fallen);
        self.last = rate;
    }

    /// The rate of the last sample.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// The highest recent rate.
    pub(crate) const fn most(&self) -> u64 {
        self.most
    }

    /// Whether the last sample had at least half of the highest rate. If not, there is no queue in front of this end.
    pub(crate) const fn is_busy(&self) -> bool {
        self.last * 2 >= self.most
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_most_falls_only_while_enough_is_on_its_way() {
        let mut capacity = Capacity::new(1600);
        capacity.sample(100, false);
        assert_eq!((capacity.last(), capacity.most(), capacity.is_busy()), (100, 1600, false));
        capacity.sample(100, true);
        assert_eq!(capacity.most(), 1500);
        (0..99).for_each(|_| capacity.sample(100, true));
        assert!(capacity.is_busy());
        capacity.sample(2000, true);
        assert_eq!(capacity.most(), 2000);
    }
}
