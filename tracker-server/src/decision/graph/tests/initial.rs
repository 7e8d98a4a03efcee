//! The places of initial peers: how many, for whom, and how they change hands.

use super::*;

#[test]
fn an_initial_peer_takes_the_first_comers_and_refills_when_one_leaves() {
    let mut swarm = Swarm::new(3);
    swarm.join_initial(INITIAL);
    let places = INITIAL_DEGREE as u64;
    for peer in 1..=places + 8 {
        swarm.join(peer);
        assert_eq!(swarm.graph.is_linked(PeerId(peer), INITIAL), peer <= places);
    }
    swarm.leave(PeerId(1));
    assert_eq!(swarm.told[&INITIAL].len(), INITIAL_DEGREE);
    let late = places + 1..=places + 8;
    assert_eq!(late.filter(|peer| swarm.graph.is_linked(PeerId(*peer), INITIAL)).count(), 1);
    swarm.check();
}

#[test]
fn an_initial_peer_that_comes_late_is_introduced_to_viewers_only_and_no_viewer_gets_three() {
    let mut swarm = Swarm::grown(INITIAL_DEGREE as u64 + 8, 4);
    for initial in 1000..1004 {
        swarm.join_initial(PeerId(initial));
    }
    assert!(!swarm.graph.is_linked(PeerId(1000), PeerId(1001)));
    assert_eq!(swarm.told[&PeerId(1000)].len(), INITIAL_DEGREE);
    swarm.join(INITIAL_DEGREE as u64 + 9);
    for viewer in swarm.viewers() {
        let initial = swarm.graph.links(viewer).filter(|link| link.kind == Kind::Initial).count();
        assert!((1..=INITIAL_PER_VIEWER_MAX).contains(&initial), "{viewer} has {initial}");
    }
    swarm.leave(PeerId(1000));
    swarm.check();
}

#[test]
fn places_at_an_initial_peer_rotate_until_everybody_had_one_and_the_strong_keep_theirs() {
    let mut swarm = Swarm::new(5);
    swarm.join_initial(INITIAL);
    let viewers = 2 * INITIAL_DEGREE as u64;
    (1..=viewers).for_each(|peer| swarm.join(peer));
    let is_strong = |peer: PeerId| peer.0.is_multiple_of(8);
    let uplink_bps = |peer: PeerId| if is_strong(peer) { 50_000_000 } else { 2_000_000 };
    assert_eq!(swarm.rotate(ROTATION_MS - 1, uplink_bps), 0, "nobody held a place for long enough");
    let mut had: BTreeSet<PeerId> = swarm.told[&INITIAL].clone();
    for _ in 0..viewers / 4 {
        let exchanged = swarm.rotate(ROTATION_MS, uplink_bps);
        assert!((1..=INITIAL_DEGREE / ROTATED_SHARE).contains(&exchanged), "{exchanged}");
        assert_eq!(swarm.rotate(0, uplink_bps), 0, "twice in one interval");
        swarm.check();
        had.extend(swarm.told[&INITIAL].iter().copied());
    }
    assert_eq!(swarm.told[&INITIAL].len(), INITIAL_DEGREE);
    assert!(had.len() as u64 >= viewers - 4, "{} had a turn", had.len());
    let strong = swarm.told[&INITIAL].iter().filter(|peer| is_strong(**peer)).count();
    assert!(strong as u64 >= viewers / 8 - 1, "{strong} of {viewers} / 8 strong viewers are at the root");
}

#[test]
fn an_initial_peer_has_as_many_places_as_its_uplink_carries_viewers() {
    let cases = [
        (0, 2_000_000, INITIAL_DEGREE),
        (10_000_000, 2_000_000, INITIAL_DEGREE),
        (1_000_000_000, 4_000_000, 250),
        (300 * MEDIA_UNKNOWN_BPS, 0, 300),
        (u64::MAX, 1, INITIAL_DEGREE_MAX),
    ];
    for (uplink_bps, media_bps, places) in cases {
        assert_eq!(places_for(uplink_bps, media_bps), places, "{uplink_bps} over {media_bps}");
    }
}

#[test]
fn an_initial_peer_whose_uplink_grows_gets_more_viewers_short_ones_first_and_gives_them_up_again() {
    let mut swarm = Swarm::new(8);
    swarm.join_initial(INITIAL);
    let viewers = 3 * INITIAL_DEGREE as u64;
    (1..=viewers).for_each(|peer| swarm.join(peer));
    let need = |peer: PeerId| Need { is_short: peer.0 > viewers - 32, uplink_bps: 0 };
    let places = INITIAL_DEGREE + 64;
    let changes = swarm.graph.widen(swarm.now, INITIAL, places, need, &mut swarm.rng);
    swarm.hear(changes);
    swarm.check();
    assert_eq!(swarm.told[&INITIAL].len(), places);
    let short = swarm.told[&INITIAL].iter().filter(|peer| need(**peer).is_short).count();
    assert!(short > 28, "{short} of the 32 that are short");
    let changes = swarm.graph.widen(swarm.now, INITIAL, INITIAL_DEGREE, need, &mut swarm.rng);
    assert_eq!(changes, [], "what is linked stays so for a while");
    for _ in 0..20 {
        swarm.rotate(ROTATION_MS, |_| 0);
    }
    swarm.check();
    assert_eq!(swarm.told[&INITIAL].len(), INITIAL_DEGREE);
}

#[test]
fn a_full_initial_peer_still_takes_a_few_that_want_what_nobody_else_has() {
    let mut swarm = Swarm::new(6);
    swarm.join_initial(INITIAL);
    (1..=100).for_each(|peer| swarm.join(peer));
    let wanting = (1..=100).map(PeerId);
    let mut linked = 0;
    for taker in wanting {
        if let Some(changes) = swarm.graph.link_wanted(swarm.now, taker, INITIAL) {
            swarm.hear(changes);
            linked += 1;
        }
    }
    assert_eq!(linked, INITIAL_WANTED_MAX);
    swarm.check();
}
