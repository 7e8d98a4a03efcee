//! One swarm by itself: who is told what.

use std::net::Ipv4Addr;

use swarm_core::manifest::Period;
use swarm_core::tracker_message::{PeerEntry, Want};

use super::*;
use crate::limits::{
    INITIAL_DEGREE, INITIAL_WANTED_MAX, LEASE_MS, LOOKING_MAX, PROVIDERS_MAX, SHORT_MS, UPLINK_UNKNOWN_BPS,
};

const PLAIN: Wish = Wish { priority: 3, period: Period::Playback };

fn viewer(peer: u64, have: &[SegmentRun]) -> Newcomer {
    Newcomer {
        peer: PeerId(peer),
        connection: ConnectionId(peer),
        role: Role::Viewer,
        have: have.to_vec(),
        uplink_bps: 10_000_000,
        playhead: None,
        site: Site::of(Ipv4Addr::LOCALHOST.into()),
        is_visitor: false,
    }
}

fn joined(newcomers: impl IntoIterator<Item = Newcomer>) -> (Swarm, fastrand::Rng) {
    let mut swarm = Swarm::new([PLAIN; 10], Wiring::Regular, 0);
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
    let mut swarm = Swarm::new([PLAIN; 16_384], Wiring::Regular, 0);
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

#[test]
fn both_sides_of_a_link_that_is_split_are_told() {
    let (mut swarm, mut rng) = joined((1..=13).map(|peer| viewer(peer, &[])));
    let notices = swarm.join(Timestamp::ZERO, viewer(14, &[]), &mut rng);
    let unlinks: Vec<_> =
        notices
            .iter()
            .filter_map(|(to, body)| {
                if let TrackerMessageBody::Unlink { peer } = body { Some((to.0, peer.0)) } else { None }
            })
            .collect();
    assert_eq!(unlinks.len(), 12);
    for (left, right) in &unlinks {
        assert!(unlinks.contains(&(*right, *left)), "{left} was told and {right} was not");
        assert!(*left != 14 && !swarm.graph.is_linked(PeerId(*left), PeerId(*right)));
    }
}

#[test]
fn what_somebody_wants_and_one_viewer_holds_is_at_risk_for_all() {
    let (mut swarm, mut rng) = joined((1..=3).map(|peer| viewer(peer, &[])));
    swarm.join(Timestamp::ZERO, Newcomer { role: Role::Initial, ..viewer(9, &[]) }, &mut rng);
    swarm.change(PeerId(1), &[SegmentRun(0, 6)], &[]);
    swarm.change(PeerId(2), &[SegmentRun(0, 5)], &[]);
    swarm.want(Timestamp::ZERO, PeerId(3), &[want(4, 3, 0)], &mut rng);
    let state = swarm.state(Timestamp::from_millis(5000), PeerId(0));
    let at_risk = vec![SegmentRun(5, 2)];
    assert_eq!(
        state,
        TrackerMessageBody::Swarm { seeders: 1, leechers: 3, at_risk, share: None, scarcity: None }
    );
}

#[test]
fn a_crowd_that_wants_what_only_a_full_initial_peer_has_brings_it_a_few_links_and_leases() {
    let (mut swarm, mut rng) = joined([Newcomer { role: Role::Initial, ..viewer(1000, &[]) }]);
    for peer in 1..=200 {
        swarm.join(Timestamp::ZERO, viewer(peer, &[]), &mut rng);
    }
    let mut leases = Vec::new();
    for peer in 1..=200 {
        let (_, notices) = swarm.want(Timestamp::ZERO, PeerId(peer), &[want(0, 10, 0)], &mut rng);
        leases.extend(notices.into_iter().filter_map(|(_, body)| {
            if let TrackerMessageBody::Assign { segments, .. } = body { Some(segments) } else { None }
        }));
    }
    let initial = PeerId(1000);
    assert_eq!(swarm.graph.neighbours(initial).count(), INITIAL_DEGREE + INITIAL_WANTED_MAX);
    let segments: u32 = leases.iter().flatten().map(|run| run.1).sum();
    assert_eq!(segments, 10, "each segment is sent once: {leases:?}");
    assert!(leases.len() >= 3, "to more than two takers");
}

#[test]
fn what_is_rare_and_what_the_author_wants_first_is_assigned_first() {
    let first = Wish { period: Period::Start, ..PLAIN };
    let high = Wish { priority: 7, ..PLAIN };
    let mut wishes = [PLAIN; 40];
    (wishes[30], wishes[20]) = (first, high);
    let mut swarm = Swarm::new(wishes, Wiring::Regular, 0);
    let mut rng = fastrand::Rng::with_seed(1);
    let all = [SegmentRun(0, 40)];
    let but_one = [SegmentRun(0, 10), SegmentRun(11, 29)];
    for newcomer in [viewer(1, &all), viewer(2, &but_one), viewer(3, &[])] {
        swarm.join(Timestamp::ZERO, newcomer, &mut rng);
    }
    assert_eq!(swarm.most_important(&[want(0, 40, 500), want(5, 1, 0)])[..4], [30, 5, 10, 20]);
}

#[test]
fn a_source_that_its_neighbours_complain_about_is_asked_less() {
    let all = [SegmentRun(0, 10)];
    let (mut swarm, mut rng) = joined((1..=6).map(|peer| viewer(peer, if peer < 3 { &all } else { &[] })));
    let report = |peer, bytes, failures| Report {
        received: vec![Received { peer: PeerId(peer), bytes, failures }],
        uplink_bps: 0,
        playhead: None,
        ahead_ms: None,
    };
    for round in 0..10 {
        for reporter in 3..=6 {
            let now = Timestamp::from_millis(round * 5000);
            swarm.report(now, PeerId(reporter), report(1, 0, 9), &mut rng);
            swarm.report(now, PeerId(reporter), report(2, 1 << 20, 0), &mut rng);
        }
    }
    let (_, notices) = swarm.want(Timestamp::ZERO, PeerId(6), &[want(0, 10, 0)], &mut rng);
    let segments = vec![SegmentRun(0, 10)];
    let assign = TrackerMessageBody::Assign { segments, source: PeerId(2), lease_ms: LEASE_MS };
    assert_eq!(notices, [(ConnectionId(6), assign)]);
    let stranger = report(77, 1, 0);
    swarm.report(Timestamp::ZERO, PeerId(6), stranger, &mut rng);
    assert_eq!(swarm.successes.of(PeerId(77)), super::super::success::SUCCESS_MAX);
}

#[test]
fn fake_seeders_are_found_out_by_who_asks_them_and_what_they_hid_is_at_risk_again() {
    let all = [SegmentRun(0, 10)];
    let (mut swarm, mut rng) = joined((1..=8).map(|peer| viewer(peer, if peer < 4 { &all } else { &[] })));
    assert_eq!(swarm.counts(), (3, 5));
    let report = |source: u64| Report {
        received: vec![Received { peer: PeerId(source), bytes: 0, failures: 4 }],
        uplink_bps: 0,
        playhead: None,
        ahead_ms: None,
    };
    for round in 0..6 {
        for (source, reporter) in (1..=3).flat_map(|source| (4..=6).map(move |reporter| (source, reporter))) {
            swarm.report(Timestamp::from_millis(round * 5000), PeerId(reporter), report(source), &mut rng);
        }
    }
    assert_eq!(swarm.counts(), (0, 8), "nobody has it all");
    let now = Timestamp::from_millis(60_000);
    let (answer, notices) = swarm.want(now, PeerId(8), &[want(0, 10, 0)], &mut rng);
    let TrackerMessageBody::Peers { providing, .. } = answer else { panic!("{answer:?}") };
    assert!(providing.is_empty() && notices.is_empty(), "bogus sources are not assigned: {notices:?}");
    let state = swarm.state(now, PeerId(8));
    assert!(matches!(state, TrackerMessageBody::Swarm { at_risk, .. } if at_risk == [SegmentRun(0, 10)]));
}

/// What a player reports that has `ahead_ms` to play.
fn plays(ahead_ms: u32) -> Report {
    Report { received: Vec::new(), uplink_bps: 0, playhead: Some(3), ahead_ms: Some(ahead_ms) }
}

#[test]
fn a_boasted_uplink_counts_for_a_usual_one_or_what_receivers_saw_four_times() {
    let (mut swarm, mut rng) = joined((1..=6).map(|peer| viewer(peer, &[])));
    let boast = |swarm: &mut Swarm, rng: &mut fastrand::Rng| {
        let boast =
            Report { received: Vec::new(), uplink_bps: 1_000_000_000, playhead: None, ahead_ms: None };
        swarm.report(Timestamp::ZERO, PeerId(1), boast, rng);
        swarm.balance.uplink_bps(PeerId(1))
    };
    assert_eq!(boast(&mut swarm, &mut rng), 4 * UPLINK_UNKNOWN_BPS, "nobody has seen anything");
    let received = |bytes, failures| vec![Received { peer: PeerId(1), bytes, failures }];
    for reporter in 2..=5 {
        let report = Report { received: received(2_500_000, 0), ..plays(9000) };
        swarm.report(Timestamp::ZERO, PeerId(reporter), report, &mut rng);
    }
    assert_eq!(boast(&mut swarm, &mut rng), 4 * 16_000_000, "four receivers got 4 Mbit/s each");
    for reporter in (2..=5).cycle().take(40) {
        let report = Report { received: received(0, 40), ..plays(9000) };
        swarm.report(Timestamp::ZERO, PeerId(reporter), report, &mut rng);
    }
    assert!(boast(&mut swarm, &mut rng) < 8_000_000, "it delivers nothing");
}

#[test]
fn a_boast_that_nobody_has_tried_draws_no_more_leases_than_a_few_usual_uplinks() {
    let all = [SegmentRun(0, 10)];
    let holders = (1..=4).map(|peer| Newcomer {
        uplink_bps: if peer == 1 { u64::MAX } else { UPLINK_UNKNOWN_BPS },
        ..viewer(peer, &all)
    });
    let (mut swarm, mut rng) = joined(holders.chain((5..=14).map(|peer| viewer(peer, &[]))));
    let mut to_boaster = 0;
    for taker in 5..=14 {
        let (_, notices) = swarm.want(Timestamp::ZERO, PeerId(taker), &[want(0, 1, 0)], &mut rng);
        let is_from_boaster =
            |body: &TrackerMessageBody| matches!(body, TrackerMessageBody::Assign { source: PeerId(1), .. });
        to_boaster += notices.iter().filter(|(_, body)| is_from_boaster(body)).count();
    }
    assert!((4..=6).contains(&to_boaster), "{to_boaster} of ten: four shares of seven");
}

#[test]
fn a_boast_does_not_make_the_others_short_of_supply_or_draw_links() {
    let (mut swarm, mut rng) = joined((1..=60).map(|peer| viewer(peer, &[])));
    for peer in 1..=60 {
        let uplink_bps = if peer == 1 { u64::MAX } else { 10_000_000 };
        let report = Report { received: Vec::new(), uplink_bps, playhead: Some(0), ahead_ms: None };
        swarm.report(Timestamp::ZERO, PeerId(peer), report, &mut rng);
    }
    assert!(swarm.balance.mean_bps() < 11_000_000, "{}", swarm.balance.mean_bps());
    let count = |swarm: &Swarm, peer| swarm.graph.neighbours(PeerId(peer)).count();
    let (boaster, other) = (count(&swarm, 1), (2..=60).map(|peer| count(&swarm, peer)).max().unwrap());
    assert!(boaster <= 24, "{boaster}: twice as much counts for twice as many links");
    assert!(other <= 18, "{other}");
}

#[test]
fn a_viewer_that_is_short_is_linked_with_a_full_initial_peer_and_a_fast_one_takes_more_viewers() {
    let viewers = INITIAL_DEGREE as u64 + 40;
    let mut swarm = Swarm::new([PLAIN; 10], Wiring::Regular, 2_000_000);
    let mut rng = fastrand::Rng::with_seed(1);
    let initial = PeerId(1000);
    let newcomers = (1..=viewers).map(|peer| viewer(peer, &[]));
    let publisher = Newcomer { role: Role::Initial, uplink_bps: 0, ..viewer(1000, &[]) };
    for newcomer in [publisher].into_iter().chain(newcomers) {
        swarm.join(Timestamp::ZERO, newcomer, &mut rng);
    }
    let late = PeerId(viewers);
    swarm.report(Timestamp::ZERO, late, plays(SHORT_MS), &mut rng);
    assert!(!swarm.graph.is_linked(late, initial), "it has enough to play");
    swarm.report(Timestamp::ZERO, late, plays(SHORT_MS - 1), &mut rng);
    assert!(swarm.graph.is_linked(late, initial));
    let fast = Report { received: Vec::new(), uplink_bps: 500_000_000, playhead: None, ahead_ms: None };
    swarm.report(Timestamp::ZERO, initial, fast, &mut rng);
    assert_eq!(swarm.graph.neighbours(initial).count() as u64, viewers, "it carries 250");
}

#[test]
fn what_a_peer_is_told_does_not_grow_with_the_swarm() {
    let notices_of_joins = |count: u64| {
        let (mut swarm, mut rng) = joined((1..=count).map(|peer| viewer(peer, &[])));
        let joins = count + 1..=count + 100;
        joins.map(|peer| swarm.join(Timestamp::ZERO, viewer(peer, &[]), &mut rng).len()).sum::<usize>()
    };
    let (small, large) = (notices_of_joins(100), notices_of_joins(2000));
    println!("notices of 100 joins: {small} at 100 viewers, {large} at 2,000");
    assert!(large <= small * 5 / 4 && large <= 100 * 36, "{small}, {large}");
}

#[test]
fn the_only_holder_is_found_in_a_large_swarm_and_named_first() {
    let (mut swarm, mut rng) = joined((1..=3000).map(|peer| viewer(peer, &[SegmentRun(1, 3)])));
    swarm.change(PeerId(1234), &[SegmentRun(7, 1)], &[]);
    let taker = (1..).map(PeerId).find(|peer| !swarm.graph.is_linked(*peer, PeerId(1234))).unwrap();
    let (answer, notices) = swarm.want(Timestamp::ZERO, taker, &[want(1, 7, 0)], &mut rng);
    let TrackerMessageBody::Peers { providing, .. } = answer else { panic!("{answer:?}") };
    let strangers: Vec<_> =
        providing.iter().filter(|entry| !swarm.graph.is_linked(taker, entry.peer)).collect();
    assert!(!strangers.is_empty() && providing.iter().any(|entry| entry.peer == PeerId(1234)));
    assert!(swarm.graph.is_linked(taker, PeerId(1234)), "no neighbour holds what it wants");
    assert_eq!(
        notices.iter().filter(|(_, body)| matches!(body, TrackerMessageBody::Connect { .. })).count(),
        2
    );
}
