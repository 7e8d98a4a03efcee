//! What one peer may do to another: signals along links, and places in a swarm.

use super::*;
use crate::limits::PEERS_PER_ADDRESS_MAX;

#[test]
fn a_signal_reaches_a_peer_of_the_same_swarm_stamped_with_its_sender() {
    let mut tracker = tracker();
    let first = enter(&mut tracker, 1, SWARM);
    let second = enter(&mut tracker, 2, SWARM);
    let (answer, caused) = ask(&mut tracker, 1, signal(second));
    assert_eq!(answer, TrackerMessageBody::Ok);
    let expected = TrackerMessageBody::Signal { from: first, signal: Signal::EndOfCandidates };
    assert_eq!(caused, [(ConnectionId(2), Outgoing::notice(expected))]);
}

#[test]
fn a_signal_to_another_swarm_or_to_nobody_is_refused() {
    let mut tracker = tracker();
    let own = enter(&mut tracker, 1, SWARM);
    let stranger = enter(&mut tracker, 2, OTHER_SWARM);
    for to in [stranger, own, PeerId(0)] {
        let (answer, caused) = ask(&mut tracker, 1, signal(to));
        assert_eq!(error_code(&answer), ErrorCode::UnknownPeer);
        assert!(caused.is_empty());
    }
}

/// Twenty viewers of one swarm; the first, and one that it was not introduced to.
fn strangers(tracker: &mut Tracker) -> (PeerId, PeerId) {
    let peers: Vec<PeerId> = (1..=20).map(|connection| enter(tracker, connection, SWARM)).collect();
    let swarm = tracker.swarms.get(SWARM.into()).unwrap();
    let stranger = peers[1..].iter().find(|peer| swarm.neighbour(peers[0], **peer).is_none()).unwrap();
    (peers[0], *stranger)
}

#[test]
fn a_signal_passes_along_links_that_the_tracker_made_and_nowhere_else() {
    let mut tracker = tracker();
    let (_, stranger) = strangers(&mut tracker);
    let (answer, caused) = ask(&mut tracker, 1, signal(stranger));
    let TrackerMessageBody::Error { code, text, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(code, ErrorCode::UnknownPeer);
    assert!(text.starts_with("signals go to neighbours only"), "{text}");
    assert!(caused.is_empty());
}

#[test]
fn who_exceeds_the_budget_of_a_link_is_told_and_at_last_closed_and_the_receiver_is_not() {
    let mut tracker = tracker();
    enter(&mut tracker, 1, SWARM);
    let victim = enter(&mut tracker, 2, SWARM);
    let long = || PeerRequestBody::Signal { to: victim, signal: Signal::Offer { sdp: "x".repeat(16_000) } };
    let (mut relayed, mut is_closed) = (0, false);
    for _ in 0..CONNECTION_BURST {
        for (to, outgoing) in send(&mut tracker, 1, long()) {
            is_closed |= to == ConnectionId(1) && outgoing == Outgoing::Close(CloseReason::Flooding);
            assert!(to == ConnectionId(1) || !matches!(outgoing, Outgoing::Close(_)));
            relayed += usize::from(matches!(
                outgoing,
                Outgoing::Send(TrackerMessage { body: TrackerMessageBody::Signal { .. }, .. })
            ));
        }
    }
    assert_eq!(relayed, 4, "64 KiB, not 600 times 16");
    assert!(is_closed);
    assert!(tracker.is_greeted(ConnectionId(2)));
}

#[test]
fn building_a_connection_stays_far_within_the_budget_of_its_link() {
    let mut tracker = tracker();
    enter(&mut tracker, 1, SWARM);
    let other = enter(&mut tracker, 2, SWARM);
    for _ in 0..5 {
        let description = Signal::Offer { sdp: "x".repeat(2000) };
        let candidate =
            Signal::Candidate { candidate: "x".repeat(200), sdp_mid: None, sdp_m_line_index: Some(0) };
        for signal in [description].into_iter().chain(std::iter::repeat_n(candidate, 20)) {
            let (answer, _) = ask(&mut tracker, 1, PeerRequestBody::Signal { to: other, signal });
            assert_eq!(answer, TrackerMessageBody::Ok);
        }
    }
}

#[test]
fn one_address_does_not_fill_a_swarm_and_hears_why_and_others_join() {
    let mut tracker = Tracker::new(TrackerConfig { connections_per_address_max: u32::MAX, ..config(1) });
    tracker.add_swarm(SWARM, key().public(), [PLAIN; 10], 0);
    tracker.add_swarm(OTHER_SWARM, key().public(), [PLAIN; 10], 0);
    let count = u64::try_from(PEERS_PER_ADDRESS_MAX).unwrap();
    (1..=count).for_each(|connection| _ = enter(&mut tracker, connection, SWARM));
    connect(&mut tracker, 5_000);
    welcome(&mut tracker, 5_000, None);
    let (answer, _) = ask(&mut tracker, 5_000, join(SWARM));
    let TrackerMessageBody::Error { code, text, retry_after_ms } = answer else { panic!("{answer:?}") };
    assert_eq!((code, retry_after_ms.is_some()), (ErrorCode::Full, true));
    assert_eq!(text, "your address or network has enough peers in this swarm");
    assert!(matches!(ask(&mut tracker, 5_000, join(OTHER_SWARM)).0, TrackerMessageBody::Swarm { .. }));
    tracker.connected(NOW, ConnectionId(6_000), Ipv4Addr::new(192, 0, 2, 1).into());
    welcome(&mut tracker, 6_000, None);
    assert!(matches!(ask(&mut tracker, 6_000, join(SWARM)).0, TrackerMessageBody::Swarm { .. }));
}
