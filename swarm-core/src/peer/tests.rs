//! Whole swarms in memory: what a peer does towards others, seen from outside.

mod coordination;
mod net;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::time::Duration;

use proptest::prelude::*;

use self::net::{Fault, Net};
use super::{Appetite, Event, Input, Peer, PeerConfig, Policy, UploadLimit};
use crate::group::GroupRange;
use crate::id::{Instance, LinkId, PeerId, ReaderId};
use crate::peer_message::{Class, PeerMessage, Serving, Standing};
use crate::time::Timestamp;
use crate::tracker_message::{Role, TrackerMessage, TrackerMessageBody};

const MIB: usize = 1024 * 1024;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const NOTHING: GroupRange = GroupRange::new(0, 0);
const UPLINK: u64 = 2_000_000;

/// A net with an initial peer and `viewers` that have nothing.
fn net(length: usize, viewers: usize) -> Net {
    let mut net = Net::new(length);
    let all = net.manifest.geometry().all();
    net.add(Role::Initial, all, UPLINK);
    for _ in 0..viewers {
        net.add(Role::Viewer, NOTHING, UPLINK);
    }
    net
}

#[test]
fn a_viewer_gets_the_whole_content_and_says_so_once() {
    let mut net = net(3 * MIB + 77, 1);
    assert!(net.run(MINUTE, |net| net.is_complete(1)));
    let stats = net.nodes[1].peer.stats();
    assert_eq!(stats.bytes_verified, 3 * MIB as u64 + 77);
    assert_eq!((stats.from_initial, stats.from_peers, stats.duplicate_bytes), (stats.bytes_total, 0, 0));
    assert!(stats.proof_bytes * 100 < stats.bytes_total, "proofs: {}", stats.proof_bytes);
    assert_eq!(net.nodes[1].events.iter().filter(|event| matches!(event, Event::Complete)).count(), 1);
    assert_eq!(net.nodes[0].peer.stats().uploaded, stats.bytes_total);
    // 3 MiB at 2 MB/s take 1.6 s; setting up takes six delays.
    assert!(net.now < Timestamp::from_millis(2400), "{:?}", net.now);
}

#[test]
fn urgent_requests_and_injection_never_bring_the_same_group_twice() {
    let mut net = net(4 * MIB, 1);
    assert!(net.run(MINUTE, |net| net.nodes[1].peer.held().is_some()));
    let reader = |group| Input::ReaderAt { reader: ReaderId(1), group, ahead_ms: 0 };
    for group in (0..256).step_by(8) {
        net.tell(1, reader(group));
        assert!(
            net.run(MINUTE, |net| (group..group + 8).all(|group| net.nodes[1].store.contains_key(&group)))
        );
    }
    assert_eq!(net.nodes[1].peer.stats().duplicate_bytes, 0);
    assert_eq!(net.nodes[0].peer.stats().uploaded, 4 * MIB as u64);
}

#[test]
fn payload_that_overtakes_the_greeting_is_kept() {
    let mut net = net(MIB, 1);
    net.slow_control_of(0);
    assert!(net.run(MINUTE, |net| net.is_complete(1)));
    let events = &net.nodes[1].events;
    assert!(!events.iter().any(|event| matches!(event, Event::Banned { .. })), "{events:?}");
    assert_eq!(net.nodes[0].peer.stats().uploaded, MIB as u64);
}

#[test]
fn what_only_one_linked_peer_holds_is_at_risk() {
    let mut net = net(16 * MIB, 1);
    assert!(net.run(MINUTE, |net| net.nodes[1].peer.held().is_some_and(|held| held.count() > 8)));
    let peer = &net.nodes[1].peer;
    assert_eq!(peer.well_held().as_ref(), peer.held(), "the initial peer alone has the rest");
    net.add(Role::Initial, net.manifest.geometry().all(), UPLINK);
    assert!(net.run(MINUTE, |net| net.nodes[1].peer.well_held().is_some_and(|well| well.is_full())));
    assert!(!net.is_complete(1), "two initial peers have what it lacks");
}

#[test]
fn viewers_serve_one_another() {
    let mut net = net(4 * MIB, 4);
    assert!(net.run(MINUTE, |net| (1..5).all(|node| net.is_complete(node))));
    let total = 4 * MIB as u64;
    let seeder = net.nodes[0].peer.stats().uploaded;
    assert!(seeder * 10 < total * 12, "the initial peer sent {seeder} of {total}");
    assert!((1..5).all(|node| net.nodes[node].peer.stats().from_peers > total / 2));
}

#[test]
fn a_late_viewer_is_served_by_viewers_and_spares_the_initial_peer() {
    let mut net = net(2 * MIB, 2);
    assert!(net.run(MINUTE, |net| net.is_complete(1) && net.is_complete(2)));
    let before = net.nodes[0].peer.stats().uploaded;
    let late = net.add(Role::Viewer, NOTHING, UPLINK);
    assert!(net.run(MINUTE, |net| net.is_complete(late)));
    // Only what it asked for before it heard what the viewers hold: one pipeline of an unknown link.
    let more = net.nodes[0].peer.stats().uploaded - before;
    assert!(more <= 128 * 1024, "the initial peer sent {more} bytes");
    assert_eq!(net.nodes[late].peer.stats().from_peers + more, 2 * MIB as u64);
}

#[test]
fn what_waits_at_a_slow_neighbour_is_taken_over_by_one_that_has_nothing_to_do() {
    let mut net = net(MIB, 0);
    let all = net.manifest.geometry().all();
    net.add(Role::Viewer, all, 10_000);
    net.add(Role::Viewer, all, UPLINK);
    let viewer = net.add(Role::Viewer, NOTHING, UPLINK);
    assert!(net.run(MINUTE, |net| net.is_complete(viewer)));
    // The slow one has two groups to send by the time the fast one sent all others; they take it 3 s.
    assert!(net.now < Timestamp::from_millis(2500), "{:?}", net.now);
    assert!(net.nodes[viewer].peer.stats().duplicate_bytes <= 2 * 16384);
}

#[test]
fn what_is_in_the_window_does_not_wait_for_a_neighbour_that_drips() {
    let mut net = net(MIB, 0);
    let all = net.manifest.geometry().all();
    net.add(Role::Viewer, all, 1000);
    net.add(Role::Viewer, all, UPLINK);
    let viewer = net.add(Role::Viewer, NOTHING, UPLINK);
    assert!(net.run(MINUTE, |net| net.nodes[viewer].peer.held().is_some()));
    net.tell(viewer, Input::ReaderAt { reader: ReaderId(1), group: 0, ahead_ms: 25_000 });
    assert!(net.run(MINUTE, |net| net.is_complete(viewer)));
    // One group takes the slow one 16 s.
    assert!(net.now < Timestamp::from_millis(4000), "{:?}", net.now);
}

#[test]
fn whoever_corrupts_one_group_is_banned_at_that_group_and_the_download_completes() {
    let mut net = net(2 * MIB, 0);
    let all = net.manifest.geometry().all();
    let liar = net.add(Role::Viewer, all, UPLINK);
    net.nodes[liar].fault = Fault::Corrupts(60);
    let viewer = net.add(Role::Viewer, NOTHING, UPLINK);
    assert!(net.run(MINUTE, |net| net.is_complete(viewer)));
    let banned: Vec<&Event> =
        net.nodes[viewer].events.iter().filter(|event| matches!(event, Event::Banned { .. })).collect();
    assert_eq!(banned.len(), 1, "{banned:?}");
    assert!(net.nodes[viewer].peer.stats().links.iter().all(|link| link.kind == Role::Initial));
}

#[test]
fn whoever_asks_an_initial_peer_that_injects_for_everything_at_once_is_banned() {
    let mut net = net(4 * MIB, 2);
    assert!(net.run(MINUTE, |net| net.nodes[1].peer.held().is_some_and(|held| held.count() > 4)));
    // It has uplink to spare for two viewers; as if it had not.
    net.nodes[0].peer.standing_told.as_mut().unwrap().serving = Serving::Needs;
    let range = net.manifest.geometry().all();
    let request = PeerMessage::Request { id: 1000, range, class: Class::Urgent, remaining_ms: 0 };
    let link = *net.nodes[0].peer.links.keys().next().unwrap();
    net.tell(0, Input::Control(link, request));
    assert!(net.nodes[0].events.iter().any(|event| matches!(event, Event::Banned { .. })));
}

#[test]
fn urgent_requests_that_crowd_out_injection_are_met_as_needs_for_a_while() {
    let mut net = net(8 * MIB, 2);
    assert!(net.run(MINUTE, |net| net.nodes[1].peer.held().is_some_and(|held| held.count() > 4)));
    let later = net.now + Duration::from_secs(3);
    let peer = &mut net.nodes[0].peer;
    peer.note_overload(later);
    assert_eq!(peer.serving(later), Serving::Urgent, "nothing is pushed, but nobody waits for anything else");
    let link = peer.links.values_mut().next().unwrap();
    link.serve(1000, GroupRange::one(500), (Class::Urgent, later), &[]);
    peer.note_overload(later);
    assert_eq!(peer.serving(later), Serving::Needs);
    assert_eq!(peer.serving(later + Duration::from_secs(10)), Serving::Urgent);
}

#[test]
fn a_silent_counterpart_does_not_hold_a_download_up() {
    let mut net = net(2 * MIB, 0);
    let all = net.manifest.geometry().all();
    let silent = net.add(Role::Viewer, all, UPLINK);
    net.nodes[silent].fault = Fault::Silent;
    let viewer = net.add(Role::Viewer, NOTHING, UPLINK);
    assert!(net.run(Duration::from_secs(10), |net| net.is_complete(viewer)));
    assert_eq!(net.nodes[viewer].peer.stats().duplicate_bytes, 0);
}

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
fn a_viewer_keeps_within_its_budget_and_plays_on() {
    let mut net = net(16 * MIB, 0);
    let viewer = net.add(Role::Viewer, NOTHING, 10 * UPLINK);
    net.nodes[viewer].peer.config.appetite = Appetite::Viewer { budget_bytes: 4 * MIB as u64 };
    assert!(net.run(MINUTE, |net| net.nodes[viewer].peer.held().is_some()));
    for group in (0..1024).step_by(32) {
        net.tell(viewer, Input::ReaderAt { reader: ReaderId(1), group, ahead_ms: 1000 });
        assert!(net.run(MINUTE, |net| {
            (group..group + 32).all(|group| net.nodes[viewer].store.contains_key(&group))
        }));
        assert!(net.nodes[viewer].store.len() <= 256);
    }
}

#[test]
fn a_resumed_peer_fetches_only_the_rest() {
    let mut net = net(2 * MIB, 0);
    let viewer = net.add(Role::Viewer, GroupRange::new(0, 100), UPLINK);
    assert!(net.run(MINUTE, |net| net.is_complete(viewer)));
    assert_eq!(net.nodes[viewer].peer.stats().from_initial, 28 * 16384);
}

#[test]
fn the_upload_cap_is_kept_and_off_means_off() {
    let mut net = net(MIB, 0);
    net.tell(0, Input::Upload(UploadLimit::BitsPerSecond(4_000_000)));
    let viewer = net.add(Role::Viewer, NOTHING, UPLINK);
    assert!(net.run(MINUTE, |net| net.is_complete(viewer)));
    // 1 MiB at 0.5 MB/s: 2.1 s, less the burst of 0.1 s.
    assert!(net.now > Timestamp::from_millis(2000), "{:?}", net.now);
    net.tell(0, Input::Upload(UploadLimit::Off));
    net.tell(viewer, Input::Upload(UploadLimit::Off));
    let late = net.add(Role::Viewer, NOTHING, UPLINK);
    assert!(!net.run(MINUTE, |net| net.nodes[late].peer.stats().bytes_verified > 0));
    net.tell(viewer, Input::Upload(UploadLimit::Unlimited));
    assert!(net.run(MINUTE, |net| net.is_complete(late)));
}

#[test]
fn data_that_nobody_asked_for_costs_the_link() {
    let mut net = net(MIB, 2);
    assert!(net.run(MINUTE, |net| net.is_complete(1) && net.is_complete(2)));
    let link = net.nodes[1]
        .peer
        .links
        .iter()
        .find(|(_, link)| link.role == Role::Viewer)
        .map(|(id, _)| *id)
        .unwrap();
    let range = GroupRange::one(3);
    let proof = net.tree.prove(range, |_| false).unwrap();
    let head = crate::peer_message::DataHead { request: 77, range, proof };
    let payload = net.slice(range);
    net.tell(1, Input::Data(link, crate::peer_message::DataMessage { head, payload }));
    assert!(net.nodes[1].events.iter().any(|event| matches!(event, Event::Banned { .. })));
}

#[test]
fn the_same_seeds_give_the_same_swarm() {
    let run = || {
        let mut net = net(2 * MIB, 3);
        assert!(net.run(MINUTE, |net| (1..4).all(|node| net.is_complete(node))));
        let requested: Vec<_> = net.nodes.iter().map(|node| node.requested.clone()).collect();
        (net.now, requested)
    };
    assert_eq!(run(), run());
}

fn any_input() -> impl Strategy<Value = Input> {
    let link = || (0u32..4).prop_map(LinkId);
    let range = || (0u32..100, 0u32..100).prop_map(|(start, len)| GroupRange::from((start, len)));
    let message = prop_oneof![
        (any::<[u8; 16]>(), range()).prop_map(|(instance, have)| PeerMessage::Hello {
            version: 1,
            swarm: crate::SwarmId([0; 32]),
            peer: PeerId(1),
            instance: Instance(instance),
            standing: Standing { serving: Serving::Everything, wants: GroupRange::new(0, 0), uplink: 0 },
            have: vec![have],
        }),
        (range(), range())
            .prop_map(|(gained, dropped)| PeerMessage::Have { gained: vec![gained], dropped: vec![dropped] }),
        (any::<u32>(), range()).prop_map(|(id, range)| PeerMessage::Request {
            id,
            range,
            class: Class::Window,
            remaining_ms: 0
        }),
        any::<u32>().prop_map(|id| PeerMessage::Cancel { id }),
        any::<u32>().prop_map(|nonce| PeerMessage::Pong { nonce }),
        (any::<u16>(), any::<u16>()).prop_map(|(part, part_count)| PeerMessage::ManifestPart {
            part,
            part_count,
            bytes: vec![1].into()
        }),
        any::<u16>().prop_map(|part| PeerMessage::ManifestAsk { part }),
    ];
    prop_oneof![
        Just(Input::TrackerOpen),
        Just(Input::TrackerClosed(String::new())),
        (any::<u64>(), any::<bool>()).prop_map(|(peer, offer)| Input::Tracker(TrackerMessage::notice(
            TrackerMessageBody::Connect { peer: PeerId(peer % 5), role: Role::Viewer, offer }
        ))),
        Just(Input::Tracker(TrackerMessage::notice(TrackerMessageBody::Welcome {
            version: 1,
            peer: PeerId(9),
            resume: String::new(),
            ice_servers: Vec::new(),
            report_interval_ms: 0,
        }))),
        link().prop_map(Input::LinkOpen),
        (link(), message).prop_map(|(link, message)| Input::Control(link, message)),
        (link(), any::<u64>()).prop_map(|(link, bytes)| Input::Buffered(link, bytes)),
        (any::<u32>(), any::<u32>()).prop_map(|(group, ahead_ms)| Input::ReaderAt {
            reader: ReaderId(1),
            group,
            ahead_ms
        }),
    ]
}

proptest! {
    #[test]
    fn no_order_of_inputs_makes_a_peer_panic_or_spin(inputs in prop::collection::vec(any_input(), 0..120)) {
        let net = Net::new(50 * 16384);
        let mut peer = Peer::new(PeerConfig {
            swarm: net.manifest.swarm_id().unwrap(),
            role: Role::Viewer,
            manifest: Some(net.manifest.clone()),
            instance: Instance([9; 16]),
            seed: 1,
            appetite: Appetite::Everything,
            upload: UploadLimit::Unlimited,
            token: None,
            policy: Policy::default(),
        });
        let mut now = Timestamp::ZERO;
        peer.handle_input(now, Input::Start);
        let held = crate::GroupSet::empty(50);
        let tree = Box::new(crate::HashTree::unknown(net.tree.geometry(), net.tree.root()));
        peer.handle_input(now, Input::StoreReady { held, tree });
        for input in inputs {
            peer.handle_input(now, input);
            while peer.poll_output().is_some() {}
            now = now + Duration::from_millis(30);
            if peer.poll_timeout().is_some_and(|at| at <= now) {
                peer.handle_timeout(now);
                prop_assert!(peer.poll_timeout().is_none_or(|at| at > now), "it would spin");
            }
        }
    }
}
