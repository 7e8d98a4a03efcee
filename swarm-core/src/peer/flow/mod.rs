//! Flow control by queueing delay. One law holds in four places: a receiver's credit, the window at one sender, what may
//! wait on one data channel, and what may be on its way from one uplink. Pure.

mod capacity;
mod least;
mod window;

use std::time::Duration;

pub(crate) use capacity::Capacity;
pub(crate) use least::LeastLately;
pub(crate) use window::DelayWindow;

use crate::time::micros;

/// Bytes that go at a rate, bytes a second, in a time.
pub(crate) fn bytes_in(rate: u64, time: Duration) -> u64 {
    rate.saturating_mul(micros(time)) / 1_000_000
}
