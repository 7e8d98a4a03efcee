//! Rooms of one swarm, and peers that take part in several.

use std::collections::BTreeMap;

use super::*;

const SECOND: Room = Room::new(SWARM, 1);

fn enter_room(tracker: &mut Tracker, connection: u64, number: u32) -> PeerId {
    connect(tracker, connection);
    let (peer, _) = welcome(tracker, connection, None);
    tracker.direct(ConnectionId(connection), number);
    let (body, _) = ask(tracker, connection, join(SWARM));
    assert!(matches!(body, TrackerMessageBody::Swarm { .. }), "{body:?}");
    peer
}

/// A visit of the peer of a connection, under another one.
fn visit(tracker: &mut Tracker, owner: u64, visit: u64, room: Room) -> Vec<(ConnectionId, Outgoing)> {
    let (passport, said) = tracker.introduction(ConnectionId(owner)).unwrap();
    tracker.adopt_visitor(NOW, ConnectionId(visit), passport);
    tracker.rejoin(NOW, ConnectionId(visit), (room, said))
}

fn connects(outgoing: &[(ConnectionId, Outgoing)], to: u64) -> Vec<PeerId> {
    let sent = outgoing.iter().filter(|(connection, _)| *connection == ConnectionId(to));
    let peers = sent.filter_map(|(_, outgoing)| match outgoing {
        Outgoing::Send(message) => match Tracker::note_of(&message.body) {
            LinkNote::Linked(peer) => Some(peer),
            LinkNote::Nothing | LinkNote::State | LinkNote::Signal | LinkNote::Unlinked(_) => None,
        },
        Outgoing::Close(_) => None,
    });
    peers.collect()
}

#[test]
fn peers_of_two_rooms_are_not_linked_and_are_counted_together() {
    let mut tracker = tracker();
    let first = enter_room(&mut tracker, 1, 0);
    enter_room(&mut tracker, 2, 1);
    let (answer, _) = ask(&mut tracker, 2, signal(first));
    assert_eq!(error_code(&answer), ErrorCode::UnknownPeer);
    assert_eq!(tracker.counts(SWARM), (0, 2));
    let rooms: BTreeMap<u32, (u32, u32)> = tracker.rooms(SWARM).collect();
    assert_eq!(rooms, BTreeMap::from([(0, (0, 1)), (1, (0, 1))]));
    tracker.arrange(NOW, SWARM, &rooms);
    let report = PeerRequestBody::Report { received: vec![], uplink_bps: 0, playhead: None, ahead_ms: None };
    let (answer, _) = ask(&mut tracker, 1, report);
    assert!(matches!(answer, TrackerMessageBody::Swarm { leechers: 2, .. }), "{answer:?}");
    tracker.disconnected(NOW, ConnectionId(2));
    assert_eq!(tracker.rooms(SWARM).count(), 1, "an empty room closes");
}

#[test]
fn a_visitor_is_linked_in_both_rooms_and_moves_with_the_visited_one() {
    let mut tracker = tracker();
    let visitor = enter_room(&mut tracker, 1, 0);
    let other = enter_room(&mut tracker, 2, 1);
    let told = visit(&mut tracker, 1, 3, SECOND);
    assert_eq!((connects(&told, 3), connects(&told, 2)), (vec![other], vec![visitor]));
    assert_eq!(tracker.counts(SWARM), (0, 2), "it is counted once");
    assert_eq!(tracker.peer_count(), 2);
    let moved = tracker.evacuate(SECOND);
    assert_eq!(moved.iter().filter(|(_, _, said)| said.is_visitor).count(), 1);
    for (connection, _, said) in moved {
        tracker.rejoin(NOW, connection, (SECOND, said));
    }
    let (answer, outgoing) = ask(&mut tracker, 2, signal(visitor));
    assert_eq!(answer, TrackerMessageBody::Ok);
    assert_eq!(outgoing[0].0, ConnectionId(3), "it goes to the visit");
    assert_eq!(tracker.counts(SWARM), (0, 2));
}

#[test]
fn a_peer_that_comes_back_takes_the_place_of_its_own_visit_and_no_visit_takes_its() {
    let mut tracker = tracker();
    connect(&mut tracker, 1);
    let (peer, resume) = welcome(&mut tracker, 1, None);
    ask(&mut tracker, 1, join(SWARM));
    enter_room(&mut tracker, 2, 1);
    let (passport, said) = tracker.introduction(ConnectionId(1)).unwrap();
    visit(&mut tracker, 1, 3, SECOND);
    connect(&mut tracker, 4);
    assert_eq!(welcome(&mut tracker, 4, Some(resume)).0, peer);
    tracker.direct(ConnectionId(4), 1);
    let outgoing = send(&mut tracker, 4, join(SWARM));
    let closed = (ConnectionId(3), Outgoing::Close(CloseReason::Replaced));
    assert!(outgoing.contains(&closed), "{outgoing:?}");
    assert_eq!(tracker.room_counts(SECOND), (0, 2));
    // The tracker of the old connection has not heard of it yet.
    tracker.adopt_visitor(NOW, ConnectionId(5), passport);
    let outgoing = tracker.rejoin(NOW, ConnectionId(5), (SECOND, said));
    let closed = (ConnectionId(5), Outgoing::Close(CloseReason::Replaced));
    assert!(outgoing.contains(&closed), "{outgoing:?}");
    assert_eq!(tracker.joined_room(ConnectionId(4)), Some(SECOND));
}
