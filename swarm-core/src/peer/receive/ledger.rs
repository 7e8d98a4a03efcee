//! Open requests: which group is requested from which neighbour.
//!
//! The only writer of the set of groups that have a live request. A group is requested from one neighbour at a time. The
//! answer to a cancelled request may still come, which breaks no rule.

mod source;

use std::time::Duration;

pub(crate) use source::{Ask, Source};

use crate::group::{Geometry, GroupRange};
use crate::group_set::GroupSet;
use crate::id::LinkId;
use crate::peer::flow::bytes_in;
use crate::peer::sorted::ByLink;
use crate::peer::tuning::{DELAY_LOW, GROUP, PROBATION};
use crate::peer_message::Class;
use crate::time::Timestamp;

/// Which request a payload answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A live request, made at this time in this class.
    Asked(Timestamp, Class),
    /// A cancelled request.
    Cancelled,
    /// No request.
    Unasked,
}

/// Open requests at all neighbours.
#[derive(Debug)]
pub(crate) struct Ledger {
    geometry: Geometry,
    sources: ByLink<Source>,
    asked: GroupSet,
    outstanding_bytes: u64,
    /// Sum over the sources; its only writer is [`Source::weigh`].
    in_flight_bytes: u64,
}

impl Ledger {
    pub(crate) fn new(geometry: Geometry) -> Self {
        let asked = GroupSet::empty(geometry.group_count());
        Self { geometry, sources: ByLink::new(), asked, outstanding_bytes: 0, in_flight_bytes: 0 }
    }

    /// Groups with a live request.
    pub(crate) const fn asked(&self) -> &GroupSet {
        &self.asked
    }

    /// Bytes of all live requests.
    pub(crate) const fn outstanding_bytes(&self) -> u64 {
        self.outstanding_bytes
    }

    /// Of these, the bytes that count as in flight.
    pub(crate) const fn in_flight_bytes(&self) -> u64 {
        self.in_flight_bytes
    }

    /// The same of some neighbours.
    pub(crate) fn in_flight_bytes_of(&self, is_meant: impl Fn(LinkId) -> bool) -> u64 {
        let meant = self.sources.iter().filter(|(link, _)| is_meant(*link));
        meant.map(|(_, source)| source.on_their_way_bytes()).sum()
    }

    pub(crate) fn source(&self, link: LinkId) -> Option<&Source> {
        self.sources.get(link)
    }

    pub(crate) fn sources(&self) -> impl Iterator<Item = (LinkId, &Source)> {
        self.sources.iter()
    }

    /// Begins to keep account of a link, with its first window in bytes and its expected rate in bytes a second.
    pub(crate) fn opened(&mut self, now: Timestamp, link: LinkId, window: u64, rate: u64) {
        self.sources.entry(link, || Source::new(now, window, rate));
    }

    /// A link sends these groups before it is asked.
    pub(crate) fn sends_ahead(&mut self, link: LinkId, ahead: GroupRange) {
        self.sources.value_mut(link).into_iter().for_each(|source| source.ahead = ahead);
    }

    /// A better guess of a link's rate, bytes a second. A measured rate stays.
    pub(crate) fn expect(&mut self, link: LinkId, rate: u64) {
        self.sources.value_mut(link).into_iter().for_each(|source| source.rate.expect(rate));
    }

    /// Groups are requested from a link, or requested again in another class. The answer is expected in `eta`.
    pub(crate) fn ask(
        &mut self,
        now: Timestamp,
        link: LinkId,
        range: GroupRange,
        (class, eta): (Class, Duration),
    ) {
        let expected = now + eta;
        let Some(source) = self.sources.value_mut(link) else { return };
        if source.asks.is_empty() {
            source.last_progress = now;
            source.rate.begin(now);
        }
        for group in range.iter() {
            let bytes = self.geometry.len_bytes(GroupRange::one(group));
            match source.asks.value_mut(group) {
                Some(ask) => {
                    source.outstanding[ask.class as usize] -= ask.bytes;
                    // The wait of a promoted request counts from its promotion: until then the sender served it in turn.
                    *ask = Ask { class, at: now, expected, ..*ask };
                }
                None => {
                    source.asks.entry(group, || Ask { class, at: now, expected, bytes });
                    self.outstanding_bytes += bytes;
                }
            }
            source.outstanding[class as usize] += bytes;
            self.asked.insert(GroupRange::one(group));
        }
        source.weigh(&mut self.in_flight_bytes);
    }

    /// Removes requests for groups from a link. If `may_come`, their payload may still come.
    pub(crate) fn strike(&mut self, now: Timestamp, link: LinkId, range: GroupRange, may_come: bool) {
        let Some(source) = self.sources.value_mut(link) else { return };
        let groups: Vec<u32> = source.asks.within(range).to_vec();
        for group in groups {
            let Some(ask) = source.asks.remove(group) else { continue };
            source.outstanding[ask.class as usize] -= ask.bytes;
            self.outstanding_bytes -= ask.bytes;
            self.asked.remove(GroupRange::one(group));
            if may_come {
                source.cancelled.insert(group);
            }
        }
        if source.asks.is_empty() {
            source.rate.end(now);
        }
        source.weigh(&mut self.in_flight_bytes);
    }

    /// Payload came from a link. Returns which request its first group answers. Removes the requests for all its groups.
    pub(crate) fn came(&mut self, now: Timestamp, link: LinkId, range: GroupRange) -> Answer {
        let bytes = self.geometry.len_bytes(range);
        let Some(source) = self.sources.value_mut(link) else { return Answer::Unasked };
        source.last_progress = now;
        source.silent_since = None;
        source.rate.carried(now, bytes);
        let first = source.asks.get(range.start).copied();
        let is_any = |group: u32| source.asks.has(group) || source.cancelled.contains(&group);
        let is_all = range.iter().all(is_any);
        // A group whose request was cancelled and made again may come twice.
        for group in range.iter() {
            if !source.asks.has(group) {
                source.cancelled.remove(&group);
            }
        }
        self.strike(now, link, range, false);
        match first {
            Some(ask) if is_all => Answer::Asked(ask.at, ask.class),
            None if is_all => Answer::Cancelled,
            Some(_) | None => Answer::Unasked,
        }
    }

    /// An answer came after `response`, having waited at its sender for `waited`, over a path with this round trip.
    pub(crate) fn answered(
        &mut self,
        (link, rtt): (LinkId, Duration),
        (class, response): (Class, Duration),
        waited: Duration,
        bytes: u64,
    ) {
        let Some(source) = self.sources.value_mut(link) else { return };
        source.rtt = rtt;
        let is_limit = source.outstanding.iter().sum::<u64>() + bytes + GROUP > source.window.bytes();
        source.window.delivered(bytes, rtt, waited, is_limit);
        // A publisher's pushes leave before its answers, so a wait of its answers says nothing about the path, which
        // carries both.
        source.window.fits(bytes_in(source.rate.bytes_per_s(), rtt + DELAY_LOW));
        if class != Class::Urgent {
            source.response = Some(source.response.map_or(response, |usual| (usual * 7 + response) / 8));
        }
        source.weigh(&mut self.in_flight_bytes);
    }

    /// A neighbour said how long its urgent backlog is, at a time of its clock. An earlier statement may arrive later.
    pub(crate) fn backlogged(&mut self, now: Timestamp, link: LinkId, sent_ms: u32, backlog: Duration) {
        let Some(source) = self.sources.value_mut(link) else { return };
        if source.backlog_at.is_none_or(|at| sent_ms.wrapping_sub(at).cast_signed() >= 0) {
            source.backlog_at = Some(sent_ms);
            source.backlog = backlog;
            source.backlog_heard = now;
            source.weigh(&mut self.in_flight_bytes);
        }
    }

    /// Computes again how many bytes count as in flight, by the age of the requests.
    pub(crate) fn look_over(&mut self, now: Timestamp) {
        for (_, source) in self.sources.iter_mut() {
            source.look_over(now);
            source.weigh(&mut self.in_flight_bytes);
        }
    }

    /// A neighbour turned a request down for lack of room.
    pub(crate) fn is_busy(&mut self, now: Timestamp, link: LinkId) {
        let Some(source) = self.sources.value_mut(link) else { return };
        source.window.collapse();
        source.silent_since = Some(now);
    }

    /// Counts a failure of a neighbour, for the tracker.
    pub(crate) fn failed(&mut self, link: LinkId) {
        self.sources.value_mut(link).into_iter().for_each(|source| source.failures += 1);
    }

    /// Failures of a neighbour since the last call.
    pub(crate) fn take_failures(&mut self, link: LinkId) -> u32 {
        self.sources.value_mut(link).map_or(0, |source| std::mem::take(&mut source.failures))
    }

    /// Finds neighbours that became silent, removes all their requests, and returns these, to be cancelled. A neighbour
    /// that has been silent for long enough is asked again.
    pub(crate) fn silence(
        &mut self,
        now: Timestamp,
        rtt: impl Fn(LinkId) -> Duration,
    ) -> Vec<(LinkId, GroupRange)> {
        let mut taken = Vec::new();
        // A mirror sends a fetch as a whole; its deadline is kept with the fetch.
        for (link, source) in self.sources.iter_mut().filter(|(link, _)| !link.is_mirror()) {
            if source.silent_since.is_some_and(|since| now >= since + PROBATION) {
                source.silent_since = None;
                source.last_progress = now;
            }
            let is_new = source.silent_since.is_none() && now >= source.silent_at(rtt(link));
            if is_new && !source.asks.is_empty() {
                source.silent_since = Some(now);
                source.failures += 1;
                source.window.collapse();
                source.rate.halve();
                taken.extend(
                    crate::group::merged(source.asks.keys().iter().map(|group| GroupRange::one(*group)))
                        .into_iter()
                        .map(|range| (link, range)),
                );
            }
        }
        for (link, range) in &taken {
            self.strike(now, *link, *range, true);
        }
        taken
    }

    /// When [`Ledger::silence`] has something to do (approximate, never late).
    pub(crate) fn silence_deadline(&self, rtt: impl Fn(LinkId) -> Duration) -> Option<Timestamp> {
        let links = self.sources.iter().filter(|(link, _)| !link.is_mirror());
        let due = links.filter_map(|(link, source)| match source.silent_since {
            Some(since) => Some(since + PROBATION),
            None if source.asks.is_empty() => None,
            None => Some(source.silent_at(rtt(link))),
        });
        due.min()
    }

    /// A link closed.
    pub(crate) fn closed(&mut self, now: Timestamp, link: LinkId) {
        self.strike(now, link, self.geometry.all(), false);
        self.sources.remove(link);
    }

    /// The set and the bytes of open requests are sums over the sources, and no group is requested from two sources.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        let mut asked = GroupSet::empty(self.geometry.group_count());
        let mut bytes = 0;
        for (link, source) in self.sources() {
            let mut by_class = [0; 3];
            for (group, ask) in source.asks() {
                assert_eq!(asked.insert(GroupRange::one(group)), 1, "group {group} is asked of two");
                by_class[ask.class as usize] += self.geometry.len_bytes(GroupRange::one(group));
            }
            assert_eq!(by_class, source.outstanding, "{link:?}");
            bytes += source.outstanding_bytes();
        }
        assert_eq!(&asked, &self.asked);
        assert_eq!(bytes, self.outstanding_bytes);
        let in_flight_bytes: u64 = self.sources.values().iter().map(Source::on_their_way_bytes).sum();
        assert_eq!(in_flight_bytes, self.in_flight_bytes);
    }

    /// The neighbour from which a group is requested.
    pub(crate) fn owner(&self, group: u32) -> Option<(LinkId, Ask)> {
        if !self.asked.has(group) {
            return None;
        }
        self.sources.iter().find_map(|(link, source)| Some((link, *source.asks.get(group)?)))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use proptest::prelude::*;

    use super::*;

    const A: LinkId = LinkId(1);
    const B: LinkId = LinkId(2);

    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(Geometry::new(100 * GROUP - 5));
        ledger.opened(Timestamp::ZERO, A, GROUP, 100_000);
        ledger.opened(Timestamp::ZERO, B, GROUP, 100_000);
        ledger
    }

    #[test]
    fn an_answer_that_was_taken_back_is_accepted_once() {
        let mut ledger = ledger();
        let now = Timestamp::from_millis(5);
        ledger.ask(now, A, GroupRange::new(3, 5), (Class::Background, Duration::ZERO));
        ledger.strike(now, A, GroupRange::one(3), true);
        assert_eq!(ledger.came(now, A, GroupRange::one(3)), Answer::Cancelled);
        assert_eq!(ledger.came(now, A, GroupRange::one(3)), Answer::Unasked);
        assert_eq!(ledger.came(now, A, GroupRange::one(4)), Answer::Asked(now, Class::Background));
        assert_eq!(ledger.came(now, B, GroupRange::one(4)), Answer::Unasked);
    }

    #[test]
    fn a_neighbour_that_owes_answers_is_silent_after_two_seconds_and_gets_another_chance() {
        let mut ledger = ledger();
        let rtt = |_| Duration::from_millis(50);
        ledger.ask(Timestamp::ZERO, A, GroupRange::one(3), (Class::Urgent, Duration::ZERO));
        assert!(ledger.silence(Timestamp::from_millis(1999), rtt).is_empty());
        let at = ledger.silence_deadline(rtt).unwrap();
        assert_eq!(at, Timestamp::from_millis(2000));
        assert_eq!(ledger.silence(at, rtt), [(A, GroupRange::one(3))]);
        assert!(ledger.source(A).unwrap().is_silent() && !ledger.asked().has(3));
        assert!(ledger.silence(at + PROBATION, rtt).is_empty());
        assert!(!ledger.source(A).unwrap().is_silent());
        assert_eq!(ledger.take_failures(A), 1);
    }

    /// What is left of a request that was made at 100 ms and is expected 500 ms later.
    fn left(ledger: &mut Ledger, ms: u64, slack_ms: u64) -> Duration {
        ledger.ask(Timestamp::from_millis(100), A, GroupRange::one(3), (Class::Urgent, ms_of(500)));
        let source = ledger.source(A).unwrap();
        let (_, ask) = source.asks().next().unwrap();
        source.left((ask, 0), Timestamp::from_millis(ms), ms_of(slack_ms))
    }

    const fn ms_of(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_request_takes_as_long_as_was_expected_and_then_as_long_again_as_it_is_late() {
        let at = |ms, slack_ms| left(&mut ledger(), ms, slack_ms);
        assert_eq!(at(100, 150), ms_of(500));
        assert_eq!(at(400, 150), ms_of(200));
        assert_eq!(at(750, 150), Duration::ZERO, "the slack explains 150 ms");
        assert_eq!(at(751, 150), ms_of(151));
        assert_eq!(at(700, 0), ms_of(100), "where nothing is explained, each ms counts");
    }

    #[test]
    fn a_request_that_its_sender_passes_over_is_late_whatever_backlog_it_tells() {
        let mut ledger = ledger();
        let at = |ledger: &mut Ledger, ms| {
            // It tells the same short backlog all the time.
            ledger.backlogged(Timestamp::from_millis(ms), A, ms as u32, ms_of(130));
            left(ledger, ms, 150)
        };
        assert_eq!(at(&mut ledger, 700), ms_of(65), "half of the backlog");
        assert_eq!(at(&mut ledger, 880), ms_of(65), "slack and backlog explain 280 ms");
        assert_eq!(at(&mut ledger, 881), ms_of(281));
    }

    #[test]
    fn a_backlog_told_after_a_request_is_what_it_waits_in_and_one_told_before_it_is_not() {
        let mut ledger = ledger();
        ledger.backlogged(Timestamp::from_millis(50), A, 50, ms_of(9000));
        assert_eq!(left(&mut ledger, 400, 150), ms_of(200), "it was part of what was expected");
        ledger.backlogged(Timestamp::from_millis(300), A, 300, ms_of(900));
        assert_eq!(left(&mut ledger, 400, 150), ms_of(350), "until 300 ms and half of 900");
        ledger.backlogged(Timestamp::from_millis(350), A, 350, ms_of(10));
        assert_eq!(left(&mut ledger, 400, 150), ms_of(200), "a short backlog does not make it sooner");
        ledger.backlogged(Timestamp::from_millis(380), A, 320, ms_of(900));
        assert_eq!(ledger.source(A).unwrap().backlog(), ms_of(10), "what was said earlier came later");
    }

    #[test]
    fn the_last_of_several_requests_waits_for_all_of_the_backlog() {
        let mut ledger = ledger();
        ledger.ask(Timestamp::ZERO, A, GroupRange::new(3, 6), (Class::Urgent, Duration::ZERO));
        ledger.backlogged(Timestamp::ZERO + ms_of(10), A, 10, ms_of(600));
        let source = ledger.source(A).unwrap();
        let now = Timestamp::ZERO + ms_of(10);
        let left = source.urgent_asks().map(|(_, turn)| source.left(turn, now, Duration::ZERO));
        assert_eq!(left.collect::<Vec<_>>(), [ms_of(100), ms_of(300), ms_of(500)]);
    }

    #[test]
    fn of_what_is_asked_that_share_is_in_flight_which_its_response_time_leaves_to_the_path() {
        let mut ledger = ledger();
        let class = Class::Background;
        ledger.ask(Timestamp::ZERO, A, GroupRange::new(0, 14), (class, Duration::ZERO));
        assert_eq!(ledger.in_flight_bytes(), 14 * GROUP, "nothing is known of its queue");
        // A round trip of 50 ms and two queues of 150 ms are a path of 350 ms.
        let rtt = ms_of(50);
        ledger.answered((A, rtt), (class, ms_of(300)), Duration::ZERO, GROUP);
        assert_eq!(ledger.in_flight_bytes(), 14 * GROUP, "it answers at once");
        let mut ledger = self::ledger();
        ledger.ask(Timestamp::ZERO, A, GroupRange::new(0, 14), (class, Duration::ZERO));
        ledger.ask(Timestamp::ZERO, B, GroupRange::new(20, 25), (class, Duration::ZERO));
        ledger.answered((A, rtt), (class, ms_of(1400)), Duration::ZERO, GROUP);
        assert_eq!(
            ledger.in_flight_bytes(),
            (14 / 4 + 5) * GROUP + GROUP / 2,
            "a quarter, and all of the other"
        );
        ledger.answered((A, rtt), (Class::Urgent, ms_of(50)), Duration::ZERO, GROUP);
        assert_eq!(ledger.in_flight_bytes(), 17 * GROUP / 2, "urgent answers do not wait in that queue");
        ledger.answered((B, rtt), (Class::Urgent, ms_of(9000)), Duration::ZERO, GROUP);
        assert_eq!(ledger.in_flight_bytes(), 17 * GROUP / 2);
    }

    #[test]
    fn background_that_a_busy_publisher_does_not_answer_is_less_and_less_in_flight() {
        let mut ledger = ledger();
        ledger.ask(Timestamp::ZERO, A, GroupRange::new(0, 14), (Class::Background, Duration::ZERO));
        ledger.answered((A, ms_of(50)), (Class::Background, ms_of(300)), Duration::ZERO, GROUP);
        ledger.look_over(Timestamp::from_millis(350));
        assert_eq!(ledger.in_flight_bytes(), 14 * GROUP, "the path explains it");
        ledger.look_over(Timestamp::from_millis(2450));
        assert_eq!(ledger.in_flight_bytes(), 2 * GROUP, "350 ms of 2,450");
        ledger.check_invariants();
        ledger.strike(Timestamp::from_millis(2450), A, GroupRange::new(0, 14), false);
        ledger.look_over(Timestamp::from_millis(2460));
        assert_eq!(ledger.in_flight_bytes(), 0);
    }

    #[test]
    fn the_window_holds_what_pushes_and_answers_together_bring_in_during_a_round_trip() {
        let mut ledger = ledger();
        let all = GroupRange::new(0, 80);
        // One request waits while 80 groups are pushed within 400 ms.
        ledger.ask(Timestamp::ZERO, A, GroupRange::one(90), (Class::Background, Duration::ZERO));
        for group in all.iter() {
            ledger.came(Timestamp::from_millis(u64::from(group) * 5), A, GroupRange::one(group));
        }
        let rtt = ms_of(100);
        ledger.answered((A, rtt), (Class::Background, ms_of(900)), ms_of(800), GROUP);
        let window = ledger.source(A).unwrap().room_bytes();
        let expected = bytes_in(80 * GROUP * 1000 / 400, rtt + DELAY_LOW);
        assert!(window > expected * 8 / 10 && window < expected * 11 / 10, "{window} for {expected}");
    }

    #[test]
    fn urgent_groups_that_wait_in_a_long_urgent_backlog_are_not_in_flight_but_for_their_share() {
        let mut ledger = ledger();
        ledger.ask(Timestamp::ZERO, A, GroupRange::new(0, 8), (Class::Urgent, Duration::ZERO));
        assert_eq!(ledger.in_flight_bytes(), 8 * GROUP, "nothing is known of its backlog");
        // Path and queues of 350 ms, a backlog of 1,350 ms beyond the round trip.
        ledger.backlogged(Timestamp::from_millis(9), A, 9, ms_of(1350));
        assert_eq!(ledger.in_flight_bytes(), 2 * GROUP);
        ledger.backlogged(Timestamp::from_millis(19), A, 19, ms_of(0));
        assert_eq!(ledger.in_flight_bytes(), 8 * GROUP);
    }

    #[test]
    fn silence_is_found_at_its_deadline_even_if_the_round_trip_is_no_whole_number_of_microseconds() {
        let mut ledger = ledger();
        let rtt = |_| Duration::from_nanos(500_086_175);
        ledger.ask(Timestamp::ZERO, A, GroupRange::one(3), (Class::Urgent, Duration::ZERO));
        let at = ledger.silence_deadline(rtt).unwrap();
        assert_eq!(
            ledger.silence(at, rtt),
            [(A, GroupRange::one(3))],
            "or the timer would never get past it"
        );
    }

    proptest! {
        #[test]
        fn what_is_asked_is_the_sum_of_what_each_neighbour_was_asked(
            steps in prop::collection::vec((0u8..5, any::<bool>(), 0u32..100, 1u32..9), 0..60),
        ) {
            let mut ledger = ledger();
            for (millis, (kind, is_a, start, len)) in (0u64..).zip(steps) {
                let (now, link) = (Timestamp::from_millis(millis), if is_a { A } else { B });
                let range = GroupRange::from((start, len)).and(GroupRange::new(0, 100));
                match kind {
                    0 => range.iter().filter(|group| !ledger.asked().has(*group)).collect::<Vec<_>>()
                        .into_iter().for_each(|group| ledger.ask(now, link, GroupRange::one(group), (Class::Background, Duration::ZERO))),
                    1 => if let Some((link, _)) = ledger.owner(start) {
                        ledger.ask(now, link, GroupRange::one(start), (Class::Urgent, Duration::ZERO));
                    },
                    2 => drop(ledger.came(now, link, range)),
                    3 => ledger.strike(now, link, range, len % 2 == 0),
                    _ if len < 4 => ledger.answered((link, ms_of(u64::from(start))), (Class::Background, ms_of(900)), Duration::ZERO, GROUP),
                    _ if len == 8 => ledger.closed(now, link),
                    _ => {}
                }
                ledger.check_invariants();
            }
        }
    }
}
