//! Viewers that the others do not feed.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::peer::tuning::{UNFED_AFTER, UNFED_CHECK};

/// A thrifty publisher, these honest viewers that hold nothing, and two liars that vouch for one another: what they claim
/// never left the publisher, and its counts say that everything is held.
fn deceived(honest: u32) -> Half {
    let mut half = Half::new(Economy::Thrifty, honest);
    let first = half.viewer(standing(UPLINK), &[ALL]);
    let second = half.viewer(standing(UPLINK), &[]);
    half.announce(second, GroupRange::one(GROUPS - 1));
    half.survey();
    assert!(
        half.scene.of(first).counts() == Counts::Fully && half.scene.neighbours.copies().present().is_full()
    );
    half
}

fn pass(half: &mut Half, time: Duration) {
    let end = half.now + time;
    while half.now < end {
        half.pass(UNFED_CHECK / 2);
        half.survey();
        half.serving();
    }
}

#[test]
fn liars_that_vouch_for_one_another_delay_a_viewer_by_seconds_and_do_not_starve_it() {
    let mut half = deceived(1);
    let honest = LinkId(1);
    assert!(half.push(1).is_empty(), "everything seems to be held");
    pass(&mut half, UNFED_AFTER + UNFED_CHECK);
    let start = half.now;
    while !is_complete(half.scene.of(honest)) {
        for (id, group) in half.push(usize::MAX).into_iter().filter(|(id, _)| *id == honest) {
            half.announce(id, GroupRange::one(group));
        }
        half.pass(Duration::from_millis(100));
        assert!(half.now < start + 3 * UNFED_AFTER, "what the second liar was given comes later");
    }
}

#[test]
fn unfed_viewers_are_given_different_groups_and_may_exchange_them() {
    let mut half = deceived(2);
    pass(&mut half, UNFED_AFTER + UNFED_CHECK);
    let (mut sent, mut rounds) = (0, 0);
    let honest = [LinkId(1), LinkId(2)];
    while honest.iter().any(|id| !is_complete(half.scene.of(*id))) {
        let pushed = half.push(usize::MAX);
        for (id, group) in pushed.into_iter().filter(|(id, _)| honest.contains(id)) {
            sent += 1;
            half.announce(id, GroupRange::one(group));
            // The other honest viewer gets it from this one.
            half.announce(LinkId(3 - id.0), GroupRange::one(group));
        }
        half.pass(Duration::from_millis(100));
        rounds += 1;
        assert!(rounds < 1000, "they exchange what they were given and wait for the rest");
    }
    // The second liar is unfed, too: it is given a third, which both honest viewers then get from here.
    assert!(sent <= GROUPS * 14 / 10, "{sent} groups sent to two viewers of {GROUPS} groups");
}

#[test]
fn a_viewer_that_gains_from_others_or_lacks_nothing_is_fed() {
    let mut half = Half::new(Economy::Thrifty, 3);
    half.inject_all();
    // Each viewer holds a third. The first gets a further group from another one now and then; the second is complete.
    half.announce(LinkId(2), ALL);
    let lacking: Vec<u32> = (0..GROUPS).filter(|group| !half.scene.of(LinkId(1)).holds(*group)).collect();
    for group in lacking.into_iter().take(20) {
        pass(&mut half, UNFED_AFTER - UNFED_CHECK);
        let pushed = half.push(usize::MAX);
        assert!(pushed.iter().all(|(id, _)| *id == LinkId(3)), "{pushed:?}");
        half.announce(LinkId(1), GroupRange::one(group));
    }
}

#[test]
fn a_viewer_that_is_fed_again_gets_no_more_pushes() {
    let mut half = deceived(2);
    pass(&mut half, UNFED_AFTER + UNFED_CHECK);
    let pushed = half.push(2);
    assert!(!pushed.is_empty(), "they wait for the liars");
    let one = LinkId(1);
    let is_given = |group: &u32| pushed.iter().any(|(_, given)| given == group);
    let from_elsewhere = (0..GROUPS).find(|group| !half.scene.of(one).holds(*group) && !is_given(group));
    half.announce(one, GroupRange::one(from_elsewhere.unwrap()));
    assert!(half.push(usize::MAX).iter().all(|(id, _)| *id != one));
}

#[test]
fn a_generous_publisher_is_asked_and_pushes_nothing_twice() {
    let mut half = Half::new(Economy::Generous, 2);
    half.inject_all();
    pass(&mut half, UNFED_AFTER * 2);
    assert!(half.push(1).is_empty());
}
