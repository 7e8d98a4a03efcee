//! What is asked of whom, and when it is taken back.

mod repair;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::peer::tests::scene::{Scene, manifest, standing};
use crate::peer::tuning::{
    CREDIT_FIRST, CREDIT_URGENT_EXTRA, PROBATION, SILENT_MIN, UPLINK_GUESS, URGENT_HORIZON,
};
use crate::peer_message::{Serving, Standing};
use crate::tree::Proof;

const ALL: GroupRange = GroupRange::new(0, 1000);
const SECOND: Duration = Duration::from_secs(1);
const READER: ReaderId = ReaderId(1);
/// 10 MB/s, so that windows limit nothing.
const FAST: u64 = 10_000_000;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

impl Receive {
    /// Derived state is what it was derived from.
    pub(crate) fn check_invariants(&self) {
        self.ledger.check_invariants();
    }

    /// Neighbours of which something may be asked.
    pub(crate) fn asked_of(&self) -> impl Iterator<Item = LinkId> {
        self.ledger.sources().map(|(link, _)| link)
    }

    pub(crate) fn is_asked(&self, group: u32) -> bool {
        self.ledger.asked().has(group)
    }
}

/// A scene and the receiving half in it.
struct Half {
    scene: Scene,
    receive: Receive,
    chance: Chance,
}

impl Half {
    /// A thousand groups, ten a second.
    fn new() -> Self {
        Self::of(Scene::film())
    }

    fn of(scene: Scene) -> Self {
        let receive = Receive::new(scene.content.manifest());
        Self { scene, receive, chance: Chance::new(1) }
    }

    fn viewer(&mut self, now: Timestamp, uplink: u64, have: &[GroupRange]) -> LinkId {
        self.link(now, Role::Viewer, standing(uplink), have)
    }

    fn publisher(&mut self, standing: Standing) -> LinkId {
        let all = self.scene.content.geometry().all();
        self.link(at(0), Role::Initial, standing, &[all])
    }

    fn link(&mut self, now: Timestamp, role: Role, standing: Standing, have: &[GroupRange]) -> LinkId {
        let id = self.scene.link(now, role, standing, have);
        self.receive.link_opened(now, id, self.scene.of(id), None, UPLINK_GUESS);
        id
    }

    fn push_credit(&self, now: Timestamp) -> u64 {
        let credit = self.receive.push_credit(now, &self.scene.content, &self.scene.neighbours);
        u64::from(credit)
    }

    fn plan(&mut self, now: Timestamp) -> Vec<Order> {
        let orders = self.receive.plan(&self.scene.view(now), &mut self.chance);
        self.check();
        orders
    }

    fn look_over(&mut self, now: Timestamp) -> Vec<Order> {
        let orders = self.receive.handle_timeout(&self.scene.view(now));
        self.check();
        orders
    }

    fn data(&mut self, now: Timestamp, link: LinkId, range: GroupRange) -> Answer {
        let proof = Proof { top: 0, hashes: Vec::new() };
        let head =
            DataHead { range, sent_ms: clock_ms(now), waited_ms: 0, queued_ms: 0, backlog_ms: 0, proof };
        let bytes = self.scene.content.geometry().len_bytes(range);
        let answer = self.receive.data_came(now, (link, self.scene.of(link)), &head, bytes);
        self.check();
        answer
    }

    fn check(&self) {
        self.receive.check_invariants();
    }
}

/// The groups requested of a neighbour in a class, in order.
fn requested(orders: &[Order], of: LinkId, in_class: Class) -> Vec<u32> {
    let groups = orders.iter().filter_map(|order| match *order {
        Order::Request { link, range, class, .. } if link == of && class == in_class => Some(range.iter()),
        Order::Request { .. } | Order::Hasten { .. } | Order::Cancel { .. } => None,
    });
    groups.flatten().collect()
}

fn requested_bytes(orders: &[Order]) -> u64 {
    let ranges = orders.iter().filter_map(|order| match order {
        Order::Request { range, .. } => Some(u64::from(range.len())),
        Order::Hasten { .. } | Order::Cancel { .. } => None,
    });
    ranges.sum::<u64>() * GROUP
}

#[test]
fn urgent_groups_are_requested_by_deadline_of_the_soonest_holder_and_up_to_the_credit() {
    let mut half = Half::new();
    let slow = half.viewer(at(0), FAST / 100, &[ALL]);
    let fast = half.viewer(at(0), FAST, &[ALL]);
    half.receive.reader_moved(at(0), READER, 100, Duration::ZERO);
    half.receive.reader_moved(at(0), ReaderId(2), 500, SECOND);
    let orders = half.plan(at(0));
    // 8 groups of credit and 2 beyond it for what is urgent.
    assert_eq!(CREDIT_FIRST + CREDIT_URGENT_EXTRA, 10 * GROUP);
    assert_eq!(requested(&orders, fast, Class::Urgent), (100..110).collect::<Vec<_>>());
    assert_eq!(requested(&orders, slow, Class::Urgent), [0; 0]);
    let [Order::Request { range, remaining, .. }] = orders[..] else { panic!("{orders:?}") };
    assert_eq!((range, remaining), (GroupRange::new(100, 110), Some(Duration::ZERO)));
    assert!(half.plan(at(1)).is_empty(), "nothing more before something comes");
}

#[test]
fn the_publisher_is_asked_for_what_no_viewer_holds_when_it_is_due_soon() {
    let mut half = Half::new();
    let publisher = half.publisher(Standing { serving: Serving::Deadlines, ..standing(FAST) });
    let viewer = half.viewer(at(0), FAST, &[GroupRange::new(0, 20)]);
    half.receive.reader_moved(at(0), READER, 18, SECOND);
    let orders = half.plan(at(0));
    assert_eq!(requested(&orders, viewer, Class::Urgent), [18, 19]);
    // Due within 1.5 s; the publisher may still inject the rest in time.
    assert_eq!(requested(&orders, publisher, Class::Urgent), (20..24).collect::<Vec<_>>());
    let orders = half.plan(at(200));
    assert_eq!(requested(&orders, publisher, Class::Urgent), [24, 25]);
}

#[test]
fn a_rich_publisher_is_asked_for_what_viewers_hold() {
    let mut half = Half::new();
    let rich = Standing { serving: Serving::Deadlines, is_rich: true, ..standing(FAST) };
    let publisher = half.publisher(rich);
    let viewer = half.viewer(at(0), FAST / 10, &[ALL]);
    half.receive.reader_moved(at(0), READER, 10, SECOND);
    let orders = half.plan(at(0));
    assert_eq!(requested(&orders, publisher, Class::Urgent), (10..16).collect::<Vec<_>>());
    assert_eq!(requested(&orders, viewer, Class::Urgent), (16..20).collect::<Vec<_>>(), "due after 1.5 s");
}

#[test]
fn a_viewer_that_calls_itself_rich_draws_nothing() {
    for (role, is_asked) in [(Role::Viewer, false), (Role::Initial, true)] {
        let mut half = Half::new();
        half.receive.reader_moved(at(0), READER, 10, Duration::ZERO);
        let viewer = half.viewer(at(0), FAST, &[ALL]);
        let rich = Standing { is_rich: true, ..standing(FAST / 10) };
        let claimant = half.link(at(0), role, rich, &[ALL]);
        let orders = half.plan(at(0));
        assert_eq!(requested(&orders, claimant, Class::Urgent).contains(&10), is_asked, "{orders:?}");
        assert_eq!(requested(&orders, viewer, Class::Urgent).contains(&10), !is_asked, "{orders:?}");
    }
}

#[test]
fn a_rich_publisher_is_not_asked_before_what_no_viewer_holds_is_due_soon() {
    let mut half = Half::new();
    let rich = Standing { serving: Serving::Deadlines, is_rich: true, ..standing(FAST) };
    let publisher = half.publisher(rich);
    half.receive.reader_moved(at(0), READER, 10, 2 * SECOND);
    assert_eq!(half.plan(at(0)), [], "the injection may still bring it");
    assert_eq!(requested(&half.plan(at(600)), publisher, Class::Urgent), [10, 11]);
}

#[test]
fn credit_bounds_what_all_neighbours_together_are_asked_for() {
    let mut half = Half::new();
    let links: Vec<LinkId> = (0..6).map(|_| half.viewer(at(0), FAST, &[ALL])).collect();
    let orders = half.plan(at(0));
    assert_eq!(requested_bytes(&orders), CREDIT_FIRST);
    assert!(half.plan(at(10)).is_empty());
    let (link, range) = orders
        .iter()
        .find_map(|order| match *order {
            Order::Request { link, range, .. } => Some((link, range)),
            Order::Hasten { .. } | Order::Cancel { .. } => None,
        })
        .unwrap();
    assert!(links.contains(&link));
    assert!(
        matches!(half.data(at(60), link, range), Answer::Asked(asked_at, Class::Background) if asked_at == at(0))
    );
    // What came leaves room, and the credit grows by as much while nothing queues.
    assert_eq!(requested_bytes(&half.plan(at(60))), 2 * u64::from(range.len()) * GROUP);
    assert_eq!(
        half.push_credit(at(60)),
        (CREDIT_FIRST + u64::from(range.len()) * GROUP) / 2,
        "requests of a viewer have the rest"
    );
}

#[test]
fn before_the_first_frame_the_publisher_is_asked_for_nothing_but_what_the_player_needs() {
    let mut half = Half::new();
    let publisher = half.publisher(standing(FAST));
    half.receive.reader_moved(at(0), READER, 0, Duration::ZERO);
    let orders = half.plan(at(0));
    assert_eq!(requested(&orders, publisher, Class::Urgent), (0..10).collect::<Vec<_>>());
    for group in 0..10 {
        half.data(at(60), publisher, GroupRange::one(group));
        half.scene.content.gain(GroupRange::one(group));
    }
    let orders = half.plan(at(60));
    assert_eq!(requested(&orders, publisher, Class::Background), [0; 0]);
    // The player plays: background again.
    half.receive.reader_moved(at(60), READER, 0, 5 * SECOND);
    let orders = half.plan(at(70));
    assert!(!requested(&orders, publisher, Class::Background).is_empty(), "{orders:?}");
}

#[test]
fn while_a_player_waits_background_gets_half_of_the_credit_and_leaves_room_for_what_it_waits_for() {
    let mut half = Half::new();
    let viewer = half.viewer(at(0), FAST, &[GroupRange::new(500, 1000)]);
    half.receive.reader_moved(at(0), READER, 0, Duration::ZERO);
    // Nobody holds what the player waits for, 11 groups: all credit is kept for them.
    assert!(half.plan(at(0)).is_empty());
    half.scene.content.gain(GroupRange::new(0, 11));
    let orders = half.plan(at(1));
    assert_eq!(requested(&orders, viewer, Class::Background).len() as u64 * GROUP, CREDIT_FIRST / 2);
}

#[test]
fn while_a_player_waits_pushes_get_half_of_what_its_own_groups_leave_of_the_credit() {
    let mut half = Half::new();
    let credit = |half: &Half| half.push_credit(at(0));
    assert_eq!(credit(&half), CREDIT_FIRST, "nothing is asked of viewers");
    half.receive.reader_moved(at(0), READER, 0, Duration::ZERO);
    assert_eq!(credit(&half), 0, "it waits for 11 groups, and 8 may be in flight");
    half.scene.content.gain(GroupRange::new(0, 7));
    assert_eq!(credit(&half), (CREDIT_FIRST - 4 * GROUP) / 2);
    half.receive.reader_moved(at(0), READER, 0, SECOND);
    assert_eq!(credit(&half), CREDIT_FIRST, "it plays");
}

#[test]
fn a_silent_neighbour_loses_its_requests_and_is_asked_again_later() {
    let mut half = Half::new();
    let silent = half.viewer(at(0), FAST, &[ALL]);
    let asked = requested(&half.plan(at(0)), silent, Class::Background);
    assert_eq!(asked.len(), 8);
    let due = half.receive.deadline(&half.scene.view(at(0))).unwrap();
    assert_eq!(due, at(0) + SILENT_MIN);
    let orders = half.look_over(due);
    assert!(
        orders.iter().all(|order| matches!(order, Order::Cancel { link, .. } if *link == silent)),
        "{orders:?}"
    );
    assert!(half.plan(due).is_empty(), "nobody else holds anything");
    let other = half.viewer(due, FAST, &[ALL]);
    assert_eq!(requested(&half.plan(due), other, Class::Background).len(), 8);
    half.receive.link_closed(due, other);
    half.look_over(due + PROBATION);
    assert!(!requested(&half.plan(due + PROBATION), silent, Class::Background).is_empty());
    assert_eq!((half.receive.take_failures(silent), half.receive.take_failures(silent)), (1, 0));
}

#[test]
fn rejected_groups_are_free_and_a_busy_neighbour_is_left_alone_for_a_while() {
    let mut half = Half::new();
    let range = GroupRange::new(10, 12);
    let viewer = half.viewer(at(0), FAST, &[range]);
    assert_eq!(requested(&half.plan(at(0)), viewer, Class::Background), [10, 11]);
    half.receive.rejected(at(50), viewer, GroupRange::one(10), false);
    assert_eq!(requested(&half.plan(at(50)), viewer, Class::Background), [10]);
    half.receive.rejected(at(90), viewer, range, true);
    assert!(half.plan(at(90)).is_empty());
    half.look_over(at(90) + PROBATION);
    // Its window begins at its least again.
    assert_eq!(requested(&half.plan(at(90) + PROBATION), viewer, Class::Background).len(), 1);
}

#[test]
fn what_came_from_elsewhere_is_taken_back() {
    let mut half = Half::new();
    let publisher = half.publisher(Standing { serving: Serving::Deadlines, ..standing(FAST) });
    let viewer = half.viewer(at(0), FAST, &[GroupRange::new(10, 18)]);
    assert_eq!(requested(&half.plan(at(0)), viewer, Class::Background).len(), 8);
    // The publisher pushed what was asked of the viewer.
    let pushed = GroupRange::new(12, 14);
    assert_eq!(half.data(at(20), publisher, pushed), Answer::Unasked);
    half.scene.content.gain(pushed);
    let taken = half.receive.gained(at(20), pushed);
    half.check();
    let groups: Vec<GroupRange> = taken
        .iter()
        .map(|order| match *order {
            Order::Cancel { link, range } if link == viewer => range,
            Order::Request { .. } | Order::Hasten { .. } | Order::Cancel { .. } => panic!("{order:?}"),
        })
        .collect();
    assert_eq!(merged(groups), [pushed]);
    assert!(half.receive.gained(at(20), pushed).is_empty());
    assert_eq!(half.data(at(60), viewer, pushed), Answer::Cancelled);
}

#[test]
fn a_group_is_missed_where_nobody_would_send_it_in_time() {
    let mut half = Half::new();
    let is_missed = |half: &Half, group, ms| {
        half.receive.is_missed(&half.scene.view(at(0)), group, Duration::from_millis(ms))
    };
    assert!(is_missed(&half, 3, 60_000), "nobody holds it");
    let slow = half.viewer(at(0), FAST / 1000, &[ALL]);
    // 50 ms and three groups of 1.6 s each; 300 ms late is a miss.
    assert!(is_missed(&half, 3, 4000) && !is_missed(&half, 3, 5000));
    half.receive.reader_moved(at(0), READER, 3, Duration::ZERO);
    assert!(!requested(&half.plan(at(0)), slow, Class::Urgent).is_empty());
    assert!(!is_missed(&half, 3, 0), "it was asked for just now");
    half.receive.backlogged(at(0), slow, 0, 9000);
    assert!(is_missed(&half, 3, 8000) && !is_missed(&half, 3, 9000));
}

#[test]
fn what_has_no_room_in_the_credit_while_others_greet_is_not_missed() {
    let mut half = Half::new();
    let near = half.viewer(at(0), FAST, &[ALL]);
    for _ in 0..30 {
        half.scene.opening(at(0), Role::Viewer);
    }
    half.receive.reader_moved(at(0), READER, 3, Duration::ZERO);
    let asked = requested(&half.plan(at(0)), near, Class::Urgent);
    assert_eq!(asked, [3], "its part of the credit");
    assert!(!half.receive.is_missed(&half.scene.view(at(0)), 4, Duration::ZERO));
}

#[test]
fn a_closed_link_frees_what_was_asked_of_it() {
    let mut half = Half::new();
    let first = half.viewer(at(0), FAST, &[GroupRange::new(0, 4)]);
    assert_eq!(requested(&half.plan(at(0)), first, Class::Background).len(), 4);
    half.receive.link_closed(at(5), first);
    half.scene.neighbours.remove(first);
    assert_eq!(half.receive.deadline(&half.scene.view(at(5))), None);
    let second = half.viewer(at(5), FAST, &[GroupRange::new(0, 4)]);
    assert_eq!(requested(&half.plan(at(5)), second, Class::Background).len(), 4);
}

#[test]
fn requests_of_neighbouring_groups_become_one_message_of_64_groups_at_most() {
    let link = LinkId(1);
    let request =
        |group, class| Order::Request { link, range: GroupRange::one(group), class, remaining: None };
    let one_by_one = (0..100).map(|group| request(group, Class::Urgent)).collect();
    let ranges: Vec<_> = joined(one_by_one)
        .into_iter()
        .map(|order| match order {
            Order::Request { range, .. } => range,
            Order::Hasten { .. } | Order::Cancel { .. } => panic!("{order:?}"),
        })
        .collect();
    assert_eq!(ranges, [GroupRange::new(0, 64), GroupRange::new(64, 100)]);
    let apart = vec![request(1, Class::Urgent), request(3, Class::Urgent), request(4, Class::Marked)];
    assert_eq!(joined(apart.clone()), apart);
}
