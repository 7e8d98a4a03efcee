//! Repair of open requests, ten times a second while a reader is open or the content is nearly complete.
//!
//! 1. *Promotion*: a background request whose group has come into the urgent horizon becomes urgent at the same neighbour.
//!    If that is a publisher, the rules for urgent requests choose the neighbour.
//! 2. *Late moves*: an urgent request whose answer is expected after its deadline moves to a neighbour that is expected to
//!    be sooner by more than a cancellation takes.
//! 3. *Endgame*: once all lacking groups have been requested, all requests become urgent at their neighbours. Then they can
//!    move, too, and the last groups do not wait for the slowest neighbour.

use std::cmp::Reverse;
use std::time::Duration;

use super::ledger::{Ask, Source};
use super::picker::{Candidates, View, eta, group_time, usual_uplink};
use super::{Order, Receive, rtt};
use crate::group::GroupRange;
use crate::id::LinkId;
use crate::peer::neighbours::Link;
use crate::peer::sorted::Sorted;
use crate::peer::tuning::{LATE_SLACK, MISS, MOVE_TENTHS, PUBLISHER_HORIZON, URGENT_HORIZON};
use crate::peer_message::Class;
use crate::tracker_message::Role;

impl Receive {
    /// Whether requests are examined at intervals.
    pub(super) fn is_repairing(&self, view: &View<'_>) -> bool {
        self.ledger.outstanding_bytes() > 0 && (self.demand.has_readers() || self.is_endgame(view))
    }

    /// Whether all lacking groups have been requested. Not at the end of a look-ahead that is not the end of the content:
    /// groups there are not urgent.
    fn is_endgame(&self, view: &View<'_>) -> bool {
        if view.wanted.end < view.content.geometry().group_count() {
            return false;
        }
        let lacking = view.wanted.len() - view.content.held().count_in(view.wanted);
        self.ledger.asked().count() >= lacking
    }

    pub(super) fn repair(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        self.ledger.look_over(view.now);
        self.promote(view, orders);
        self.move_late(view, orders);
    }

    fn promote(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        let is_endgame = self.is_endgame(view);
        let promotable = self.promotable(view, is_endgame);
        if promotable.is_empty() {
            return;
        }
        let usual = usual_uplink(view.neighbours);
        let mut candidates = Candidates::new(view, &self.ledger, self.credit.bytes());
        for ((id, group), &remaining) in promotable.iter() {
            let range = GroupRange::one(group);
            let (Some(link), Some(source)) = (view.neighbours.get(id), self.ledger.source(id)) else {
                continue;
            };
            let mut chosen = (id, eta(link, source, group_time(link, usual)));
            // Even a publisher that answers background is asked last for groups that viewers hold. In the endgame all
            // requests stay at their neighbours.
            if is_stopgap(link) && !is_endgame {
                let Some(choice) = candidates.choose(group, remaining, view.advice, None) else { continue };
                candidates.asked(choice.0);
                chosen = choice;
            }
            let (chosen, eta) = chosen;
            if chosen == id {
                self.ledger.ask(view.now, id, range, (Class::Urgent, eta));
                orders.push(Order::Hasten { link: id, range, remaining });
            } else {
                self.take_back(view.now, id, range, orders);
                self.ask(view.now, (chosen, range, (Class::Urgent, eta), Some(remaining)), orders);
            }
        }
    }

    /// Background requests that are to become urgent, each with the time that is left for it.
    fn promotable(&self, view: &View<'_>, is_endgame: bool) -> Sorted<(LinkId, u32), Duration> {
        let needs = self.demand.needs(view.now);
        let mut found = Sorted::new();
        // Of several reasons the most pressing counts.
        let mut note = |link, group, left: Duration| {
            let least = found.entry((link, group), || left);
            *least = left.min(*least);
        };
        for (link, source) in self.ledger.sources() {
            let background = || source.asks().filter(|(_, ask)| ask.class != Class::Urgent);
            for need in &needs {
                let needed = background().filter(|(group, _)| need.urgent.has(*group));
                needed.for_each(|(group, _)| note(link, group, self.demand.time_left(need, group)));
            }
            if is_endgame {
                // Groups that a player needs come before these.
                background().for_each(|(group, _)| note(link, group, URGENT_HORIZON));
            }
        }
        found
    }

    fn move_late(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        let slack = self.credit.queue(view.now) * 2 + LATE_SLACK;
        let mut late: Vec<(LinkId, u32, Duration)> = Vec::new();
        for (link, source) in self.ledger.sources() {
            let is_stopgap = view.neighbours.get(link).is_some_and(is_stopgap);
            late.extend(
                source
                    .urgent_asks()
                    .map(|(group, turn)| (link, group, left(view, (link, source), turn, slack, is_stopgap))),
            );
        }
        late.retain(|(.., left)| !left.is_zero());
        // The requests that would take longest gain most.
        late.sort_by_key(|(.., left)| Reverse(*left));
        if !late.is_empty() {
            self.move_to_sooner(view, late, orders);
        }
    }

    /// A neighbour gained groups: requests for them at a publisher that was only a stopgap move to it, if it is sooner.
    pub(crate) fn offered(&mut self, view: &View<'_>, gained: &[GroupRange]) -> Vec<Order> {
        let stopgaps = view.neighbours.open().filter(|(_, link)| is_stopgap(link));
        let asks =
            stopgaps.filter_map(|(id, _)| Some((id, self.ledger.source(id)?))).flat_map(|(id, source)| {
                let asks = source.urgent_asks();
                let offered = asks.filter(|(group, _)| gained.iter().any(|range| range.has(*group)));
                offered.map(move |(group, turn)| {
                    (id, group, left(view, (id, source), turn, Duration::ZERO, true))
                })
            });
        let offered: Vec<(LinkId, u32, Duration)> = asks.collect();
        let mut orders = Vec::new();
        if !offered.is_empty() {
            self.move_to_sooner(view, offered, &mut orders);
        }
        orders
    }

    /// Whether a group that is due in `remaining` is expected much later, or cannot be had.
    pub(crate) fn is_missed(&self, view: &View<'_>, group: u32, remaining: Duration) -> bool {
        let expected = match self.ledger.owner(group) {
            Some((link, ask)) => {
                let source = self.ledger.source(link);
                let backlog = source.map_or(Duration::ZERO, Source::backlog);
                let silence = source.map_or(Duration::ZERO, |source| source.silence(view.now));
                Some(backlog.max(silence).max(rtt(view, link).saturating_sub(view.now.since(ask.at))))
            }
            None => {
                // A group that only lacks room in the credit is not a miss.
                let candidates = Candidates::new(view, &self.ledger, u64::MAX);
                candidates.choose(group, Duration::ZERO, view.advice, None).map(|(_, eta)| eta)
            }
        };
        expected.is_none_or(|expected| expected > remaining + MISS)
    }

    /// Moves urgent requests, each with the time that it is expected to take where it is, to neighbours that are much
    /// sooner.
    ///
    /// The rate of a viewer that has sent nothing yet is a guess, and a rich publisher answers in any case. So all such viewers
    /// together are asked for only one at a time of the groups that are due soon.
    fn move_to_sooner(
        &mut self,
        view: &View<'_>,
        late: Vec<(LinkId, u32, Duration)>,
        orders: &mut Vec<Order>,
    ) {
        let needs = self.demand.needs(view.now);
        let mut candidates = Candidates::new(view, &self.ledger, self.credit.bytes());
        let is_rich = |id| view.neighbours.get(id).is_some_and(Link::is_rich_publisher);
        let untried = self.ledger.sources().filter(|(id, _)| self.is_untried(view, *id));
        let mut is_probing = untried.map(|(_, source)| source.urgent_bytes()).sum::<u64>() > 0;
        for (link, group, left) in late {
            let need = needs.iter().find(|need| need.urgent.has(group));
            let remaining = need.map(|need| self.demand.time_left(need, group));
            let due = remaining.unwrap_or(Duration::ZERO);
            let answers = |id, class| view.neighbours.get(id).is_some_and(|link| link.answers(class));
            let class = if remaining.is_some() { Class::Urgent } else { Class::Background };
            // A publisher that serves deadlines only is not asked for groups that no player needs.
            let chosen = candidates.choose(group, due, view.advice, Some(link));
            let chosen = chosen
                .filter(|(other, _)| answers(*other, class))
                .or_else(|| candidates.choose(group, Duration::MAX, view.advice, Some(link)));
            let Some((other, eta)) = chosen else { continue };
            let is_probe = is_rich(link) && due <= PUBLISHER_HORIZON && self.is_untried(view, other);
            if is_probe && is_probing {
                continue;
            }
            let is_answered = answers(other, Class::Urgent);
            if is_answered
                && left > due
                && eta < (left * MOVE_TENTHS / 10).min(left.saturating_sub(LATE_SLACK))
            {
                let range = GroupRange::one(group);
                self.take_back(view.now, link, range, orders);
                self.ask(view.now, (other, range, (Class::Urgent, eta), Some(due)), orders);
                candidates.asked(other);
                is_probing |= is_probe;
            }
        }
    }

    /// Whether the rate of a viewer is unknown: it has told no uplink, and has sent nothing.
    fn is_untried(&self, view: &View<'_>, id: LinkId) -> bool {
        let link = view.neighbours.get(id);
        let is_untold = link.is_some_and(|link| link.role == Role::Viewer && link.uplink_known().is_none());
        is_untold && self.ledger.source(id).is_none_or(|source| !source.rate().is_measured())
    }
}

/// How much longer the answer to a request is likely to take. A neighbour that has been silent for longer than its path and
/// `slack` explain is expected to stay silent for that excess again. At a stopgap the whole backlog counts, because it
/// serves all other viewers, too.
pub(super) fn left(
    view: &View<'_>,
    (id, source): (LinkId, &Source),
    (ask, before): (Ask, u32),
    slack: Duration,
    is_stopgap: bool,
) -> Duration {
    let (slack, path) = if is_stopgap { Default::default() } else { (slack, rtt(view, id)) };
    let left = source.left((ask, before), view.now, slack).max(if is_stopgap {
        source.backlog()
    } else {
        Duration::ZERO
    });
    // Silence counts from the time when the request became urgent: before that it was served in turn.
    let silence = source.silence(view.now).min(view.now.since(ask.at));
    left.max(silence.saturating_sub(path + slack))
}

/// Whether a neighbour is a stopgap, asked only if no viewer can answer: an initial peer that cannot carry all playback by
/// itself. Its requests move without slack.
pub(super) fn is_stopgap(link: &Link) -> bool {
    link.role == Role::Initial && !link.standing().is_rich
}
