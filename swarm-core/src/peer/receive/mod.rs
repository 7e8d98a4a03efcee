//! Receiving: which groups are needed, from which neighbour they are requested, how much may be in flight, and which
//! requests move.
//!
//! [`Receive`] owns the readers ([`demand`]), the open requests ([`ledger`]) and the credit ([`credit`]). It reads
//! content and neighbours through a [`View`] and returns [`Order`]s; `Peer` turns these into messages.

pub(crate) mod appetite;
mod credit;
mod demand;
mod ledger;
mod media_times;
mod mirrored;
mod orders;
mod picker;
mod repair;

use std::time::Duration;

pub(crate) use credit::clock_ms;
pub(crate) use demand::{Demand, Need};
pub(crate) use ledger::{Answer, Source};
pub(crate) use mirrored::Situation;
pub(crate) use orders::Order;
pub(crate) use picker::View;

use credit::Credit;
use ledger::Ledger;
use orders::joined;
use picker::{Background, Candidates, bits, eta, group_time, usual_uplink};

use super::chance::Chance;
use super::content::Content;
use super::flow::bytes_in;
use super::neighbours::{Link, Neighbours};
use super::tuning::{
    CREDIT_URGENT_EXTRA, DEGREE, DELAY_TARGET, GROUP, REPAIR_INTERVAL, REQUEST_GROUPS_BULK_MAX, REQUEST_TIME,
    RESPONSE_HALVES,
};
use crate::group::{GroupRange, merged};
use crate::group_set::masks;
use crate::id::{LinkId, ReaderId};
use crate::limits::REQUEST_GROUPS_MAX;
use crate::manifest::Manifest;
use crate::peer_message::{Class, DataHead};
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// The receiving half of one peer.
#[derive(Debug)]
pub(crate) struct Receive {
    demand: Demand,
    ledger: Ledger,
    credit: Credit,
    next_repair: Timestamp,
    /// Time in which a mirror would deliver a group, while one may be asked.
    mirror: Option<Duration>,
}

impl Receive {
    pub(crate) fn new(manifest: &Manifest) -> Self {
        Self {
            demand: Demand::new(manifest),
            ledger: Ledger::new(manifest.geometry()),
            credit: Credit::new(),
            next_repair: Timestamp::ZERO,
            mirror: None,
        }
    }

    pub(crate) const fn demand(&self) -> &Demand {
        &self.demand
    }

    /// See [`Demand::set_start_buffer`].
    pub(crate) fn set_start_buffer(&mut self, is_sure: bool, rtt: Duration) {
        self.demand.set_start_buffer(is_sure, rtt);
    }

    pub(crate) fn source(&self, link: LinkId) -> Option<&Source> {
        self.ledger.source(link)
    }

    /// Highest recent rate of arrival, bytes a second.
    pub(crate) fn downlink(&self) -> u64 {
        self.credit.downlink()
    }

    /// Bytes that a publisher may have in flight to this peer, pushed or requested: the credit less the bytes in flight from
    /// viewers, but at least half of it. While a player waits, half of the credit less the groups for which it waits.
    pub(crate) fn push_credit(&self, now: Timestamp, content: &Content, neighbours: &Neighbours) -> u32 {
        let held = content.held();
        let waiting = self.demand.needs(now).iter().map(|need| need.overdue).collect::<Vec<_>>();
        let lacking: u32 = waiting.iter().map(|range| range.len() - held.count_in(*range)).sum();
        let credit = self.credit.bytes();
        let bytes = if lacking > 0 {
            credit.saturating_sub(u64::from(lacking) * GROUP) / 2
        } else {
            let is_viewer = |id| neighbours.get(id).is_some_and(|link| link.role == Role::Viewer);
            credit.saturating_sub(self.ledger.in_flight_bytes_of(is_viewer)).max(credit / 2)
        };
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    pub(crate) fn reader_moved(&mut self, now: Timestamp, reader: ReaderId, group: u32, ahead: Duration) {
        self.demand.moved(now, reader, group, ahead);
    }

    pub(crate) fn reader_closed(&mut self, reader: ReaderId) {
        self.demand.closed(reader);
    }

    /// A link is open: its first window follows from its uplink, announced or expected, bytes a second.
    pub(crate) fn link_opened(
        &mut self,
        now: Timestamp,
        id: LinkId,
        link: &Link,
        expected: Option<u64>,
        usual: u64,
    ) {
        let rate = link.uplink_known().or(expected).unwrap_or_else(|| link.uplink_or(usual)) / DEGREE;
        let window = bytes_in(rate, link.rtt_or_guess() + DELAY_TARGET);
        self.ledger.opened(now, id, window, rate);
        // Otherwise a viewer that calls itself rich would keep others from being asked for the first groups.
        if let Some(playing) = self.demand.playing(now).filter(|_| link.is_rich_publisher()) {
            self.ledger.sends_ahead(id, self.demand.answered_ahead(playing));
        }
    }

    /// A link closed: groups requested there are free again.
    pub(crate) fn link_closed(&mut self, now: Timestamp, id: LinkId) {
        self.ledger.closed(now, id);
        self.credit.closed(id);
    }

    /// The tracker expects a neighbour to send this much, bytes a second.
    pub(crate) fn expect(&mut self, id: LinkId, rate: u64) {
        self.ledger.expect(id, rate);
    }

    /// A ping or its answer came.
    pub(crate) fn control_came(&mut self, now: Timestamp, id: LinkId, sent_ms: u32) {
        self.credit.control(now, id, sent_ms);
    }

    /// A neighbour said how long its urgent backlog is, at a time of its clock.
    pub(crate) fn backlogged(&mut self, now: Timestamp, id: LinkId, sent_ms: u32, backlog_ms: u32) {
        self.ledger.backlogged(now, id, sent_ms, Duration::from_millis(u64::from(backlog_ms)));
    }

    /// Payload of `bytes` came on a link. Returns which request it answers.
    pub(crate) fn data_came(
        &mut self,
        now: Timestamp,
        (id, link): (LinkId, &Link),
        head: &DataHead,
        bytes: u64,
    ) -> Answer {
        let in_flight = self.ledger.in_flight_bytes();
        let answer = self.ledger.came(now, id, head.range);
        let uplink = link.uplink_known().unwrap_or(u64::MAX);
        let path = (uplink, link.rtt_or_guess());
        let is_push = answer == Answer::Unasked;
        self.credit.data(now, id, (head.sent_ms, head.queued_ms, bytes), path, (in_flight, is_push));
        self.backlogged(now, id, head.sent_ms, head.backlog_ms);
        if let Answer::Asked(at, class) = answer {
            let waited = Duration::from_millis(u64::from(head.waited_ms));
            self.ledger.answered((id, link.rtt_or_guess()), (class, now.since(at)), waited, bytes);
        }
        answer
    }

    /// Groups are held: other requests for them are cancelled.
    pub(crate) fn gained(&mut self, now: Timestamp, range: GroupRange) -> Vec<Order> {
        if !self.ledger.asked().has_any(range) {
            return Vec::new();
        }
        let mut orders = Vec::new();
        for group in range.iter() {
            while let Some((link, _)) = self.ledger.owner(group) {
                self.take_back(now, link, GroupRange::one(group), &mut orders);
            }
        }
        orders
    }

    /// The class of the first of these groups that is requested from a neighbour.
    pub(crate) fn class_asked(&self, id: LinkId, range: GroupRange) -> Option<Class> {
        self.ledger.source(id)?.class_of(range)
    }

    /// A neighbour will not send groups.
    pub(crate) fn rejected(&mut self, now: Timestamp, id: LinkId, range: GroupRange, is_busy: bool) {
        self.ledger.strike(now, id, range, true);
        if is_busy {
            self.ledger.is_busy(now, id);
        }
    }

    pub(crate) fn failed(&mut self, id: LinkId) {
        self.ledger.failed(id);
    }

    pub(crate) fn take_failures(&mut self, id: LinkId) -> u32 {
        self.ledger.take_failures(id)
    }

    /// Whether one of these groups is lacking and not requested.
    pub(crate) fn has_free(&self, view: &View<'_>, range: GroupRange) -> bool {
        self.free(view, range).any(|(_, word)| word != 0)
    }

    /// Makes all requests that are needed and possible now.
    pub(crate) fn plan(&mut self, view: &View<'_>, chance: &mut Chance) -> Vec<Order> {
        let needs = self.demand.needs(view.now);
        let mut orders = Vec::new();
        self.request_urgent(view, &needs, &mut orders);
        let barred = Self::urgent_ranges(&needs);
        let ids: Vec<LinkId> = view.neighbours.open().map(|(id, _)| id).collect();
        // Neighbours take turns, from a random one on. Otherwise the first one would always take the whole credit.
        let first = chance.below(u32::try_from(ids.len()).unwrap_or(u32::MAX)) as usize;
        for id in ids.iter().skip(first).chain(ids.iter().take(first)) {
            self.request_background(view, *id, (&needs, &barred), chance, &mut orders);
        }
        self.repair_if_due(view, &mut orders);
        joined(orders)
    }

    /// Makes the requests that are possible at one neighbour now. `is_needed`: it may hold groups that players need soon.
    pub(crate) fn plan_link(
        &mut self,
        view: &View<'_>,
        id: LinkId,
        is_needed: bool,
        chance: &mut Chance,
    ) -> Vec<Order> {
        let needs = self.demand.needs(view.now);
        let mut orders = Vec::new();
        if is_needed {
            self.request_urgent(view, &needs, &mut orders);
        }
        let barred = Self::urgent_ranges(&needs);
        self.request_background(view, id, (&needs, &barred), chance, &mut orders);
        self.repair_if_due(view, &mut orders);
        joined(orders)
    }

    fn urgent_ranges(needs: &[Need]) -> Vec<GroupRange> {
        merged(needs.iter().map(|need| need.urgent))
    }

    /// Requests urgent groups, the earliest deadline first, each from the neighbour that is expected to deliver it first.
    fn request_urgent(&mut self, view: &View<'_>, needs: &[Need], orders: &mut Vec<Order>) {
        if needs.iter().all(|need| !self.has_free(view, need.urgent)) {
            return;
        }
        let mut candidates = Candidates::new(view, &self.ledger, self.credit.bytes());
        if candidates.is_empty() {
            return;
        }
        let is_waiting = needs.iter().any(|need| !need.overdue.is_empty());
        for need in needs {
            let free =
                self.free(view, need.urgent).map(|(index, word)| (index, word & candidates.union(index)));
            let free: Vec<u32> = free.flat_map(|(index, word)| bits(index, word)).collect();
            for group in free {
                let bytes = view.content.geometry().len_bytes(GroupRange::one(group));
                // Groups for which a player waits may use the whole credit, later ones half of it.
                let is_spare = is_waiting && !need.overdue.has(group);
                let in_flight = self.ledger.in_flight_bytes();
                let spared = if is_spare { self.credit.bytes() / 2 + CREDIT_URGENT_EXTRA } else { 0 };
                if self.credit.urgent_room(in_flight + spared) < bytes {
                    return;
                }
                let remaining = self.demand.time_left(need, group);
                let Some((link, eta)) = candidates.choose(group, remaining, view.advice, None) else {
                    continue;
                };
                if self.is_left_to_mirror(need, group, eta) {
                    continue;
                }
                candidates.asked(link);
                let range = GroupRange::one(group);
                self.ask(view.now, (link, range, (Class::Urgent, eta), Some(remaining)), orders);
            }
        }
    }

    /// Fills a neighbour's window with background requests.
    fn request_background(
        &mut self,
        view: &View<'_>,
        id: LinkId,
        (needs, urgent): (&[Need], &[GroupRange]),
        chance: &mut Chance,
        orders: &mut Vec<Order>,
    ) {
        let Some(link) = view.neighbours.get(id) else { return };
        let is_starting = needs.iter().any(|need| !need.overdue.is_empty());
        // While a player waits, the publisher sends only groups that the player needs.
        if is_starting && link.role == Role::Initial {
            return;
        }
        let Some(source) = self.ledger.source(id).filter(|source| !source.is_silent()) else { return };
        let soon = source.response().unwrap_or_default() * RESPONSE_HALVES / 2;
        let soon = needs.iter().map(|need| self.demand.due_within(need, soon));
        let barred = merged(soon.chain(urgent.iter().copied()));
        let reserve: u64 = needs.iter().map(|need| self.reserve(view, need)).sum();
        loop {
            let Some(source) = self.ledger.source(id) else { return };
            let credit = if is_starting { self.credit.bytes() / 2 } else { self.credit.bytes() };
            let credit = credit.saturating_sub(self.ledger.in_flight_bytes() + reserve);
            let room = source.room_bytes().min(credit) / GROUP;
            if room == 0 {
                return;
            }
            let worth = bytes_in(source.rate().bytes_per_s(), REQUEST_TIME) / GROUP;
            let groups_max = worth.clamp(1, u64::from(REQUEST_GROUPS_BULK_MAX)).min(room);
            let groups_max = u32::try_from(groups_max).unwrap_or(1);
            let Some(background) = Background::new(view, &self.ledger, link, &barred) else { return };
            let Some((range, class)) = background.pick(view, groups_max, chance) else { return };
            let eta = self.usual_response(view, id);
            self.ask(view.now, (id, range, (class, eta), None), orders);
        }
    }

    /// Credit that is kept free for groups for which a player waits and which are not requested yet.
    fn reserve(&self, view: &View<'_>, need: &Need) -> u64 {
        let free: u32 = self.free(view, need.overdue).map(|(_, word)| word.count_ones()).sum();
        u64::from(free) * GROUP
    }

    /// Words of the groups of a range that are lacking and not requested.
    fn free<'a>(&'a self, view: &View<'a>, range: GroupRange) -> impl Iterator<Item = (usize, u64)> + 'a {
        let (held, asked) = (view.content.held(), self.ledger.asked());
        masks(range.and(view.content.geometry().all()))
            .map(move |(index, mask)| (index, mask & !(held.word(index) | asked.word(index))))
    }

    fn ask(
        &mut self,
        now: Timestamp,
        (link, range, (class, eta), remaining): (LinkId, GroupRange, (Class, Duration), Option<Duration>),
        orders: &mut Vec<Order>,
    ) {
        self.ledger.ask(now, link, range, (class, eta));
        orders.push(Order::Request { link, range, class, remaining });
    }

    /// Time until a neighbour answers a background request: its usual response, or else that of an urgent request.
    fn usual_response(&self, view: &View<'_>, id: LinkId) -> Duration {
        let (Some(link), Some(source)) = (view.neighbours.get(id), self.ledger.source(id)) else {
            return Duration::ZERO;
        };
        let usual = usual_uplink(view.neighbours);
        source.response().unwrap_or_else(|| eta(link, source, group_time(link, usual)))
    }

    fn take_back(&mut self, now: Timestamp, link: LinkId, range: GroupRange, orders: &mut Vec<Order>) {
        self.ledger.strike(now, link, range, true);
        orders.push(Order::Cancel { link, range });
    }

    /// When [`Receive::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self, view: &View<'_>) -> Option<Timestamp> {
        let silence = self.ledger.silence_deadline(|link| rtt(view, link));
        let repair = self.is_repairing(view).then_some(self.next_repair);
        [silence, repair].into_iter().flatten().min()
    }

    /// Examines open requests. The orders show whether a group became free.
    pub(crate) fn handle_timeout(&mut self, view: &View<'_>) -> Vec<Order> {
        let mut orders: Vec<Order> = Vec::new();
        for (link, range) in self.ledger.silence(view.now, |link| rtt(view, link)) {
            let parts = (range.start..range.end).step_by(REQUEST_GROUPS_MAX as usize);
            orders.extend(parts.map(|start| {
                let part = GroupRange::new(start, start.saturating_add(REQUEST_GROUPS_MAX)).and(range);
                Order::Cancel { link, range: part }
            }));
        }
        self.repair_if_due(view, &mut orders);
        joined(orders)
    }

    /// Examines requests at intervals. The first time is as soon as there is a reason: a reader opens, or all lacking groups
    /// have been requested.
    fn repair_if_due(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        if self.is_repairing(view) && view.now >= self.next_repair {
            self.next_repair = view.now + REPAIR_INTERVAL;
            self.repair(view, orders);
        }
    }
}

fn rtt(view: &View<'_>, link: LinkId) -> Duration {
    view.neighbours.get(link).map_or(Duration::ZERO, Link::rtt_or_guess)
}

#[cfg(test)]
mod tests;
