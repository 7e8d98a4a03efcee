//! A viewer that plays: what comes first, how far it looks ahead, what it keeps.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::sync::Arc;
use std::time::Duration;

use super::net::Net;
use super::{MIB, MINUTE, NOTHING, UPLINK, net};
use crate::id::ReaderId;
use crate::manifest::Manifest;
use crate::manifest::tests::key;
use crate::peer::{Appetite, Input};
use crate::tracker_message::Role;

#[test]
fn what_a_player_reads_comes_first() {
    let mut net = net(16 * MIB, 0);
    let viewer = net.add(Role::Viewer, NOTHING, UPLINK);
    assert!(net.run(MINUTE, |net| net.nodes[viewer].peer.held().is_some()));
    net.tell(viewer, Input::ReaderAt { reader: ReaderId(1), group: 700, ahead_ms: 0 });
    let start = net.now;
    assert!(net.run(MINUTE, |net| net.nodes[viewer].store.contains_key(&700)));
    assert!(net.now.since(start) < Duration::from_millis(200), "{:?}", net.now.since(start));
    let start = net.now;
    // A seek: the new place precedes everything that was asked for the old one.
    net.tell(viewer, Input::ReaderAt { reader: ReaderId(1), group: 200, ahead_ms: 0 });
    assert!(net.run(MINUTE, |net| (200..210).all(|group| net.nodes[viewer].store.contains_key(&group))));
    assert!(net.now.since(start) < Duration::from_millis(700), "{:?}", net.now.since(start));
}

#[test]
fn a_player_needs_more_over_long_paths_if_the_publisher_cannot_serve_it_alone() {
    let start_buffer = |publisher_uplink| {
        let mut net = Net::new(16 * MIB);
        // Half a megabyte a second.
        let film =
            Manifest { duration_ms: Some(32_000), ..(*net.manifest).clone() }.signed_by(&key()).unwrap();
        net.manifest = Arc::new(film);
        let all = net.manifest.geometry().all();
        net.add(Role::Initial, all, publisher_uplink);
        let viewer = net.add(Role::Viewer, NOTHING, UPLINK);
        net.slow_control_of(viewer);
        assert_eq!(net.nodes[viewer].peer.start_buffer(), Duration::from_secs(1), "nothing is known yet");
        let is_playing = |net: &Net| (0..64).all(|group| net.nodes[viewer].store.contains_key(&group));
        net.tell(viewer, Input::ReaderAt { reader: ReaderId(1), group: 0, ahead_ms: 0 });
        assert!(net.run(MINUTE, is_playing));
        let peer = &net.nodes[viewer].peer;
        assert_eq!(u128::from(peer.stats().start_buffer_ms), peer.start_buffer().as_millis());
        peer.start_buffer()
    };
    assert_eq!(start_buffer(10_000_000), Duration::from_secs(1));
    // Half a second, and ten round trips of 80 ms.
    assert_eq!(start_buffer(100_000), Duration::from_millis(1300));
}

#[test]
fn a_viewer_keeps_within_its_budget_and_plays_on() {
    let mut net = net(16 * MIB, 0);
    let viewer = net.add(Role::Viewer, NOTHING, 10 * UPLINK);
    net.nodes[viewer].peer.config.appetite =
        Appetite::Viewer { budget_bytes: 4 * MIB as u64, is_kept: false };
    assert!(net.run(MINUTE, |net| net.nodes[viewer].peer.held().is_some()));
    // The publisher answers what is due within 1.5 s: these 8 groups.
    for group in (0..1024).step_by(8) {
        net.tell(viewer, Input::ReaderAt { reader: ReaderId(1), group, ahead_ms: 1000 });
        let is_here =
            |net: &Net| (group..group + 8).all(|group| net.nodes[viewer].store.contains_key(&group));
        assert!(net.run(MINUTE, is_here), "{group}");
        assert!(net.nodes[viewer].store.len() <= 256);
    }
}

#[test]
fn a_viewer_that_pauses_gets_its_look_ahead_and_no_more_until_the_person_keeps_the_film() {
    let mut net = Net::new(72 * MIB);
    // Five minutes of a film of two hours are 3 MiB.
    let duration_ms = Some(7_200_000);
    let film = Manifest { duration_ms, ..(*net.manifest).clone() }.signed_by(&key()).unwrap();
    net.manifest = Arc::new(film);
    let all = net.manifest.geometry().all();
    net.add(Role::Initial, all, 100 * UPLINK);
    let viewer = net.add(Role::Viewer, NOTHING, UPLINK);
    let appetite = |is_kept| Appetite::Viewer { budget_bytes: u64::MAX, is_kept };
    net.nodes[viewer].peer.config.appetite = appetite(false);
    assert!(net.run(MINUTE, |net| net.nodes[viewer].peer.held().is_some()));
    net.tell(viewer, Input::ReaderAt { reader: ReaderId(1), group: 1000, ahead_ms: 10_000 });
    let has_look_ahead = |net: &Net| (1000..1185).all(|group| net.nodes[viewer].store.contains_key(&group));
    assert!(net.run(MINUTE, has_look_ahead));
    assert!(!net.run(MINUTE, |net| net.nodes[viewer].store.len() > 512), "more than two steps of 4 MiB came");
    net.tell(viewer, Input::Appetite(appetite(true)));
    assert!(net.run(5 * MINUTE, |net| net.is_complete(viewer)));
}
