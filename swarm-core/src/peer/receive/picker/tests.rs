//! Whom an urgent group is asked of, and which group is asked for in the background.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use proptest::prelude::*;

use super::*;
use crate::peer::tests::scene::{Scene, manifest, standing};
use crate::peer::tuning::CREDIT_FIRST;
use crate::peer_message::Standing;

const ALL: GroupRange = GroupRange::new(0, 1000);
const NOW: Timestamp = Timestamp::ZERO;
const SECOND: Duration = Duration::from_secs(1);
/// 1 MB/s: a group takes 16.4 ms.
const USUAL: u64 = 1_000_000;

/// Who is asked for a group that is due in a time.
fn chosen(scene: &Scene, ledger: &Ledger, group: u32, remaining: Duration) -> Option<LinkId> {
    let candidates = Candidates::new(&scene.view(NOW), ledger, CREDIT_FIRST);
    candidates.choose(group, remaining, &scene.advice, None).map(|(link, _)| link)
}

/// A ledger of all neighbours, of which nothing was asked.
fn ledger(scene: &Scene) -> Ledger {
    let mut ledger = Ledger::new(scene.content.geometry());
    scene.neighbours.iter().for_each(|(id, _)| ledger.opened(NOW, id, 64 * GROUP, USUAL));
    ledger
}

#[test]
fn an_urgent_group_goes_to_the_holder_that_would_deliver_it_soonest() {
    let mut scene = Scene::film();
    let slow = scene.viewer(USUAL / 10, &[ALL]);
    let usual = scene.viewer(USUAL, &[ALL]);
    let _other = scene.viewer(USUAL * 10, &[GroupRange::new(0, 5)]);
    let mut ledger = ledger(&scene);
    assert_eq!(chosen(&scene, &ledger, 5, SECOND), Some(usual), "the fastest does not hold it");
    let candidates = Candidates::new(&scene.view(NOW), &ledger, CREDIT_FIRST);
    let (_, eta) = candidates.choose(5, SECOND, &scene.advice, None).unwrap();
    assert_eq!(eta, Duration::from_micros(50_000 + 3 * 16_384), "the path, and what it is busy with");
    assert_eq!(candidates.choose(5, SECOND, &scene.advice, Some(usual)).unwrap().0, slow);
    assert_eq!(candidates.choose(1000, SECOND, &scene.advice, None), None);
    ledger.backlogged(Timestamp::ZERO, usual, 0, SECOND);
    assert_eq!(chosen(&scene, &ledger, 5, SECOND), Some(slow), "its backlog counts");
}

#[test]
fn what_a_neighbour_owes_and_its_silence_count_as_delay() {
    let mut scene = Scene::film();
    let near = scene.viewer(USUAL, &[ALL]);
    let far = scene.viewer(USUAL, &[ALL]);
    scene.measure(near, Duration::from_millis(20));
    scene.measure(far, Duration::from_millis(60));
    let mut ledger = ledger(&scene);
    ledger.ask(NOW, near, GroupRange::new(0, 2), (Class::Urgent, Duration::ZERO));
    assert_eq!(chosen(&scene, &ledger, 9, SECOND), Some(near), "20 ms and 5 groups, against 60 ms and 3");
    ledger.ask(NOW, near, GroupRange::new(2, 3), (Class::Urgent, Duration::ZERO));
    assert_eq!(chosen(&scene, &ledger, 9, SECOND), Some(far));
    // The same within one plan.
    let mut candidates = Candidates::new(&scene.view(NOW), &ledger, CREDIT_FIRST);
    candidates.asked(far);
    assert_eq!(candidates.choose(9, SECOND, &scene.advice, None).unwrap().0, near);
    let later = Candidates::new(&scene.view(NOW + SECOND), &ledger, CREDIT_FIRST);
    let (link, _) = later.choose(9, SECOND, &scene.advice, None).unwrap();
    assert_eq!(link, far, "the other has owed three groups for a second");
    assert_eq!(later.choose(9, SECOND, &scene.advice, Some(far)).unwrap().1, SECOND);
}

#[test]
fn the_publisher_is_asked_where_no_viewer_holds_a_group_and_it_is_due_soon() {
    for (is_rich, remaining_ms, is_asked) in
        [(false, 1501, false), (false, 1500, true), (false, 0, true), (true, 1501, false), (true, 1500, true)]
    {
        let mut scene = Scene::film();
        let publisher = scene.publisher(USUAL, Serving::Deadlines, is_rich);
        scene.viewer(USUAL, &[GroupRange::new(0, 5)]);
        let remaining = Duration::from_millis(remaining_ms);
        let expected = is_asked.then_some(publisher);
        assert_eq!(chosen(&scene, &ledger(&scene), 9, remaining), expected, "{is_rich} {remaining_ms}");
    }
}

#[test]
fn of_a_group_that_viewers_hold_the_publisher_is_asked_where_they_would_be_late() {
    // The viewer needs 99 ms, the publisher 55 ms; a slow publisher 541 ms.
    for (uplink, is_rich, remaining_ms, is_spared) in [
        (USUAL * 10, false, 100, true),
        (USUAL * 10, false, 99, false),
        (USUAL * 10, true, 1501, true),
        (USUAL * 10, true, 1500, false),
        (USUAL / 10, false, 0, true),
        (USUAL / 10, true, 0, true),
    ] {
        let mut scene = Scene::film();
        let publisher = scene.publisher(uplink, Serving::Everything, is_rich);
        let viewer = scene.viewer(USUAL, &[ALL]);
        let remaining = Duration::from_millis(remaining_ms);
        let expected = if is_spared { viewer } else { publisher };
        let link = chosen(&scene, &ledger(&scene), 9, remaining);
        assert_eq!(link, Some(expected), "{uplink} {is_rich} {remaining_ms}");
    }
}

#[test]
fn what_a_publisher_sends_before_it_is_asked_is_asked_of_no_viewer() {
    let mut scene = Scene::film();
    let publisher = scene.publisher(USUAL / 10, Serving::Deadlines, true);
    let viewer = scene.viewer(USUAL, &[GroupRange::new(0, 10)]);
    let mut ledger = ledger(&scene);
    ledger.sends_ahead(publisher, GroupRange::new(0, 8));
    assert_eq!(chosen(&scene, &ledger, 7, Duration::ZERO), Some(publisher), "although the viewer is sooner");
    assert_eq!(chosen(&scene, &ledger, 8, Duration::ZERO), Some(viewer));
    let candidates = Candidates::new(&scene.view(NOW), &ledger, CREDIT_FIRST);
    let (link, _) = candidates.choose(7, Duration::ZERO, &scene.advice, Some(publisher)).unwrap();
    assert_eq!(link, viewer, "where the publisher is late");
}

#[test]
fn a_rich_publisher_is_asked_rather_than_a_viewer_whose_uplink_is_a_guess() {
    for (is_rich, is_known, is_asked) in [(true, false, true), (true, true, false), (false, false, false)] {
        let mut scene = Scene::film();
        let publisher = scene.publisher(USUAL / 10, Serving::Deadlines, is_rich);
        let told = Standing { is_uplink_known: is_known, ..standing(USUAL) };
        let viewer = scene.link(NOW, Role::Viewer, told, &[ALL]);
        let expected = if is_asked { publisher } else { viewer };
        let link = chosen(&scene, &ledger(&scene), 9, SECOND);
        assert_eq!(link, Some(expected), "{is_rich} {is_known}");
    }
}

#[test]
fn what_is_about_to_greet_is_left_its_part_of_the_credit() {
    let mut scene = Scene::film();
    let first = scene.viewer(USUAL * 100, &[ALL]);
    let ledger = ledger(&scene);
    let groups_of = |scene: &Scene, now: Timestamp| {
        let mut candidates = Candidates::new(&scene.view(now), &ledger, CREDIT_FIRST);
        let ask = |group| {
            let chosen = candidates.choose(group, SECOND, &scene.advice, None);
            chosen.inspect(|(link, _)| candidates.asked(*link))
        };
        (0..20).map_while(ask).take_while(|(link, _)| *link == first).count()
    };
    assert_eq!(groups_of(&scene, NOW), 20, "the credit is the asker's business");
    for _ in 0..3 {
        scene.opening(NOW, Role::Viewer);
    }
    assert_eq!(groups_of(&scene, NOW), 2, "8 groups for four");
    assert_eq!(groups_of(&scene, NOW + GREETING_PATIENCE), 20, "they take too long");
}

#[test]
fn the_trackers_source_is_asked_unless_it_is_twice_as_late() {
    let mut scene = Scene::film();
    let _best = scene.viewer(USUAL, &[ALL]);
    let near = scene.viewer(USUAL / 2, &[ALL]);
    let far = scene.viewer(USUAL / 10, &[ALL]);
    let publisher = scene.publisher(USUAL, Serving::Everything, false);
    let source = |scene: &Scene, link: LinkId| scene.of(link).peer;
    for (group, link, is_followed) in [(1, near, true), (2, far, false), (3, publisher, false)] {
        let peer = source(&scene, link);
        scene.advice.assigned([GroupRange::one(group)].into_iter(), peer, NOW + SECOND);
        assert_eq!(chosen(&scene, &ledger(&scene), group, SECOND) == Some(link), is_followed, "{group}");
    }
}

#[test]
fn neighbours_that_serve_nothing_retire_or_are_silent_are_not_asked() {
    let mut scene = Scene::film();
    let off = Standing { serving: Serving::Nothing, ..standing(USUAL) };
    scene.link(NOW, Role::Viewer, off, &[ALL]);
    let retiring = scene.viewer(USUAL, &[ALL]);
    let peer = scene.of(retiring).peer;
    scene.neighbours.unlinked(NOW, peer);
    assert!(Candidates::new(&scene.view(NOW), &ledger(&scene), CREDIT_FIRST).is_empty());
    let silent = scene.viewer(USUAL, &[ALL]);
    let mut ledger = ledger(&scene);
    assert!(!Candidates::new(&scene.view(NOW), &ledger, CREDIT_FIRST).is_empty());
    ledger.is_busy(NOW, silent);
    assert!(Candidates::new(&scene.view(NOW), &ledger, CREDIT_FIRST).is_empty());
}

/// What is asked of a neighbour in the background, at most `max` groups at a time.
fn picked(
    scene: &Scene,
    link: LinkId,
    barred: &[GroupRange],
    max: u32,
    seed: u64,
) -> Option<(GroupRange, Class)> {
    let ledger = ledger(scene);
    let background = Background::new(&scene.view(NOW), &ledger, scene.of(link), barred)?;
    background.pick(&scene.view(NOW), max, &mut Chance::new(seed))
}

#[test]
fn the_rarest_groups_are_asked_for_first_wherever_the_sample_begins() {
    let mut scene = Scene::film();
    let (shared, rare) = (GroupRange::new(0, 20), GroupRange::new(400, 420));
    let link = scene.viewer(USUAL, &[shared, rare]);
    scene.viewer(USUAL, &[shared]);
    for seed in 0..20 {
        let (range, class) = picked(&scene, link, &[], 8, seed).unwrap();
        assert_eq!((range.and(rare), class), (range, Class::Background), "all of it is rare");
    }
    // A run that begins barred goes on behind that.
    let rest = picked(&scene, link, &[GroupRange::new(390, 415)], 100, 1).unwrap().0;
    assert_eq!(rest, GroupRange::new(415, 420));
}

#[test]
fn of_equally_rare_groups_those_that_the_tracker_finds_rare_go_first() {
    let mut scene = Scene::film();
    let link =
        scene.viewer(USUAL, &[GroupRange::new(0, 4), GroupRange::new(100, 104), GroupRange::new(200, 204)]);
    scene.advice.set_at_risk([GroupRange::one(100)].into_iter());
    for seed in 0..20 {
        assert_eq!(picked(&scene, link, &[], 1, seed).unwrap().0, GroupRange::one(100));
    }
}

#[test]
fn the_authors_order_goes_before_rarity_and_marks_what_is_wanted_first() {
    let mut manifest = manifest(1000, 4, 100_000, |_| ());
    manifest.segments[3].period = Period::Start;
    manifest.segments[2].priority = PRIORITY_DEFAULT + 1;
    manifest.segments[0].period = Period::Background;
    let mut scene = Scene::new(manifest, GroupRange::new(0, 0));
    let link = scene.viewer(USUAL, &[ALL]);
    scene.viewer(USUAL, &[GroupRange::new(250, 1000)]);
    let mut barred = Vec::new();
    let mut order = Vec::new();
    while let Some((range, class)) = picked(&scene, link, &barred, 1000, 1) {
        barred.push(range);
        let place = (range.start / 250, class);
        if order.last() != Some(&place) {
            order.push(place);
        }
    }
    let expected = [(3, Class::Marked), (2, Class::Marked), (1, Class::Background), (0, Class::Background)];
    assert_eq!(order, expected);
    assert_eq!(crate::group::merged(barred), [ALL]);
}

#[test]
fn a_neighbour_that_serves_deadlines_only_is_asked_for_no_background() {
    let mut scene = Scene::film();
    let link = scene.publisher(USUAL, Serving::Deadlines, true);
    assert_eq!(picked(&scene, link, &[], 8, 1), None);
}

#[test]
fn two_viewers_begin_at_different_places() {
    let mut scene = Scene::film();
    let link = scene.viewer(USUAL, &[ALL]);
    let starts = (0..10).filter_map(|seed| picked(&scene, link, &[], 8, seed)).map(|(range, _)| range.start);
    let mut starts: Vec<u32> = starts.collect();
    starts.sort_unstable();
    starts.dedup();
    assert!(starts.len() >= 8, "{starts:?}");
}

proptest! {
    #[test]
    fn a_choice_is_free_held_there_and_wanted_and_none_is_missed(
        have in prop::collection::vec((0u32..1000, 1u32..90), 0..8),
        held in (0u32..1000, 0u32..400),
        asked in prop::collection::vec((0u32..1000, 1u32..90), 0..4),
        barred in (0u32..1000, 0u32..300),
        wanted in (0u32..1000, 0u32..1000),
        max in 1u32..40,
        seed in any::<u64>(),
    ) {
        let cut = |range: (u32, u32)| GroupRange::from(range).and(ALL);
        let mut scene = Scene::new(manifest(1000, 10, 100_000, |_| ()), cut(held));
        let link = scene.viewer(USUAL, &have.iter().map(|range| cut(*range)).collect::<Vec<_>>());
        let other = scene.viewer(USUAL, &[]);
        let mut ledger = ledger(&scene);
        asked.iter().for_each(|range| ledger.ask(NOW, other, cut(*range), (Class::Background, Duration::ZERO)));
        let barred = [cut(barred)];
        let view = View { wanted: cut(wanted), ..scene.view(NOW) };
        let is_free = |group: u32| {
            scene.of(link).holds(group)
                && !scene.content.held().has(group)
                && !ledger.asked().has(group)
                && !barred[0].has(group)
                && view.wanted.has(group)
        };
        let background = Background::new(&view, &ledger, scene.of(link), &barred).unwrap();
        match background.pick(&view, max, &mut Chance::new(seed)) {
            Some((range, _)) => {
                prop_assert!((1..=max).contains(&range.len()));
                prop_assert!(range.iter().all(is_free), "{:?}", range);
            }
            None => prop_assert!(!ALL.iter().any(is_free)),
        }
    }
}
