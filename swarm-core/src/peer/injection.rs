//! The initial peer's first push of each group (DESIGN §7): once, to one viewer, in the author's order.
//!
//! While some group is held by no viewer the initial peer does not wait to be asked. It pushes the next such
//! group to the viewer that was given least and whose channel has room, and the viewers spread it among
//! themselves; only urgent requests are served beside. That is what keeps the initial peer's load at about
//! one copy however many watch.
//!
//! What is injected follows from what viewers announce, so it mends itself: a group whose last holder leaves,
//! or that was pushed and is not announced in time, is simply next again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::holdings::Tier;
use super::link::Link;
use crate::group::GroupRange;
use crate::group_set::GroupSet;
use crate::id::LinkId;
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// A pushed group that its receiver has not announced after this long is pushed again.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many viewers hold each group, over open links.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    counts: Vec<u16>,
    /// Groups that at least one viewer holds.
    present: GroupSet,
}

impl Copies {
    pub(crate) fn new(group_count: u32) -> Self {
        Self { counts: vec![0; group_count as usize], present: GroupSet::empty(group_count) }
    }

    /// A viewer came to hold a group.
    pub(crate) fn add(&mut self, group: u32) {
        if let Some(count) = self.counts.get_mut(group as usize) {
            *count = count.saturating_add(1);
            self.present.insert(GroupRange::one(group));
        }
    }

    /// A viewer that held a group no longer does, or left.
    pub(crate) fn remove(&mut self, group: u32) {
        if let Some(count) = self.counts.get_mut(group as usize) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.present.remove(GroupRange::one(group));
            }
        }
    }

    pub(crate) fn of(&self, group: u32) -> u16 {
        self.counts.get(group as usize).copied().unwrap_or(0)
    }

    pub(crate) const fn present(&self) -> &GroupSet {
        &self.present
    }
}

/// Groups on their way to their first viewer.
#[derive(Debug, Default)]
pub(crate) struct Injection {
    under_way: GroupSet,
    pushes: VecDeque<(Timestamp, LinkId, GroupRange)>,
}

impl Injection {
    pub(crate) fn new(group_count: u32) -> Self {
        Self { under_way: GroupSet::empty(group_count), pushes: VecDeque::new() }
    }

    /// Groups leave for a viewer.
    pub(crate) fn pushed(&mut self, now: Timestamp, link: LinkId, range: GroupRange) {
        self.under_way.insert(range);
        self.pushes.push_back((now, link, range));
    }

    /// What was pushed to a link and may not have been announced yet.
    pub(crate) fn pushed_to(&self, link: LinkId) -> impl Iterator<Item = GroupRange> + '_ {
        self.pushes.iter().filter(move |(_, to, _)| *to == link).map(|(_, _, range)| *range)
    }

    /// Pushes that were not announced in time no longer count.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some((_, _, range)) = self.pushes.pop_front_if(|(at, _, _)| now >= *at + ANNOUNCE_TIMEOUT) {
            self.under_way.remove(range);
        }
    }

    /// A link closed: what was on its way there is next again.
    pub(crate) fn forget(&mut self, link: LinkId) {
        let (lost, live): (VecDeque<_>, _) = self.pushes.drain(..).partition(|(_, to, _)| *to == link);
        self.pushes = live;
        for (_, _, range) in lost {
            self.under_way.remove(range);
        }
    }

    /// When the oldest push expires.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.pushes.front().map(|(at, _, _)| *at + ANNOUNCE_TIMEOUT)
    }

    /// The next push: the first run of groups, in the author's order, that no viewer holds or is being sent,
    /// at most `groups_max` long; to the viewer that was sent least among those with room.
    pub(crate) fn next(
        &self,
        tiers: &[Tier],
        held: &GroupSet,
        copies: &Copies,
        links: &BTreeMap<LinkId, Link>,
        groups_max: impl Fn(&Link) -> u32,
    ) -> Option<(LinkId, GroupRange)> {
        let with_room = links.iter().filter(|(_, link)| is_target(link) && link.has_channel_room());
        let (id, link) = with_room.min_by_key(|(id, link)| (link.sent, **id))?;
        let lacks = |group: u32| held.has(group) && !copies.present.has(group) && !self.under_way.has(group);
        let first = tiers.iter().find_map(|tier| self.first_lacking(&tier.groups, held, copies))?;
        let run = GroupRange::new(first, first + groups_max(link)).iter().take_while(|group| lacks(*group));
        Some((*id, GroupRange::new(first, first + u32::try_from(run.count()).unwrap_or(1))))
    }

    fn first_lacking(&self, tier: &GroupSet, held: &GroupSet, copies: &Copies) -> Option<u32> {
        let words = tier.words().iter().zip(held.words());
        let covered = copies.present.words().iter().zip(self.under_way.words());
        let lacking = words
            .zip(covered)
            .map(|((tier, held), (present, under_way))| tier & held & !(present | under_way));
        let (index, word) = (0u32..).zip(lacking).find(|(_, word)| *word != 0)?;
        Some(index * u64::BITS + word.trailing_zeros())
    }
}

/// Whether groups may be pushed to a link: a viewer that wants everything and serves others.
pub(crate) fn is_target(link: &Link) -> bool {
    link.is_open() && link.role == Role::Viewer && link.wants_all && link.is_serving
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
            link.wants_all = true;
            (LinkId(id), link)
        });
        links.collect()
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
        let mut injection = Injection::new(GROUPS);
        let held = GroupSet::full(GROUPS);
        let mut pushes = Vec::new();
        while let Some((id, range)) = injection.next(&tiers, &held, copies, links, |_| 3) {
            injection.pushed(Timestamp::ZERO, id, range);
            links.get_mut(&id).unwrap().sent += u64::from(range.len());
            pushes.push((id.0, range));
        }
        pushes
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
        let (held, copies) = (GroupSet::full(GROUPS), Copies::new(GROUPS));
        let tiers = [tier(Period::Playback, GroupRange::new(0, GROUPS))];
        let mut injection = Injection::new(GROUPS);
        let next =
            |injection: &Injection| injection.next(&tiers, &held, &copies, &links, |_| 1).unwrap().1.start;
        injection.pushed(Timestamp::ZERO, LinkId(0), GroupRange::one(0));
        assert_eq!(next(&injection), 1);
        injection.expire(Timestamp::ZERO + ANNOUNCE_TIMEOUT);
        assert_eq!(next(&injection), 0);
        injection.pushed(Timestamp::ZERO, LinkId(5), GroupRange::one(0));
        injection.forget(LinkId(5));
        assert_eq!(next(&injection), 0);
        assert_eq!(injection.deadline(), None);
    }

    #[test]
    fn viewers_that_do_not_serve_or_want_little_are_given_nothing() {
        let mut links = viewers(2);
        links.get_mut(&LinkId(0)).unwrap().is_serving = false;
        links.get_mut(&LinkId(1)).unwrap().wants_all = false;
        assert!(push_all(&mut links, &Copies::new(GROUPS)).is_empty());
    }
}
