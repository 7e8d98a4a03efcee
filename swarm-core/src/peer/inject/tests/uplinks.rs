//! Which viewers are fast enough to pass on what they are given.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::peer::tuning::{FEEDER_BACKLOG_MS, HOLDER_BACKLOG_MS};

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

#[test]
fn a_viewer_with_a_far_longer_backlog_is_given_nothing_until_it_is_shorter() {
    let mut half = Half::new(Economy::Thrifty, 3);
    let loaded = half.viewer(standing(UPLINK), &[]);
    half.stands(loaded, standing(UPLINK), FEEDER_BACKLOG_MS + 1);
    let pushed = half.push(usize::MAX);
    assert!(!pushed.is_empty() && pushed.iter().all(|(id, _)| *id != loaded));
    half.stands(loaded, standing(UPLINK), FEEDER_BACKLOG_MS);
    assert!(half.push(usize::MAX).iter().any(|(id, _)| *id == loaded));
    // Where all have much to send, all are used.
    let mut half = Half::new(Economy::Thrifty, 3);
    (1..=3).for_each(|link| half.stands(LinkId(link), standing(UPLINK), 60_000));
    assert!(!half.push(usize::MAX).is_empty());
}

#[test]
fn what_only_a_loaded_viewer_holds_is_pushed_to_another_once_a_player_needs_it() {
    let mut half = Half::new(Economy::Thrifty, 0);
    let loaded = half.viewer(standing(UPLINK), &[]);
    half.push(10).into_iter().for_each(|(id, group)| half.announce(id, GroupRange::one(group)));
    let held = half.scene.of(loaded).have().unwrap().count();
    let player = half.viewer(standing(UPLINK), &[]);
    let playing = |group| Standing { playing: Some(Playing { group, ahead_ms: 0 }), ..standing(UPLINK) };
    half.viewer(standing(UPLINK), &[]);
    half.stands(player, playing(0), 0);
    let first = |half: &mut Half| half.next().map(|departure| (departure.link, departure.range.start));
    assert_eq!(first(&mut half).unwrap().1, held, "viewers ask the one that holds it");
    half.stands(loaded, standing(UPLINK), HOLDER_BACKLOG_MS + 1);
    let (link, group) = first(&mut half).unwrap();
    assert!(link != loaded && group == 0);
    half.scene.neighbours.check_invariants();
    // What nobody needs yet has the time to come from there.
    half.stands(player, playing(500), 0);
    assert_eq!(first(&mut half).unwrap().1, 500);
    half.stands(player, standing(UPLINK), 0);
    assert_eq!(first(&mut half).unwrap().1, held);
    half.stands(player, playing(0), 0);
    half.stands(loaded, standing(UPLINK), 0);
    assert_eq!(first(&mut half).unwrap().1, held, "its backlog has left");
}
