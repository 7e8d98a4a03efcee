//! Conversations with the tracker, one rule each; then storms of anything at all, replayable by their seed.

mod abuse;
mod moving;
mod privacy;
mod roles;
mod rooms;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use swarm_core::SecretKey;
use swarm_core::manifest::Period;
use swarm_core::publisher::Signature;
use swarm_core::tracker_message::{
    ErrorCode, MOVE, MOVING, Received, Role, SegmentRun, Signal, TRACKER_VERSION, Want,
};

use super::*;
use crate::limits::{CONNECTION_BURST, REFUSALS_MAX, WANT_COST};

const NOW: Timestamp = Timestamp::ZERO;
const SWARM: SwarmId = SwarmId([1; 32]);
const PLAIN: Wish = Wish { priority: 3, period: Period::Playback };
const OTHER_SWARM: SwarmId = SwarmId([2; 32]);

/// The publisher's.
fn key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32])
}

fn config(seed: u64) -> TrackerConfig {
    TrackerConfig {
        seed,
        resume_key: ResumeKey::from_secret(b"test"),
        ice_servers: Vec::new(),
        token: None,
        connections_per_address_max: 1000,
        wiring: Wiring::Regular,
        privacy: Privacy::default(),
    }
}

fn tracker() -> Tracker {
    let mut tracker = Tracker::new(config(1));
    tracker.add_swarm(SWARM, key().public(), [PLAIN; 10], 0);
    tracker.add_swarm(OTHER_SWARM, key().public(), [PLAIN; 10], 0);
    tracker
}

fn connect(tracker: &mut Tracker, connection: u64) {
    let outgoing = tracker.connected(NOW, ConnectionId(connection), Ipv4Addr::LOCALHOST.into());
    assert!(outgoing.is_empty());
}

fn send(tracker: &mut Tracker, connection: u64, body: PeerRequestBody) -> Vec<(ConnectionId, Outgoing)> {
    tracker.handle(NOW, ConnectionId(connection), PeerRequest { id: 77, body })
}

/// The answer to a request, and everything else that it caused.
fn ask(
    tracker: &mut Tracker,
    connection: u64,
    body: PeerRequestBody,
) -> (TrackerMessageBody, Vec<(ConnectionId, Outgoing)>) {
    let mut outgoing = send(tracker, connection, body);
    let is_answer = |(_, outgoing): &(ConnectionId, Outgoing)| match outgoing {
        Outgoing::Send(message) => message.id == Some(77),
        Outgoing::Close(_) => false,
    };
    let at = outgoing.iter().position(is_answer).unwrap();
    let (to, answer) = outgoing.remove(at);
    assert_eq!(to, ConnectionId(connection));
    assert!(!outgoing.iter().any(is_answer), "answered twice");
    let Outgoing::Send(message) = answer else { panic!("{answer:?}") };
    (message.body, outgoing)
}

fn error_code(body: &TrackerMessageBody) -> ErrorCode {
    let TrackerMessageBody::Error { code, .. } = body else { panic!("{body:?}") };
    *code
}

fn hello(resume: Option<String>) -> PeerRequestBody {
    PeerRequestBody::Hello {
        version: TRACKER_VERSION,
        capabilities: vec![],
        uplink_bps: 0,
        token: None,
        resume,
    }
}

fn join(swarm: SwarmId) -> PeerRequestBody {
    PeerRequestBody::Join { swarm, role: Role::Viewer, have: vec![], playhead: None, proof: None }
}

fn welcome(tracker: &mut Tracker, connection: u64, resume: Option<String>) -> (PeerId, String) {
    let (body, _) = ask(tracker, connection, hello(resume));
    let TrackerMessageBody::Welcome { peer, resume, .. } = body else { panic!("{body:?}") };
    (peer, resume)
}

fn enter(tracker: &mut Tracker, connection: u64, swarm: SwarmId) -> PeerId {
    connect(tracker, connection);
    let (peer, _) = welcome(tracker, connection, None);
    let (body, _) = ask(tracker, connection, join(swarm));
    assert!(matches!(body, TrackerMessageBody::Swarm { .. }), "{body:?}");
    peer
}

fn signal(to: PeerId) -> PeerRequestBody {
    PeerRequestBody::Signal { to, signal: Signal::EndOfCandidates }
}

#[test]
fn two_peers_of_a_swarm_are_introduced_and_the_newcomer_offers() {
    let mut tracker = tracker();
    let first = enter(&mut tracker, 1, SWARM);
    connect(&mut tracker, 2);
    let (second, _) = welcome(&mut tracker, 2, None);
    let (answer, caused) = ask(&mut tracker, 2, join(SWARM));
    assert_eq!(
        answer,
        TrackerMessageBody::Swarm {
            seeders: 0,
            leechers: 2,
            at_risk: Vec::new(),
            share: None,
            scarcity: None
        }
    );
    let connect =
        |peer, offer| Outgoing::notice(TrackerMessageBody::Connect { peer, role: Role::Viewer, offer });
    assert_eq!(caused, [(ConnectionId(1), connect(second, false)), (ConnectionId(2), connect(first, true))]);
}

#[test]
fn hello_comes_first_and_once() {
    let mut tracker = tracker();
    connect(&mut tracker, 1);
    assert_eq!(error_code(&ask(&mut tracker, 1, join(SWARM)).0), ErrorCode::BadRequest);
    welcome(&mut tracker, 1, None);
    assert_eq!(error_code(&ask(&mut tracker, 1, hello(None)).0), ErrorCode::BadRequest);
    assert_eq!(error_code(&ask(&mut tracker, 1, PeerRequestBody::Leave).0), ErrorCode::BadRequest);
}

#[test]
fn another_version_is_told_which_one_is_spoken_and_closed() {
    let mut tracker = tracker();
    connect(&mut tracker, 1);
    let body =
        PeerRequestBody::Hello { version: 9, capabilities: vec![], uplink_bps: 0, token: None, resume: None };
    let (answer, caused) = ask(&mut tracker, 1, body);
    let TrackerMessageBody::Error { code, text, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(code, ErrorCode::UnsupportedVersion);
    assert_eq!(text, "this tracker speaks protocol version 2; the peer speaks 9");
    assert_eq!(caused, [(ConnectionId(1), Outgoing::Close(CloseReason::Version))]);
    assert!(send(&mut tracker, 1, hello(None)).is_empty(), "a closed connection is forgotten");
}

#[test]
fn an_unknown_swarm_may_be_tried_again_on_the_same_connection() {
    let mut tracker = tracker();
    connect(&mut tracker, 1);
    welcome(&mut tracker, 1, None);
    let late = SwarmId([3; 32]);
    let (answer, _) = ask(&mut tracker, 1, join(late));
    assert!(matches!(
        answer,
        TrackerMessageBody::Error { code: ErrorCode::UnknownSwarm, retry_after_ms: Some(1000), .. }
    ));
    tracker.add_swarm(late, key().public(), [PLAIN; 1], 0);
    assert!(matches!(ask(&mut tracker, 1, join(late)).0, TrackerMessageBody::Swarm { .. }));
    assert_eq!(error_code(&ask(&mut tracker, 1, join(SWARM)).0), ErrorCode::BadRequest);
}

#[test]
fn neighbours_hear_when_a_peer_leaves_or_its_connection_ends() {
    let mut tracker = tracker();
    enter(&mut tracker, 1, SWARM);
    let second = enter(&mut tracker, 2, SWARM);
    let third = enter(&mut tracker, 3, SWARM);
    let gone = |peer| Outgoing::notice(TrackerMessageBody::Gone { peer });
    let (answer, caused) = ask(&mut tracker, 2, PeerRequestBody::Leave);
    assert_eq!(answer, TrackerMessageBody::Ok);
    assert_eq!(caused, [(ConnectionId(1), gone(second)), (ConnectionId(3), gone(second))]);
    assert_eq!(tracker.disconnected(NOW, ConnectionId(3)), [(ConnectionId(1), gone(third))]);
    assert!(tracker.disconnected(NOW, ConnectionId(2)).is_empty());
    assert_eq!((tracker.counts(SWARM), tracker.peer_count()), ((0, 1), 1));
}

#[test]
fn a_report_is_answered_with_the_state_of_the_swarm() {
    let mut tracker = tracker();
    enter(&mut tracker, 1, SWARM);
    let want = Want { segments: SegmentRun(3, 2), remaining_ms: 0 };
    ask(&mut tracker, 1, PeerRequestBody::Want { segments: vec![want] });
    let report = PeerRequestBody::Report { received: vec![], uplink_bps: 0, playhead: None, ahead_ms: None };
    let later = Timestamp::from_millis(5000);
    let outgoing = tracker.handle(later, ConnectionId(1), PeerRequest { id: 5, body: report });
    let body = TrackerMessageBody::Swarm {
        seeders: 0,
        leechers: 1,
        at_risk: vec![SegmentRun(3, 2)],
        share: None,
        scarcity: None,
    };
    assert_eq!(outgoing, [(ConnectionId(1), Outgoing::Send(TrackerMessage { id: Some(5), body }))]);
}

#[test]
fn a_peer_that_resumes_keeps_its_id() {
    let mut tracker = tracker();
    connect(&mut tracker, 1);
    let (peer, token) = welcome(&mut tracker, 1, None);
    tracker.disconnected(NOW, ConnectionId(1));
    connect(&mut tracker, 2);
    assert_eq!(welcome(&mut tracker, 2, Some(token.clone())).0, peer);
    connect(&mut tracker, 3);
    let forged = token.replace(&token[20..30], "0000000000");
    assert_ne!(welcome(&mut tracker, 3, Some(forged)).0, peer);
}

#[test]
fn a_resume_takes_over_from_a_connection_that_is_still_open() {
    let mut tracker = tracker();
    enter(&mut tracker, 1, SWARM);
    connect(&mut tracker, 2);
    let (peer, token) = welcome(&mut tracker, 2, None);
    ask(&mut tracker, 2, join(SWARM));
    connect(&mut tracker, 3);
    let (answer, caused) = ask(&mut tracker, 3, hello(Some(token)));
    assert!(matches!(answer, TrackerMessageBody::Welcome { peer: same, .. } if same == peer));
    let [(old, Outgoing::Send(error)), close, gone] = &caused[..] else { panic!("{caused:?}") };
    assert_eq!((*old, error_code(&error.body)), (ConnectionId(2), ErrorCode::Forbidden));
    assert_eq!(*close, (ConnectionId(2), Outgoing::Close(CloseReason::Replaced)));
    assert_eq!(*gone, (ConnectionId(1), Outgoing::notice(TrackerMessageBody::Gone { peer })));
    tracker.disconnected(NOW, ConnectionId(2));
    assert!(tracker.is_greeted(ConnectionId(3)), "the end of the old connection does not touch the new one");
    assert!(matches!(ask(&mut tracker, 3, join(SWARM)).0, TrackerMessageBody::Swarm { leechers: 2, .. }));
}

#[test]
fn a_frame_that_is_no_request_is_answered() {
    let mut tracker = tracker();
    connect(&mut tracker, 1);
    let error = PeerRequest::decode("{").unwrap_err();
    let outgoing = tracker.handle_undecodable(NOW, ConnectionId(1), Some(4), &error);
    let [(_, Outgoing::Send(message))] = &outgoing[..] else { panic!("{outgoing:?}") };
    assert_eq!((message.id, error_code(&message.body)), (Some(4), ErrorCode::BadRequest));
    let outgoing =
        tracker.handle_undecodable(NOW, ConnectionId(1), None, &TrackerDecodeError::TooLong(70_000));
    assert_eq!(outgoing[1], (ConnectionId(1), Outgoing::Close(CloseReason::TooLong)));
}

#[test]
fn a_flood_is_refused_and_at_last_closed() {
    let mut tracker = tracker();
    enter(&mut tracker, 1, SWARM);
    let mut is_closed = false;
    for _ in 0..CONNECTION_BURST + REFUSALS_MAX {
        let outgoing = send(&mut tracker, 1, signal(PeerId(0)));
        is_closed |= outgoing.contains(&(ConnectionId(1), Outgoing::Close(CloseReason::Flooding)));
    }
    assert!(is_closed);
    assert_eq!(tracker.peer_count(), 0);
}

#[test]
fn a_swarm_is_forgotten_only_when_nobody_is_in_it() {
    let mut tracker = tracker();
    enter(&mut tracker, 1, SWARM);
    assert!(!tracker.remove_swarm(SWARM));
    tracker.disconnected(NOW, ConnectionId(1));
    assert!(tracker.remove_swarm(SWARM));
    assert!(!tracker.remove_swarm(SWARM));
}

/// Random peers that do anything at any time, checked against a model of who is connected.
fn storm(seed: u64) -> Vec<(ConnectionId, Outgoing)> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut tracker = Tracker::new(config(seed));
    tracker.add_swarm(SWARM, key().public(), [PLAIN; 10], 0);
    tracker.add_swarm(OTHER_SWARM, key().public(), [PLAIN; 10], 0);
    let mut open: BTreeSet<ConnectionId> = BTreeSet::new();
    let mut tokens: Vec<String> = Vec::new();
    let mut peers: Vec<PeerId> = vec![PeerId(5)];
    let mut everything = Vec::new();
    for step in 0..3000u64 {
        let now = Timestamp::from_millis(step * 40);
        let connection = chance.choice(open.iter().copied()).unwrap_or(ConnectionId(0));
        let outgoing = match chance.u32(..12) {
            0 | 1 => {
                open.insert(ConnectionId(step));
                tracker.connected(now, ConnectionId(step), Ipv4Addr::from_bits(chance.u32(..4)).into())
            }
            2 => {
                open.remove(&connection);
                tracker.disconnected(now, connection)
            }
            _ => {
                let body = anything(&mut chance, &tokens, &peers);
                let id = chance.u32(..);
                let outgoing = tracker.handle(now, connection, PeerRequest { id, body });
                let is_answer = |(to, outgoing): &&(ConnectionId, Outgoing)| match outgoing {
                    Outgoing::Send(message) => *to == connection && message.id == Some(id),
                    Outgoing::Close(_) => false,
                };
                let answers = outgoing.iter().filter(is_answer).count();
                assert_eq!(answers, usize::from(open.contains(&connection)), "seed {seed}, step {step}");
                outgoing
            }
        };
        for (to, outgoing) in &outgoing {
            assert!(open.contains(to), "seed {seed}, step {step}: {outgoing:?} to a closed connection");
            match outgoing {
                Outgoing::Close(_) => _ = open.remove(to),
                Outgoing::Send(message) => {
                    if let TrackerMessageBody::Welcome { peer, resume, .. } = &message.body {
                        peers.push(*peer);
                        tokens.push(resume.clone());
                    }
                }
            }
        }
        everything.extend(outgoing);
    }
    for connection in open {
        tracker.disconnected(Timestamp::from_millis(120_000), connection);
    }
    assert_eq!((tracker.peer_count(), tracker.stages.len()), (0, 0));
    assert!(tracker.remove_swarm(SWARM) && tracker.remove_swarm(OTHER_SWARM), "seed {seed}: peers left over");
    everything
}

fn anything(chance: &mut fastrand::Rng, tokens: &[String], peers: &[PeerId]) -> PeerRequestBody {
    let run = SegmentRun(chance.u32(..12), chance.u32(..12));
    let peer = chance.choice(peers.iter().copied()).unwrap_or(PeerId(0));
    match chance.u32(..16) {
        0..=3 => hello(chance.choice(tokens.iter().cloned()).filter(|_| peer.0.is_multiple_of(3))),
        4..=7 => PeerRequestBody::Join {
            swarm: if chance.bool() { SWARM } else { OTHER_SWARM },
            role: if chance.u32(..9) == 0 { Role::Initial } else { Role::Viewer },
            have: vec![run],
            playhead: Some(run.0),
            proof: None,
        },
        8 | 9 => PeerRequestBody::Have { gained: vec![run], dropped: vec![SegmentRun(run.1, 2)] },
        10 | 11 => PeerRequestBody::Want { segments: vec![Want { segments: run, remaining_ms: run.1 }] },
        12 | 13 => signal(peer),
        14 => PeerRequestBody::Report {
            received: vec![Received { peer, bytes: u64::MAX, failures: 1 }],
            uplink_bps: u64::MAX,
            playhead: None,
            ahead_ms: Some(run.0),
        },
        _ => PeerRequestBody::Leave,
    }
}

#[test]
fn whatever_peers_do_each_request_has_one_answer_and_nothing_goes_to_closed_connections() {
    for seed in 0..20 {
        storm(seed);
    }
}

#[test]
fn the_same_seed_decides_the_same() {
    assert_eq!(storm(3), storm(3));
    assert_ne!(storm(3), storm(4));
}

#[test]
fn a_want_costs_by_the_segments_that_it_names() {
    let want = |run| Want { segments: run, remaining_ms: 0 };
    let usual =
        PeerRequestBody::Want { segments: (0..8).map(|segment| want(SegmentRun(segment, 1))).collect() };
    assert_eq!(super::cost(&usual), WANT_COST);
    for segments in [vec![want(SegmentRun(0, 16_384))], vec![want(SegmentRun(0, u32::MAX)); 2048]] {
        assert!(super::cost(&PeerRequestBody::Want { segments }) >= 1000);
    }
}
