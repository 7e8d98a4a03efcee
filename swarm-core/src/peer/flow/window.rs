//! A window in bytes that follows a queueing delay: the law of the receiver's credit, of what may be outstanding at one
//! sender, and of what may be on its way from one uplink. As in LEDBAT (RFC 6817), but for the fast growth.
//!
//! ```text
//! delay < low            the window grows by what was delivered: it doubles in a round trip
//! delay < target         it grows by one group a window
//! delay above            it shrinks, in a window's worth of deliveries, to where the delay would be the target
//! ```
//! It grows only while it is what limits. Integers only: the same bits natively and in a browser.

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
}

impl DelayWindow {
    /// A window of so many bytes, within bounds, for delays between low and target.
    pub(crate) fn new(bytes: u64, bounds: RangeInclusive<u64>, delays: Range<Duration>) -> Self {
        let (min, max) = bounds.into_inner();
        Self { bytes: bytes.clamp(min, max), min, max, low: delays.start, target: delays.end }
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `bytes` were delivered after a queueing delay; `is_limit`: nearly all of the window was in use.
    pub(crate) fn delivered(&mut self, bytes: u64, delay: Duration, is_limit: bool) {
        if delay > self.target {
            let excess = micros(delay - self.target);
            self.bytes -= (bytes.min(self.bytes) * excess / micros(delay)).min(self.bytes);
        } else if is_limit {
            let is_fast = delay < self.low;
            self.bytes += if is_fast { bytes } else { bytes * GROUP / self.bytes.max(1) };
        }
        self.bytes = self.bytes.clamp(self.min, self.max);
    }

    /// Whether it cannot shrink further.
    pub(crate) const fn is_least(&self) -> bool {
        self.bytes <= self.min
    }

    /// At least so many bytes fit the path.
    pub(crate) fn fits(&mut self, bytes: u64) {
        self.bytes = self.bytes.max(bytes.min(self.max));
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

    fn window() -> DelayWindow {
        DelayWindow::new(
            16 * GROUP,
            GROUP..=1000 * GROUP,
            Duration::from_millis(50)..Duration::from_millis(150),
        )
    }

    /// Delivers one window's worth at a delay; the window afterwards, in groups.
    fn round(window: &mut DelayWindow, delay_ms: u64) -> u64 {
        let groups = window.bytes() / GROUP;
        (0..groups).for_each(|_| window.delivered(GROUP, Duration::from_millis(delay_ms), true));
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
    fn a_long_queue_shrinks_it_to_about_the_target_in_a_round() {
        let mut window = window();
        let shrunk = round(&mut window, 300);
        assert!((7..=9).contains(&shrunk), "{shrunk}");
        (0..99).for_each(|_| _ = round(&mut window, 10_000));
        assert_eq!(window.bytes(), GROUP);
    }

    #[test]
    fn what_does_not_limit_does_not_grow() {
        let mut window = window();
        window.delivered(GROUP, Duration::ZERO, false);
        assert_eq!(window.bytes(), 16 * GROUP);
    }
}
