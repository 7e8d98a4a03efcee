//! What viewers learn of one another where the operator asks for less.

use super::*;

const HOST: &str = "candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host";
const RELAY: &str = "candidate:3 1 udp 41885439 198.51.100.1 60000 typ relay raddr 192.0.2.7 rport 50000";

fn with(privacy: Privacy) -> Tracker {
    let mut tracker = Tracker::new(TrackerConfig { privacy, ..config(1) });
    tracker.add_swarm(SWARM, key().public(), [PLAIN; 10], 0);
    tracker
}

/// Greets and joins as a viewer; with the answers and what others were told.
fn come(
    tracker: &mut Tracker,
    connection: u64,
    capabilities: &[&str],
) -> (TrackerMessageBody, Vec<(ConnectionId, Outgoing)>) {
    come_from(tracker, connection, Ipv4Addr::LOCALHOST.into(), capabilities)
}

/// The same from an address.
fn come_from(
    tracker: &mut Tracker,
    connection: u64,
    address: IpAddr,
    capabilities: &[&str],
) -> (TrackerMessageBody, Vec<(ConnectionId, Outgoing)>) {
    assert!(tracker.connected(NOW, ConnectionId(connection), address).is_empty());
    let capabilities = capabilities.iter().map(|capability| (*capability).to_owned()).collect();
    let hello = PeerRequestBody::Hello {
        version: TRACKER_VERSION,
        capabilities,
        uplink_bps: 0,
        token: None,
        resume: None,
    };
    let (welcome, _) = ask(tracker, connection, hello);
    assert!(matches!(welcome, TrackerMessageBody::Welcome { .. }), "{welcome:?}");
    let join =
        PeerRequestBody::Join { swarm: SWARM, role: Role::Viewer, have: vec![], playhead: None, proof: None };
    ask(tracker, connection, join)
}

fn code(body: &TrackerMessageBody) -> Option<ErrorCode> {
    if let TrackerMessageBody::Error { code, .. } = body { Some(*code) } else { None }
}

/// Whom a connection is told to connect with.
fn introduced(outgoing: &[(ConnectionId, Outgoing)]) -> usize {
    let is_connect = |outgoing: &Outgoing| {
        matches!(outgoing, Outgoing::Send(TrackerMessage { body: TrackerMessageBody::Connect { .. }, .. }))
    };
    outgoing.iter().filter(|(_, outgoing)| is_connect(outgoing)).count()
}

#[test]
fn who_has_not_agreed_is_introduced_to_nobody() {
    let mut tracker = with(Privacy { is_consent_required: true, ..Privacy::default() });
    let (answer, others) = come(&mut tracker, 1, &["consent"]);
    assert!(code(&answer).is_none() && introduced(&others) == 0, "{answer:?}");
    let (answer, others) = come(&mut tracker, 2, &["something"]);
    assert_eq!((code(&answer), introduced(&others)), (Some(ErrorCode::ConsentRequired), 0));
    assert!(others.contains(&(ConnectionId(2), Outgoing::Close(CloseReason::Withheld))), "{others:?}");
    let (answer, others) = come(&mut tracker, 3, &["consent"]);
    assert_eq!((code(&answer), introduced(&others)), (None, 2), "both sides");
}

#[test]
fn a_tracker_for_mirrors_alone_introduces_nobody_even_with_consent() {
    let mut tracker = with(Privacy { is_mirrors_only: true, ..Privacy::default() });
    assert_eq!(code(&come(&mut tracker, 1, &["consent"]).0), Some(ErrorCode::MirrorsOnly));
}

#[test]
fn viewers_are_kept_apart_until_there_are_enough() {
    let mut tracker = with(Privacy { viewers_min: 4, ..Privacy::default() });
    let at = |host: u64| -> IpAddr { Ipv4Addr::from_bits(0xC000_0200 + host as u32).into() };
    for connection in 1..=3 {
        let (_, others) = come_from(&mut tracker, connection, at(connection), &[]);
        assert_eq!(introduced(&others), 0, "viewer {connection}");
    }
    let (_, others) = come_from(&mut tracker, 4, at(4), &[]);
    assert_eq!(introduced(&others), 12, "each with each, both sides told");
}

#[test]
fn one_address_that_opens_many_connections_counts_as_one_viewer() {
    let mut tracker = with(Privacy { viewers_min: 4, ..Privacy::default() });
    for connection in 1..=8 {
        let address: IpAddr = if connection == 1 { "192.0.2.1" } else { "198.51.100.9" }.parse().unwrap();
        let (_, others) = come_from(&mut tracker, connection, address, &[]);
        assert_eq!(introduced(&others), 0, "connection {connection}");
    }
    // A /64 of IPv6 belongs to one customer.
    for host in 9..=16 {
        let address = format!("2001:db8::{host}").parse().unwrap();
        assert_eq!(introduced(&come_from(&mut tracker, host, address, &[]).1), 0, "connection {host}");
    }
    let (_, others) = come_from(&mut tracker, 17, "203.0.113.1".parse().unwrap(), &[]);
    assert!(introduced(&others) > 0, "the fourth address");
    // An address that left does not count any more.
    tracker.disconnected(NOW, ConnectionId(17));
    let (_, others) = come_from(&mut tracker, 18, "198.51.100.9".parse().unwrap(), &[]);
    assert_eq!(introduced(&others), 0);
}

#[test]
fn signals_of_viewers_name_no_address_but_that_of_a_relay() {
    for is_relay_required in [true, false] {
        let mut tracker = with(Privacy { is_relay_required, ..Privacy::default() });
        come(&mut tracker, 1, &[]);
        come(&mut tracker, 2, &[]);
        let other = tracker.joined_peer(ConnectionId(2)).unwrap();
        assert_eq!(tracker.is_relay_required(ConnectionId(1)), is_relay_required);
        let mut passed_on = |candidate: &str| {
            let candidate =
                Signal::Candidate { candidate: candidate.into(), sdp_mid: None, sdp_m_line_index: None };
            let (answer, others) =
                ask(&mut tracker, 1, PeerRequestBody::Signal { to: other, signal: candidate });
            assert_eq!(answer, TrackerMessageBody::Ok);
            format!("{others:?}")
        };
        assert_eq!(passed_on(HOST).contains("192.0.2.7"), !is_relay_required);
        let relayed = passed_on(RELAY);
        assert!(relayed.contains("198.51.100.1"), "{relayed}");
        assert_eq!(relayed.contains("192.0.2.7"), !is_relay_required, "{relayed}");
    }
}
