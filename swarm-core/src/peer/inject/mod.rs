//! Injection: an initial peer's first push of each group, once, to one viewer, in the author's order.
//!
//! While no viewer holds some wanted group, the initial peer does not wait for requests. It pushes the next such group to
//! the viewer that was given least for its uplink, and the viewers spread it among themselves. Announcements of viewers
//! decide which group is next, so injection repairs itself: a group whose last holder leaves, or that was pushed and is not
//! announced in time, is pushed again.
//!
//! After that, viewers that other viewers do not feed get the groups that they lack ([`unfed`]).
//!
//! Several initial peers take turns by segment; one that has finished its own helps the others from the end.

mod claims;
mod economy;
mod feeders;
mod field;
mod order;
mod shares;
mod spread;
mod trial;
mod unfed;

use std::time::Duration;

use economy::{Account, Swarm};
pub(crate) use field::Field;
use order::{Order, due_range, is_complete};
use shares::{Push, Shares};
use spread::{feeder_uplink_min, usual_backlog_max};
use trial::Trials;
use unfed::Unfed;

use super::content::Content;
use super::flow::bytes_in;
use super::input::Economy;
use super::neighbours::{Counts, Link};
use super::send::Departure;
use super::tuning::{CREDIT_FIRST, GROUP, PUSH_MIN, PUSH_TIME, SHARE_LAG, SPREAD_TIME, UPLINK_GUESS};
use crate::group::{GroupRange, merged};
use crate::id::LinkId;
use crate::peer_message::Serving;
use crate::time::Timestamp;
use crate::tracker_message::Share;

/// Least number of other viewers that were linked and wanted a group: with fewer, it proves nothing that none has the group.
const OTHERS_MIN: usize = 2;

/// The injection of one initial peer.
#[derive(Debug)]
pub(crate) struct Inject {
    order: Order,
    shares: Shares,
    trials: Trials,
    /// Only for a thrifty publisher.
    unfed: Option<Unfed>,
    account: Account,
    swarm: Swarm,
    share: Option<Share>,
    /// Viewers of the whole swarm that lack something, by the tracker's word.
    viewers_told: u64,
    /// Uplink of a viewer that has not announced one, bytes a second.
    usual_uplink: u64,
    uplink_min: u64,
    /// An urgent backlog longer than this, ms, is far longer than usual.
    usual_backlog_max: u32,
    /// Groups that players need soon, fresh or not.
    due: Vec<GroupRange>,
    /// Groups that feeders want.
    wanted: Vec<GroupRange>,
    /// Uplinks of all feeders together.
    feeders_uplink: u64,
    /// When fresh groups were pushed last.
    pushed_at: Option<Timestamp>,
    /// Frames sent while injection went first, and how many of them answered urgent requests.
    frames: u64,
    turns_given: u64,
    was_injecting: bool,
    /// Whether background was declined at the last decision.
    was_sparing: bool,
    /// Bytes of the fresh groups that go before requests.
    pressing_bytes: u64,
}

impl Inject {
    pub(crate) fn new(group_count: u32, economy: Economy) -> Self {
        Self {
            order: Order::new(group_count),
            shares: Shares::default(),
            trials: Trials::default(),
            unfed: (economy == Economy::Thrifty).then(|| Unfed::new(group_count)),
            account: Account::new(economy),
            swarm: Swarm::default(),
            share: None,
            viewers_told: 0,
            usual_uplink: UPLINK_GUESS,
            uplink_min: 0,
            usual_backlog_max: u32::MAX,
            due: Vec::new(),
            wanted: Vec::new(),
            feeders_uplink: 0,
            pushed_at: None,
            frames: 0,
            turns_given: 0,
            was_injecting: false,
            was_sparing: false,
            pressing_bytes: 0,
        }
    }

    /// The tracker says how many viewers lack something, and which part of the content this peer injects first.
    pub(crate) fn told(&mut self, viewers: u32, share: Option<Share>, content: &Content) {
        self.viewers_told = u64::from(viewers);
        if let Some(share) = share.filter(|share| self.share != Some(*share) && share.count > 0) {
            self.share = Some(share);
            self.order.set_own(content.share(share));
        }
    }

    /// Neighbours changed: computes the uplinks and demands of the swarm, and which viewers are feeders. Returns the viewers
    /// whose copies begin or cease to count.
    pub(crate) fn survey(&mut self, field: &Field<'_>) -> Vec<(LinkId, Counts)> {
        let viewers = || field.neighbours.viewers();
        let linked = viewers().count() as u64;
        let incomplete = viewers().filter(|(_, link)| !is_complete(link)).count() as u64;
        let mut known: Vec<(u64, LinkId)> =
            viewers().filter_map(|(id, link)| Some((link.uplink_known()?, id))).collect();
        // A viewer with an unknown uplink was never busy, so it counts as one of the stronger viewers.
        self.usual_uplink = self.trials.judge(&mut known, linked, incomplete).max(1000);
        // If only slow viewers know their uplinks, the rates of the others so far show that these are faster.
        let seen = viewers().filter(|(_, link)| link.standing().uplink > 0);
        let seen = seen.map(|(id, link)| self.trials.believed(id, link.uplink_or(0)));
        let able: Vec<(u32, u64)> =
            viewers().map(|(id, link)| (link.backlog_ms(), self.uplink_of(id, link))).collect();
        let sum = able.iter().fold(0, |sum: u64, (_, uplink)| sum.saturating_add(*uplink));
        // Few of the viewers that are about to greet hold much.
        let present = incomplete + field.neighbours.opening_viewers();
        let lacking = present.max(self.viewers_told.saturating_sub(linked - incomplete)).max(1);
        let media = field.content.manifest().rate_bytes_per_s();
        self.uplink_min = feeder_uplink_min(media, seen);
        self.usual_backlog_max = usual_backlog_max(able);
        let count = self.share.map_or(1, |share| u64::from(share.count));
        self.swarm = Swarm {
            own: field.sender.uplink_estimate().saturating_mul(count),
            viewers: lacking,
            // Viewers without a link are assumed to be like those with one.
            is_known: known.len() as u64 * 2 >= linked,
            uplinks: sum.saturating_mul(lacking.max(linked)) / linked.max(1),
            media,
        };
        let playing = viewers().filter_map(|(_, link)| link.playing());
        self.due = merged(playing.map(|playing| due_range(playing, field.demand)));
        let (mut changes, mut wants) = (Vec::new(), Vec::new());
        self.feeders_uplink = 0;
        for (id, link) in viewers() {
            let counts = self.counts_of(id, link);
            if counts == Counts::Fully {
                self.feeders_uplink = self.feeders_uplink.saturating_add(self.uplink_of(id, link));
                wants.extend((!link.is_retiring()).then_some(link.standing().wants));
            }
            if link.counts() != counts {
                changes.push((id, counts));
            }
        }
        self.wanted = merged(wants);
        changes
    }

    /// Whether a feeder wants a group that no feeder holds.
    pub(crate) fn is_injecting(&self, field: &Field<'_>) -> bool {
        let present = field.neighbours.copies().present();
        if field.sender.is_off() || present.is_full() {
            return false;
        }
        Order::lacking_count(field, &self.wanted) > 0
    }

    /// Whether the initial peers can carry all playback by themselves.
    pub(crate) fn is_rich(&self) -> bool {
        self.swarm.is_rich()
    }

    /// Whether there was something to inject at the last decision.
    pub(crate) const fn was_injecting(&self) -> bool {
        self.was_injecting
    }

    /// Which classes of requests are served now.
    pub(crate) fn serving(&mut self, field: &Field<'_>) -> Serving {
        let serving = self.decide_serving(field);
        self.was_sparing = serving == Serving::Deadlines;
        serving
    }

    fn decide_serving(&mut self, field: &Field<'_>) -> Serving {
        if field.sender.is_off() {
            return Serving::Nothing;
        }
        self.was_injecting = self.is_injecting(field);
        if !self.was_injecting && Order::is_lacking(field) {
            return Serving::Everything;
        }
        // Pushes leave before background, so a generous publisher answers background only with the rest of its uplink. The
        // groups that a thrifty publisher injected last are on their way through the swarm and must not be requested here.
        let is_spreading = self.pushed_at.is_some_and(|at| field.now < at + SPREAD_TIME);
        let is_sparing =
            self.account.is_thrifty() && (self.was_injecting || (is_spreading && !self.swarm.is_rich()));
        if !is_sparing && self.account.serves_background(&self.swarm, field.sender.background_bytes()) {
            Serving::Everything
        } else {
            Serving::Deadlines
        }
    }

    /// Bytes of fresh groups that went before requests when [`Inject::next`] looked for a push.
    pub(crate) const fn pressing_bytes(&self) -> u64 {
        self.pressing_bytes
    }

    /// The next push, if there is something to push and a viewer with room.
    pub(crate) fn next(&mut self, field: &Field<'_>) -> Option<Departure> {
        self.pressing_bytes = 0;
        self.account.pass(field.now, &self.swarm);
        let wanted = &self.wanted;
        // Groups that players need soon go before the author's order.
        let due = self.due.iter().flat_map(|due| wanted.iter().map(|wanted| due.and(*wanted)));
        let ranges: Vec<GroupRange> = due.collect();
        let due = self.order.first_in(field, &ranges);
        let Some(first) = due.or_else(|| self.order.next(field, wanted)) else {
            // If background is served, unfed viewers request the groups themselves.
            let unfed = self.unfed.as_ref().filter(|_| self.was_sparing);
            return unfed.and_then(|unfed| unfed.next(field, &self.shares));
        };
        let due_bytes = match due {
            None => 0,
            Some(_) if self.swarm.is_ample() => u64::from(self.order.fresh_count(field, &ranges)) * GROUP,
            // Each answer delays the injection, so viewers should ask one another.
            Some(_) => u64::MAX,
        };
        let behind_bytes = if self.swarm.is_rich() { 0 } else { self.account.behind_bytes() };
        self.pressing_bytes = due_bytes.max(behind_bytes);
        let takers = self.targets(field);
        let takers = takers.filter(|(_, link)| link.standing().wants.has(first) && !link.holds(first));
        let takers: Vec<(LinkId, &Link)> = takers.collect();
        let turn = if due.is_some() { None } else { self.shares.first_turn(field.now, &takers) };
        let lag = if self.swarm.is_rich() { u64::MAX } else { SHARE_LAG };
        let latest = turn.map_or(u64::MAX, |first| first.saturating_add(lag));
        let receivers = takers.into_iter().filter(|(id, link)| {
            self.shares.start_of(*id) <= latest && self.has_room((*id, link), field, due.is_some())
        });
        // Groups that players need soon go to as many viewers as possible, which then pass them on at the same time. Of other
        // groups, siblings go to the same viewer.
        let queued = |id| if due.is_some() { self.shares.under_way(id) } else { 0 };
        let is_alone = |id| due.is_some() || !self.shares.has_sibling(id, first);
        let (id, link) =
            receivers.min_by_key(|(id, _)| (queued(*id), is_alone(*id), self.shares.start_of(*id), *id))?;
        let limit = GroupRange::new(first, first.saturating_add(field.sender.frame_groups(id)));
        let limit = limit.and(link.standing().wants);
        let run = limit.iter().skip(1).take_while(|group| self.order.is_fresh(*group, field)).count();
        let range = GroupRange::new(first, first + 1 + u32::try_from(run).unwrap_or(0));
        turn.into_iter().for_each(|first| self.shares.advance(first));
        Some(Departure { link: id, range, waited: Duration::ZERO })
    }

    /// Whether another push may be under way to a viewer: as much as its share of the uplink carries until it announces the
    /// first one, and no more than it accepts. Until a round trip is known, one push goes at a time: if many viewers arrive
    /// together, the first must not get the beginning of everything.
    fn has_room(&self, (id, link): (LinkId, &Link), field: &Field<'_>, is_due: bool) -> bool {
        let share = self.uplink_of(id, link).min(self.feeders_uplink);
        let rate = u128::from(field.sender.uplink_estimate()) * u128::from(share)
            / u128::from(self.feeders_uplink.max(1));
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        // A waiting player keeps its credit for the groups that it needs, and these are such groups.
        let accepted = u64::from(link.standing().credit).max(if is_due { CREDIT_FIRST / 2 } else { 0 });
        let window = bytes_in(rate, link.rtt_or_guess() + PUSH_TIME).min(accepted);
        let is_known = field.sender.is_channel_empty(id) || link.rtt.smoothed().is_some();
        is_known
            && field.sender.has_channel_room(id, link)
            && (is_due || field.sender.buffered_bytes(id) < accepted)
            && (self.shares.under_way(id) + 1) * GROUP <= window.max(PUSH_MIN.min(accepted))
    }

    /// Whether the next frame is a push. While injection goes first, one frame in `every` is still for urgent requests. If no
    /// answer may leave now, their turns wait.
    pub(crate) const fn takes_turn(&mut self, every: u64, may_answer: bool) -> bool {
        self.frames += 1;
        let is_answer = may_answer && self.frames / every > self.turns_given;
        if is_answer {
            self.turns_given += 1;
        }
        !is_answer
    }

    /// Groups leave for a neighbour, pushed or requested.
    pub(crate) fn departed(&mut self, field: &Field<'_>, departure: &Departure, bytes: u64, is_push: bool) {
        let Departure { link: id, range, .. } = *departure;
        let is_first =
            field.neighbours.copies().of(range.start) == 0 && self.order.is_fresh(range.start, field);
        self.account.sent(bytes, is_first);
        if !is_first {
            self.shares.repeated(range);
            self.trials.repeated(range);
        }
        let Some(link) = field.viewer(id) else { return };
        self.unfed.iter_mut().for_each(|unfed| unfed.given(field.now, id, range));
        if is_first || is_push {
            // An answer counts as injected only if the viewer that asked passes it on.
            if link.counts() == Counts::Fully {
                self.order.pushed(range);
            }
            let push = Push { at: field.now, to: id, range, is_only: is_first };
            self.shares.pushed(push, self.uplink_of(id, link));
            if is_first {
                self.trials.given(id, range, link.uplink_or(self.usual_uplink));
            }
            self.pushed_at = Some(field.now);
        }
    }

    /// Whether a group was pushed to a viewer that asks for it: the two crossed.
    pub(crate) fn is_pushed(&self, id: LinkId, group: u32) -> bool {
        self.shares.is_under_way(id, group)
    }

    /// A viewer announced groups. Judges claims of groups that never left this peer. Returns whether a reputation changed.
    pub(crate) fn announced(
        &mut self,
        field: &Field<'_>,
        id: LinkId,
        gained: &[GroupRange],
        is_greeting: bool,
    ) -> bool {
        self.trials.announced(id, gained);
        // A group that arrived is no longer under way. If its holder passes nothing on, it is fresh again.
        self.shares
            .announced(field.now, id, gained)
            .into_iter()
            .for_each(|group| self.order.given_up(GroupRange::one(group)));
        let Some(link) = field.viewer(id) else { return false };
        self.unfed.iter_mut().for_each(|unfed| unfed.gained(field.now, (id, link), gained));
        // If other initial peers inject, too, a group from them cannot be told from a false claim.
        if self.share.is_some_and(|share| share.count > 1) {
            return false;
        }
        claims::weigh(field, &self.order, &mut self.shares, (id, gained, is_greeting))
    }

    /// Judges pushes that are old enough to have spread.
    pub(crate) fn handle_timeout(&mut self, field: &Field<'_>) {
        self.unfed.iter_mut().for_each(|unfed| unfed.check(field));
        self.pushed_at.take_if(|at| field.now >= *at + SPREAD_TIME);
        for push in self.shares.expired(field.now) {
            self.order.given_up(push.range);
            let link = field.neighbours.get(push.to);
            if !push.is_only || !link.is_some_and(|link| link.holds(push.range.start)) {
                continue;
            }
            let copies = field.neighbours.copies();
            let is_spread = |push: &Push| push.is_only && copies.of(push.range.start) > 1;
            let has_spread = is_spread(&push) || self.shares.to(push.to).any(is_spread);
            let others = self.targets(field).filter(|(id, link)| {
                *id != push.to && link.since() <= push.at && link.standing().wants.has(push.range.start)
            });
            let has_others = others.count() >= OTHERS_MIN;
            self.shares.reputation(push.to).judge(has_spread, has_others);
        }
    }

    /// When [`Inject::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let unfed = self.unfed.as_ref().and_then(Unfed::deadline);
        [self.shares.deadline(), self.pushed_at.map(|at| at + SPREAD_TIME), unfed].into_iter().flatten().min()
    }

    /// A link closed: groups that were under way there are pushed again.
    pub(crate) fn link_closed(&mut self, id: LinkId) {
        self.trials.closed(id);
        self.unfed.iter_mut().for_each(|unfed| unfed.closed(id));
        for push in self.shares.closed(id) {
            self.order.given_up(push.range);
        }
    }
}

#[cfg(test)]
mod tests;
