//! Which groups are requested from a mirror: those that no neighbour will deliver in time, and at the start the first ones.
//!
//! A mirror is asked as late as it can still answer, so that peers upload as much as they can. When neighbours will deliver
//! follows from the open requests, their queues and their round trips, as everywhere.

use std::time::Duration;

use super::demand::Need;
use super::picker::{Candidates, View};
use super::repair::{is_stopgap, left};
use super::{Order, Receive};
use crate::group::GroupRange;
use crate::id::LinkId;
use crate::peer::tuning::{
    GROUP, LATE_SLACK, MIRROR_GROUPS_MAX, MIRROR_GROUPS_MIN, MIRROR_PATH, MIRROR_RATE_GUESS, MIRROR_WINDOW,
    MISS, RESCUE_SLACK,
};
use crate::peer_message::Class;
use crate::time::Timestamp;

/// The situation in which a mirror is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    /// No neighbour has sent anything yet, and the policy lets the first groups come from a mirror.
    pub(crate) is_start: bool,
    /// No link has been open for a while, so no neighbour delivers.
    pub(crate) is_alone: bool,
    /// The mirror is also asked for background.
    pub(crate) is_background: bool,
    /// No reader is open yet, but a player is about to open one.
    pub(crate) expects_reader: bool,
}

impl Receive {
    /// A mirror can be asked.
    pub(crate) fn mirror_known(&mut self, now: Timestamp, mirror: LinkId) {
        self.ledger.opened(now, mirror, MIRROR_WINDOW, MIRROR_RATE_GUESS);
    }

    /// Notes which mirror would be asked next, if any.
    pub(crate) fn mirror_at_hand(&mut self, mirror: Option<LinkId>) {
        self.mirror = mirror.map(|mirror| self.mirror_eta(mirror, 1));
    }

    /// Whether a group is not requested from a neighbour that would answer in `eta`, because that is too late and a mirror is
    /// sooner. The group would then come twice, and the neighbour's uplink is better used for groups that come in time.
    pub(super) fn is_left_to_mirror(&self, need: &Need, group: u32, eta: Duration) -> bool {
        self.mirror.is_some_and(|mirror| eta > self.patience(need, group, mirror).max(mirror))
    }

    /// How long a group may take. For a player that waits it is more than nothing: a mirror that is hardly sooner than a
    /// neighbour does not help it.
    fn patience(&self, need: &Need, group: u32, mirror_eta: Duration) -> Duration {
        if need.overdue.has(group) { MISS.max(mirror_eta) } else { self.demand.time_left(need, group) }
    }

    /// The next consecutive groups to request from a mirror. Requests for them at neighbours are cancelled.
    pub(crate) fn plan_mirror(
        &mut self,
        view: &View<'_>,
        mirror: LinkId,
        situation: Situation,
        orders: &mut Vec<Order>,
    ) -> Option<GroupRange> {
        let groups_max = self.mirror_room(mirror)?;
        let range = self.needed_of_mirror(view, mirror, situation, groups_max);
        let (range, class) = match range {
            Some(range) => (range, Class::Urgent),
            None if situation.is_background => (self.next_free(view, groups_max)?, Class::Background),
            None => return None,
        };
        for group in range.iter() {
            if let Some((link, _)) = self.ledger.owner(group) {
                self.take_back(view.now, link, GroupRange::one(group), orders);
            }
        }
        let eta = self.mirror_eta(mirror, u64::from(range.len()));
        self.ledger.ask(view.now, mirror, range, (class, eta));
        Some(range)
    }

    /// Whether a mirror owes any of these groups.
    pub(crate) fn is_owed(&self, mirror: LinkId, range: GroupRange) -> bool {
        self.ledger.source(mirror).is_some_and(|source| source.class_of(range).is_some())
    }

    /// Groups came from a mirror.
    pub(crate) fn mirror_came(&mut self, now: Timestamp, mirror: LinkId, range: GroupRange) {
        self.ledger.came(now, mirror, range);
    }

    /// Groups will not come from a mirror.
    pub(crate) fn mirror_missed(&mut self, now: Timestamp, mirror: LinkId, range: GroupRange) {
        self.ledger.strike(now, mirror, range, false);
    }

    /// How many groups one fetch may have: about as many as come in a second, within the credit or the mirror's window.
    fn mirror_room(&self, mirror: LinkId) -> Option<u32> {
        let source = self.ledger.source(mirror)?;
        let rate = source.rate().measured().unwrap_or(0);
        let worth = u32::try_from(rate / GROUP).unwrap_or(u32::MAX);
        let credit = self.credit.urgent_room(self.ledger.in_flight_bytes());
        // HTTP has its own flow control, so a little may be in flight whatever neighbours send.
        let window = MIRROR_WINDOW.saturating_sub(source.outstanding_bytes());
        let room = u32::try_from(credit.max(window) / GROUP).unwrap_or(u32::MAX);
        let groups = worth.clamp(MIRROR_GROUPS_MIN, MIRROR_GROUPS_MAX).min(room);
        (groups > 0).then_some(groups)
    }

    /// Time until the mirror has delivered this many further groups.
    fn mirror_eta(&self, mirror: LinkId, groups: u64) -> Duration {
        let Some(source) = self.ledger.source(mirror) else { return Duration::MAX };
        let bytes = source.outstanding_bytes() + groups * GROUP;
        MIRROR_PATH + Duration::from_micros(bytes * 1_000_000 / source.rate().bytes_per_s())
    }

    /// The first groups that the mirror has to deliver for the player.
    fn needed_of_mirror(
        &self,
        view: &View<'_>,
        mirror: LinkId,
        situation: Situation,
        groups_max: u32,
    ) -> Option<GroupRange> {
        let needs = if situation.expects_reader && !self.demand.has_readers() {
            self.demand.opening(view.now)
        } else {
            self.demand.needs(view.now)
        };
        // A group that only lacks room in the credit is not late.
        let candidates = Candidates::new(view, &self.ledger, u64::MAX);
        let eta = self.mirror_eta(mirror, 1);
        let within = view.content.geometry().all();
        for need in &needs {
            let is_needed =
                |group: &u32| self.is_for_mirror(view, (need, *group), (&candidates, eta), situation);
            let Some(first) = need.urgent.and(within).iter().find(is_needed) else { continue };
            let limit = GroupRange::new(first, first.saturating_add(groups_max)).and(within);
            let next = |group: &u32| {
                if situation.is_alone {
                    self.is_free(view, *group)
                } else {
                    need.urgent.has(*group) && is_needed(group)
                }
            };
            let more = limit.iter().skip(1).take_while(next).count();
            return Some(GroupRange::new(first, first + 1 + u32::try_from(more).unwrap_or(0)));
        }
        None
    }

    fn is_free(&self, view: &View<'_>, group: u32) -> bool {
        !view.content.held().has(group) && !self.ledger.asked().has(group)
    }

    /// Whether a mirror that answers in `eta` is to be asked for a group.
    fn is_for_mirror(
        &self,
        view: &View<'_>,
        (need, group): (&Need, u32),
        (candidates, eta): (&Candidates<'_>, Duration),
        situation: Situation,
    ) -> bool {
        if view.content.held().has(group) {
            return false;
        }
        let owner = self.ledger.owner(group);
        let is_due_at_once = need.overdue.has(group);
        if owner.is_none() && (situation.is_alone || (situation.is_start && is_due_at_once)) {
            return true;
        }
        let remaining = self.demand.time_left(need, group);
        if remaining > eta * 2 + RESCUE_SLACK {
            return false;
        }
        let expected = match owner {
            Some((link, _)) if link.is_mirror() => return false,
            Some((link, ask)) => self.ledger.source(link).map(|source| {
                let is_stopgap = view.neighbours.get(link).is_some_and(is_stopgap);
                let before = source.urgent_asks().find(|(other, _)| *other == group);
                let before = before.map_or(0, |(_, (_, before))| before);
                left(view, (link, source), (ask, before), LATE_SLACK, is_stopgap)
            }),
            // It is due, and no neighbour was asked because none had room.
            None if remaining < eta && !is_due_at_once => None,
            None => candidates.choose(group, Duration::ZERO, view.advice, None).map(|(_, eta)| eta),
        };
        let patience = self.patience(need, group, eta);
        // A requested group may come later than expected. There must be time left to ask the mirror then.
        let patience =
            if owner.is_some() && !is_due_at_once { patience.saturating_sub(eta) } else { patience };
        expected.is_none_or(|expected| expected > patience)
    }

    /// The next groups that are not requested, from a reader's position on, and then from the beginning.
    fn next_free(&self, view: &View<'_>, groups_max: u32) -> Option<GroupRange> {
        let at = self.demand.playhead().unwrap_or(0).clamp(view.wanted.start, view.wanted.end);
        let parts = [GroupRange::new(at, view.wanted.end), GroupRange::new(view.wanted.start, at)];
        parts.into_iter().find_map(|part| {
            let first = part.iter().find(|group| self.is_free(view, *group))?;
            let limit = GroupRange::new(first, first.saturating_add(groups_max)).and(part);
            let count = limit.iter().take_while(|group| self.is_free(view, *group)).count();
            Some(GroupRange::new(first, first + u32::try_from(count).unwrap_or(0)))
        })
    }
}
