//! A window in bytes that follows a queueing delay: the law of the receiver's credit, and of the windows at one sender, of
//! one data channel and of one uplink. LEDBAT (RFC 6817) aims at a delay in the same way; one cut a
//! round trip is Swift's (Kumar et al., SIGCOMM 2020).
//!
//! ```text
//! delay < low            the window grows by what was delivered: it doubles in a round trip
//! delay < target         it grows by one group a window
//! delay above            it is cut to where the delay would be the target, by half at most
//! ```
//! After a cut the window neither shrinks nor grows until a window's worth of bytes has been delivered: only then does the
//! delay show the effect of the cut. After the first cut it grows half as fast, because it is near the rate of the path. It
//! grows only while it limits what is in flight. Integers only: the same bits natively and in a browser.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use crate::peer::tuning::GROUP;
use crate::time::micros;

/// See the [module](self).
#[derive(Debug, Clone)]
pub(crate) struct DelayWindow {
    bytes: u64,
    min: u64,
    max: u64,
    low: Duration,
    target: Duration,
    /// Bytes to be delivered before the last cut shows.
    settling: u64,
    was_cut: bool,
}

impl DelayWindow {
    /// A window of this many bytes, within bounds, for delays between low and target.
    pub(crate) fn new(bytes: u64, bounds: RangeInclusive<u64>, delays: Range<Duration>) -> Self {
        let (min, max) = bounds.into_inner();
        Self {
            bytes: bytes.clamp(min, max),
            min,
            max,
            low: delays.start,
            target: delays.end,
            settling: 0,
            was_cut: false,
        }
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `bytes` were delivered over a path with this round trip, after a queueing delay. `is_limit`: nearly the whole window was
    /// in use.
    pub(crate) fn delivered(&mut self, bytes: u64, path: Duration, delay: Duration, is_limit: bool) {
        self.delivered_after(bytes, path, (delay, delay), is_limit);
    }

    /// The same with two measures of the delay: one above which the window is cut, and one below which it grows.
    pub(crate) fn delivered_after(
        &mut self,
        bytes: u64,
        path: Duration,
        (cut, grow): (Duration, Duration),
        is_limit: bool,
    ) {
        if self.settling > 0 {
            self.settling = self.settling.saturating_sub(bytes);
        } else if cut > self.target {
            // The window covers the path and the queue. The cut removes the part of the queue beyond the target.
            let excess = u128::from(micros(cut - self.target));
            let span = u128::from(micros(cut)) + u128::from(micros(path));
            let queued = u64::try_from(u128::from(self.bytes) * excess / span).unwrap_or(u64::MAX);
            self.bytes -= queued.min(self.bytes / 2);
            self.bytes = self.bytes.max(self.min);
            self.settling = self.bytes;
            self.was_cut = true;
        } else if is_limit && grow <= self.target {
            let fast = if self.was_cut { bytes / 2 } else { bytes };
            let slow = bytes * GROUP / self.bytes.max(1);
            self.bytes += if grow < self.low { fast.max(slow) } else { slow };
            self.bytes = self.bytes.min(self.max);
        }
    }

    /// Whether a queue has shown the limit of the path.
    pub(crate) const fn was_cut(&self) -> bool {
        self.was_cut
    }

    /// Whether it cannot shrink further.
    pub(crate) const fn is_least(&self) -> bool {
        self.bytes <= self.min
    }

    /// The path holds at least this many bytes.
    pub(crate) fn fits(&mut self, bytes: u64) {
        self.bytes = self.bytes.max(bytes.min(self.max));
    }

    /// The path and its queue hold no more than these bytes. From here on the window grows as after a cut.
    pub(crate) fn at_most(&mut self, bytes: u64) {
        self.bytes = self.bytes.min(bytes.max(self.min));
        self.was_cut = true;
    }

    /// A failure: the window begins at its least again.
    pub(crate) const fn collapse(&mut self) {
        self.bytes = self.min;
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const PATH: Duration = ms(50);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// 16 groups, for delays between 50 and 150 ms.
    fn window() -> DelayWindow {
        DelayWindow::new(16 * GROUP, GROUP..=1000 * GROUP, ms(50)..ms(150))
    }

    /// Delivers one window's worth at a delay; the window afterwards, in groups.
    fn round(window: &mut DelayWindow, delay_ms: u64) -> u64 {
        let groups = window.bytes() / GROUP;
        (0..groups).for_each(|_| window.delivered(GROUP, PATH, ms(delay_ms), true));
        window.bytes() / GROUP
    }

    #[test]
    fn it_doubles_without_a_queue_and_grows_by_one_with_a_short_one() {
        let mut window = window();
        assert_eq!(round(&mut window, 10), 32);
        let grown = round(&mut window, 100);
        assert!((32..=33).contains(&grown), "{grown}");
    }

    #[test]
    fn a_cut_leaves_what_fills_the_path_and_the_target() {
        // Over 90 ms of path and 230 ms of queue the window is 320 ms of what the path carries: 240 ms of it stay.
        let mut short = window();
        short.delivered(GROUP, ms(90), ms(230), true);
        assert_eq!(short.bytes(), 12 * GROUP);
        // The longer the path, the less of the window is a queue.
        let mut long = window();
        long.delivered(GROUP, ms(410), ms(230), true);
        assert_eq!(long.bytes(), 14 * GROUP);
    }

    #[test]
    fn a_cut_takes_half_at_most_and_leaves_the_least() {
        let mut window = window();
        window.delivered(GROUP, PATH, ms(10_000), true);
        assert_eq!(window.bytes(), 8 * GROUP);
        (0..99).for_each(|_| _ = round(&mut window, 10_000));
        assert_eq!(window.bytes(), GROUP);
        assert!(window.is_least());
    }

    #[test]
    fn the_longest_delay_that_a_frame_can_tell_of_cuts_by_half() {
        let max = 1000 * GROUP;
        let mut window = DelayWindow::new(max, GROUP..=max, ms(50)..ms(150));
        window.delivered(GROUP, PATH, ms(u64::from(u32::MAX)), true);
        assert_eq!(window.bytes(), max / 2);
    }

    #[test]
    fn a_window_is_cut_once_before_what_the_cut_left_has_been_delivered() {
        let mut window = window();
        window.delivered(GROUP, PATH, ms(10_000), true);
        (0..8).for_each(|_| window.delivered(GROUP, PATH, ms(10_000), true));
        assert_eq!(window.bytes(), 8 * GROUP, "these left before the cut");
        window.delivered(GROUP, PATH, ms(10_000), true);
        assert_eq!(window.bytes(), 4 * GROUP, "this one after it");
    }

    #[test]
    fn a_window_does_not_grow_before_a_cut_shows_and_then_half_as_fast() {
        let mut window = window();
        window.delivered(GROUP, PATH, ms(10_000), true);
        assert_eq!(round(&mut window, 10), 8, "the answers to what was asked before the cut");
        assert_eq!(round(&mut window, 10), 12);
    }

    #[test]
    fn of_two_delays_one_cuts_and_the_other_lets_it_grow() {
        let mut window = window();
        window.delivered_after(GROUP, PATH, (ms(10), ms(200)), true);
        assert_eq!(window.bytes(), 16 * GROUP, "the last frame waited");
        window.delivered_after(GROUP, PATH, (ms(10), ms(10)), true);
        assert_eq!(window.bytes(), 17 * GROUP);
        window.delivered_after(GROUP, PATH, (ms(10_000), ms(10)), true);
        assert_eq!(window.bytes(), 17 * GROUP / 2);
    }

    #[test]
    fn what_fits_no_more_is_taken_at_once_and_the_window_then_grows_half_as_fast() {
        let mut window = window();
        window.at_most(100 * GROUP);
        assert_eq!(window.bytes(), 16 * GROUP);
        window.at_most(8 * GROUP);
        assert_eq!(round(&mut window, 10), 12, "by half");
        window.at_most(0);
        assert_eq!(window.bytes(), GROUP);
    }

    #[test]
    fn what_does_not_limit_does_not_grow() {
        let mut window = window();
        window.delivered(GROUP, PATH, Duration::ZERO, false);
        assert_eq!(window.bytes(), 16 * GROUP);
    }
}
