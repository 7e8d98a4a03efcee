//! One neighbour's data channel: the bytes that wait there, how fast they leave, and how many may wait.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits::GROUP_BYTES;
use crate::peer::flow::{DelayWindow, LeastLately, bytes_in};
use crate::peer::neighbours::Rate;
use crate::peer::tuning::{
    BASE_BUCKET, CHANNEL_DELAY_LOW, CHANNEL_DELAY_TARGET, CHANNEL_FIRST, CHANNEL_MAX, CHANNEL_MIN,
    CHANNEL_STUCK, CHANNEL_STUCK_BYTES, FRAME_GROUPS, FRAME_TIME, GROUP,
};
use crate::time::{Timestamp, micros};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Channel {
    buffered_bytes: u64,
    rate: Rate,
    /// When bytes last left, or began to wait; and the bytes that all channels had carried by then.
    last_drain: Timestamp,
    carried_before: u64,
    /// The low-water mark that the driver was told.
    low_water_bytes: u64,
    /// Bytes handed over and carried since the link opened.
    handed: u64,
    carried: u64,
    /// Frames that have not left.
    frames: VecDeque<Frame>,
    /// Recent least time from handing a frame over to hearing that it has left, µs.
    base: LeastLately,
    window: DelayWindow,
}

/// A frame that has not left.
#[derive(Debug, Clone, Copy)]
struct Frame {
    at: Timestamp,
    /// Bytes handed over up to its end.
    handed: u64,
    /// Expected wait for its turn at the uplink.
    turn: Duration,
}

/// The bytes that have left a channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drained {
    pub(crate) bytes: u64,
    /// By how much the time of a frame exceeded the least time, if a whole frame has left.
    pub(crate) delay: Option<Duration>,
}

impl Channel {
    pub(crate) fn new(now: Timestamp, rate_guess: u64) -> Self {
        Self {
            buffered_bytes: 0,
            rate: Rate::new(rate_guess),
            last_drain: now,
            carried_before: 0,
            low_water_bytes: 0,
            handed: 0,
            carried: 0,
            frames: VecDeque::new(),
            base: LeastLately::new(BASE_BUCKET),
            window: DelayWindow::new(
                CHANNEL_FIRST,
                CHANNEL_MIN..=CHANNEL_MAX,
                CHANNEL_DELAY_LOW..CHANNEL_DELAY_TARGET,
            ),
        }
    }

    pub(crate) const fn buffered_bytes(&self) -> u64 {
        self.buffered_bytes
    }

    /// A frame is handed to the channel. `carried`: bytes that all channels have carried since the start. `turn`: how long an
    /// uplink that serves its channels in turn takes to send the bytes that wait on this one.
    pub(crate) fn handed_over(&mut self, now: Timestamp, bytes: u64, carried: u64, turn: Duration) {
        self.rate.begin(now);
        if self.buffered_bytes == 0 {
            self.last_drain = now;
            self.carried_before = carried;
        }
        self.buffered_bytes += bytes;
        self.handed += bytes;
        self.frames.push_back(Frame { at: now, handed: self.handed, turn });
    }

    /// The driver says how much still waits. Returns the bytes that have left. `rtt`: the link's round trip. `path`: time of a
    /// frame on an idle path, if known. `uplink_queue`: how long frames of all channels wait. `carried`: bytes of all channels.
    pub(crate) fn drained(
        &mut self,
        now: Timestamp,
        buffered_bytes: u64,
        (rtt, path): (Duration, Option<Duration>),
        (uplink_queue, carried): (Duration, u64),
    ) -> Drained {
        let buffered_bytes = buffered_bytes.min(self.buffered_bytes);
        let bytes = self.buffered_bytes - buffered_bytes;
        self.rate.carried(now, bytes);
        self.buffered_bytes = buffered_bytes;
        self.carried += bytes;
        if bytes > 0 {
            self.last_drain = now;
            self.carried_before = carried;
        }
        if buffered_bytes == 0 {
            self.rate.end(now);
        }
        let mut newest = None;
        while let Some(frame) = self.frames.pop_front_if(|frame| frame.handed <= self.carried) {
            newest = Some(frame);
        }
        // The first frame of a channel with an unknown path shows nothing: it may have waited behind frames of other channels.
        let delay = newest.and_then(|frame| {
            let delay = i64::try_from(micros(now.since(frame.at))).unwrap_or(i64::MAX);
            let path = path.map(|path| i64::try_from(micros(path)).unwrap_or(i64::MAX));
            let least = self.base.least().into_iter().chain(path).min();
            self.base.add(now, delay);
            Some(Duration::from_micros(u64::try_from(delay - least?).unwrap_or(0)))
        });
        if let Some(delay) = delay {
            let is_limit = self.buffered_bytes + bytes + GROUP > self.window.bytes();
            // The wait at the uplink, in one queue for all channels or for the channel's turn, is not due to the receiver.
            let turn = newest.map_or(Duration::ZERO, |frame| frame.turn);
            let own = delay.saturating_sub(uplink_queue.max(turn));
            self.window.delivered(bytes, rtt, own, is_limit);
        }
        Drained { bytes, delay }
    }

    /// Whether nothing has left for a while, although other channels have carried much since. A stuck channel does not hold up
    /// others. `carried`: bytes of all channels since the start. The bytes are compared, too, because on a slow uplink a
    /// channel waits long for its turn.
    pub(crate) fn is_stuck(&self, now: Timestamp, carried: u64) -> bool {
        now >= self.last_drain + CHANNEL_STUCK && carried >= self.carried_before + CHANNEL_STUCK_BYTES
    }

    /// When bytes last left, or began to wait, if any wait.
    pub(crate) fn waits_since(&self) -> Option<Timestamp> {
        (self.buffered_bytes > 0).then_some(self.last_drain)
    }

    /// Expected wait of the frame that was handed over last for its turn.
    pub(crate) fn turn(&self) -> Duration {
        self.frames.back().map_or(Duration::ZERO, |frame| frame.turn)
    }

    /// Most bytes that may wait. Bytes here cannot be cancelled, promoted or overtaken.
    pub(crate) const fn bytes_max(&self) -> u64 {
        self.window.bytes()
    }

    /// Groups in a frame: few where the channel is slow.
    pub(crate) fn frame_groups(&self) -> u32 {
        frame_groups(self.rate.bytes_per_s())
    }

    /// A new low-water mark for the driver, if it differs by a quarter. It is three quarters of the bytes that wait or may
    /// wait, so that of two frames the departure of the first is reported.
    pub(crate) fn new_low_water(&mut self, bytes_max: u64) -> Option<u64> {
        let wanted = bytes_max.min(self.buffered_bytes) / 4 * 3;
        let is_news =
            self.buffered_bytes > 0 && wanted.abs_diff(self.low_water_bytes) * 4 > self.low_water_bytes;
        if is_news {
            self.low_water_bytes = wanted;
        }
        is_news.then_some(wanted)
    }
}

fn frame_groups(rate: u64) -> u32 {
    let groups = bytes_in(rate, FRAME_TIME) / u64::from(GROUP_BYTES);
    u32::try_from(groups).unwrap_or(FRAME_GROUPS).clamp(1, FRAME_GROUPS)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn frames_grow_with_the_rate() {
        assert_eq!([100_000, 1_700_000, 100_000_000].map(frame_groups), [1, 2, 3]);
    }
}
