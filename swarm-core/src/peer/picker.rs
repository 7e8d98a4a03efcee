//! Which groups to ask of which link (DESIGN §7, receiver). Pure choices over plain data.
//!
//! * Urgent and window groups are chosen first and then given to the link that would deliver them soonest.
//! * Background groups are chosen for a link that has room: the author's order, then the rarest of a sample
//!   that starts at a place of chance, so that no two peers ask for the same groups in the same order.
//!
//! The initial peer is spared: what another neighbour holds is asked of the initial peer only when urgent,
//! or when the tracker assigned it, or when it says that it has upload to spare; and while it injects it is
//! asked for nothing that is not urgent.

use std::collections::BTreeMap;
use std::time::Duration;

use super::advice::Advice;
use super::chance::Chance;
use super::copies::Copies;
use super::holdings::Holdings;
use super::link::Link;
use super::policy::Order;
use super::relief::is_much_sooner;
use crate::group::GroupRange;
use crate::group_set::{GroupSet, masks};
use crate::id::LinkId;
use crate::limits::GROUP_BYTES;
use crate::peer_message::{Class, Serving};
use crate::tracker_message::Role;

/// Runs of candidates that a background pick compares. Rarest of 32 is within the rarest 3 % on average,
/// and costs the same whatever the content's length.
const SAMPLE_RUNS: usize = 32;

/// Everything a choice looks at.
pub(crate) struct View<'a> {
    pub(crate) holdings: &'a Holdings,
    pub(crate) links: &'a BTreeMap<LinkId, Link>,
    pub(crate) copies: &'a Copies,
    /// The groups that this peer's appetite covers.
    pub(crate) wanted: GroupRange,
    /// What the tracker advised.
    pub(crate) advice: &'a Advice,
    /// Groups that are rare in the whole swarm.
    pub(crate) at_risk: &'a GroupSet,
}

impl View<'_> {
    /// Whether a group is lacking and not asked for.
    pub(crate) fn is_free(&self, group: u32) -> bool {
        !self.holdings.held().has(group) && !self.holdings.asked.has(group)
    }

    /// The free groups of `range` that some link can be asked for now: it holds them, serves the class and has room.
    pub(crate) fn open(&self, class: Class, range: GroupRange) -> impl Iterator<Item = u32> + '_ {
        let size = u64::from(GROUP_BYTES);
        let links =
            self.links.values().filter(move |link| link.serves(class) && link.room_bytes(class) >= size);
        let haves = haves(links);
        self.free(range).flat_map(move |(index, free)| bits(index, free & any(&haves, index)))
    }

    /// The free groups of `range` that no link could send at once, were it not busy.
    pub(crate) fn sourceless(&self, range: GroupRange) -> impl Iterator<Item = u32> + '_ {
        let haves = haves(self.links.values().filter(|link| link.serves(Class::Urgent)));
        self.free(range).flat_map(move |(index, free)| bits(index, free & !any(&haves, index)))
    }

    /// Of what is open the group that the fewest viewers hold; the earliest of equals.
    pub(crate) fn rarest(&self, class: Class, range: GroupRange) -> Option<u32> {
        self.open(class, range).take(4 * SAMPLE_RUNS).min_by_key(|group| self.copies.of(*group))
    }

    /// Words of the groups of `range` that are lacking and not asked for.
    fn free(&self, range: GroupRange) -> impl Iterator<Item = (usize, u64)> + '_ {
        let taken = [self.holdings.held().words(), self.holdings.asked.words()];
        let all = self.holdings.geometry().all();
        masks(range.and(all)).map(move |(index, mask)| (index, mask & !any(&taken, index)))
    }

    /// Whether some initial peer that injects would push `group` if it were told that it is needed.
    pub(crate) fn has_injector(&self, group: u32) -> bool {
        self.links.values().any(|link| link.provides(group) && link.standing.serving == Serving::Needs)
    }

    /// The link that would deliver a group soonest. `None` if none has room, or only one that is much slower than another.
    pub(crate) fn provider(&self, group: u32, class: Class) -> Option<LinkId> {
        let has_viewer = self.links.values().any(|link| link.role == Role::Viewer && link.provides(group));
        let is_spared = has_viewer && class != Class::Urgent && !self.advice.initial().has(group);
        let size = u64::from(GROUP_BYTES);
        let holders = self.links.iter().filter(|(_, link)| {
            link.provides(group) && !(is_spared && link.is_spared()) && link.serves(class)
        });
        let assigned = self.advice.source(group);
        let (mut soonest, mut best, mut advised) = (Duration::MAX, None, None);
        for (id, link) in holders {
            let time = link.time_to_deliver(size, class);
            soonest = soonest.min(time);
            if link.room_bytes(class) < size {
                continue;
            }
            if best.is_none_or(|best| (time, *id) < best) {
                best = Some((time, *id));
            }
            if assigned == Some(link.peer) {
                advised = Some((time, *id));
            }
        }
        let (time, id) = advised.filter(|advised| self.is_as_good(*advised, best)).or(best)?;
        // One that is much sooner is worth waiting for.
        (!is_much_sooner(soonest, time)).then_some(id)
    }

    /// Whether an assigned source is as good as the one that we would choose, since the tracker knows nothing of our queues:
    /// nearly as strong, or it would be kept from what only it can send; and not twice as late.
    fn is_as_good(&self, advised: (Duration, LinkId), best: Option<(Duration, LinkId)>) -> bool {
        let uplink = |id: LinkId| self.links.get(&id).map_or(0, |link| link.standing.uplink);
        best.is_none_or(|best| advised.0 < best.0 * 2 && uplink(advised.1) >= uplink(best.1) / 4 * 3)
    }

    /// The run of free groups from `first` on that `link` holds, inside `region`, at most `groups_max` long.
    pub(crate) fn extend(&self, link: &Link, first: u32, region: GroupRange, groups_max: u32) -> GroupRange {
        let limit = GroupRange::new(first, first.saturating_add(groups_max)).and(region);
        let run = limit.iter().take_while(|group| self.is_free(*group) && link.provides(*group));
        GroupRange::new(first, first + u32::try_from(run.count()).unwrap_or(0))
    }

    /// Groups that some viewer provides: the initial peer is not asked for these.
    pub(crate) fn spared(&self) -> Vec<u64> {
        let mut spared = vec![0u64; self.holdings.held().words().len()];
        for link in self.links.values().filter(|link| link.is_provider() && link.role == Role::Viewer) {
            for (word, held) in spared.iter_mut().zip(link.have().map_or(&[][..], GroupSet::words)) {
                *word |= held;
            }
        }
        for (word, assigned) in spared.iter_mut().zip(self.advice.initial().words()) {
            *word &= !assigned;
        }
        spared
    }

    /// A background pick for `link`: the author's order, then the rarest of a sample.
    pub(crate) fn background(
        &self,
        link: &Link,
        spared: &[u64],
        groups_max: u32,
        order: Order,
        chance: &mut Chance,
    ) -> Option<GroupRange> {
        let have = link.have().filter(|_| link.serves(Class::Background))?;
        for tier in self.holdings.tiers() {
            let candidates = Candidates {
                have: have.words(),
                held: self.holdings.held().words(),
                asked: self.holdings.asked.words(),
                tier: tier.groups.words(),
                spared: link.is_spared().then_some(spared),
            };
            let start = match order {
                Order::Sequential => self.wanted.start,
                Order::Random | Order::Method | Order::Rarest => self.chance_start(chance),
            };
            let mut runs = candidates.runs(self.wanted, start);
            let first = match order {
                Order::Sequential | Order::Random => runs.next(),
                Order::Method => self.rarest_of(runs.take(SAMPLE_RUNS)),
                Order::Rarest => self.rarest_of(runs),
            };
            if let Some(first) = first {
                let limit = GroupRange::new(first, first.saturating_add(groups_max)).and(self.wanted);
                let run = limit.iter().take_while(|group| candidates.has(*group)).count();
                return Some(GroupRange::new(first, first + u32::try_from(run).unwrap_or(0)));
            }
        }
        None
    }

    fn chance_start(&self, chance: &mut Chance) -> u32 {
        self.wanted.start + chance.below(self.wanted.len())
    }

    fn rarest_of(&self, groups: impl Iterator<Item = u32>) -> Option<u32> {
        groups.min_by_key(|group| (self.copies.of(*group), !self.at_risk.has(*group)))
    }
}

/// What each of these links holds, as far as groups can be asked of it.
fn haves<'a>(links: impl Iterator<Item = &'a Link>) -> Vec<&'a [u64]> {
    links.filter(|link| link.is_provider()).filter_map(Link::have).map(GroupSet::words).collect()
}

/// A word of the union of bitmaps.
fn any(maps: &[&[u64]], index: usize) -> u64 {
    maps.iter().fold(0, |word, map| word | map.get(index).copied().unwrap_or(0))
}

/// The groups of a word.
fn bits(index: usize, word: u64) -> impl Iterator<Item = u32> {
    let first = u32::try_from(index).map_or(0, |index| index * u64::BITS);
    std::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)))
        .take_while(|rest| *rest != 0)
        .map(move |rest| first + rest.trailing_zeros())
}

/// Groups that may be asked of one link, as word operations over bitmaps.
struct Candidates<'a> {
    have: &'a [u64],
    held: &'a [u64],
    asked: &'a [u64],
    tier: &'a [u64],
    spared: Option<&'a [u64]>,
}

impl Candidates<'_> {
    fn word(&self, index: usize) -> u64 {
        let read = |words: &[u64]| words.get(index).copied().unwrap_or(0);
        let spared = self.spared.map_or(0, read);
        read(self.have) & read(self.tier) & !(read(self.held) | read(self.asked) | spared)
    }

    fn has(&self, group: u32) -> bool {
        self.word((group / u64::BITS) as usize) >> (group % u64::BITS) & 1 == 1
    }

    /// First groups of runs inside `wanted`, going round once from `start`. Runs end with their word.
    fn runs(&self, wanted: GroupRange, start: u32) -> impl Iterator<Item = u32> {
        let parts = [GroupRange::new(start, wanted.end), GroupRange::new(wanted.start, start)];
        parts.into_iter().flat_map(masks).flat_map(|(index, mask)| {
            let word = self.word(index) & mask;
            bits(index, word & !(word << 1))
        })
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::id::{ContentRoot, PeerId};
    use crate::manifest::tests::sample;
    use crate::peer::stats::LinkState;
    use crate::peer::unit::Unit;
    use crate::time::Timestamp;
    use crate::tree::HashTree;
    use std::sync::Arc;

    const GROUPS: u32 = 200;

    struct Swarm {
        holdings: Holdings,
        links: BTreeMap<LinkId, Link>,
        copies: Copies,
        advice: Advice,
        at_risk: GroupSet,
    }

    impl Swarm {
        fn new(links: &[(Role, u64, GroupRange)]) -> Self {
            let manifest = sample(u64::from(GROUPS) * 16384, ContentRoot([1; 32]));
            let geometry = manifest.geometry();
            let tree = HashTree::unknown(geometry, manifest.root);
            let mut copies = Copies::new(GROUPS);
            let links = (0..).zip(links).map(|(id, (role, rate, have))| {
                let mut link = Link::new(Timestamp::ZERO, PeerId(u64::from(id)), *role, *rate);
                assert!(link.set_geometry(geometry) && link.gained(&[*have]));
                link.state = LinkState::Open;
                if *role == Role::Viewer {
                    have.iter().for_each(|group| copies.add(group));
                }
                (LinkId(id), link)
            });
            Self {
                links: links.collect(),
                holdings: Holdings::new(Arc::new(manifest), &GroupSet::empty(GROUPS), tree, Unit::GROUP),
                advice: Advice::new(GROUPS),
                at_risk: GroupSet::empty(GROUPS),
                copies,
            }
        }

        fn assign(&mut self, group: u32, link: u32) {
            let Link { peer, role, .. } = &self.links[&LinkId(link)];
            let is_initial = *role == Role::Initial;
            let until = Timestamp::from_millis(5000);
            self.advice.assigned([GroupRange::one(group)].into_iter(), *peer, is_initial, until);
        }

        fn view(&self) -> View<'_> {
            View {
                holdings: &self.holdings,
                links: &self.links,
                copies: &self.copies,
                wanted: GroupRange::new(0, GROUPS),
                advice: &self.advice,
                at_risk: &self.at_risk,
            }
        }
    }

    const ALL: GroupRange = GroupRange::new(0, GROUPS);

    #[test]
    fn an_assigned_source_is_asked_unless_it_is_weaker_or_twice_as_late() {
        let mut swarm = Swarm::new(&[(Role::Viewer, 1_000_000, ALL), (Role::Viewer, 800_000, ALL)]);
        let provider = |swarm: &Swarm, group| swarm.view().provider(group, Class::Urgent);
        assert_eq!(provider(&swarm, 5), Some(LinkId(0)));
        swarm.assign(5, 1);
        assert_eq!([5, 6].map(|group| provider(&swarm, group)), [Some(LinkId(1)), Some(LinkId(0))]);
        let uplink = |swarm: &mut Swarm, link, uplink| {
            swarm.links.get_mut(&LinkId(link)).unwrap().standing.uplink = uplink;
        };
        uplink(&mut swarm, 0, 1_000_000);
        uplink(&mut swarm, 1, 700_000);
        assert_eq!(provider(&swarm, 5), Some(LinkId(0)), "it is weaker");
        uplink(&mut swarm, 1, 750_000);
        assert_eq!(provider(&swarm, 5), Some(LinkId(1)));
        (0..3).for_each(|_| swarm.links.get_mut(&LinkId(1)).unwrap().rate.halve());
        assert_eq!(provider(&swarm, 5), Some(LinkId(0)), "it is late");
    }

    #[test]
    fn the_initial_peer_is_spared_unless_the_group_is_urgent_or_assigned() {
        let mut swarm =
            Swarm::new(&[(Role::Initial, 10_000_000, ALL), (Role::Viewer, 100_000, GroupRange::new(0, 10))]);
        let provider = |swarm: &Swarm, group, class| swarm.view().provider(group, class);
        assert_eq!(provider(&swarm, 5, Class::Window), Some(LinkId(1)));
        assert_eq!(provider(&swarm, 5, Class::Urgent), Some(LinkId(0)));
        assert_eq!(provider(&swarm, 50, Class::Window), Some(LinkId(0)));
        swarm.assign(5, 0);
        assert_eq!(provider(&swarm, 5, Class::Window), Some(LinkId(0)));
        let view = swarm.view();
        let spared = view.spared();
        let mut chance = Chance::new(1);
        for _ in 0..50 {
            let pick =
                view.background(&swarm.links[&LinkId(0)], &spared, 4, Order::Method, &mut chance).unwrap();
            assert!(pick.iter().all(|group| group >= 10 || group == 5), "{pick:?}");
        }
    }

    #[test]
    fn the_soonest_link_with_room_gets_the_group() {
        let mut swarm = Swarm::new(&[(Role::Viewer, 1_000_000, ALL), (Role::Viewer, 500_000, ALL)]);
        let provider = |swarm: &Swarm, class| swarm.view().provider(0, class);
        let geometry = swarm.holdings.geometry();
        assert_eq!(provider(&swarm, Class::Window), Some(LinkId(0)));
        let fast = swarm.links.get_mut(&LinkId(0)).unwrap();
        fast.ask(Timestamp::ZERO, geometry, GroupRange::new(100, 164), Class::Window);
        assert_eq!(provider(&swarm, Class::Window), Some(LinkId(1)));
        assert_eq!(provider(&swarm, Class::Urgent), Some(LinkId(0)), "the sender lets it overtake");
        swarm.links.get_mut(&LinkId(1)).unwrap().is_stalled = true;
        assert_eq!(provider(&swarm, Class::Window), None);
    }

    #[test]
    fn background_prefers_what_few_hold() {
        let swarm = Swarm::new(&[(Role::Viewer, 1_000_000, ALL), (Role::Viewer, 1, GroupRange::new(0, 190))]);
        let view = swarm.view();
        // All groups form one run, so the sample is that of its start; punch holes to make runs.
        let mut holed = Holdings::new(
            Arc::new(sample(u64::from(GROUPS) * 16384, ContentRoot([1; 32]))),
            &GroupSet::empty(GROUPS),
            HashTree::unknown(view.holdings.geometry(), ContentRoot([1; 32])),
            Unit::GROUP,
        );
        for group in (0..GROUPS).step_by(10) {
            holed.gain(GroupRange::one(group));
        }
        let view = View { holdings: &holed, ..view };
        let pick = view
            .background(&swarm.links[&LinkId(0)], &view.spared(), 4, Order::Method, &mut Chance::new(3))
            .unwrap();
        assert_eq!(pick, GroupRange::new(191, 195));
        assert_eq!(view.rarest(Class::Window, GroupRange::new(150, 200)), Some(191));
    }

    #[test]
    fn the_authors_order_precedes_rarity() {
        let mut swarm = Swarm::new(&[(Role::Viewer, 1_000_000, ALL)]);
        let mut manifest = sample(u64::from(GROUPS) * 16384, ContentRoot([1; 32]));
        manifest.segments[2].priority = 7;
        let tree = HashTree::unknown(manifest.geometry(), manifest.root);
        swarm.holdings = Holdings::new(Arc::new(manifest), &GroupSet::empty(GROUPS), tree, Unit::GROUP);
        let view = swarm.view();
        for seed in 0..20 {
            let pick = view
                .background(&swarm.links[&LinkId(0)], &[], 64, Order::Method, &mut Chance::new(seed))
                .unwrap();
            assert!(pick.start >= 12 && pick.end <= 28, "{pick:?}");
        }
    }

    #[test]
    fn held_and_asked_groups_are_never_picked() {
        let mut swarm = Swarm::new(&[(Role::Viewer, 1_000_000, ALL)]);
        swarm.holdings.gain(GroupRange::new(0, 100));
        swarm.holdings.asked.insert(GroupRange::new(110, 200));
        let view = swarm.view();
        assert_eq!(view.open(Class::Urgent, ALL).collect::<Vec<_>>(), (100..110).collect::<Vec<_>>());
        assert_eq!(view.sourceless(ALL).next(), None);
        assert_eq!(view.extend(&swarm.links[&LinkId(0)], 100, ALL, 64), GroupRange::new(100, 110));
        for seed in 0..20 {
            let pick = view
                .background(&swarm.links[&LinkId(0)], &[], 64, Order::Method, &mut Chance::new(seed))
                .unwrap();
            assert!(pick.start >= 100 && pick.end <= 110, "{pick:?}");
        }
    }
}
