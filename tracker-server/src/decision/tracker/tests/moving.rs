//! Swarms that change their home: what goes along, and what nobody is told.

use super::*;

/// Everybody's neighbours, by peer.
fn links(moved: &[(ConnectionId, Passport, Said)]) -> Vec<(PeerId, BTreeSet<PeerId>)> {
    let mut links: Vec<(PeerId, BTreeSet<PeerId>)> = moved
        .iter()
        .map(|(_, passport, said)| (passport.peer, said.links.iter().copied().collect()))
        .collect();
    links.sort();
    links
}

/// Takes peers in as a new home does.
fn take_in(home: &mut Tracker, moved: Vec<(ConnectionId, Passport, Said)>) -> Vec<(ConnectionId, Outgoing)> {
    let mut outgoing = Vec::new();
    for (connection, passport, said) in moved {
        outgoing.extend(home.connected(NOW, connection, passport.address));
        outgoing.extend(home.adopt(NOW, connection, passport));
        outgoing.extend(home.rejoin(NOW, connection, (SWARM, said)));
    }
    outgoing
}

#[test]
fn a_new_home_has_the_peers_the_segments_and_the_graph_of_the_old_one() {
    let mut old = tracker();
    let peers: Vec<PeerId> = (1..=40).map(|connection| enter(&mut old, connection, SWARM)).collect();
    let gained = vec![SegmentRun(0, 10)];
    ask(&mut old, 7, PeerRequestBody::Have { gained, dropped: vec![] });
    let counts = old.counts(SWARM);
    let moved = old.evacuate(SWARM);
    assert_eq!((moved.len(), old.counts(SWARM)), (40, (0, 0)));
    let before = links(&moved);
    let mut new = tracker();
    let told = take_in(&mut new, moved);
    let is_connect = |(_, outgoing): &(ConnectionId, Outgoing)| matches!(outgoing, Outgoing::Send(message) if matches!(message.body, TrackerMessageBody::Connect { .. }));
    assert!(told.iter().all(is_connect), "links are named again, and nothing else is said: {told:?}");
    assert_eq!(new.counts(SWARM), counts);
    // Signals pass between those that were neighbours, and nobody else.
    let (first, neighbours) = &before[0];
    let connection = 1 + peers.iter().position(|peer| peer == first).unwrap() as u64;
    for peer in &peers {
        let (answer, _) = ask(&mut new, connection, signal(*peer));
        assert_eq!(answer == TrackerMessageBody::Ok, neighbours.contains(peer), "{answer:?}");
    }
    assert_eq!(links(&new.evacuate(SWARM)), before);
}

#[test]
fn who_was_evacuated_can_join_again_and_a_retired_swarm_goes_on_for_its_peers() {
    let mut tracker = tracker();
    let peer = enter(&mut tracker, 1, SWARM);
    enter(&mut tracker, 2, SWARM);
    tracker.retire_swarm(SWARM);
    let moved = tracker.evacuate(SWARM);
    for (connection, _, said) in moved {
        tracker.rejoin(NOW, connection, (SWARM, said));
    }
    assert_eq!(tracker.counts(SWARM), (0, 2));
    let (answer, _) = ask(&mut tracker, 2, signal(peer));
    assert_eq!(answer, TrackerMessageBody::Ok);
}

#[test]
fn a_peer_that_comes_back_at_another_tracker_replaces_its_guest() {
    let mut home = tracker();
    let mut edge = tracker();
    connect(&mut edge, 1);
    let (peer, resume) = welcome(&mut edge, 1, None);
    let passport = edge.passport(NOW, ConnectionId(1), (1, SWARM, Role::Viewer)).unwrap();
    assert_eq!(passport.peer, peer);
    connect(&mut home, 5);
    assert!(home.adopt(NOW, ConnectionId(5), passport).is_empty());
    assert!(matches!(ask(&mut home, 5, join(SWARM)).0, TrackerMessageBody::Swarm { leechers: 1, .. }));
    connect(&mut home, 6);
    let outgoing = send(&mut home, 6, hello(Some(resume)));
    let closed = (ConnectionId(5), Outgoing::Close(CloseReason::Replaced));
    assert!(outgoing.contains(&closed), "{outgoing:?}");
    assert_eq!(home.counts(SWARM), (0, 0));
}

#[test]
fn a_flood_is_refused_before_it_is_passed_on() {
    let mut edge = tracker();
    connect(&mut edge, 1);
    welcome(&mut edge, 1, None);
    let mut passed = 0;
    while edge.charge(NOW, ConnectionId(1), (1, &PeerRequestBody::Leave)).is_ok() {
        passed += 1;
    }
    assert!(passed < CONNECTION_BURST, "{passed}");
    let refusals = (1..REFUSALS_MAX)
        .filter_map(|_| edge.charge(NOW, ConnectionId(1), (1, &PeerRequestBody::Leave)).err());
    let last = refusals.last().unwrap();
    let closed = (ConnectionId(1), Outgoing::Close(CloseReason::Flooding));
    assert!(last.contains(&closed), "who does not listen is closed: {last:?}");
}

/// A greeting of a peer that comes from another tracker, where it still is.
fn moving(resume: String) -> PeerRequestBody {
    PeerRequestBody::Hello {
        version: TRACKER_VERSION,
        capabilities: vec![MOVE.into(), MOVING.into()],
        uplink_bps: 0,
        token: None,
        resume: Some(resume),
    }
}

/// A home with some peers and a guest, connection 50; the guest's id, its resume token, and what it says on connection 51.
fn home_with_guest() -> (Tracker, PeerId, String) {
    let mut home = tracker();
    (1..=5).for_each(|connection| _ = enter(&mut home, connection, SWARM));
    let peer = enter(&mut home, 50, SWARM);
    let gained = vec![SegmentRun(0, 10)];
    ask(&mut home, 50, PeerRequestBody::Have { gained, dropped: vec![] });
    let resume = home.config.resume_key.token(peer);
    connect(&mut home, 51);
    let outgoing = send(&mut home, 51, moving(resume.clone()));
    assert_eq!(outgoing.len(), 1, "the guest stands: {outgoing:?}");
    (home, peer, resume)
}

#[test]
fn a_viewer_that_moves_to_the_home_keeps_its_place_and_its_links() {
    let (mut home, peer, _) = home_with_guest();
    let before: BTreeSet<PeerId> =
        (1..=5).map(|connection| home.joined_peer(ConnectionId(connection)).unwrap()).collect();
    assert_eq!(
        (home.counts(SWARM), home.room_of_moving(ConnectionId(51), SWARM)),
        ((1, 5), Some(Room::new(SWARM, 0)))
    );
    assert_eq!(home.room_of_moving(ConnectionId(51), OTHER_SWARM), None);
    let (answer, outgoing) = ask(&mut home, 51, join(SWARM));
    assert!(
        matches!(answer, TrackerMessageBody::Swarm { leechers: 6, .. }),
        "what it holds is what it says now: {answer:?}"
    );
    assert_eq!(outgoing, [(ConnectionId(50), Outgoing::Close(CloseReason::Moved))], "nobody else is told");
    assert!(home.disconnected(NOW, ConnectionId(50)).is_empty());
    let linked: BTreeSet<PeerId> =
        before.iter().copied().filter(|other| home.is_linked(ConnectionId(51), *other)).collect();
    assert_eq!(linked, before);
    let (_, outgoing) = ask(&mut home, 1, signal(peer));
    assert!(matches!(outgoing[..], [(ConnectionId(51), Outgoing::Send(_))]), "{outgoing:?}");
    home.disconnected(NOW, ConnectionId(51));
    assert_eq!((home.counts(SWARM), home.peer_count()), ((0, 5), 5));
}

#[test]
fn a_move_that_does_not_come_to_a_join_leaves_the_peer_where_it_is() {
    let (mut home, peer, resume) = home_with_guest();
    assert!(home.disconnected(NOW, ConnectionId(51)).is_empty());
    let (answer, _) = ask(&mut home, 1, signal(peer));
    assert_eq!((answer, home.counts(SWARM)), (TrackerMessageBody::Ok, (1, 5)));
    // A greeting without a move still ends the other connection.
    connect(&mut home, 52);
    let outgoing = send(&mut home, 52, hello(Some(resume)));
    assert!(outgoing.contains(&(ConnectionId(50), Outgoing::Close(CloseReason::Replaced))), "{outgoing:?}");
}

#[test]
fn a_move_to_another_swarm_or_from_none_is_a_join_like_any_other() {
    let (mut home, peer, resume) = home_with_guest();
    let (_, outgoing) = ask(&mut home, 51, join(OTHER_SWARM));
    assert!(outgoing.contains(&(ConnectionId(50), Outgoing::Close(CloseReason::Replaced))), "{outgoing:?}");
    assert_eq!((home.counts(SWARM), home.counts(OTHER_SWARM)), ((0, 5), (0, 1)));
    home.disconnected(NOW, ConnectionId(51));
    connect(&mut home, 52);
    ask(&mut home, 52, moving(resume));
    let (answer, outgoing) = ask(&mut home, 52, join(SWARM));
    assert!(matches!(answer, TrackerMessageBody::Swarm { leechers: 6, .. }), "{answer:?}");
    assert!(outgoing.len() > 1, "it is introduced");
    assert_eq!(home.joined_peer(ConnectionId(52)), Some(peer));
}
