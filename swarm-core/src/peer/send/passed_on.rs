//! Which groups were sent to neighbours lately: copies that exist already, or soon will, before they are announced.

use std::collections::{BTreeMap, VecDeque};

use crate::group::GroupRange;
use crate::peer::tuning::ANNOUNCE_TIMEOUT;
use crate::time::Timestamp;

/// Groups that left within the last [`ANNOUNCE_TIMEOUT`], and how often each. What is older has been announced, or
/// does not count.
#[derive(Debug, Default)]
pub(crate) struct PassedOn {
    frames: VecDeque<(Timestamp, GroupRange)>,
    times: BTreeMap<u32, u32>,
}

impl PassedOn {
    /// A frame with these groups is handed over.
    pub(crate) fn add(&mut self, now: Timestamp, range: GroupRange) {
        self.forget(now);
        self.frames.push_back((now, range));
        for group in range.start..range.end {
            *self.times.entry(group).or_default() += 1;
        }
    }

    /// How many neighbours a group was sent to lately.
    pub(crate) fn times(&self, group: u32) -> u32 {
        self.times.get(&group).copied().unwrap_or(0)
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((_, range)) = self.frames.pop_front_if(|(at, _)| now.since(*at) > ANNOUNCE_TIMEOUT) {
            for group in range.start..range.end {
                if let Some(times) = self.times.get_mut(&group) {
                    *times -= 1;
                    if *times == 0 {
                        self.times.remove(&group);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_was_sent_counts_until_it_must_have_been_announced() {
        let mut passed_on = PassedOn::default();
        let at = Timestamp::from_millis;
        passed_on.add(at(0), GroupRange::new(3, 5));
        passed_on.add(at(100), GroupRange::new(4, 5));
        assert_eq!([3, 4, 5].map(|group| passed_on.times(group)), [1, 2, 0]);
        passed_on.add(at(5050), GroupRange::new(9, 10));
        assert_eq!([3, 4, 9].map(|group| passed_on.times(group)), [0, 1, 1]);
        passed_on.add(at(9000), GroupRange::new(9, 10));
        assert_eq!((passed_on.times(4), passed_on.times(9), passed_on.times.len()), (0, 2, 1));
    }
}
