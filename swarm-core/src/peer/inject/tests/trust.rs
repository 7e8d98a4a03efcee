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
    assert_eq!(half.survey(), [(hoarder, false)]);
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
    assert!(!half.scene.of(claims).is_counted());
    assert_eq!(groups(&half.push(2)), [0, 1], "injection goes on as if it held nothing");
    half.announce(LinkId(1), GroupRange::one(0));
    assert!(half.survey().is_empty(), "that one came from here");
    half.announce(LinkId(2), GroupRange::one(700));
    assert_eq!(half.survey(), [(claims, true)], "that one did not");
    assert_eq!(half.serving(), Serving::Deadlines);
    assert!(half.scene.neighbours.copies().present().is_full());
}

#[test]
fn a_viewer_that_is_not_trusted_gets_what_it_lacks_where_nobody_else_could_pass_it_on() {
    let mut half = Half::new(Economy::Thrifty, 0);
    let resumed = half.viewer(standing(UPLINK), &[GroupRange::new(0, 900)]);
    assert!(!half.scene.of(resumed).is_counted());
    assert_eq!(half.serving(), Serving::Everything, "a thrifty one, too");
    half.viewer(standing(UPLINK), &[]);
    assert_eq!(half.serving(), Serving::Deadlines, "the new one is injected to");
}

#[test]
fn with_several_initial_peers_claims_are_believed() {
    let mut half = Half::new(Economy::Thrifty, 1);
    half.inject.told(2, Some(Share { index: 0, count: 2 }), &half.scene.content);
    let claims = half.viewer(standing(UPLINK), &[ALL]);
    assert!(half.scene.of(claims).is_counted(), "another initial peer may have sent it");
}
