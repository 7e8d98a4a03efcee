//! What a peer tells the tracker, and how it goes on without one and without an initial peer.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::alone::Alone;
use super::net::{Fault, Net};
use super::{Event, Input, MIB, MINUTE, NOTHING, ReaderId, Role, SECOND, UPLINK, net};
use crate::peer::{Appetite, Economy};
use crate::time::Timestamp;
use crate::tracker_message::{Scarcity, TrackerMessageBody};

#[test]
fn the_tracker_hears_where_playing_starts_and_where_it_goes_on_elsewhere() {
    let mut net = Net::new(8 * MIB);
    net.add(Role::Initial, net.manifest.geometry().all(), UPLINK / 4);
    net.add(Role::Viewer, NOTHING, UPLINK);
    assert!(net.run(MINUTE, |net| net.nodes[1].peer.held().is_some_and(|held| held.count() > 4)));
    let lacking = |net: &Net, from| net.nodes[1].peer.held().unwrap().next_missing(from).unwrap();
    let wanted = |net: &Net| net.nodes[1].wanted.len();
    let reader = |group| Input::ReaderAt { reader: ReaderId(1), group, ahead_ms: 0 };
    let start = lacking(&net, 40);
    net.tell(1, reader(start));
    assert_eq!(wanted(&net), 1);
    net.tell(1, reader(lacking(&net, 300)));
    assert_eq!(wanted(&net), 1, "not twice in a second");
    net.tell(1, Input::ReaderClosed(ReaderId(1)));
    assert!(!net.run(2 * SECOND, |net| net.is_complete(1)));
    net.tell(1, reader(lacking(&net, start)));
    assert_eq!(wanted(&net), 1, "it is no news, and the initial peer sends it");
    net.tell(1, reader(lacking(&net, 300)));
    assert_eq!(wanted(&net), 2);
    let firsts = |at: usize| net.nodes[1].wanted[at].1[0].segments.0;
    assert!(firsts(0) < firsts(1), "{:?}", net.nodes[1].wanted);
}

#[test]
fn the_tracker_hears_every_second_of_what_will_come_too_late() {
    let mut net = net(MIB, 0);
    let all = net.manifest.geometry().all();
    let slow = net.add(Role::Viewer, all, 4000);
    net.kill(0);
    let viewer = net.add(Role::Viewer, NOTHING, UPLINK);
    assert!(net.run(MINUTE, |net| net.nodes[viewer].peer.held().is_some()));
    net.tell(viewer, Input::ReaderAt { reader: ReaderId(1), group: 0, ahead_ms: 0 });
    assert!(net.run(MINUTE, |net| net.nodes[viewer].wanted.len() == 5));
    let took = net.nodes[viewer].wanted[4].0.since(net.nodes[viewer].wanted[0].0);
    assert!((4000..6000).contains(&took.as_millis()), "{took:?}");
    assert!(net.nodes[slow].wanted.is_empty(), "nobody plays there");
}

#[test]
fn a_swarm_outlives_its_tracker_and_finds_it_again() {
    let mut net = net(4 * MIB, 3);
    assert!(net.run(MINUTE, |net| net.nodes[3].peer.stats().bytes_verified > 0));
    net.kill_tracker();
    assert!(net.run(MINUTE, |net| (1..4).all(|node| net.is_complete(node))));
    assert!(net.nodes[1].events.iter().any(|event| matches!(event, Event::TrackerDown { .. })));
    net.is_tracker_up = true;
    assert!(net.run(MINUTE, |net| net.nodes.iter().all(|node| node.peer.stats().is_tracker_up)));
    let late = net.add(Role::Viewer, NOTHING, UPLINK);
    assert!(net.run(MINUTE, |net| net.is_complete(late)));
    // Introduced anew to those they know already, peers keep one link a pair.
    net.run(MINUTE, |_| false);
    assert!(net.nodes.iter().all(|node| node.peer.stats().links.len() == 4));
}

#[test]
fn the_manifest_comes_from_a_neighbour_when_http_is_away() {
    let mut net = net(MIB, 1);
    assert!(net.run(MINUTE, |net| net.is_complete(1)));
    net.has_http = false;
    let late = net.add(Role::Viewer, NOTHING, UPLINK);
    assert!(net.run(MINUTE, |net| net.is_complete(late)));
}

#[test]
fn whoever_claims_what_never_left_the_initial_peer_does_not_keep_it_from_injecting() {
    let mut net = net(4 * MIB, 3);
    let all = net.manifest.geometry().all();
    let liar = net.add(Role::Viewer, all, UPLINK);
    net.nodes[liar].fault = Fault::Silent;
    assert!(net.run(MINUTE, |net| (1..4).all(|node| net.is_complete(node))));
    let seeder = net.nodes[0].peer.stats().uploaded;
    assert!(seeder < 5 * MIB as u64, "the initial peer sent {seeder}");
    // Three viewers have 4 MiB after 2.1 s at best, and wait 5 s for what they asked of the liar.
    assert!(net.now < Timestamp::from_millis(7500), "{:?}", net.now);
}

#[test]
fn an_initial_peer_that_comes_back_believes_viewers_once_somebody_got_something_of_them() {
    let mut net = net(4 * MIB, 0);
    let all = net.manifest.geometry().all();
    net.add(Role::Viewer, all, UPLINK);
    net.add(Role::Viewer, all, UPLINK);
    assert!(!net.run(SECOND, |_| false));
    let late = net.add(Role::Viewer, NOTHING, UPLINK);
    assert!(net.run(MINUTE, |net| net.is_complete(late)));
    let seeder = net.nodes[0].peer.stats().uploaded;
    assert!(seeder < MIB as u64, "the initial peer sent {seeder}");
}

#[test]
fn a_dead_initial_peer_does_not_stop_those_who_have_everything_between_them() {
    let mut net = net(2 * MIB, 2);
    assert!(net.run(MINUTE, |net| net.is_complete(1)));
    let third = net.add(Role::Viewer, NOTHING, UPLINK);
    net.kill(0);
    assert!(net.run(MINUTE, |net| net.is_complete(2) && net.is_complete(third)));
}

#[test]
fn a_shortage_is_told_when_it_begins_grows_and_ends() {
    let mut alone = Alone::new(4, Role::Viewer, Appetite::Everything, Economy::Thrifty);
    let scarce = |supply_bps| Some(Scarcity { supply_bps, demand_bps: 20_000_000 });
    for scarcity in [scarce(10_000_000), scarce(11_000_000), scarce(5_000_000), None, None] {
        let (at_risk, share) = (Vec::new(), None);
        alone.hear(TrackerMessageBody::Swarm { seeders: 1, leechers: 4, at_risk, share, scarcity });
    }
    let told = alone
        .events
        .iter()
        .filter_map(|event| if let Event::Scarcity(scarcity) = event { Some(*scarcity) } else { None });
    assert_eq!(told.collect::<Vec<_>>(), [scarce(10_000_000), scarce(5_000_000), None]);
    assert_eq!(alone.peer.stats().scarcity, None);
}
