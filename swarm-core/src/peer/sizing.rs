//! How much to ask of a link: the size of a request and how much may be outstanding (M6, DESIGN §7); and how much
//! may wait on its way out.
//!
//! Outstanding bytes must cover a round trip and the other side's queue, or the link runs dry; anything
//! beyond delays what turns out to be urgent. Requests start small and double as they complete, so that a
//! slow or dishonest link never holds more than it has earned.

use std::time::Duration;

use crate::limits::{GROUP_BYTES, REQUEST_GROUPS_MAX};
use crate::time::micros;

/// Least outstanding bytes of a link: two groups, so that one is on its way while one is asked for.
const PIPELINE_BYTES_MIN: u64 = 32 * 1024;
/// Most outstanding bytes of a link.
const PIPELINE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Beyond the round trip, outstanding bytes last this long: the other side's queue and our own pauses.
const PIPELINE_SLACK: Duration = Duration::from_millis(250);
/// A request lasts about this long at the link's rate.
const REQUEST_TIME: Duration = Duration::from_millis(250);

/// Least bytes that may wait on a data channel, natively until they are acknowledged: two groups.
const CHANNEL_BYTES_MIN: u64 = 32 * 1024;
/// Most on a path that is not long: more in one burst overflows the socket of a browser that is busy playing (its
/// kernel buffer holds about 92 packets).
const CHANNEL_BYTES_SHORT_PATH: u64 = 128 * 1024;
/// Most on any path.
pub(crate) const CHANNEL_BYTES_MAX: u64 = 1024 * 1024;
/// Beyond a round trip, what waits on a channel lasts about this long at the link's upload rate.
const CHANNEL_TIME: Duration = Duration::from_millis(100);

/// Bytes that may wait on the data channel of a link of the given upload rate (bytes/s) and round-trip times: the
/// usual one, and the path's own if measured. Twice what a long path holds, so that the link finds out what it
/// can carry.
pub(crate) fn channel_bytes_max(rate: u64, rtt: Duration, rtt_least: Option<Duration>) -> u64 {
    let path = bytes_in(rate, rtt_least.unwrap_or_default() * 2);
    let most = path.clamp(CHANNEL_BYTES_SHORT_PATH, CHANNEL_BYTES_MAX);
    bytes_in(rate, rtt.saturating_add(CHANNEL_TIME)).clamp(CHANNEL_BYTES_MIN, most)
}

/// Bytes that may be outstanding on a link of the given rate (bytes/s) and round-trip time.
pub(crate) fn pipeline_target_bytes(rate: u64, rtt: Duration) -> u64 {
    bytes_in(rate, rtt.saturating_add(PIPELINE_SLACK)).clamp(PIPELINE_BYTES_MIN, PIPELINE_BYTES_MAX)
}

/// Bytes that a link of `rate` (bytes/s) carries in `time`.
pub(crate) fn bytes_in(rate: u64, time: Duration) -> u64 {
    rate.saturating_mul(micros(time)) / 1_000_000
}

/// The size of a link's next request: 1 group, doubled by every request that completes.
#[derive(Debug, Clone)]
pub(crate) struct RequestSize {
    earned_groups: u32,
}

impl RequestSize {
    pub(crate) const fn new() -> Self {
        Self { earned_groups: 1 }
    }

    /// The link leads to somebody who knows what it can do: two groups at a time.
    pub(crate) fn settled(&mut self) {
        self.earned_groups = self.earned_groups.max(2);
    }

    /// A request completed.
    pub(crate) fn completed(&mut self) {
        self.earned_groups = (self.earned_groups * 2).min(REQUEST_GROUPS_MAX);
    }

    /// Bytes that may be outstanding on a link that is finding out what it carries.
    pub(crate) fn earned_bytes(&self) -> u64 {
        match self.earned_groups {
            REQUEST_GROUPS_MAX => u64::MAX,
            groups => u64::from(groups) * u64::from(GROUP_BYTES),
        }
    }

    /// A request failed: start over.
    pub(crate) const fn failed(&mut self) {
        self.earned_groups = 1;
    }

    /// Groups to ask for, given the link's rate; with `slack` until they are due, at most what arrives in a
    /// quarter of it, so that a wrong estimate can still be mended elsewhere.
    pub(crate) fn groups(&self, rate: u64, slack: Option<Duration>) -> u32 {
        let time = slack.map_or(REQUEST_TIME, |slack| (slack / 4).min(REQUEST_TIME));
        let worth = bytes_in(rate, time) / u64::from(GROUP_BYTES);
        let worth = u32::try_from(worth).unwrap_or(REQUEST_GROUPS_MAX);
        worth.clamp(1, self.earned_groups)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_pipeline_covers_a_round_trip_and_a_quarter_second() {
        let rtt = Duration::from_millis(50);
        assert_eq!(pipeline_target_bytes(1_000_000, rtt), 300_000);
        assert_eq!(pipeline_target_bytes(10_000, rtt), 32 * 1024);
        assert_eq!(pipeline_target_bytes(u64::MAX, rtt), 2 * 1024 * 1024);
    }

    #[test]
    fn a_channel_holds_more_on_a_long_path_only() {
        let channel = |rate, rtt, least: Option<u64>| {
            channel_bytes_max(rate, Duration::from_millis(rtt), least.map(Duration::from_millis))
        };
        assert_eq!(channel(500_000, 20, Some(20)), 60_000);
        assert_eq!(channel(20_000_000, 10, Some(2)), 128 * 1024);
        assert_eq!(channel(20_000_000, 50, None), 128 * 1024);
        assert_eq!(channel(4_000_000, 100, Some(100)), 800_000);
        assert_eq!(channel(4_000_000, 300, Some(100)), 800_000, "what waits on the path is not the path's");
        assert_eq!(channel(40_000_000, 100, Some(100)), 1024 * 1024);
        assert_eq!(channel(1000, 20, Some(20)), 32 * 1024);
    }

    #[test]
    fn requests_double_up_to_a_quarter_second_of_the_link() {
        let mut size = RequestSize::new();
        let rate = 1_250_000; // 10 Mbit/s: a quarter second is 19 groups
        let sizes: Vec<u32> = (0..7)
            .map(|_| {
                let groups = size.groups(rate, None);
                size.completed();
                groups
            })
            .collect();
        assert_eq!(sizes, [1, 2, 4, 8, 16, 19, 19]);
        assert_eq!(size.groups(u64::MAX / 2, None), 64);
        assert_eq!(size.groups(rate, Some(Duration::from_millis(200))), 3);
        assert_eq!(size.groups(rate, Some(Duration::ZERO)), 1);
        size.failed();
        assert_eq!(size.groups(rate, None), 1);
    }
}
