//! Who may take part in which role: who proves to be initial, for this connection and this tracker, and who has a token.

use swarm_core::Challenge;
use swarm_core::publisher::{Statement, TrackerName};

use super::*;

/// A greeted connection, and what it is to sign.
fn greeted(tracker: &mut Tracker, connection: u64) -> Challenge {
    connect(tracker, connection);
    tracker.called(ConnectionId(connection), TrackerName::of("here.example"));
    let (body, _) = ask(tracker, connection, hello(None));
    let TrackerMessageBody::Welcome { challenge, .. } = body else { panic!("{body:?}") };
    challenge
}

fn join_as_initial(proof: Option<Signature>) -> PeerRequestBody {
    PeerRequestBody::Join { swarm: SWARM, role: Role::Initial, have: vec![], playhead: None, proof }
}

fn statement(swarm: SwarmId, name: &str, challenge: Challenge) -> Statement {
    Statement::Join { swarm, tracker: TrackerName::of(name), challenge }
}

#[test]
fn impostors_are_refused_and_do_not_take_the_publishers_places() {
    let mut tracker = tracker();
    let stranger = SecretKey::from_bytes(&[8; 32]);
    for connection in 1..=20 {
        let challenge = greeted(&mut tracker, connection);
        let proof = stranger.sign(&statement(SWARM, "here.example", challenge));
        let proof = (connection % 2 == 0).then_some(proof);
        let (answer, caused) = ask(&mut tracker, connection, join_as_initial(proof));
        let TrackerMessageBody::Error { code: ErrorCode::Forbidden, text, .. } = &answer else {
            panic!("{answer:?}")
        };
        assert!(text.contains("signature by the publisher's key"), "{text}");
        assert!(caused.iter().any(|(_, outgoing)| matches!(outgoing, Outgoing::Close(_))));
    }
    // More than its places, each with its own signature.
    for connection in 31..=33 {
        let challenge = greeted(&mut tracker, connection);
        let proof = key().sign(&statement(SWARM, "here.example", challenge));
        let (answer, _) = ask(&mut tracker, connection, join_as_initial(Some(proof)));
        assert!(matches!(answer, TrackerMessageBody::Swarm { .. }), "{answer:?}");
    }
}

#[test]
fn a_proof_counts_for_one_connection_one_swarm_and_one_tracker() {
    let mut tracker = tracker();
    let earlier = greeted(&mut tracker, 1);
    for (connection, name, swarm, is_old) in [
        (2, "here.example", SWARM, true),
        (3, "elsewhere.example", SWARM, false),
        (4, "here.example", OTHER_SWARM, false),
    ] {
        let challenge = greeted(&mut tracker, connection);
        let challenge = if is_old { earlier } else { challenge };
        let proof = key().sign(&statement(swarm, name, challenge));
        let (answer, _) = ask(&mut tracker, connection, join_as_initial(Some(proof)));
        assert_eq!(error_code(&answer), ErrorCode::Forbidden, "{name}");
    }
}

#[test]
fn a_swarm_that_was_taken_off_is_joined_by_nobody_and_goes_with_its_last_peer() {
    let mut tracker = tracker();
    let peer = enter(&mut tracker, 1, SWARM);
    tracker.retire_swarm(SWARM);
    greeted(&mut tracker, 2);
    let (answer, _) = ask(&mut tracker, 2, join(SWARM));
    let TrackerMessageBody::Error { code: ErrorCode::UnknownSwarm, text, .. } = &answer else { panic!() };
    assert!(text.contains("took"), "{text}");
    assert_eq!(tracker.joined_peer(ConnectionId(1)), Some(peer), "who is in it stays");
    tracker.disconnected(NOW, ConnectionId(1));
    assert!(!tracker.remove_swarm(SWARM), "it is gone already");
    tracker.add_swarm(SWARM, key().public(), [PLAIN; 10], 0);
    assert!(matches!(ask(&mut tracker, 2, join(SWARM)).0, TrackerMessageBody::Swarm { .. }));
}

#[test]
fn a_closed_tracker_asks_for_its_token() {
    let mut tracker = Tracker::new(TrackerConfig { token: Some("open".into()), ..config(1) });
    let with = |token: Option<&str>| PeerRequestBody::Hello {
        version: TRACKER_VERSION,
        capabilities: vec![],
        uplink_bps: 0,
        token: token.map(str::to_owned),
        resume: None,
    };
    for (connection, token) in [(1, None), (2, Some("wrong"))] {
        connect(&mut tracker, connection);
        assert_eq!(error_code(&ask(&mut tracker, connection, with(token)).0), ErrorCode::Forbidden);
    }
    connect(&mut tracker, 3);
    assert!(matches!(ask(&mut tracker, 3, with(Some("open"))).0, TrackerMessageBody::Welcome { .. }));
}
