//! How requests are mended: promotion, late moves, endgame.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn requests_are_looked_over_as_soon_as_there_is_a_reason_and_not_in_the_past() {
    let mut half = Half::new();
    let viewer = half.viewer(at(0), FAST, &[GroupRange::new(50, 54)]);
    assert_eq!(requested(&half.plan(at(1000)), viewer, Class::Background).len(), 4);
    half.receive.reader_moved(at(1500), READER, 50, 2 * SECOND);
    let orders = half.plan(at(1500));
    assert!(matches!(orders[..], [Order::Hasten { .. }]), "{orders:?}");
    assert_eq!(half.receive.deadline(&half.scene.view(at(1500))), Some(at(1500) + REPAIR_INTERVAL));
}

#[test]
fn a_background_request_that_becomes_urgent_is_hastened_once() {
    let mut half = Half::new();
    let viewer = half.viewer(at(0), FAST, &[GroupRange::new(50, 54)]);
    let orders = half.plan(at(0));
    assert_eq!(requested(&orders, viewer, Class::Background), [50, 51, 52, 53]);
    half.receive.reader_moved(at(20), READER, 50, 2 * SECOND);
    let hasten = Order::Hasten { link: viewer, range: GroupRange::new(50, 54), remaining: 2 * SECOND };
    assert_eq!(half.look_over(at(20)), [hasten]);
    assert!(half.look_over(at(40)).is_empty());
    assert_eq!(half.receive.source(viewer).unwrap().urgent_bytes(), 4 * GROUP);
    assert!(matches!(half.data(at(70), viewer, GroupRange::one(50)), Answer::Asked(_, Class::Urgent)));
}

#[test]
fn a_request_at_a_publisher_becomes_urgent_where_an_urgent_request_would_be_made() {
    let mut half = Half::new();
    let publisher = half.publisher(standing(FAST));
    let asked = requested(&half.plan(at(0)), publisher, Class::Background);
    let group = asked[0];
    // It is due in 3 s, and no viewer holds it: injection may still bring it.
    half.receive.reader_moved(at(10), READER, group, 3 * SECOND);
    assert!(half.look_over(at(10)).is_empty());
    // A viewer comes to hold it, and is asked instead.
    let viewer = half.viewer(at(10), FAST, &[GroupRange::one(group)]);
    let orders = half.look_over(at(200));
    assert_eq!(requested(&orders, viewer, Class::Urgent), [group], "{orders:?}");
    let cancel = Order::Cancel { link: publisher, range: GroupRange::one(group) };
    assert!(orders.contains(&cancel), "{orders:?}");
}

#[test]
fn a_request_at_a_publisher_is_hastened_where_no_viewer_holds_the_group_and_it_is_due_soon() {
    let mut half = Half::new();
    let publisher = half.publisher(standing(FAST));
    let group = requested(&half.plan(at(0)), publisher, Class::Background)[0];
    half.receive.reader_moved(at(10), READER, group, SECOND);
    let orders = half.look_over(at(10));
    let is_hastened = |order: &Order| matches!(order, Order::Hasten { link, range, .. } if *link == publisher && range.has(group));
    assert!(orders.iter().any(is_hastened), "{orders:?}");
}

#[test]
fn a_late_urgent_request_moves_to_a_neighbour_that_is_much_sooner() {
    let mut half = Half::new();
    let late = half.viewer(at(0), FAST / 10, &[ALL]);
    half.receive.reader_moved(at(0), READER, 0, Duration::ZERO);
    assert_eq!(requested(&half.plan(at(0)), late, Class::Urgent).len(), 10);
    let other = half.viewer(at(0), FAST, &[GroupRange::new(0, 4)]);
    // Silent for longer than the path of 50 ms and the slack of 150 ms explain: not before 200 ms.
    assert!(half.look_over(at(200)).is_empty());
    // What was expected of it by now moves first; then, since it stays silent, all that the other holds.
    assert_eq!(requested(&half.look_over(at(320)), other, Class::Urgent), [0]);
    let orders = half.look_over(at(500));
    assert_eq!(requested(&orders, other, Class::Urgent), [1, 2, 3], "{orders:?}");
    let cancels: Vec<_> = orders.iter().filter(|order| matches!(order, Order::Cancel { .. })).collect();
    assert!(cancels.iter().all(|order| matches!(order, Order::Cancel { link, .. } if *link == late)));
    assert_eq!(half.data(at(510), late, GroupRange::one(0)), Answer::Cancelled, "it was on its way");
    assert_eq!(half.data(at(510), late, GroupRange::one(0)), Answer::Unasked);
}

#[test]
fn a_request_is_not_moved_before_its_answer_can_have_come() {
    let mut half = Half::new();
    let far = half.viewer(at(0), FAST, &[ALL]);
    half.scene.measure(far, Duration::from_millis(600));
    half.receive.reader_moved(at(0), READER, 0, Duration::ZERO);
    assert_eq!(requested(&half.plan(at(0)), far, Class::Urgent).len(), 10);
    let near = half.viewer(at(0), FAST, &[ALL]);
    half.scene.measure(near, Duration::from_millis(10));
    assert!(half.look_over(at(750)).is_empty());
    assert_eq!(requested(&half.look_over(at(851)), near, Class::Urgent).len(), 10);
}

#[test]
fn a_late_request_stays_where_no_other_neighbour_would_be_sooner() {
    let mut half = Half::new();
    let late = half.viewer(at(0), FAST, &[ALL]);
    half.receive.reader_moved(at(0), READER, 0, Duration::ZERO);
    assert_eq!(requested(&half.plan(at(0)), late, Class::Urgent).len(), 10);
    let other = half.viewer(at(0), FAST / 1000, &[ALL]);
    assert!(half.look_over(at(320)).is_empty(), "the other needs five seconds");
    let backlog = Duration::from_secs(20);
    half.receive.backlogged(at(320), late, 0, u32::try_from(backlog.as_millis()).unwrap());
    assert!(!requested(&half.look_over(at(420)), other, Class::Urgent).is_empty(), "this one ten");
}

#[test]
fn a_request_that_would_come_in_time_stays_and_one_that_would_not_moves() {
    let mut half = Half::new();
    let first = half.viewer(at(0), FAST, &[ALL]);
    half.receive.reader_moved(at(0), READER, 0, 3 * SECOND);
    assert_eq!(requested(&half.plan(at(0)), first, Class::Urgent).len(), 10);
    let other = half.viewer(at(0), FAST, &[ALL]);
    // The groups are due from 3 s on. A backlog told after the request is what it waits in.
    half.receive.backlogged(at(100), first, 100, 1200);
    assert!(half.look_over(at(120)).is_empty());
    half.receive.backlogged(at(150), first, 150, 12_000);
    // The first three of ten leave within 3.5 s.
    let moved = requested(&half.look_over(at(220)), other, Class::Urgent);
    assert_eq!(moved, (3..10).rev().collect::<Vec<_>>());
}

#[test]
fn a_rich_publisher_with_a_long_backlog_is_relieved_of_one_group_at_a_time_by_viewers_that_sent_nothing_yet()
{
    let mut half = Half::new();
    let publisher = half.publisher(Standing { is_rich: true, ..standing(FAST) });
    half.receive.reader_moved(at(0), READER, 0, Duration::ZERO);
    assert_eq!(requested(&half.plan(at(0)), publisher, Class::Urgent).len(), 10);
    let untold = Standing { uplink: 0, is_uplink_known: false, ..standing(FAST) };
    let viewers = [(); 2].map(|()| half.link(at(0), Role::Viewer, untold, &[ALL]));
    half.receive.backlogged(at(100), publisher, 100, 4000);
    let mut moved = |ms| {
        let orders = half.look_over(at(ms));
        viewers.iter().flat_map(|id| requested(&orders, *id, Class::Urgent)).collect::<Vec<_>>()
    };
    assert_eq!(moved(150), [9], "the last one would wait longest");
    assert!(moved(260).is_empty());
}

#[test]
fn answers_of_a_publisher_are_not_waited_for_longer_than_a_cancel_takes() {
    let mut half = Half::new();
    let publisher = half.publisher(Standing { serving: Serving::Deadlines, ..standing(FAST) });
    half.receive.reader_moved(at(0), READER, 0, Duration::ZERO);
    assert_eq!(requested(&half.plan(at(0)), publisher, Class::Urgent).len(), 10);
    let viewer = half.viewer(at(0), 5 * FAST, &[ALL]);
    // Its path and three transmissions are 51 ms. A move is to gain 150 ms.
    assert!(half.look_over(at(40)).is_empty());
    assert!(half.look_over(at(141)).is_empty());
    assert!(!requested(&half.look_over(at(242)), viewer, Class::Urgent).is_empty());
}

#[test]
fn once_everything_was_asked_for_the_last_groups_do_not_wait_for_the_slowest_neighbour() {
    let scene = Scene::new(manifest(4, 1, 4000, |_| ()), GroupRange::new(0, 0));
    let mut half = Half::of(scene);
    let all = GroupRange::new(0, 4);
    let slow = half.viewer(at(0), FAST, &[all]);
    let mut asked = requested(&half.plan(at(0)), slow, Class::Background);
    asked.sort_unstable();
    assert_eq!(asked, [0, 1, 2, 3]);
    let other = half.viewer(at(0), FAST, &[all]);
    assert!(half.look_over(at(150)).is_empty());
    let orders = half.look_over(at(400));
    assert_eq!(requested(&orders, other, Class::Urgent), [0, 1, 2, 3], "{orders:?}");
}

#[test]
fn in_the_end_game_what_a_player_needs_is_hastened_as_due_when_it_needs_it() {
    let scene = Scene::new(manifest(9, 1, 9000, |_| ()), GroupRange::new(0, 0));
    let mut half = Half::of(scene);
    let viewer = half.viewer(at(0), FAST, &[GroupRange::new(0, 9)]);
    let asked = requested(&half.plan(at(0)), viewer, Class::Background);
    assert!(asked.len() == 8 && asked.contains(&0) && asked.contains(&1), "{asked:?}");
    // One comes, the last is asked for, and meanwhile a player begins.
    let came = GroupRange::one(asked.into_iter().max().unwrap());
    half.data(at(60), viewer, came);
    half.scene.content.gain(came);
    half.receive.reader_moved(at(60), READER, 1, SECOND / 2);
    let orders = half.plan(at(60));
    let remaining = |group: u32| {
        orders.iter().find_map(|order| match *order {
            Order::Hasten { range, remaining, .. } if range.has(group) => Some(remaining),
            Order::Request { .. } | Order::Hasten { .. } | Order::Cancel { .. } => None,
        })
    };
    assert_eq!(remaining(0), Some(URGENT_HORIZON), "the player is behind it: {orders:?}");
    assert_eq!(remaining(1), Some(SECOND / 2), "{orders:?}");
}

#[test]
fn a_background_request_stays_where_it_is_while_others_are_free() {
    let mut half = Half::new();
    half.viewer(at(0), FAST, &[ALL]);
    half.plan(at(0));
    half.viewer(at(0), FAST, &[ALL]);
    assert!(half.look_over(at(1500)).is_empty());
    let view = half.scene.view(at(1500));
    assert_eq!(
        half.receive.deadline(&view),
        Some(at(0) + SILENT_MIN),
        "nothing to do before it counts as silent"
    );
}
