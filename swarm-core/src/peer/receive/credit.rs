//! How much may be in flight towards this peer, asked for or pushed (receiver-driven flow control).
//!
//! The bottleneck is often the viewer's own downlink, which a dozen neighbours fill together without knowing of one
//! another. This module measures and bounds the queue in front of it. Frames and pings say when they left, so each link
//! shows its one-way delay. The excess over the link's base delay is time spent in queues. A queue at one sender delays
//! that sender's frames; a queue at the downlink delays all frames. So the least excess of the last 100 to 200 ms is the
//! queue at the downlink. As in LEDBAT (RFC 6817) clocks need not agree.
//!
//! On a long path, a delay shows too late that too much was requested: a window that doubles fills the queue before the
//! first frame that waited arrives, and frames that do not fit the queue are lost. So the rate of arrival counts, too. While
//! a queue shows, the credit is bounded by the bytes that arrive during the path and a short queue.

use std::time::Duration;

use crate::id::LinkId;
use crate::peer::flow::{Capacity, DelayWindow, LeastLately, bytes_in};
use crate::peer::sorted::ByLink;
use crate::peer::tuning::{
    BASE_BUCKET, BASE_SLACK, CREDIT_FIRST, CREDIT_MAX, CREDIT_MIN, CREDIT_URGENT_EXTRA, DELAY_LOW,
    DELAY_TARGET, GROUP, NEWS_MAX, PATH_GUESS, QUEUE_BUCKET, QUEUED_MS_MAX, RATE_SAMPLE_BYTES,
    RATE_SAMPLE_MAX, TRAIN_MS, UPLINK_DELAY_TARGET,
};
use crate::time::{Timestamp, micros};

/// Base delays of one link, ms on two clocks, and its last frame.
#[derive(Debug, Clone, Copy)]
struct Base {
    control: LeastLately,
    data: LeastLately,
    /// When the last train of frames left, when its first frame arrived, and bytes that arrived after that.
    train: Option<(u32, Timestamp, u64)>,
}

impl Base {
    /// The rate at which a train of frames arrives, bytes a second, if this frame belongs to one. Each frame of a train
    /// from the second on gives a rate.
    fn train(&mut self, now: Timestamp, sent_ms: u32, bytes: u64) -> Option<u64> {
        match &mut self.train {
            Some((left, came, after)) if sent_ms.wrapping_sub(*left) <= TRAIN_MS => {
                *after += bytes;
                let span = micros(now.since(*came)).max(1);
                Some(*after * 1_000_000 / span)
            }
            train => {
                *train = Some((sent_ms, now, 0));
                None
            }
        }
    }
}

/// The rate at which payload arrives, in samples. A sample lasts a tenth of a second or a round trip, whichever is longer,
/// because bytes that waited for a lost packet arrive all at once.
#[derive(Debug, Default)]
struct Arrivals {
    since: Timestamp,
    bytes: u64,
    capacity: Capacity,
}

impl Arrivals {
    /// `bytes` came over a path with this round trip. `is_fed`: enough was in flight to keep the downlink busy.
    fn add(&mut self, now: Timestamp, bytes: u64, path: Duration, is_fed: impl Fn(u64) -> bool) {
        self.bytes += bytes;
        let span = now.since(self.since);
        let is_long = self.bytes >= RATE_SAMPLE_BYTES || span >= RATE_SAMPLE_MAX;
        if span >= QUEUE_BUCKET.max(path) && is_long {
            self.capacity.sample(self.bytes * 1_000_000 / micros(span), is_fed(self.capacity.most()));
            self.bytes = 0;
            self.since = now;
        }
    }
}

/// The credit of one peer.
#[derive(Debug)]
pub(crate) struct Credit {
    window: DelayWindow,
    bases: ByLink<Base>,
    excess: LeastLately,
    downlink: Arrivals,
    /// What pushes carried last.
    pushes: Arrivals,
    received_bytes: u64,
    /// Usual time from a request to its answer without our own queue: the path, the sender's transmission and its queue.
    usual_path: Duration,
}

impl Credit {
    pub(crate) fn new() -> Self {
        Self {
            window: DelayWindow::new(CREDIT_FIRST, CREDIT_MIN..=CREDIT_MAX, DELAY_LOW..DELAY_TARGET),
            bases: ByLink::new(),
            excess: LeastLately::new(QUEUE_BUCKET),
            downlink: Arrivals::default(),
            pushes: Arrivals::default(),
            received_bytes: 0,
            usual_path: PATH_GUESS,
        }
    }

    /// Bytes that may be in flight towards this peer.
    pub(crate) const fn bytes(&self) -> u64 {
        self.window.bytes()
    }

    /// Bytes of urgent requests that may be added to those in flight.
    pub(crate) const fn urgent_room(&self, outstanding: u64) -> u64 {
        (self.window.bytes() + CREDIT_URGENT_EXTRA).saturating_sub(outstanding)
    }

    /// How long frames wait in front of the downlink.
    pub(crate) fn queue(&self, now: Timestamp) -> Duration {
        if !self.downlink.capacity.is_busy() {
            return Duration::ZERO;
        }
        Duration::from_millis(self.excess.least_at(now).map_or(0, |least| u64::try_from(least).unwrap_or(0)))
    }

    /// Highest recent rate of a sample, bytes a second; 0 if not known.
    pub(crate) const fn downlink(&self) -> u64 {
        self.downlink.capacity.most()
    }

    /// A ping or its answer came that left at `sent_ms` on the other side's clock. Its delay shows the path and not the queue,
    /// because small packets may overtake payload.
    pub(crate) fn control(&mut self, now: Timestamp, link: LinkId, sent_ms: u32) {
        self.base(link).control.add(now, one_way(now, sent_ms));
    }

    /// A frame of `bytes` came that left at `sent_ms` and waited for `queued_ms` at its sender's uplink, which carries
    /// `uplink` bytes a second; the round trip takes `path`.
    /// `in_flight`: requested bytes that were in flight to us, this frame included. `is_push`: we did not request the frame.
    pub(crate) fn data(
        &mut self,
        now: Timestamp,
        link: LinkId,
        (sent_ms, queued_ms, bytes): (u32, u32, u64),
        (uplink, path): (u64, Duration),
        (in_flight, is_push): (u64, bool),
    ) {
        let transmission = |bytes: u64, rate: u64| {
            i64::try_from((bytes * 1000).checked_div(rate).unwrap_or(0)).unwrap_or(i64::MAX)
        };
        let delay = one_way(now, sent_ms);
        let slack = transmission(bytes, uplink) + i64::try_from(BASE_SLACK.as_millis()).unwrap_or(i64::MAX);
        // The wait at the sender and the longer transmission of a long frame are not our queue. If all receivers of a sender
        // are slow, it takes their queues for its own, so we believe only the delay that it aims at.
        let queued = i64::from(queued_ms.min(QUEUED_MS_MAX));
        let own = queued + transmission(bytes.saturating_sub(GROUP), self.downlink.capacity.most());
        let base = self.base(link);
        base.data.add(now, delay);
        let by_control = base.control.least().map(|least| least.saturating_add(slack));
        let least = base.data.least().into_iter().chain(by_control).min();
        let excess = least.map_or(0, |least| (delay - least - own).max(0));
        self.excess.add(now, excess);
        self.downlink.add(now, bytes, path, |rate| in_flight >= bytes_in(rate, path));
        let rate = self.base(link).train(now, sent_ms, bytes);
        self.received_bytes += bytes;
        if let Some(rate) = rate.filter(|_| self.received_bytes <= CREDIT_FIRST) {
            // The first train arrives at the rate of the path, so the window need not find that rate by doubling. Later trains
            // may have waited for a lost packet and arrive all at once.
            self.window.fits(bytes_in(rate, path + DELAY_LOW));
        }
        let is_limit = in_flight + self.pushed(now, bytes, path, is_push) + GROUP > self.window.bytes();
        let queue = self.queue(now);
        self.window.delivered(bytes, path, queue, is_limit);
        let sending = Duration::from_micros((bytes * 1_000_000).checked_div(uplink).unwrap_or(0));
        let queued = Duration::from_millis(u64::from(queued_ms)).min(UPLINK_DELAY_TARGET);
        self.usual_path = (self.usual_path * 15 + path + sending.min(DELAY_TARGET) + queued) / 16;
        self.bound(queue);
    }

    /// While a queue shows, the credit is at most the bytes that arrive during the path and the middle of the two delays,
    /// plus two groups. With the two groups, peers that share one sender's queue converge to equal rates, because each
    /// keeps the same number of bytes in that queue beyond its rate (TCP Vegas, Brakmo and Peterson 1995).
    fn bound(&mut self, queue: Duration) {
        let most = self.downlink.capacity.most();
        if most > 0 && queue >= DELAY_LOW {
            self.window
                .at_most(bytes_in(most, self.usual_path + (DELAY_LOW + DELAY_TARGET) / 2) + CREDIT_MIN);
        }
    }

    /// The part of the window that a push of these bytes shows to be in use. Pushes have half of the window. Each is under way
    /// until its publisher hears of its arrival: for a round trip, plus the wait until news is sent.
    fn pushed(&mut self, now: Timestamp, bytes: u64, path: Duration, is_push: bool) -> u64 {
        if !is_push {
            return 0;
        }
        self.pushes.add(now, bytes, Duration::ZERO, |_| true);
        bytes_in(self.pushes.capacity.last(), path + NEWS_MAX) * 2
    }

    /// A link closed.
    pub(crate) fn closed(&mut self, link: LinkId) {
        self.bases.remove(link);
    }

    fn base(&mut self, link: LinkId) -> &mut Base {
        let new = LeastLately::new(BASE_BUCKET);
        self.bases.entry(link, || Base { control: new, data: new, train: None })
    }
}

/// Our clock less theirs, ms, modulo 2³² and around zero.
fn one_way(now: Timestamp, sent_ms: u32) -> i64 {
    let now_ms = clock_ms(now);
    i64::from(now_ms.wrapping_sub(sent_ms).cast_signed())
}

/// Our clock as it goes on the wire.
pub(crate) const fn clock_ms(now: Timestamp) -> u32 {
    (now.as_micros() / 1000) as u32
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const A: LinkId = LinkId(1);
    const B: LinkId = LinkId(2);
    const FAST: u64 = 100_000_000;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    const PATH: Duration = Duration::from_millis(50);

    /// A frame from a link whose clock is `offset` ms behind, after `delay` ms.
    fn frame(credit: &mut Credit, ms: u64, link: LinkId, offset: u32, delay: u32) {
        let sent_ms = u32::try_from(ms).unwrap().wrapping_sub(offset).wrapping_sub(delay);
        credit.data(at(ms), link, (sent_ms, 0, GROUP), (FAST, PATH), (CREDIT_FIRST, false));
    }

    /// Frames from A after `delay` ms, one every `interval` ms from `ms` on for so long; the queue after the last.
    fn frames(
        credit: &mut Credit,
        (ms, until): (u64, u64),
        interval: usize,
        delay: u32,
        in_flight: u64,
    ) -> Duration {
        for ms in (ms..until).step_by(interval) {
            let sent_ms = u32::try_from(ms).unwrap() - delay;
            credit.data(at(ms), A, (sent_ms, 0, GROUP), (FAST, PATH), (in_flight, false));
        }
        credit.queue(at(until))
    }

    fn credit() -> Credit {
        let mut credit = Credit::new();
        credit.control(at(1000), A, 995);
        credit.control(at(1000), B, 1000u32.wrapping_sub(700_005));
        credit
    }

    #[test]
    fn a_queue_at_one_sender_is_not_the_downlinks() {
        let mut credit = credit();
        frame(&mut credit, 2000, A, 0, 10);
        frame(&mut credit, 2010, B, 700_000, 400);
        assert_eq!(credit.queue(at(2010)), Duration::ZERO);
        frame(&mut credit, 2300, A, 0, 400);
        frame(&mut credit, 2310, B, 700_000, 300);
        assert_eq!(
            credit.queue(at(2310)),
            Duration::from_millis(275),
            "less the slack of a frame's base delay"
        );
    }

    #[test]
    fn what_a_frame_waited_at_its_senders_uplink_is_not_the_downlinks_queue() {
        let queue = |queued_ms| {
            let mut credit = credit();
            credit.data(at(2000), A, (1600, queued_ms, GROUP), (FAST, PATH), (CREDIT_FIRST, false));
            credit.queue(at(2000))
        };
        assert_eq!(queue(0), Duration::from_millis(375));
        assert_eq!(queue(20), Duration::from_millis(355));
        let most = Duration::from_millis(u64::from(375 - QUEUED_MS_MAX));
        assert_eq!((queue(300), queue(u32::MAX)), (most, most), "no sender lets more wait");
    }

    #[test]
    fn a_downlink_that_carries_less_than_half_of_what_it_can_has_no_queue() {
        let mut credit = credit();
        // 1.6 MB/s without a queue, then half of it, late.
        assert_eq!(frames(&mut credit, (2000, 3000), 10, 10, GROUP), Duration::ZERO);
        assert!((1_500_000..1_700_000).contains(&credit.downlink()), "{}", credit.downlink());
        assert_eq!(frames(&mut credit, (3000, 4000), 19, 600, GROUP), Duration::from_millis(590));
        let bytes = credit.bytes();
        // A third of the rate: late frames waited elsewhere, and the credit is not cut.
        frames(&mut credit, (4000, 4100), 30, 600, GROUP);
        let bytes = bytes.min(credit.bytes());
        assert_eq!(frames(&mut credit, (4120, 6000), 30, 600, GROUP), Duration::ZERO);
        assert!(credit.bytes() >= bytes);
    }

    #[test]
    fn a_downlink_that_has_become_slower_is_found_out_in_seconds_if_enough_is_on_its_way() {
        let mut credit = credit();
        frames(&mut credit, (2000, 3000), 10, 10, CREDIT_FIRST);
        assert_eq!(frames(&mut credit, (3000, 3500), 40, 600, CREDIT_FIRST), Duration::ZERO);
        assert_eq!(frames(&mut credit, (3500, 6000), 40, 600, CREDIT_FIRST), Duration::from_millis(590));
        // If little is in flight, a low rate of arrival says nothing about the downlink.
        let mut credit = self::credit();
        frames(&mut credit, (2000, 3000), 10, 10, CREDIT_FIRST);
        assert_eq!(frames(&mut credit, (3000, 6000), 40, 600, GROUP), Duration::ZERO);
    }

    #[test]
    fn pushes_that_use_their_half_of_the_credit_up_let_it_grow_and_fewer_do_not() {
        // Each is under way for 150 ms: four of them, half of the first credit, are 27 a second.
        let after = |interval: usize| {
            let mut credit = credit();
            for ms in (2000..3000).step_by(interval) {
                let sent_ms = u32::try_from(ms).unwrap() - 10;
                credit.data(at(ms), A, (sent_ms, 0, GROUP), (FAST, PATH), (0, true));
            }
            credit.bytes()
        };
        assert!(after(20) > 3 * CREDIT_FIRST / 2, "{}", after(20));
        assert_eq!(after(50), CREDIT_FIRST);
    }

    #[test]
    fn while_a_queue_shows_the_credit_is_what_arrives_during_the_path_and_a_short_queue() {
        let mut credit = credit();
        // 819 kB/s, first without a queue, then 60 ms late: long before 150 ms would cut the window.
        frames(&mut credit, (2000, 4000), 20, 10, u64::from(u32::MAX));
        assert!(credit.bytes() > 40 * GROUP, "{}", credit.bytes());
        assert_eq!(frames(&mut credit, (4000, 4600), 20, 120, CREDIT_FIRST), Duration::from_millis(110));
        // 50 ms of path and 100 ms of queue are 7.5 groups of it; two more for fairness.
        let groups = credit.bytes() as f64 / GROUP as f64;
        assert!((9.0..10.5).contains(&groups), "{groups}");
    }

    #[test]
    fn credit_shrinks_with_a_queue_at_the_downlink_and_grows_without() {
        let mut credit = credit();
        frame(&mut credit, 2000, A, 0, 10);
        assert_eq!(credit.bytes(), CREDIT_FIRST + GROUP);
        (0..40).for_each(|step| frame(&mut credit, 3000 + step * 10, A, 0, 600));
        assert_eq!(credit.bytes(), CREDIT_MIN);
        assert_eq!(credit.urgent_room(CREDIT_MIN), CREDIT_URGENT_EXTRA);
    }
}
