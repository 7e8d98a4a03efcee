//! Which viewers are fast enough to pass on what they are given.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::peer::neighbours::Counts;

#[test]
fn a_viewer_with_a_far_slower_uplink_is_fed_and_not_used() {
    let mut half = Half::new(Economy::Thrifty, 3);
    let slow = half.viewer(standing(10_000), &[]);
    assert!(half.scene.of(slow).counts() == Counts::No);
    assert!(half.push(usize::MAX).iter().all(|(id, _)| *id != slow));
    let off = half.viewer(Standing { serving: Serving::Nothing, ..standing(UPLINK) }, &[]);
    assert!(half.scene.of(off).counts() == Counts::No);
}

#[test]
fn where_only_slow_viewers_know_their_uplinks_the_others_are_seen_to_be_faster() {
    let mut half = Half::new(Economy::Thrifty, 0);
    let slow = half.viewer(standing(10_000), &[]);
    let unknown = |uplink| Standing { is_uplink_known: false, ..standing(uplink) };
    let fast = half.viewer(unknown(200_000), &[]);
    half.survey();
    assert!(half.scene.of(slow).counts() == Counts::No && half.scene.of(fast).counts() == Counts::Fully);
    // Of one that has uploaded nothing yet, nothing is seen.
    let mut half = Half::new(Economy::Thrifty, 0);
    let slow = half.viewer(standing(10_000), &[]);
    half.viewer(unknown(0), &[]);
    half.survey();
    assert!(half.scene.of(slow).counts() == Counts::Fully);
}

#[test]
fn uplinks_that_viewers_boast_of_do_not_overflow() {
    let mut half = Half::new(Economy::Thrifty, 0);
    (0..3).for_each(|_| _ = half.viewer(standing(u64::MAX), &[]));
    half.pass(Duration::from_secs(1));
    assert!(!half.push(usize::MAX).is_empty());
}

#[test]
fn a_viewer_is_pushed_no_more_than_it_accepts() {
    let mut half = Half::new(Economy::Thrifty, 0);
    let careful = half.viewer(Standing { credit: 0, ..standing(UPLINK) }, &[]);
    let bounded = half.viewer(Standing { credit: 4 * 16_384, ..standing(UPLINK) }, &[]);
    let none = half.viewer(Standing { wants: GroupRange::new(0, 0), ..standing(UPLINK) }, &[]);
    let pushed = half.push(usize::MAX);
    let count = |link| pushed.iter().filter(|(id, _)| *id == link).count();
    assert_eq!([careful, bounded, none].map(count), [0, 4, 0]);
}
