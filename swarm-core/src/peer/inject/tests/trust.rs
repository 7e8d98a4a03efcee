//! Who passes on what it is given, and whose claims are believed.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn a_viewer_that_passes_nothing_on_gets_no_more_and_its_copies_do_not_count() {
    let mut half = Half::new(Economy::Thrifty, 4);
    let hoarder = LinkId(1);
    for _ in 0..3 {
        let pushed = half.push(8);
        // The others pass on what they are given; the first keeps it.
        for (id, group) in pushed {
            half.announce(id, GroupRange::one(group));
            if id != hoarder {
                half.announce(LinkId(if id == LinkId(4) { 2 } else { 4 }), GroupRange::one(group));
            }
        }
    }
    assert!(half.survey().is_empty());
    half.pass(ANNOUNCE_TIMEOUT);
    assert_eq!(half.survey(), [(hoarder, Counts::No)]);
    let pushed = half.push(usize::MAX);
    assert_eq!(
        pushed[..2].iter().map(|(_, group)| *group).collect::<Vec<_>>(),
        [0, 1],
        "what only it holds goes again"
    );
    assert!(pushed.iter().all(|(id, _)| *id != hoarder));
}

#[test]
fn pushes_that_nobody_else_wanted_make_no_hoarder() {
    let mut half = Half::new(Economy::Thrifty, 1);
    half.viewer(standing(UPLINK), &[]);
    for (id, group) in half.push(8) {
        half.announce(id, GroupRange::one(group));
    }
    half.pass(ANNOUNCE_TIMEOUT);
    assert!(half.survey().is_empty(), "of two others there was but one");
}

#[test]
fn a_claim_of_what_never_left_here_does_not_count_until_another_viewer_has_got_some_of_it() {
    let mut half = Half::new(Economy::Thrifty, 2);
    let claims = half.viewer(standing(UPLINK), &[ALL]);
    assert!(half.scene.of(claims).counts() == Counts::No);
    assert_eq!(groups(&half.push(2)), [0, 1], "injection goes on as if it held nothing");
    half.announce(LinkId(1), GroupRange::one(0));
    assert!(half.survey().is_empty(), "that one came from here");
    half.announce(LinkId(2), GroupRange::one(700));
    assert_eq!(half.survey(), [(claims, Counts::Fully)], "that one did not");
    assert_eq!(half.serving(), Serving::Deadlines);
    assert!(half.scene.neighbours.copies().present().is_full());
}

#[test]
fn a_viewer_that_is_not_trusted_gets_what_it_lacks_where_nobody_else_could_pass_it_on() {
    let mut half = Half::new(Economy::Thrifty, 0);
    let resumed = half.viewer(standing(UPLINK), &[GroupRange::new(0, 900)]);
    assert!(half.scene.of(resumed).counts() == Counts::No);
    assert_eq!(half.serving(), Serving::Everything, "a thrifty one, too");
    half.viewer(standing(UPLINK), &[]);
    assert_eq!(half.serving(), Serving::Deadlines, "the new one is injected to");
}

#[test]
fn with_several_initial_peers_claims_are_believed() {
    let mut half = Half::new(Economy::Thrifty, 1);
    half.inject.told(2, Some(Share { index: 0, count: 2 }), &half.scene.content);
    let claims = half.viewer(standing(UPLINK), &[ALL]);
    assert!(half.scene.of(claims).counts() == Counts::Fully, "another initial peer may have sent it");
}

/// Of the groups that an initial peer injects to eight honest viewers and these boasters, how many in a hundred the
/// boasters get. Boasters vouch for one another, and pass on one group in `kept` to each of the others.
fn percent_given_to(boasters: u32, boast: Standing, kept: u32) -> u64 {
    let mut half = Half::new(Economy::Thrifty, 8);
    let honest: Vec<LinkId> = half.scene.neighbours.viewers().map(|(id, _)| id).collect();
    let boasters: Vec<LinkId> = (0..boasters).map(|_| half.viewer(boast, &[])).collect();
    let (mut to_boasters, mut given) = (0, 0);
    while given < 600 {
        let pushed = half.push(1);
        let [(to, group)] = pushed[..] else { break };
        let is_boaster = boasters.contains(&to);
        half.announce(to, GroupRange::one(group));
        let is_passed_on = !is_boaster || group.is_multiple_of(kept);
        let others = boasters.iter().chain(honest.iter().filter(|_| is_passed_on));
        for other in others.filter(|other| **other != to) {
            half.announce(*other, GroupRange::one(group));
        }
        half.pass(Duration::from_millis(5));
        half.survey();
        (to_boasters, given) = (to_boasters + u64::from(is_boaster), given + 1);
    }
    assert!(given >= 500, "{given}");
    to_boasters * 100 / given
}

#[test]
fn a_boast_does_not_draw_the_injection_even_with_accomplices() {
    for is_uplink_known in [true, false] {
        let boast = Standing { uplink: u64::MAX, is_uplink_known, ..standing(UPLINK) };
        // Four shares of twelve, and eight of sixteen; and what the trial takes.
        let alone = percent_given_to(1, boast, u32::MAX);
        assert!(alone <= 40, "{alone} % to one boaster of nine");
        let together = percent_given_to(2, boast, u32::MAX);
        assert!(together <= 60, "{together} % to two accomplices of ten");
        let sparing = percent_given_to(2, boast, 50);
        assert!(sparing <= 60, "{sparing} % to two that pass on one group in fifty");
    }
}

#[test]
fn a_strong_viewer_that_passes_on_what_it_is_given_gets_what_its_uplink_deserves() {
    let strong = percent_given_to(1, standing(50 * UPLINK), 1);
    assert!(strong >= 80, "{strong} % to a viewer with 50 of 58 MB/s");
    let modest = percent_given_to(1, standing(UPLINK), u32::MAX);
    assert!((8..=14).contains(&modest), "{modest} % to one of nine alike");
}

#[test]
fn what_arrived_at_a_viewer_that_no_longer_counts_is_fresh_again() {
    let mut half = Half::new(Economy::Thrifty, 2);
    let pushed = half.push(2);
    assert_eq!(groups(&pushed), [0, 1]);
    let id = pushed[0].0;
    half.announce(id, GroupRange::new(0, 2));
    assert!(!half.inject.order.is_fresh(0, &field!(half)), "it passes it on");
    half.scene.neighbours.set_counts(id, Counts::No);
    assert!(half.inject.order.is_fresh(0, &field!(half)));
}
