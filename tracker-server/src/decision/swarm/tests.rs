//! One swarm by itself: who is told what.

use std::net::Ipv4Addr;

use swarm_core::manifest::Period;
use swarm_core::tracker_message::{PeerEntry, Want};

use super::super::network::Network;
use super::*;
use crate::limits::{LEASE_MS, LOOKING_MAX, PROVIDERS_MAX};

const PLAIN: Wish = Wish { priority: 3, period: Period::Playback };

fn viewer(peer: u64, have: &[SegmentRun]) -> Newcomer {
    Newcomer {
        peer: PeerId(peer),
        connection: ConnectionId(peer),
        role: Role::Viewer,
        have: have.to_vec(),
        uplink_bps: 10_000_000,
        playhead: None,
        network: Network::of(Ipv4Addr::LOCALHOST.into()),
    }
}

fn joined(newcomers: impl IntoIterator<Item = Newcomer>) -> (Swarm, fastrand::Rng) {
    let mut swarm = Swarm::new([PLAIN; 10]);
    let mut rng = fastrand::Rng::with_seed(1);
    for newcomer in newcomers {
        swarm.join(Timestamp::ZERO, newcomer, &mut rng);
    }
    (swarm, rng)
}

fn want(first: u32, count: u32, remaining_ms: u32) -> Want {
    Want { segments: SegmentRun(first, count), remaining_ms }
}

#[test]
fn a_newcomer_offers_to_everybody_in_a_small_swarm() {
    let (mut swarm, mut rng) = joined([viewer(1, &[]), viewer(2, &[])]);
    let notices = swarm.join(Timestamp::ZERO, Newcomer { role: Role::Initial, ..viewer(3, &[]) }, &mut rng);
    let connect = |peer, role, offer| TrackerMessageBody::Connect { peer: PeerId(peer), role, offer };
    assert_eq!(notices.len(), 4);
    for peer in [1, 2] {
        assert!(notices.contains(&(ConnectionId(3), connect(peer, Role::Viewer, true))));
        assert!(notices.contains(&(ConnectionId(peer), connect(3, Role::Initial, false))));
    }
}

#[test]
fn a_want_names_providers_and_those_who_look_for_the_same_and_assigns_the_urgent() {
    let (mut swarm, mut rng) = joined([
        viewer(1, &[SegmentRun(0, 4)]),
        viewer(2, &[SegmentRun(3, 2)]),
        viewer(3, &[]),
        viewer(4, &[]),
    ]);
    swarm.want(Timestamp::ZERO, PeerId(4), &[want(3, 1, 100)], &mut rng);
    let wants = [want(9, 1, 0), want(4, 1, 500), want(2, 2, 1000)];
    let (answer, notices) = swarm.want(Timestamp::ZERO, PeerId(3), &wants, &mut rng);
    let TrackerMessageBody::Peers { providing, looking } = answer else { panic!("{answer:?}") };
    let runs = |entries: Vec<PeerEntry>| -> Vec<_> {
        let mut runs: Vec<_> = entries.into_iter().map(|entry| (entry.peer.0, entry.segments)).collect();
        runs.sort_by_key(|(peer, _)| *peer);
        runs
    };
    assert_eq!(runs(providing), [(1, vec![SegmentRun(2, 2)]), (2, vec![SegmentRun(3, 2)])]);
    assert_eq!(runs(looking), [(4, vec![SegmentRun(3, 1)])]);
    let assigned: Vec<u32> = notices
        .iter()
        .flat_map(|(_, message)| {
            let TrackerMessageBody::Assign { segments, lease_ms: LEASE_MS, .. } = message else {
                panic!("{message:?}")
            };
            segments
        })
        .flat_map(|run| run.0..run.0 + run.1)
        .collect();
    assert_eq!(assigned.len(), 3);
    assert!(!assigned.contains(&9), "nobody holds it");
}

#[test]
fn a_want_that_no_neighbour_can_meet_introduces_one_that_can() {
    let (mut swarm, mut rng) = joined((1..=60).map(|peer| viewer(peer, &[])));
    let taker = PeerId(60);
    let far = (1..60).find(|peer| !swarm.graph.is_linked(taker, PeerId(*peer))).unwrap();
    swarm.change(PeerId(far), &[SegmentRun(7, 1)], &[]);
    let (_, notices) = swarm.want(Timestamp::ZERO, taker, &[want(7, 1, 0)], &mut rng);
    let connect = |peer, offer| TrackerMessageBody::Connect { peer: PeerId(peer), role: Role::Viewer, offer };
    let segments = vec![SegmentRun(7, 1)];
    let assign = TrackerMessageBody::Assign { segments, source: PeerId(far), lease_ms: LEASE_MS };
    let expected = [
        (ConnectionId(far), connect(60, false)),
        (ConnectionId(60), connect(far, true)),
        (ConnectionId(60), assign),
    ];
    assert_eq!(notices, expected);
}

#[test]
fn the_longest_answer_fits_a_message() {
    let holes: Vec<SegmentRun> = (0..8000).map(|index| SegmentRun(index * 2, 1)).collect();
    let mut swarm = Swarm::new([PLAIN; 16_384]);
    let mut rng = fastrand::Rng::with_seed(1);
    for peer in 1..=100 {
        let newcomer = viewer(u64::MAX - peer, &holes);
        swarm.join(
            Timestamp::ZERO,
            Newcomer { uplink_bps: u64::MAX, playhead: Some(16_383), ..newcomer },
            &mut rng,
        );
        let all = [want(0, 16_384, 0)];
        swarm.want(Timestamp::ZERO, PeerId(u64::MAX - peer), &all, &mut rng);
    }
    let wants = [want(8192, 8192, 0)];
    let (body, _) = swarm.want(Timestamp::ZERO, PeerId(u64::MAX - 1), &wants, &mut rng);
    let message = swarm_core::tracker_message::TrackerMessage { id: Some(u32::MAX), body };
    let TrackerMessageBody::Peers { providing, looking } = &message.body else { panic!() };
    assert_eq!((providing.len(), looking.len()), (PROVIDERS_MAX, LOOKING_MAX));
    assert!(message.encode().len() <= swarm_core::limits::TRACKER_MESSAGE_BYTES_MAX);
}

#[test]
fn hostile_wants_neither_panic_nor_assign_more_than_the_limit() {
    let (mut swarm, mut rng) = joined([viewer(1, &[SegmentRun(0, 10)]), viewer(2, &[])]);
    let wants = [want(u32::MAX, u32::MAX, 0), want(0, u32::MAX, u32::MAX), want(5, 0, 0)];
    let (_, notices) = swarm.want(Timestamp::ZERO, PeerId(2), &wants, &mut rng);
    let segments = vec![SegmentRun(0, 10)];
    let assign = TrackerMessageBody::Assign { segments, source: PeerId(1), lease_ms: LEASE_MS };
    assert_eq!(notices, [(ConnectionId(2), assign)]);
}
