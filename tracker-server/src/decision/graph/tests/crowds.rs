//! Crowds from one subnet: they surround nobody, and where there is nobody else they lack nothing.

use super::*;

/// The subnet of a crowd.
fn crowded() -> Subnet {
    Subnet::of([203, 0, 113, 0].into())
}

/// Viewers that are not from the crowded subnet, and how many of their regular links are with it.
fn surrounded(swarm: &Swarm) -> Vec<usize> {
    let others = swarm.viewers().into_iter().filter(|peer| swarm.graph.subnet(*peer) != Some(crowded()));
    let with_crowd = |peer: PeerId| {
        swarm.graph.links(peer).filter(|link| link.kind.is_regular() && link.subnet == crowded()).count()
    };
    others.map(with_crowd).collect()
}

#[test]
fn a_crowd_from_one_subnet_surrounds_nobody_whether_it_comes_before_or_after() {
    for (first, then) in [(crowded(), None), (alone(1), Some(crowded()))] {
        let mut swarm = Swarm::new(11);
        let crowd = 10_000..10_600;
        let honest = 1..=60;
        if first == crowded() {
            crowd.clone().for_each(|peer| swarm.join_from(peer, crowded()));
        }
        honest.for_each(|peer| swarm.join(peer));
        if then.is_some() {
            crowd.for_each(|peer| swarm.join_from(peer, crowded()));
        }
        // Each report exchanges one.
        (0..8).for_each(|_| swarm.settle());
        swarm.check();
        assert!(swarm.degrees().iter().all(|degree| *degree + 1 >= DEGREE_TARGET));
        let links = surrounded(&swarm);
        assert_eq!(links.len(), 60);
        let worst = links.iter().max().unwrap();
        let mean = links.iter().sum::<usize>() as f64 / links.len() as f64;
        println!("links with the crowd: {mean:.1} on average, {worst} at most");
        assert!(*worst <= LINKS_PER_SUBNET_MAX + 1 && mean <= LINKS_PER_SUBNET_MAX as f64 + 1.0, "{links:?}");
    }
}

#[test]
fn viewers_that_are_all_of_one_subnet_or_of_two_have_all_their_links() {
    for subnets in [1, 2] {
        let mut swarm = Swarm::new(12);
        (1..=200).for_each(|peer| swarm.join_from(peer, alone(peer % subnets)));
        swarm.settle();
        swarm.check();
        assert!(swarm.degrees().iter().all(|degree| *degree + 1 >= DEGREE_TARGET), "{:?}", swarm.degrees());
    }
}

#[test]
fn a_crowd_from_one_subnet_keeps_a_quarter_of_the_places_at_an_initial_peer() {
    let mut swarm = Swarm::new(13);
    swarm.join_initial(INITIAL);
    (10_000..11_000).for_each(|peer| swarm.join_from(peer, crowded()));
    let honest = INITIAL_DEGREE as u64;
    (1..=honest).for_each(|peer| swarm.join(peer));
    let of_crowd = |swarm: &Swarm| swarm.graph.places_by_subnet(INITIAL)[&crowded()];
    assert_eq!(of_crowd(&swarm), INITIAL_DEGREE / INITIAL_SUBNET_SHARE);
    // The crowd boasts; that does not bring it more places.
    let uplink_bps = |peer: PeerId| if peer.0 >= 10_000 { u64::MAX } else { 2_000_000 };
    for _ in 0..100 {
        swarm.rotate(ROTATION_MS, uplink_bps);
        assert!(of_crowd(&swarm) <= INITIAL_DEGREE / INITIAL_SUBNET_SHARE, "{}", of_crowd(&swarm));
    }
    swarm.join_initial(PeerId(5_000));
    let taken = swarm.graph.places_by_subnet(PeerId(5_000));
    assert!(taken.len() > INITIAL_DEGREE / 4, "one that comes late meets many subnets: {taken:?}");
    swarm.check();
}
