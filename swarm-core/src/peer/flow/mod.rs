//! Flow control by queueing delay. One law governs four windows: a receiver's credit, the window at one sender, the
//! window of one data channel, and the window of one uplink. Pure.

mod capacity;
mod least;
mod window;

use std::time::Duration;

pub(crate) use capacity::Capacity;
pub(crate) use least::LeastLately;
pub(crate) use window::DelayWindow;

use crate::time::micros;

/// Bytes that leave at a rate, in bytes a second, within a time.
pub(crate) fn bytes_in(rate: u64, time: Duration) -> u64 {
    rate.saturating_mul(micros(time)) / 1_000_000
}
