//! One neighbour as a source of groups: its open requests, its window, and when it counts as silent.
//!
//! Only the [ledger](super) changes it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::group::GroupRange;
use crate::peer::flow::DelayWindow;
use crate::peer::neighbours::Rate;
use crate::peer::sorted::ByGroup;
use crate::peer::tuning::{DELAY_LOW, DELAY_TARGET, GROUP, PATH_GUESS, SILENT_MIN, WINDOW_MAX, WINDOW_MIN};
use crate::peer_message::Class;
use crate::time::{Timestamp, micros};

/// The request for one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) class: Class,
    pub(crate) at: Timestamp,
    /// When its answer was expected to come.
    pub(crate) expected: Timestamp,
    pub(super) bytes: u64,
}

/// One neighbour as a source of groups.
#[derive(Debug)]
pub(crate) struct Source {
    pub(super) asks: ByGroup<Ask>,
    /// Groups whose requests were cancelled, and which may still come.
    pub(super) cancelled: BTreeSet<u32>,
    /// What it sends before it is asked.
    pub(super) ahead: GroupRange,
    /// Bytes requested, by class.
    pub(super) outstanding: [u64; 3],
    /// Of these, the bytes that count as in flight.
    pub(super) in_flight_bytes: u64,
    pub(super) window: DelayWindow,
    pub(super) rate: Rate,
    /// Usual time from a background request to its answer.
    pub(super) response: Option<Duration>,
    /// Mean age of its background requests when they were examined last.
    pub(super) waiting: Duration,
    pub(super) rtt: Duration,
    /// Its urgent backlog, as it said last.
    pub(super) backlog: Duration,
    pub(super) backlog_at: Option<u32>,
    /// When we heard that.
    pub(super) backlog_heard: Timestamp,
    pub(super) last_progress: Timestamp,
    pub(super) silent_since: Option<Timestamp>,
    pub(super) failures: u32,
}

impl Source {
    pub(super) fn new(now: Timestamp, window: u64, rate: u64) -> Self {
        Self {
            asks: ByGroup::new(),
            cancelled: BTreeSet::new(),
            ahead: GroupRange::new(0, 0),
            outstanding: [0; 3],
            in_flight_bytes: 0,
            window: DelayWindow::new(window, WINDOW_MIN..=WINDOW_MAX, DELAY_LOW..DELAY_TARGET),
            rate: Rate::new(rate),
            response: None,
            waiting: Duration::ZERO,
            rtt: PATH_GUESS,
            backlog: Duration::ZERO,
            backlog_at: None,
            backlog_heard: now,
            last_progress: now,
            silent_since: None,
            failures: 0,
        }
    }

    pub(crate) fn asks(&self) -> impl Iterator<Item = (u32, Ask)> + '_ {
        self.asks.iter().map(|(group, ask)| (group, *ask))
    }

    /// Urgent requests in the order of groups, each with the number of those before it.
    pub(crate) fn urgent_asks(&self) -> impl Iterator<Item = (u32, (Ask, u32))> + '_ {
        let urgent = self.asks().filter(|(_, ask)| ask.class == Class::Urgent);
        urgent.zip(0..).map(|((group, ask), before)| (group, (ask, before)))
    }

    /// What it sends before it is asked.
    pub(crate) const fn ahead(&self) -> GroupRange {
        self.ahead
    }

    /// The class of the first of these groups that is asked for.
    pub(crate) fn class_of(&self, range: GroupRange) -> Option<Class> {
        self.asks.get(*self.asks.within(range).first()?).map(|ask| ask.class)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.asks.is_empty()
    }

    pub(crate) fn outstanding_bytes(&self) -> u64 {
        self.outstanding.iter().sum()
    }

    /// The requested bytes that count as in flight, by Little's law: an answer is on its way for a round trip and the queues
    /// that the windows allow. For the rest of its time it waits for the sender's uplink, and takes no room at our downlink.
    pub(super) fn on_their_way_bytes(&self) -> u64 {
        let on_its_way = micros(self.rtt + DELAY_TARGET * 2);
        let part =
            |bytes: u64, response: Duration| bytes * on_its_way / micros(response).max(on_its_way).max(1);
        let urgent = self.urgent_bytes();
        let background = self.outstanding_bytes() - urgent;
        // Urgent answers wait only behind the urgent backlog, which the sender tells.
        let response = self.response.unwrap_or_default().max(self.waiting);
        part(urgent, self.rtt + self.backlog) + part(background, response)
    }

    /// Computes the mean age of background requests. A publisher that injects answers none of them for seconds, and then the
    /// usual response is out of date.
    pub(super) fn look_over(&mut self, now: Timestamp) {
        let background = || self.asks.iter().filter(|(_, ask)| ask.class != Class::Urgent);
        let waited: Duration = background().map(|(_, ask)| now.since(ask.at)).sum();
        let count = u32::try_from(background().count()).unwrap_or(u32::MAX);
        self.waiting = waited.checked_div(count).unwrap_or_default();
    }

    /// Requests, the path or the usual response changed: computes again the bytes in flight, and corrects the sum over all
    /// sources.
    pub(super) fn weigh(&mut self, sum_bytes: &mut u64) {
        let in_flight_bytes = self.on_their_way_bytes();
        *sum_bytes = *sum_bytes - self.in_flight_bytes + in_flight_bytes;
        self.in_flight_bytes = in_flight_bytes;
    }

    pub(crate) const fn urgent_bytes(&self) -> u64 {
        self.outstanding[Class::Urgent as usize]
    }

    /// Bytes of background that may be requested now.
    pub(crate) fn room_bytes(&self) -> u64 {
        self.window.bytes().saturating_sub(self.outstanding_bytes())
    }

    pub(crate) const fn rate(&self) -> &Rate {
        &self.rate
    }

    pub(crate) const fn response(&self) -> Option<Duration> {
        self.response
    }

    pub(crate) const fn backlog(&self) -> Duration {
        self.backlog
    }

    /// How much longer the answer to a request is likely to take: the time until it is expected. If it is later than `slack`
    /// and the backlog explain, the time by which it is late instead: a sender that keeps telling a short backlog has passed
    /// the request over. `before`: number of our urgent requests before this one.
    pub(crate) fn left(&self, (ask, before): (Ask, u32), now: Timestamp, slack: Duration) -> Duration {
        let late = now.since(ask.expected);
        if late > slack + self.backlog {
            return late;
        }
        let turn = if self.backlog_heard > ask.at {
            self.backlog_heard + self.turn_in_backlog(before)
        } else {
            ask.at
        };
        ask.expected.max(turn).since(now)
    }

    /// The part of the sender's backlog after which it is likely to answer an urgent request that has this many of ours before
    /// it. It answers ours in their order, so the last one waits for the whole backlog.
    fn turn_in_backlog(&self, before: u32) -> Duration {
        let count = u32::try_from(self.urgent_bytes().div_ceil(GROUP)).unwrap_or(u32::MAX).max(1);
        // The middle of the group's own part.
        self.backlog.saturating_mul(2 * before + 1) / count.saturating_mul(2)
    }

    /// Whether it owes answers and has been silent for too long.
    pub(crate) const fn is_silent(&self) -> bool {
        self.silent_since.is_some()
    }

    /// How long it has owed groups without sending anything.
    pub(crate) fn silence(&self, now: Timestamp) -> Duration {
        if self.asks.is_empty() { Duration::ZERO } else { now.since(self.last_progress) }
    }

    /// When it counts as silent if nothing comes. The time is generous, because background may wait behind the requests of
    /// others.
    pub(super) fn silent_at(&self, rtt: Duration) -> Timestamp {
        let expected = Duration::from_micros(self.outstanding_bytes() * 1_000_000 / self.rate.bytes_per_s());
        let patience = SILENT_MIN.max(rtt * 4).max(expected * 2).max(self.response.unwrap_or_default() * 3);
        self.last_progress + patience
    }
}
