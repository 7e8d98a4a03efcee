//! Whose turn it is, and when a frame may leave.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use proptest::prelude::*;

use super::refusal::refusal;
use super::*;
use crate::group_set::GroupSet;
use crate::limits::QUEUED_GROUPS_MAX;
use crate::peer::tests::scene::Scene;
use crate::peer_message::{RejectReason, Serving};

/// 1 MB/s: a group takes 16.4 ms.
const UPLINK: u64 = 1_000_000;
const ALL: GroupRange = GroupRange::new(0, 1000);

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// A sender whose uplink is known, and neighbours with nothing.
fn sender(scene: &mut Scene, neighbours: u32) -> (Sender, Vec<LinkId>) {
    let mut sender = Sender::new(UploadLimit::Unlimited, Some(UPLINK));
    let links: Vec<LinkId> = (0..neighbours).map(|_| scene.viewer(UPLINK, &[])).collect();
    links.iter().for_each(|id| sender.link_opened(at(0), *id));
    (sender, links)
}

fn ask(sender: &mut Sender, ms: u64, id: LinkId, groups: &[u32], class: Class, due_ms: u64) {
    for group in groups {
        assert!(sender.requested(at(ms), id, GroupRange::one(*group), (class, at(due_ms))).is_empty());
    }
}

/// Hands frames over until none is left; which neighbour got which group.
fn departures(
    sender: &mut Sender,
    now: Timestamp,
    next: impl Fn(&Sender) -> Option<Departure>,
) -> Vec<(LinkId, u32)> {
    let mut departures = Vec::new();
    while let Some(departure) = next(sender) {
        sender.handed_over(now, &departure, (GROUP, GROUP));
        departures.extend(departure.range.iter().map(|group| (departure.link, group)));
    }
    departures
}

#[test]
fn urgent_groups_leave_by_deadline_over_all_neighbours() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 2);
    let (a, b) = (links[0], links[1]);
    ask(&mut sender, 0, a, &[1], Class::Urgent, 900);
    ask(&mut sender, 0, b, &[2], Class::Urgent, 300);
    ask(&mut sender, 0, a, &[3], Class::Urgent, 600);
    ask(&mut sender, 0, b, &[9], Class::Background, 0);
    let left = departures(&mut sender, at(0), |sender| sender.next_urgent(at(0), &scene.neighbours));
    assert_eq!(left, [(b, 2), (a, 3), (a, 1)]);
}

#[test]
fn of_what_is_due_together_the_group_that_fewest_hold_leaves_first() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 2);
    scene.viewer(UPLINK, &[GroupRange::one(2)]);
    ask(&mut sender, 0, links[0], &[2], Class::Urgent, 10);
    ask(&mut sender, 0, links[1], &[1], Class::Urgent, 240);
    ask(&mut sender, 0, links[1], &[7], Class::Urgent, 250);
    let left = departures(&mut sender, at(0), |sender| sender.next_urgent(at(0), &scene.neighbours));
    assert_eq!(left, [(links[1], 1), (links[0], 2), (links[1], 7)]);
}

#[test]
fn background_leaves_marked_first_then_the_rarest_then_each_neighbour_in_turn() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 3);
    let [a, b, c] = links[..] else { panic!("{links:?}") };
    scene.viewer(UPLINK, &[GroupRange::new(0, 100)]);
    ask(&mut sender, 0, a, &[10, 20, 200], Class::Background, 0);
    ask(&mut sender, 0, b, &[30, 40], Class::Background, 0);
    ask(&mut sender, 0, c, &[50], Class::Marked, 0);
    let left = departures(&mut sender, at(0), |sender| sender.next_background(at(0), &scene.neighbours));
    assert_eq!(left, [(c, 50), (a, 200), (b, 30), (a, 10), (b, 40), (a, 20)]);
}

#[test]
fn background_that_has_waited_for_long_does_not_wait_for_rarer_groups() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 2);
    scene.viewer(UPLINK, &[GroupRange::new(0, 100)]);
    ask(&mut sender, 0, links[0], &[10], Class::Background, 0);
    ask(&mut sender, 500, links[1], &[200], Class::Background, 0);
    let next = |sender: &Sender, now| sender.next_background(now, &scene.neighbours).unwrap();
    let before = (Timestamp::ZERO + AGED) - Duration::from_millis(1);
    assert_eq!(next(&sender, before).range, GroupRange::one(200));
    let aged = next(&sender, Timestamp::ZERO + AGED);
    assert_eq!((aged.range, aged.waited), (GroupRange::one(10), AGED));
}

#[test]
fn hastened_groups_become_urgent_if_they_still_wait() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 1);
    ask(&mut sender, 0, links[0], &[10, 11, 12], Class::Background, 0);
    sender.hastened(at(30), links[0], GroupRange::new(11, 14), at(500));
    let urgent = sender.next_urgent(at(40), &scene.neighbours).unwrap();
    assert_eq!(
        (urgent.range.start, urgent.waited),
        (11, Duration::from_millis(40)),
        "from the first request on"
    );
    sender.cancelled(links[0], GroupRange::new(11, 12));
    let left = departures(&mut sender, at(40), |sender| sender.next_urgent(at(40), &scene.neighbours));
    assert_eq!(left, [(links[0], 12)], "13 was not asked for");
    assert_eq!(sender.background_bytes(), GROUP);
}

#[test]
fn the_request_for_what_was_sent_ahead_of_it_is_answered_already_and_a_second_one_is_not() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 1);
    [1, 2].into_iter().for_each(|group| sender.answers_ahead(at(0), links[0], group));
    let left = departures(&mut sender, at(0), |sender| sender.next_urgent(at(0), &scene.neighbours));
    assert_eq!(left, [(links[0], 1), (links[0], 2)]);
    let mut asked = |ms, groups: &[u32]| {
        ask(&mut sender, ms, links[0], groups, Class::Urgent, ms);
        departures(&mut sender, at(ms), |sender| sender.next_urgent(at(ms), &scene.neighbours))
    };
    assert_eq!(asked(50, &[1, 2, 3]), [(links[0], 3)]);
    assert_eq!(asked(900, &[2]), [(links[0], 2)], "it was lost");
}

#[test]
fn groups_beyond_the_bound_are_refused_and_named() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 2);
    let max = u32::try_from(QUEUED_GROUPS_MAX).unwrap();
    let refused = sender.requested(at(0), links[0], GroupRange::new(0, max + 3), (Class::Background, at(0)));
    assert_eq!(refused, [GroupRange::new(max, max + 3)]);
    let other = sender.requested(at(0), links[1], GroupRange::one(7), (Class::Background, at(0)));
    assert!(other.is_empty(), "each neighbour has a queue of its own");
    assert!(sender.requested(at(0), LinkId(99), ALL, (Class::Urgent, at(0))).is_empty(), "no such link");
}

#[test]
fn what_is_dropped_is_told_to_each_neighbour_that_waits_for_it() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 2);
    let (a, b) = (links[0], links[1]);
    ask(&mut sender, 0, a, &[1, 2, 3, 9], Class::Background, 0);
    ask(&mut sender, 0, b, &[2, 3], Class::Urgent, 100);
    ask(&mut sender, 0, b, &[20], Class::Marked, 0);
    let range = GroupRange::new;
    assert_eq!(sender.lost(range(2, 4)), [(a, range(2, 4)), (b, range(2, 4))]);
    ask(&mut sender, 0, b, &[5], Class::Urgent, 100);
    assert_eq!(sender.drop_background(), [(a, range(1, 2)), (a, range(9, 10)), (b, range(20, 21))]);
    assert_eq!(sender.drop_all(), [(b, range(5, 6))]);
    assert!(!sender.has_requests() && sender.is_idle(a) && sender.is_idle(b));
}

#[test]
fn the_gate_is_closed_while_the_uplinks_window_is_full_and_opens_as_bytes_leave() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 1);
    let id = links[0];
    sender.requested(at(0), id, GroupRange::new(0, 64), (Class::Background, at(0)));
    let mut sent = 0;
    while sender.gate(at(0)) == Gate::Open {
        let departure = sender.next_background(at(0), &scene.neighbours).unwrap();
        let bytes = u64::from(departure.range.len()) * GROUP;
        sender.handed_over(at(0), &departure, (bytes, bytes));
        sent += bytes;
    }
    // 1 MB/s over a path of 50 ms, and 60 ms of queue.
    assert!((110_000..110_000 + 3 * GROUP).contains(&sent), "{sent}");
    assert_eq!((sender.gate(at(1)), sender.sent_bytes(id)), (Gate::Closed, sent));
    sender.drained(at(60), (id, scene.of(id)), sent - 2 * GROUP, false);
    assert_eq!(sender.gate(at(60)), Gate::Open);
    sender.link_closed(id);
    assert_eq!(sender.gate(at(60)), Gate::Open, "what waited on a closed channel is gone");
}

#[test]
fn a_channel_that_holds_its_share_lets_others_go_first_whatever_their_deadlines() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 2);
    let (a, b) = (links[0], links[1]);
    // 110 kB may be on their way, 55 kB for each of two: three groups leave room, four do not.
    ask(&mut sender, 0, a, &[1, 2, 3, 4, 5, 6], Class::Urgent, 100);
    ask(&mut sender, 0, b, &[7, 8], Class::Urgent, 5000);
    let left = departures(&mut sender, at(0), |sender| sender.next_urgent(at(0), &scene.neighbours));
    assert_eq!(left.iter().map(|(_, group)| *group).collect::<Vec<_>>(), [1, 2, 3, 4, 7, 8, 5, 6]);
}

#[test]
fn the_capacity_counts_as_known_only_where_something_waits_for_room_in_the_uplinks_window() {
    for (is_blocked, expected) in [(true, Some(100_000)), (false, None)] {
        let mut scene = Scene::film();
        let id = scene.viewer(UPLINK, &[]);
        let mut sender = Sender::new(UploadLimit::Unlimited, None);
        sender.link_opened(at(0), id);
        let departure = Departure { link: id, range: GroupRange::one(0), waited: Duration::ZERO };
        // Ten groups are always on their way, and one leaves every 164 ms: 100 kB/s, and 1.6 s of queue.
        (0..10).for_each(|_| sender.handed_over(at(0), &departure, (GROUP, GROUP)));
        for step in 1..=30 {
            sender.set_blocked(is_blocked);
            sender.drained(at(step * 164), (id, scene.of(id)), 9 * GROUP, true);
            sender.handed_over(at(step * 164), &departure, (GROUP, GROUP));
        }
        let known = sender.uplink_settled().map(|rate| (rate + 5000) / 10_000 * 10_000);
        assert_eq!(known, expected, "{is_blocked}");
    }
}

#[test]
fn an_uplink_that_is_not_wanted_whole_is_told_as_the_most_that_it_carried_if_that_is_much() {
    for (interval_ms, expected) in [(20, 8), (164, 0)] {
        let mut scene = Scene::film();
        let id = scene.viewer(UPLINK, &[]);
        let mut sender = Sender::new(UploadLimit::Unlimited, None);
        sender.link_opened(at(0), id);
        let departure = Departure { link: id, range: GroupRange::one(0), waited: Duration::ZERO };
        for step in 1..=30 {
            sender.handed_over(at(step * interval_ms), &departure, (GROUP, GROUP));
            sender.drained(at(step * interval_ms + 5), (id, scene.of(id)), 0, false);
        }
        assert_eq!(sender.uplink(), 0, "nothing waited");
        assert_eq!(sender.uplink_at_least() / 100_000, expected, "{interval_ms}");
    }
}

#[test]
fn a_stuck_channel_holds_up_no_other() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 2);
    let departure = |link, group| Departure { link, range: GroupRange::one(group), waited: Duration::ZERO };
    sender.handed_over(at(0), &departure(links[0], 1), (GROUP, 8 * GROUP));
    assert_eq!(sender.gate(at(0)), Gate::Closed);
    for step in 1..=10 {
        sender.handed_over(at(step * 100), &departure(links[1], 2), (GROUP, GROUP));
        sender.drained(at(step * 100 + 90), (links[1], scene.of(links[1])), 0, false);
    }
    assert_eq!(sender.gate(at(1090)), Gate::Open);
    assert!(sender.is_channel_empty(links[1]) && !sender.is_channel_empty(links[0]));
}

#[test]
fn the_upload_limit_names_the_time_of_the_next_frame_and_off_closes_the_gate() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 1);
    sender.set_limit(UploadLimit::BitsPerSecond(8 * 16_384 * 10));
    assert_eq!(sender.uplink(), 163_840, "the limit is what is told, not the line");
    let departure = Departure { link: links[0], range: GroupRange::one(1), waited: Duration::ZERO };
    // Ten groups a second; the burst of 100 ms is one group.
    sender.handed_over(at(1000), &departure, (GROUP, GROUP));
    assert_eq!(sender.gate(at(1000)), Gate::Open);
    sender.handed_over(at(1000), &departure, (GROUP, GROUP));
    assert_eq!(sender.gate(at(1000)), Gate::Until(at(1100)));
    sender.set_limit(UploadLimit::Off);
    assert_eq!((sender.gate(at(5000)), sender.is_off(), sender.uplink_estimate()), (Gate::Closed, true, 0));
}

#[test]
fn the_backlog_is_what_urgent_groups_take_at_the_uplinks_rate() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 2);
    ask(&mut sender, 0, links[0], &[1, 2], Class::Background, 0);
    let backlog_ms = |sender: &Sender, ms| sender.backlog_ms(at(ms), &scene.neighbours);
    assert_eq!((backlog_ms(&sender, 0), sender.background_bytes()), (0, 2 * GROUP));
    ask(&mut sender, 0, links[0], &[3, 4, 5], Class::Urgent, 100);
    ask(&mut sender, 0, links[1], &[3, 4], Class::Urgent, 100);
    assert_eq!(backlog_ms(&sender, 0), 81, "five groups of 16.4 ms");
    sender.set_pressing_bytes(2 * GROUP);
    assert_eq!(backlog_ms(&sender, 0), 114, "two fresh groups leave before");
    sender.set_pressing_bytes(u64::MAX);
    assert_eq!(backlog_ms(&sender, 0), 819, "one frame in ten is for urgent requests");
}

#[test]
fn a_slow_uplink_tells_a_long_backlog_before_it_is_measured() {
    let mut scene = Scene::film();
    let (mut sender, links) = sender(&mut scene, 2);
    ask(&mut sender, 0, links[0], &[3, 4, 5], Class::Urgent, 100);
    let departure = Departure { link: links[0], range: GroupRange::one(1), waited: Duration::ZERO };
    sender.handed_over(at(0), &departure, (GROUP, GROUP));
    let assumed_ms = sender.backlog_ms(at(0), &scene.neighbours);
    // After two seconds its first frame has yet to leave: three more take six.
    let told_ms = sender.backlog_ms(at(2000), &scene.neighbours);
    assert!(assumed_ms < 200 && (5000..=6000).contains(&told_ms), "{assumed_ms} {told_ms}");
}

#[test]
fn a_request_is_refused_as_a_whole_where_nothing_of_it_is_served_or_held() {
    let mut scene = Scene::film();
    let (mut sender, _) = sender(&mut scene, 1);
    let mut held = GroupSet::empty(1000);
    held.insert(GroupRange::new(3, 5));
    let range = GroupRange::new(4, 9);
    assert_eq!(refusal(&sender, &held, range, true), None, "a part of it is held");
    assert_eq!(refusal(&sender, &held, GroupRange::new(5, 9), true), Some(RejectReason::NotHeld));
    assert_eq!(refusal(&sender, &held, range, false), Some(RejectReason::NotServing));
    sender.set_limit(UploadLimit::Off);
    assert_eq!(refusal(&sender, &held, range, true), Some(RejectReason::NotServing));
    let classes = [Class::Urgent, Class::Marked, Class::Background];
    assert_eq!(classes.map(|class| Serving::Everything.answers(class)), [true; 3]);
    assert_eq!(classes.map(|class| Serving::Deadlines.answers(class)), [true, false, false]);
    assert_eq!(classes.map(|class| Serving::Nothing.answers(class)), [false; 3]);
}

proptest! {
    /// Requests, cancellations, frames that leave and drain, and links that come and go, in any order; sometimes a channel
    /// is stuck while others carry on.
    #[test]
    fn the_sums_are_those_of_the_outlets(
        steps in prop::collection::vec((0u8..8, 0u32..4, 0u32..40, 1u64..700), 0..80),
    ) {
        let mut scene = Scene::film();
        let (mut sender, links) = sender(&mut scene, 4);
        let mut now = at(0);
        for (kind, link, group, ms) in steps {
            let id = links[link as usize];
            let range = GroupRange::new(group, group + 3);
            match kind {
                0 => drop(sender.requested(now, id, range, (Class::Urgent, now))),
                1 => drop(sender.requested(now, id, range, (Class::Background, now))),
                2 => sender.cancelled(id, range),
                3 => sender.hastened(now, id, range, now),
                4 => drop(sender.lost(range)),
                5 => {
                    let departure = Departure { link: id, range, waited: Duration::ZERO };
                    sender.handed_over(now, &departure, (3 * GROUP, 3 * GROUP));
                }
                6 => sender.drained(now, (id, scene.of(id)), 0, false),
                _ if group == 0 => sender.link_closed(id),
                _ => {
                    sender.link_opened(now, id);
                    now = now + Duration::from_millis(ms);
                }
            }
            let carried = sender.uplink.carried_bytes();
            sender.outlets.check_invariants(now, carried);
        }
    }
}
