//! The initial peer's first push of each group (DESIGN §7): once, to one viewer, in the author's order.
//!
//! While some group that is wanted is held by no viewer the initial peer does not wait to be asked. It pushes the
//! next such group to the viewer that was given least for its upload capacity and whose channel has room, and the
//! viewers spread it among themselves. That is what keeps the initial peer's load at about one copy however many
//! watch. A viewer that needs a group soon says so ([`Need`](crate::peer_message::PeerMessage::Need)): the group
//! goes before others, still once.
//!
//! What is injected follows from what viewers announce, so it mends itself: a group whose last holder leaves,
//! or that was pushed and is not announced in time, is simply next again.
//!
//! Several initial peers take turns by segment; one that has finished its own helps the others from the end.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::copies::Copies;
use super::holdings::Tier;
use super::link::Link;
use super::needs::{LASTS_AFTER, Needs};
use super::rests::Rests;
use super::unit::Unit;
use crate::group::GroupRange;
use crate::group_set::{GroupSet, masks};
use crate::id::LinkId;
use crate::peer_message::Serving;
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// A pushed group that its receiver has not announced after this long is pushed again.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(5);
/// A push of what somebody needs that its receiver has not announced after this long is held up: what was lost on the
/// way to it takes a second to be sent again. Longer than a push waits here, travels, and is announced.
const HELD_UP_AFTER: Duration = Duration::from_millis(400);
/// So is what no more than so many have announced after this long, though somebody needs it: they do not pass it on. Not sooner,
/// or it would meet what a crowd of newcomers is just passing on.
const STUCK_COPIES_MAX: u16 = 2;
const STUCK_AFTER: Duration = Duration::from_millis(650);
/// One push in this many may meet the need of a viewer that keeps to itself what it is given.
const HOARDERS_EVERY: u32 = 40;
/// Out of its turn a viewer is given this many groups that it needs. What it needs beyond goes to whose turn it is: whoever plays
/// ahead of the others needs everything first, and its uplink could not carry all of it to all of them.
const TURNS_AHEAD_MAX: u32 = 1;
/// Upload capacity of a viewer while none knows its own, bytes a second.
const UPLINK_GUESS: u64 = 250_000;

/// Groups on their way to a viewer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Push {
    pub(crate) at: Timestamp,
    pub(crate) to: LinkId,
    pub(crate) range: GroupRange,
    /// Whether no viewer held them when they left, and they were not pushed again since: whoever holds them has them
    /// from its receiver.
    pub(crate) is_only: bool,
}

/// What a choice looks at.
pub(crate) struct Field<'a> {
    /// The author's order.
    pub(crate) tiers: &'a [Tier],
    pub(crate) held: &'a GroupSet,
    pub(crate) copies: &'a Copies,
    pub(crate) links: &'a BTreeMap<LinkId, Link>,
}

/// Groups on their way to their first viewer, and those that somebody needs soon.
#[derive(Debug, Default)]
pub(crate) struct Injection {
    under_way: GroupSet,
    pushes: VecDeque<Push>,
    push_count: u32,
    /// What viewers told that they need soon.
    pub(crate) needs: Needs,
    /// What follows of units that were begun: it counts as under way.
    rests: Rests,
    /// What has ever left from here, for whomever.
    left: GroupSet,
    /// Groups of the segments that are this initial peer's to inject.
    own: GroupSet,
    pushed_at: Option<Timestamp>,
    /// Upload capacity of a viewer that does not know its own, bytes a second.
    usual_uplink: Option<u64>,
    /// Virtual time of start-time fair queueing (Goyal, Vin, Cheng 1996): a newcomer starts here, not at nothing.
    clock: u64,
}

impl Injection {
    pub(crate) fn new(group_count: u32, unit: Unit) -> Self {
        let (under_way, own) = (GroupSet::empty(group_count), GroupSet::full(group_count));
        let left = under_way.clone();
        Self { under_way, left, own, rests: Rests::new(unit), ..Self::default() }
    }

    /// Which groups are this initial peer's to inject first.
    pub(crate) fn set_own(&mut self, own: GroupSet) {
        self.own = own;
    }

    /// Viewers said what they can upload, or 0 if they do not know. Who does not know had less to upload than it could: it
    /// counts as the usual one. Were it to count as a slow one, it would be given little and never find out.
    pub(crate) fn uplinks(&mut self, uplinks: impl Iterator<Item = u64>) {
        let mut known: Vec<u64> = uplinks.filter(|uplink| *uplink > 0).collect();
        known.sort_unstable();
        self.usual_uplink = known.get(known.len() * 3 / 4).copied();
    }

    fn uplink_of(&self, link: &Link) -> u64 {
        let known = Some(link.standing.uplink).filter(|uplink| *uplink > 0);
        known.or(self.usual_uplink).unwrap_or(UPLINK_GUESS).max(1000)
    }

    /// Groups leave for a viewer.
    pub(crate) fn pushed(&mut self, push: Push, link: &mut Link) {
        let range = push.range;
        let start = self.start_of(link);
        // What follows its sibling, or the beginning of its unit, or was needed, was not its receiver's turn.
        let is_needed = self.needs.has(push.to, range.start);
        if !is_needed && !self.has_sibling(push.to, range.start) && !self.rests.has(range.start) {
            self.clock = start;
        }
        link.injected = start + self.time_of(range.len(), link);
        self.under_way.insert(range);
        self.left.insert(range);
        self.push_count = self.push_count.wrapping_add(1);
        self.pushes.push_back(push);
    }

    /// Whether viewers can hold all these groups by way of what left from here.
    pub(crate) fn has_left(&self, groups: GroupRange) -> bool {
        self.left.has_all(groups)
    }

    /// When groups last left for a viewer that nobody had asked for.
    pub(crate) const fn pushed_at(&self) -> Option<Timestamp> {
        self.pushed_at
    }

    /// What is pushed now, nobody asked for: the rest of its unit follows.
    pub(crate) fn unasked(&mut self, push: &Push) {
        self.pushed_at = Some(push.at);
        // Of two units that its receiver was given a part of, only the last is ended.
        self.abandon(push.to, GroupRange::new(0, self.under_way.capacity()));
        self.under_way.insert(push.range);
        self.under_way.insert(self.rests.pushed(push.to, push.range, self.under_way.capacity()));
    }

    /// What so many groups take of a link's share, on the clock.
    fn time_of(&self, groups: u32, link: &Link) -> u64 {
        (u64::from(groups) << 32) / self.uplink_of(link)
    }

    /// When, on the clock, the next push to a link begins.
    fn start_of(&self, link: &Link) -> u64 {
        link.injected.max(self.clock)
    }

    /// What was pushed to a link lately.
    pub(crate) fn to(&self, link: LinkId) -> impl Iterator<Item = &Push> {
        self.pushes.iter().filter(move |push| push.to == link)
    }

    /// Whether a group left for some viewer that has yet to announce it.
    pub(crate) fn is_under_way(&self, group: u32) -> bool {
        self.under_way.has(group) && !self.rests.has(group)
    }

    /// A group is about to be pushed again: the first push of it, if that was not long ago.
    pub(crate) fn repeated(&mut self, group: u32) -> Option<Push> {
        let push = self.pushes.iter_mut().find(|push| push.is_only && push.range.has(group))?;
        push.is_only = false;
        Some(*push)
    }

    /// Pushes that were not announced in time no longer count.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Vec<Push> {
        let mut expired = Vec::new();
        let timeout = ANNOUNCE_TIMEOUT + self.rests.unit.delay();
        while let Some(push) = self.pushes.pop_front_if(|push| now >= push.at + timeout) {
            self.under_way.remove(push.range);
            self.abandon(push.to, self.rests.unit.around(push.range.start));
            expired.push(push);
        }
        expired
    }

    /// A link closed: what was on its way there is next again, and what it needed is nobody's need.
    pub(crate) fn forget(&mut self, link: LinkId) {
        let (lost, live): (VecDeque<_>, _) = self.pushes.drain(..).partition(|push| push.to == link);
        self.pushes = live;
        self.needs.forget(link);
        self.abandon(link, GroupRange::new(0, self.under_way.capacity()));
        for push in lost {
            self.under_way.remove(push.range);
        }
    }

    /// A unit of which a link was given a part is not to be ended there, if it is of these groups.
    fn abandon(&mut self, link: LinkId, groups: GroupRange) {
        if let Some(rest) = self.rests.abandon(link, groups) {
            self.under_way.remove(rest);
        }
    }

    /// When the oldest push expires.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.pushes.front().map(|push| push.at + ANNOUNCE_TIMEOUT + self.rests.unit.delay())
    }

    /// Whether a group is held, and neither held by a viewer nor on its way to one.
    pub(crate) fn is_lacking(&self, group: u32, field: &Field<'_>) -> bool {
        field.held.has(group) && !field.copies.present().has(group) && !self.under_way.has(group)
    }

    /// The next push: first what is needed, then in the author's order; to the viewer that was given least for
    /// its upload among those that want it and have room.
    pub(crate) fn next(
        &self,
        now: Timestamp,
        field: &Field<'_>,
        groups_max: impl Fn(&Link) -> u32,
    ) -> Option<(LinkId, GroupRange)> {
        let receivers = field.links.iter().map(|(id, link)| (*id, link));
        let receivers = receivers.filter(|(_, link)| is_receiver(link) && has_injection_room(link));
        let (hoarders, targets): (Vec<_>, Vec<_>) = receivers.partition(|(_, link)| link.is_hoarding);
        let wanted = union(targets.iter().map(|(_, link)| link.standing.wants));
        if wanted.is_empty() {
            return None;
        }
        let rest = self.next_rest(field, &targets, &groups_max);
        if rest.is_some() || self.rests.is_full() {
            return rest;
        }
        let is_hoarders_turn = self.push_count % HOARDERS_EVERY == HOARDERS_EVERY - 1;
        let hoarders = if is_hoarders_turn { &hoarders[..] } else { &[] };
        let need = self.next_need(now, field, hoarders).or_else(|| self.next_need(now, field, &targets));
        let (id, link, first) = need.or_else(|| {
            let first = self.next_in_order(field, &wanted)?;
            let wanting = targets.iter().filter(|(_, link)| link.standing.wants.has(first));
            let (id, link) =
                wanting.min_by_key(|(id, link)| (!self.has_sibling(*id, first), self.start_of(link), *id))?;
            Some((*id, *link, first))
        })?;
        let limit = GroupRange::new(first, first.saturating_add(groups_max(link))).and(link.standing.wants);
        let run = limit.iter().skip(1).take_while(|group| self.is_lacking(*group, field)).count();
        Some((id, GroupRange::new(first, first + 1 + u32::try_from(run).unwrap_or(0))))
    }

    /// What goes on with a unit that was begun, for the viewer that was given least.
    fn next_rest(
        &self,
        field: &Field<'_>,
        targets: &[(LinkId, &Link)],
        groups_max: impl Fn(&Link) -> u32,
    ) -> Option<(LinkId, GroupRange)> {
        let rests = targets.iter().filter_map(|(id, link)| {
            let next = self.rests.next(*id, groups_max(link))?;
            field.held.has_all(next).then_some((self.start_of(link), *id, next))
        });
        rests.min().map(|(_, id, next)| (id, next))
    }

    /// Whether the group's sibling in the tree was the last that went to a link: the two share a proof.
    fn has_sibling(&self, link: LinkId, group: u32) -> bool {
        self.pushes.back().is_some_and(|push| push.to == link && push.range.has(group ^ 1))
    }

    /// The first group that some viewer needs: of those with needs the one that was given least.
    fn next_need<'a>(
        &self,
        now: Timestamp,
        field: &Field<'_>,
        targets: &[(LinkId, &'a Link)],
    ) -> Option<(LinkId, &'a Link, u32)> {
        // A second copy takes the asker's turn, so that whoever has no neighbours cannot take up the injection.
        let turn = targets.iter().map(|(_, link)| self.start_of(link)).min().unwrap_or(0);
        let askers = targets.iter().filter_map(|(id, link)| {
            let told = self.needs.of(*id)?;
            let is_first =
                |group: &u32| self.is_lacking(*group, field) || self.is_held_up(now, *id, *group, field);
            let first = told.now(link.standing.wants).find(is_first);
            let is_lasting =
                |group: &u32| field.held.has(*group) && !self.was_just_pushed(now, *group, LASTS_AFTER);
            let is_turn = self.start_of(link) <= turn;
            let again = || told.lasting(link.standing.wants).find(is_lasting);
            let first = first.or_else(|| again().filter(|_| is_turn))?;
            let before = GroupRange::new(self.rests.unit.around(first).start, first);
            Some((*id, *link, if field.held.has_all(before) { before.start } else { first }))
        });
        let (id, link, first) = askers.min_by_key(|(id, link, _)| (self.start_of(link), *id))?;
        let is_given_enough = |link: &Link| self.start_of(link) > turn + self.time_of(TURNS_AHEAD_MAX, link);
        if !is_given_enough(link) {
            return Some((id, link, first));
        }
        let is_without = |id: LinkId, link: &Link| {
            link.standing.wants.has(first)
                && !link.have().is_some_and(|have| have.has(first))
                && !self.to(id).any(|push| push.range.has(first))
        };
        let others = targets.iter().copied().filter(|(id, link)| is_without(*id, link));
        let (id, link) = others.chain([(id, link)]).min_by_key(|(id, link)| (self.start_of(link), *id))?;
        Some((id, link, first))
    }

    /// Whether a group is on its way to another viewer, or from that one to others, for longer than it should be.
    fn is_held_up(&self, now: Timestamp, link: LinkId, group: u32, field: &Field<'_>) -> bool {
        let is_to = |push: &Push| push.to == link && push.range.has(group);
        let patience = match field.copies.of(group) {
            0 => HELD_UP_AFTER,
            1..=STUCK_COPIES_MAX => STUCK_AFTER,
            _ => return false,
        };
        (self.under_way.has(group) || field.copies.of(group) > 0)
            && !self.was_just_pushed(now, group, patience)
            && !self.pushes.iter().any(is_to)
    }

    fn was_just_pushed(&self, now: Timestamp, group: u32, within: Duration) -> bool {
        let within = within + self.rests.unit.delay();
        let recent = self.pushes.iter().rev().take_while(|push| now < push.at + within);
        recent.into_iter().any(|push| push.range.has(group)) || self.rests.has(group)
    }

    /// The first lacking group of the first tier that has one; of what other initial peers have yet to inject,
    /// the last: whoever is done sooner meets the others once.
    fn next_in_order(&self, field: &Field<'_>, wanted: &[GroupRange]) -> Option<u32> {
        let own = field.tiers.iter().find_map(|tier| {
            let sets = [&tier.groups, &self.own];
            let (index, word) = wanted.iter().find_map(|range| self.lacking(sets, field, *range).next())?;
            group_of(index, word.trailing_zeros())
        });
        own.or_else(|| {
            let sets = [&field.tiers.last()?.groups, field.held];
            let (index, word) =
                wanted.iter().rev().find_map(|range| self.lacking(sets, field, *range).last())?;
            group_of(index, u64::BITS - 1 - word.leading_zeros())
        })
    }

    /// The words, with their places, of the groups of a range that are in both sets and lacking; none is empty.
    fn lacking<'a>(
        &'a self,
        sets: [&'a GroupSet; 2],
        field: &'a Field<'_>,
        range: GroupRange,
    ) -> impl Iterator<Item = (usize, u64)> + 'a {
        let at = |set: &GroupSet, index: usize| set.words().get(index).copied().unwrap_or(0);
        let words = masks(range.and(GroupRange::new(0, field.held.capacity()))).map(move |(index, mask)| {
            let covered = at(field.copies.present(), index) | at(&self.under_way, index);
            let candidates =
                sets.iter().fold(at(field.held, index) & mask, |word, set| word & at(set, index));
            (index, candidates & !covered)
        });
        words.filter(|(_, word)| *word != 0)
    }
}

fn group_of(index: usize, bit: u32) -> Option<u32> {
    Some(u32::try_from(index).ok()? * u64::BITS + bit)
}

/// Whether groups may be pushed to a link for others: a viewer that has a store and serves them.
pub(crate) fn is_target(link: &Link) -> bool {
    is_receiver(link) && !link.is_hoarding
}

/// Whether groups may be pushed to a link at all.
fn is_receiver(link: &Link) -> bool {
    link.is_open()
        && !link.is_retiring
        && link.role == Role::Viewer
        && !link.standing.wants.is_empty()
        && link.standing.serving != Serving::Nothing
}

/// Whether another push may be handed to a link's channel. The first leaves alone until a round trip is known: when
/// many arrive together, whose link is up first is not to be given the beginning of everything.
fn has_injection_room(link: &Link) -> bool {
    link.has_channel_room() && (link.buffered_bytes == 0 || link.rtt.smoothed().is_some())
}

/// Ranges as few, in order, without overlap.
pub(crate) fn union(ranges: impl Iterator<Item = GroupRange>) -> Vec<GroupRange> {
    let mut sorted: Vec<GroupRange> = ranges.filter(|range| !range.is_empty()).collect();
    sorted.sort_unstable();
    let mut merged: Vec<GroupRange> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            Some(_) | None => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::group::Geometry;
    use crate::id::PeerId;
    use crate::manifest::Period;
    use crate::peer::stats::LinkState;

    const GROUPS: u32 = 20;

    fn viewers(count: u32) -> BTreeMap<LinkId, Link> {
        let links = (0..count).map(|id| {
            let mut link = Link::new(Timestamp::ZERO, PeerId(u64::from(id)), Role::Viewer, 1000);
            assert!(link.set_geometry(Geometry::new(u64::from(GROUPS) * 16384)));
            link.state = LinkState::Open;
            link.standing.wants = GroupRange::new(0, GROUPS);
            (LinkId(id), link)
        });
        links.collect()
    }

    const fn push(to: LinkId, range: GroupRange) -> Push {
        Push { at: Timestamp::ZERO, to, range, is_only: true }
    }

    fn tier(period: Period, groups: GroupRange) -> Tier {
        let mut set = GroupSet::empty(GROUPS);
        set.insert(groups);
        Tier { period, priority: 3, groups: set }
    }

    /// Pushes until nothing is left to push, with no announcements; `(link, range)` in order.
    fn push_all(links: &mut BTreeMap<LinkId, Link>, copies: &Copies) -> Vec<(u32, GroupRange)> {
        let tiers =
            [tier(Period::Start, GroupRange::new(8, 12)), tier(Period::Playback, GroupRange::new(0, GROUPS))];
        let mut injection = Injection::new(GROUPS, Unit::GROUP);
        let held = GroupSet::full(GROUPS);
        let mut pushes = Vec::new();
        loop {
            let field = Field { tiers: &tiers, held: &held, copies, links };
            let Some((id, range)) = injection.next(Timestamp::ZERO, &field, |_| 3) else { return pushes };
            let link = links.get_mut(&id).unwrap();
            link.sent += u64::from(range.len());
            injection.pushed(push(id, range), link);
            pushes.push((id.0, range));
        }
    }

    /// Pushes so many single groups in playback order; `(link, group)` in order.
    fn push_singly(
        injection: &mut Injection,
        links: &mut BTreeMap<LinkId, Link>,
        count: usize,
    ) -> Vec<(u32, u32)> {
        let tiers = [tier(Period::Playback, GroupRange::new(0, GROUPS))];
        let (held, copies) = (GroupSet::full(GROUPS), Copies::new(GROUPS));
        let pushes = (0..count).map(|_| {
            let field = Field { tiers: &tiers, held: &held, copies: &copies, links };
            let (id, range) = injection.next(Timestamp::ZERO, &field, |_| 1).unwrap();
            injection.pushed(push(id, range), links.get_mut(&id).unwrap());
            (id.0, range.start)
        });
        pushes.collect()
    }

    #[test]
    fn each_group_is_pushed_once_in_the_authors_order_and_evenly() {
        let mut links = viewers(3);
        let pushes = push_all(&mut links, &Copies::new(GROUPS));
        assert_eq!(pushes[0].1, GroupRange::new(8, 11));
        assert_eq!(pushes[1].1, GroupRange::new(11, 14));
        assert_eq!(pushes[2].1, GroupRange::new(0, 3));
        let mut groups: Vec<u32> = pushes.iter().flat_map(|(_, range)| range.iter()).collect();
        groups.sort_unstable();
        assert_eq!(groups, (0..GROUPS).collect::<Vec<_>>());
        assert!(links.values().all(|link| (5..=8).contains(&link.sent)));
    }

    #[test]
    fn what_a_viewer_holds_is_not_pushed_and_what_the_last_holder_took_away_is() {
        let mut copies = Copies::new(GROUPS);
        (0..15).for_each(|group| copies.add(group));
        copies.add(0);
        copies.remove(0);
        copies.remove(1);
        let pushed: Vec<u32> =
            push_all(&mut viewers(1), &copies).iter().flat_map(|(_, range)| range.iter()).collect();
        assert_eq!(pushed, [1, 15, 16, 17, 18, 19]);
    }

    #[test]
    fn a_push_that_is_lost_or_never_announced_is_next_again() {
        let links = viewers(1);
        let mut target = viewers(1).remove(&LinkId(0)).unwrap();
        let (held, copies) = (GroupSet::full(GROUPS), Copies::new(GROUPS));
        let tiers = [tier(Period::Playback, GroupRange::new(0, GROUPS))];
        let mut injection = Injection::new(GROUPS, Unit::GROUP);
        let field = Field { tiers: &tiers, held: &held, copies: &copies, links: &links };
        let next = |injection: &Injection| injection.next(Timestamp::ZERO, &field, |_| 1).unwrap().1.start;
        injection.pushed(push(LinkId(0), GroupRange::one(0)), &mut target);
        assert_eq!(next(&injection), 1);
        injection.expire(Timestamp::ZERO + ANNOUNCE_TIMEOUT);
        assert_eq!(next(&injection), 0);
        injection.pushed(push(LinkId(5), GroupRange::one(0)), &mut target);
        injection.forget(LinkId(5));
        assert_eq!(next(&injection), 0);
        assert_eq!(injection.deadline(), None);
    }

    #[test]
    fn viewers_that_do_not_serve_or_want_little_are_given_nothing() {
        let mut links = viewers(2);
        links.get_mut(&LinkId(0)).unwrap().standing.serving = Serving::Nothing;
        links.get_mut(&LinkId(1)).unwrap().standing.wants = GroupRange::new(0, 0);
        assert!(push_all(&mut links, &Copies::new(GROUPS)).is_empty());
    }
    #[test]
    fn a_need_goes_before_the_order_to_whoever_has_it() {
        let mut injection = Injection::new(GROUPS, Unit::GROUP);
        injection.needs.told(Timestamp::ZERO, LinkId(1), vec![GroupRange::new(10, 12)]);
        assert_eq!(push_singly(&mut injection, &mut viewers(2), 3), [(1, 10), (1, 11), (0, 0)]);
    }

    #[test]
    fn a_push_that_is_held_up_is_made_again_to_another_viewer_who_needs_it() {
        let mut links = viewers(2);
        let mut injection = Injection::new(GROUPS, Unit::GROUP);
        assert_eq!(push_singly(&mut injection, &mut links, 1), [(0, 0)]);
        let (held, copies) = (GroupSet::full(GROUPS), Copies::new(GROUPS));
        let tiers = [tier(Period::Playback, GroupRange::new(0, GROUPS))];
        let field = Field { tiers: &tiers, held: &held, copies: &copies, links: &links };
        let next =
            |injection: &Injection, ms| injection.next(Timestamp::from_millis(ms), &field, |_| 1).unwrap();
        (0..2).for_each(|id| injection.needs.told(Timestamp::ZERO, LinkId(id), vec![GroupRange::new(0, 1)]));
        assert_eq!(next(&injection, 399), (LinkId(0), GroupRange::one(1)));
        assert_eq!(next(&injection, 400), (LinkId(1), GroupRange::one(0)));
    }

    #[test]
    fn what_one_viewer_holds_and_nobody_got_of_it_is_pushed_to_another_who_needs_it() {
        let mut links = viewers(2);
        assert!(links.get_mut(&LinkId(0)).unwrap().gained(&[GroupRange::one(0)]));
        let mut copies = Copies::new(GROUPS);
        copies.add(0);
        let mut injection = Injection::new(GROUPS, Unit::GROUP);
        injection.pushed(push(LinkId(0), GroupRange::one(0)), links.get_mut(&LinkId(0)).unwrap());
        injection.needs.told(Timestamp::ZERO, LinkId(1), vec![GroupRange::one(0)]);
        let held = GroupSet::full(GROUPS);
        let tiers = [tier(Period::Playback, GroupRange::new(0, GROUPS))];
        let field = Field { tiers: &tiers, held: &held, copies: &copies, links: &links };
        let next = |ms| injection.next(Timestamp::from_millis(ms), &field, |_| 1).unwrap().1.start;
        assert_eq!((next(649), next(650)), (1, 0));
    }

    #[test]
    fn whoever_needs_everything_first_is_not_given_all_of_it() {
        let mut links = viewers(3);
        let mut injection = Injection::new(GROUPS, Unit::GROUP);
        injection.needs.told(Timestamp::ZERO, LinkId(1), vec![GroupRange::new(0, 6)]);
        let pushes = push_singly(&mut injection, &mut links, 6);
        let given = |link| pushes.iter().filter(|(to, _)| *to == link).count();
        assert!(given(1) <= 3 && given(0) > 0 && given(2) > 0, "{pushes:?}");
    }

    #[test]
    fn more_goes_to_who_can_upload_more_and_a_newcomer_only_gets_its_share() {
        let mut links = viewers(2);
        links.get_mut(&LinkId(1)).unwrap().standing.uplink = 3 * UPLINK_GUESS;
        push_all(&mut links, &Copies::new(GROUPS));
        assert_eq!((links[&LinkId(0)].sent, links[&LinkId(1)].sent), (6, 14));
        let mut injection = Injection::new(GROUPS, Unit::GROUP);
        let mut target = links.remove(&LinkId(0)).unwrap();
        target.injected = 0;
        (0..10).for_each(|group| injection.pushed(push(LinkId(0), GroupRange::one(group)), &mut target));
        let newcomer = viewers(1).remove(&LinkId(0)).unwrap();
        assert!(injection.start_of(&newcomer) + (2 << 32) / UPLINK_GUESS >= injection.start_of(&target));
    }

    #[test]
    fn who_does_not_know_its_upload_counts_as_the_usual_one() {
        let mut links = viewers(2);
        links.get_mut(&LinkId(1)).unwrap().standing.uplink = 10 * UPLINK_GUESS;
        let mut injection = Injection::new(GROUPS, Unit::GROUP);
        injection.uplinks(links.values().map(|link| link.standing.uplink));
        let order = push_singly(&mut injection, &mut links, 20);
        assert_eq!(order.iter().filter(|(link, _)| *link == 0).count(), 10);
    }

    #[test]
    fn siblings_go_to_one_viewer_and_the_turns_stay_even() {
        let order = push_singly(&mut Injection::new(GROUPS, Unit::GROUP), &mut viewers(3), 8);
        assert_eq!(order, [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4), (2, 5), (0, 6), (0, 7)]);
    }

    /// Pushes so many frames of two groups with units of four, in playback order; `(link, range)` in order.
    fn push_units(
        injection: &mut Injection,
        links: &mut BTreeMap<LinkId, Link>,
        count: usize,
    ) -> Vec<(u32, GroupRange)> {
        let tiers = [tier(Period::Playback, GroupRange::new(0, GROUPS))];
        let (held, copies) = (GroupSet::full(GROUPS), Copies::new(GROUPS));
        let pushes = (0..count).map_while(|_| {
            let field = Field { tiers: &tiers, held: &held, copies: &copies, links };
            let (id, range) = injection.next(Timestamp::ZERO, &field, |_| 2)?;
            injection.pushed(push(id, range), links.get_mut(&id).unwrap());
            injection.unasked(&push(id, range));
            Some((id.0, range))
        });
        pushes.collect()
    }

    /// Makes a viewer's channel full.
    fn fill(links: &mut BTreeMap<LinkId, Link>, id: u32) {
        links.get_mut(&LinkId(id)).unwrap().buffered_bytes = u64::MAX;
    }

    #[test]
    fn a_large_unit_goes_whole_to_one_viewer_and_the_next_to_another() {
        let mut injection = Injection::new(GROUPS, Unit::of(4));
        let pushes = push_units(&mut injection, &mut viewers(2), 6);
        let expected = [(0, 0), (0, 2), (1, 4), (1, 6), (0, 8), (0, 10)];
        assert_eq!(pushes, expected.map(|(id, start)| (id, GroupRange::new(start, start + 2))));
    }

    #[test]
    fn a_unit_that_was_begun_waits_for_its_receiver_and_at_most_one_other_is_begun_meanwhile() {
        let (mut links, mut injection) = (viewers(3), Injection::new(GROUPS, Unit::of(4)));
        assert_eq!(push_units(&mut injection, &mut links, 1), [(0, GroupRange::new(0, 2))]);
        fill(&mut links, 0);
        assert_eq!(push_units(&mut injection, &mut links, 1), [(1, GroupRange::new(4, 6))]);
        fill(&mut links, 1);
        assert_eq!(push_units(&mut injection, &mut links, 1), []);
        injection.forget(LinkId(1));
        links.remove(&LinkId(1));
        assert_eq!(push_units(&mut injection, &mut links, 1), [(2, GroupRange::new(4, 6))]);
    }

    #[test]
    fn a_need_of_any_of_a_large_unit_is_a_need_of_it_all_and_met_once() {
        let mut injection = Injection::new(GROUPS, Unit::of(4));
        (0..2).for_each(|id| injection.needs.told(Timestamp::ZERO, LinkId(id), vec![GroupRange::one(10)]));
        let pushes = push_units(&mut injection, &mut viewers(2), 3);
        assert_eq!(
            pushes,
            [(0, 8), (0, 10), (1, 0)].map(|(id, start)| (id, GroupRange::new(start, start + 2)))
        );
    }

    #[test]
    fn a_large_unit_that_is_not_announced_is_next_again_whole() {
        let (mut links, mut injection) = (viewers(1), Injection::new(GROUPS, Unit::of(4)));
        push_units(&mut injection, &mut links, 1);
        let deadline = injection.deadline().unwrap();
        assert!(deadline > Timestamp::ZERO + ANNOUNCE_TIMEOUT, "a unit is longer on its way than a group");
        assert_eq!(injection.expire(deadline).len(), 1);
        assert_eq!(push_units(&mut injection, &mut links, 1), [(0, GroupRange::new(0, 2))]);
    }

    #[test]
    fn initial_peers_that_share_the_work_begin_with_their_own_and_meet_once() {
        let mut injection = Injection::new(GROUPS, Unit::GROUP);
        let mut own = GroupSet::empty(GROUPS);
        own.insert(GroupRange::new(4, 6));
        injection.set_own(own);
        assert_eq!(push_singly(&mut injection, &mut viewers(1), 4), [(0, 4), (0, 5), (0, 19), (0, 18)]);
    }
}
