//! What is injected, to whom, and what is served meanwhile.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::manifest::Period;
use crate::peer::tests::scene::{Scene, manifest, standing};
use crate::peer::tuning::{ANNOUNCE_TIMEOUT, SPARE_WORTHWHILE};
use crate::peer::{UploadLimit, receive::Demand, send::Sender};
use crate::peer_message::{Playing, Standing};
use crate::tracker_message::Role;

/// What the initial peer and each viewer upload, bytes a second.
const UPLINK: u64 = 1_000_000;
const GROUPS: u32 = 1000;
const ALL: GroupRange = GroupRange::new(0, GROUPS);
const RTT: Duration = Duration::from_millis(40);

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// An initial peer that holds everything, and its surroundings.
struct Half {
    scene: Scene,
    sender: Sender,
    demand: Demand,
    inject: Inject,
    now: Timestamp,
}

/// The same as a field; the injection itself is borrowed apart.
macro_rules! field {
    ($half:expr) => {
        Field {
            now: $half.now,
            content: &$half.scene.content,
            neighbours: &$half.scene.neighbours,
            sender: &$half.sender,
            demand: &$half.demand,
        }
    };
}

mod trust;
mod unfed;
mod uplinks;

impl Half {
    /// A content of 4 segments that plays at 163,840 bytes a second.
    fn new(economy: Economy, viewers: u32) -> Self {
        let manifest = manifest(GROUPS, 4, 100_000, |_| ());
        let demand = Demand::new(&manifest);
        let mut half = Self {
            scene: Scene::new(manifest, ALL),
            sender: Sender::new(UploadLimit::Unlimited, Some(UPLINK)),
            demand,
            inject: Inject::new(GROUPS, economy),
            now: at(0),
        };
        for _ in 0..viewers {
            half.viewer(standing(UPLINK), &[]);
        }
        half
    }

    fn viewer(&mut self, standing: Standing, have: &[GroupRange]) -> LinkId {
        let id = self.scene.link(self.now, Role::Viewer, standing, &[]);
        self.scene.measure(id, RTT);
        self.sender.link_opened(self.now, id);
        self.inject.announced(&field!(self), id, have, true);
        self.scene.neighbours.announced(id, have, &[]).unwrap();
        self.survey();
        id
    }

    /// Works out again what the swarm can do; the viewers whose copies begin or cease to count.
    fn survey(&mut self) -> Vec<(LinkId, Counts)> {
        let changes = self.inject.survey(&field!(self));
        changes.iter().for_each(|(id, counts)| self.scene.neighbours.set_counts(*id, *counts));
        changes
    }

    fn next(&mut self) -> Option<Departure> {
        self.inject.next(&field!(self))
    }

    fn serving(&mut self) -> Serving {
        self.inject.serving(&field!(self))
    }

    /// Pushes what comes next, as far as there is room; the first `max`.
    fn push(&mut self, max: usize) -> Vec<(LinkId, u32)> {
        let mut pushed = Vec::new();
        while pushed.len() < max
            && let Some(departure) = self.next()
        {
            self.inject.departed(&field!(self), &departure, u64::from(departure.range.len()) * GROUP, true);
            self.scene.neighbours.was_sent(departure.link, departure.range);
            pushed.extend(departure.range.iter().map(|group| (departure.link, group)));
        }
        pushed
    }

    /// A viewer says how it stands, and how long its urgent backlog takes to leave.
    fn stands(&mut self, id: LinkId, standing: Standing, backlog_ms: u32) {
        self.scene.neighbours.stands(id, standing, backlog_ms);
        self.survey();
    }

    fn announce(&mut self, id: LinkId, range: GroupRange) {
        self.inject.announced(&field!(self), id, &[range], false);
        self.scene.neighbours.announced(id, &[range], &[]).unwrap();
    }

    /// Everything is pushed, and announced at once by its receiver.
    fn inject_all(&mut self) {
        loop {
            let pushed = self.push(usize::MAX);
            if pushed.is_empty() {
                break;
            }
            pushed.into_iter().for_each(|(id, group)| self.announce(id, GroupRange::one(group)));
        }
        assert!(self.scene.neighbours.copies().present().is_full());
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.inject.handle_timeout(&field!(self));
    }
}

fn groups(pushed: &[(LinkId, u32)]) -> Vec<u32> {
    pushed.iter().map(|(_, group)| *group).collect()
}

#[test]
fn groups_are_injected_once_in_the_authors_order_and_siblings_together() {
    let mut half = Half::new(Economy::Thrifty, 3);
    let pushed = half.push(12);
    assert_eq!(groups(&pushed), (0..12).collect::<Vec<_>>());
    assert!(pushed.chunks(2).all(|pair| pair[0].0 == pair[1].0), "the two share a proof: {pushed:?}");
    let links: Vec<LinkId> = pushed.iter().step_by(2).map(|(id, _)| *id).collect();
    assert_eq!(links, [1, 2, 3, 1, 2, 3].map(LinkId), "alike viewers take turns");
}

#[test]
fn the_authors_periods_and_priorities_decide_what_is_injected_first() {
    let manifest = manifest(GROUPS, 4, 100_000, |manifest| {
        manifest.segments[2].period = Period::Start;
        manifest.segments[1].priority = 7;
    });
    let mut half = Half::new(Economy::Thrifty, 1);
    half.scene.content = Scene::new(manifest, ALL).content;
    let wanted = [ALL];
    let mut first = || {
        let group = half.inject.order.next(&field!(half), &wanted);
        let segment = group.map(|group| group / 250);
        segment
            .inspect(|segment| half.inject.order.pushed(GroupRange::new(segment * 250, segment * 250 + 250)))
    };
    assert_eq!([first(), first(), first(), first(), first()], [Some(2), Some(1), Some(0), Some(3), None]);
}

#[test]
fn what_a_viewer_holds_or_was_sent_or_is_not_held_here_is_not_fresh() {
    let mut half = Half::new(Economy::Thrifty, 0);
    let some = half.viewer(standing(UPLINK), &[]);
    half.inject.order.pushed(GroupRange::new(0, 300));
    half.announce(some, GroupRange::new(0, 4));
    half.inject.order.given_up(GroupRange::new(2, 8));
    half.scene.content.lose(GroupRange::one(5));
    let is_fresh = |group| half.inject.order.is_fresh(group, &field!(half));
    assert_eq!([0, 3, 4, 5, 6, 8].map(is_fresh), [false, false, true, false, true, false]);
    assert_eq!(half.inject.order.next(&field!(half), &[ALL]), Some(4));
    assert_eq!(half.inject.order.next(&field!(half), &[GroupRange::new(6, 50)]), Some(6));
    assert_eq!(half.inject.order.next(&field!(half), &[]), None);
    assert_eq!(
        Order::lacking_count(&field!(half), &[GroupRange::new(0, 10)]),
        6,
        "what is on its way is lacking, too"
    );
    assert!(
        half.inject.order.has_left(GroupRange::new(2, 8))
            && !half.inject.order.has_left(GroupRange::one(300))
    );
}

#[test]
fn several_initial_peers_inject_their_own_segments_first_and_then_the_others_from_the_end() {
    let mut half = Half::new(Economy::Thrifty, 1);
    half.inject.told(1, Some(Share { index: 1, count: 2 }), &half.scene.content);
    let next = |half: &Half| half.inject.order.next(&field!(half), &[ALL]).unwrap();
    assert_eq!(next(&half), 250);
    half.inject.order.pushed(GroupRange::new(250, 500));
    assert_eq!(next(&half), 750);
    half.inject.order.pushed(GroupRange::new(750, 1000));
    assert_eq!(next(&half), 749, "the other is to inject the rest, from the beginning");
}

#[test]
fn a_viewer_is_pushed_what_its_share_of_the_uplink_carries_until_it_announces() {
    let mut half = Half::new(Economy::Thrifty, 2);
    // Half of 1 MB/s each, for 340 ms: 10 groups.
    assert_eq!(half.push(usize::MAX).len(), 20);
    half.announce(LinkId(2), GroupRange::new(0, 8));
    let more = half.push(usize::MAX);
    assert!(!more.is_empty() && more.iter().all(|(id, _)| *id == LinkId(2)), "{more:?}");
}

#[test]
fn only_what_a_viewer_wants_is_pushed_to_it() {
    let mut half = Half::new(Economy::Thrifty, 0);
    half.viewer(Standing { wants: GroupRange::new(500, 503), ..standing(UPLINK) }, &[]);
    assert_eq!(groups(&half.push(usize::MAX)), [500, 501, 502]);
    assert_eq!(half.serving(), Serving::Deadlines, "they have not been announced");
}

#[test]
fn a_push_that_is_not_announced_in_time_or_whose_viewer_leaves_is_next_again() {
    let mut half = Half::new(Economy::Thrifty, 2);
    assert_eq!(groups(&half.push(4)), [0, 1, 2, 3]);
    half.inject.link_closed(LinkId(1));
    half.scene.neighbours.remove(LinkId(1));
    half.survey();
    assert_eq!(groups(&half.push(2)), [0, 1]);
    assert!(half.inject.is_pushed(LinkId(2), 2), "a request for it would cross the push");
    let deadline = half.inject.deadline().unwrap();
    assert_eq!(deadline, at(0) + SPREAD_TIME);
    half.pass(SPREAD_TIME);
    assert_eq!(half.inject.deadline(), Some(at(0) + ANNOUNCE_TIMEOUT));
    half.pass(ANNOUNCE_TIMEOUT - SPREAD_TIME);
    assert!(!half.inject.is_pushed(LinkId(2), 2));
    assert_eq!(groups(&half.push(4)), [0, 1, 2, 3]);
}

#[test]
fn a_fresh_group_goes_before_requests_where_injection_is_behind_or_a_player_needs_it() {
    let mut half = Half::new(Economy::Thrifty, 20);
    let is_pressing = |half: &mut Half| half.next().map(|_| half.inject.pressing_bytes() > 0);
    assert_eq!(is_pressing(&mut half), Some(true), "nothing has left yet");
    half.push(1);
    assert_eq!(is_pressing(&mut half), Some(false));
    // 1.1 × (1 + 20) / 20 MB/s are 70 groups a second.
    half.now = at(100);
    assert_eq!(is_pressing(&mut half), Some(true));
    half.push(9);
    assert_eq!(is_pressing(&mut half), Some(false));
    // The next group is the tenth, due after a second.
    half.scene.neighbours.stands(
        LinkId(1),
        Standing { playing: Some(Playing { group: 0, ahead_ms: 3000 }), ..standing(UPLINK) },
        0,
    );
    half.survey();
    assert_eq!(is_pressing(&mut half), Some(false), "its player has media for three seconds");
    half.scene.neighbours.stands(
        LinkId(1),
        Standing { playing: Some(Playing { group: 0, ahead_ms: 1000 }), ..standing(UPLINK) },
        0,
    );
    half.survey();
    assert_eq!(is_pressing(&mut half), Some(true));
}

/// The first viewer's player is somewhere.
fn play(half: &mut Half, group: u32, ahead_ms: u32, credit: u32) {
    let playing = Some(Playing { group, ahead_ms });
    half.scene.neighbours.stands(LinkId(1), Standing { playing, credit, ..standing(UPLINK) }, 0);
    half.survey();
}

#[test]
fn what_a_player_needs_soon_goes_before_the_authors_order() {
    let mut half = Half::new(Economy::Thrifty, 3);
    // 10 groups a second: those due within three seconds.
    play(&mut half, 700, 2500, u32::MAX);
    assert_eq!(groups(&half.push(10)), [700, 701, 702, 703, 704, 705, 0, 1, 2, 3]);
    // A player that waits needs its start buffer only, at once.
    let mut half = Half::new(Economy::Thrifty, 3);
    play(&mut half, 700, 0, u32::MAX);
    let pushed = groups(&half.push(14));
    assert_eq!(pushed[..11], (700..711).collect::<Vec<_>>());
    assert_eq!(pushed.iter().filter(|group| **group < 100).count(), 3);
}

#[test]
fn what_a_player_needs_soon_goes_to_as_many_viewers_as_possible() {
    let mut half = Half::new(Economy::Thrifty, 3);
    play(&mut half, 700, 0, u32::MAX);
    let pushed = half.push(6);
    let links: Vec<u32> = pushed.iter().map(|(id, _)| id.0).collect();
    assert_eq!(links, [1, 2, 3, 1, 2, 3], "{pushed:?}");
    // The second has passed on what it was given: it gets more.
    half.announce(LinkId(2), GroupRange::one(701));
    half.announce(LinkId(2), GroupRange::one(704));
    assert!(half.push(2).iter().all(|(id, _)| *id == LinkId(2)));
}

#[test]
fn a_waiting_player_is_pushed_what_it_needs_even_if_it_accepts_nothing_else() {
    let mut half = Half::new(Economy::Thrifty, 1);
    play(&mut half, 700, 0, 0);
    let pushed = groups(&half.push(usize::MAX));
    assert_eq!(pushed, [700, 701, 702, 703], "half of the first credit");
}

#[test]
fn a_strong_uplink_without_room_is_waited_for_until_it_is_silent() {
    let mut half = Half::new(Economy::Thrifty, 0);
    let strong = half.viewer(standing(UPLINK), &[]);
    let weak = half.viewer(standing(4 * GROUP), &[]);
    half.inject.told(20, None, &half.scene.content);
    half.survey();
    assert!(!half.inject.is_rich());
    let to = |pushed: &[(LinkId, u32)], id| pushed.iter().filter(|(to, _)| *to == id).count();
    let mut given = 0;
    let mut pushed = half.push(usize::MAX);
    assert!(to(&pushed, strong) > 15, "{pushed:?}");
    while to(&pushed, weak) > 0 {
        given += to(&pushed, weak);
        let came = pushed.iter().filter(|(id, _)| *id == weak);
        came.for_each(|(id, group)| half.announce(*id, GroupRange::one(*group)));
        pushed = half.push(usize::MAX);
    }
    assert!((4..8).contains(&given), "what it passes on in a second, and little more: {given}");
    half.pass(RTT + PUSH_TIME);
    assert_eq!(to(&half.push(usize::MAX), weak), 2, "the strong one has announced nothing");
}

#[test]
fn a_rich_publisher_serves_deadlines_before_it_injects() {
    // 163,840 bytes a second are played: the uplink is enough for five viewers and not for six.
    let mut half = Half::new(Economy::Thrifty, 5);
    assert!(half.inject.is_rich());
    assert_eq!((half.next().is_some(), half.inject.pressing_bytes()), (true, 0));
    let mut half = Half::new(Economy::Thrifty, 6);
    assert!(!half.inject.is_rich());
    assert!(half.next().is_some() && half.inject.pressing_bytes() > 0);
    half.inject.told(5, None, &half.scene.content);
    half.survey();
    assert!(!half.inject.is_rich(), "six are linked");
}

#[test]
fn while_injection_goes_first_one_frame_in_ten_is_not_its() {
    let mut half = Half::new(Economy::Thrifty, 1);
    let turns: Vec<bool> = (0..20).map(|_| half.inject.takes_turn(10, true)).collect();
    assert_eq!(turns.iter().filter(|is_push| !**is_push).count(), 2);
    assert!(!turns[9] && !turns[19]);
}

#[test]
fn a_thrifty_publisher_serves_deadlines_only_until_what_it_injected_has_spread() {
    for (economy, then) in [(Economy::Thrifty, Serving::Deadlines), (Economy::Generous, Serving::Everything)]
    {
        let mut half = Half::new(economy, 20);
        assert_eq!(half.serving(), then, "pushes leave before background");
        assert!(half.inject.was_injecting());
        half.inject_all();
        assert_eq!(half.serving(), then, "it is on its way through the swarm");
        assert!(!half.inject.was_injecting());
        half.pass(SPREAD_TIME);
        // A thrifty one has an eighth of 16 MB to give.
        assert_eq!(half.serving(), Serving::Everything, "{economy:?}");
        half.inject.account.sent(u64::from(GROUPS) * GROUP / 8, false);
        assert_eq!(half.serving(), then, "{economy:?}");
        half.sender.set_limit(UploadLimit::Off);
        assert_eq!(half.serving(), Serving::Nothing);
    }
}

#[test]
fn background_that_waits_already_counts_as_given() {
    let mut half = Half::new(Economy::Thrifty, 20);
    half.inject_all();
    half.pass(SPREAD_TIME);
    let spare_groups = u32::try_from(u64::from(GROUPS) / 8 - SPARE_WORTHWHILE / GROUP).unwrap();
    for (link, start) in [(1, 0), (2, 64)] {
        let range = GroupRange::new(start, spare_groups.min(start + 64));
        let background = (crate::peer_message::Class::Background, half.now);
        half.sender.requested(half.now, LinkId(link), range, background);
    }
    assert_eq!(half.serving(), Serving::Deadlines, "what is left is not worth telling anybody");
}
