//! Who is what: a role is proven towards tracker and neighbours, and a neighbour is known by its certificate.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::time::Duration;

use super::alone::Alone;
use super::net::Net;
use super::scene::standing;
use crate::group::GroupRange;
use crate::id::{Challenge, Fingerprint, LinkId, PeerId};
use crate::limits::{CANDIDATES_PER_ADDRESS_MAX, CANDIDATES_PER_LINK_MAX};
use crate::manifest::tests::key;
use crate::peer::tracker::State;
use crate::peer::{Appetite, Economy, Event, Input, Output, UploadLimit};
use crate::peer_message::{PeerDecodeError, PeerMessage};
use crate::publisher::{SecretKey, Statement, TrackerName};
use crate::tracker_message::{ErrorCode, PeerRequestBody, Role, Signal, TrackerMessage, TrackerMessageBody};

const GROUPS: usize = 50;

fn alone(role: Role) -> Alone {
    Alone::new(GROUPS, role, Appetite::Everything, Economy::Thrifty)
}

/// The tracker names a peer of this role; its connection opens.
fn introduced(alone: &mut Alone, number: u8, role: Role) -> LinkId {
    let peer = PeerId(u64::from(number));
    alone.hear(TrackerMessageBody::Connect { peer, role, offer: true });
    let (link, _) = alone.peer.neighbours.named(peer).unwrap();
    alone.open(link, number);
    link
}

fn role_of(alone: &Alone, link: LinkId) -> Option<Role> {
    alone.peer.neighbours.get(link).filter(|link| link.is_open()).map(|link| link.role)
}

#[test]
fn a_viewer_whose_permission_ends_keeps_its_links_and_asks_the_tracker_no_more() {
    let mut alone = alone(Role::Viewer);
    let link = alone.meet_viewer(7);
    let (code, text) = (ErrorCode::Forbidden, "the permission has expired".to_owned());
    alone.hear(TrackerMessageBody::Error { code, text: text.clone(), retry_after_ms: None });
    alone.tell(Input::TrackerClosed("the tracker closed the connection".to_owned()));
    let says = |event: &Event| matches!(event, Event::Dismissed { reason } if *reason == text);
    assert!(alone.events.iter().any(says), "{:?}", alone.events);
    alone.wait(Duration::from_secs(5));
    let ends = |event: &Event| matches!(event, Event::Failed(_) | Event::TrackerDown { .. });
    assert!(!alone.events.iter().any(ends), "{:?}", alone.events);
    assert!(alone.peer.neighbours.get(link).is_some(), "the neighbour is there");
    assert_eq!(alone.peer.tracker.session.state, State::Idle);
}

#[test]
fn whom_the_tracker_calls_initial_has_to_prove_it() {
    let mut alone = alone(Role::Viewer);
    let link = introduced(&mut alone, 1, Role::Initial);
    let hello = alone.hello(1, Role::Viewer, standing(1_000_000), &[]);
    alone.tell(Input::Control(link, hello));
    assert_eq!((role_of(&alone, link), alone.is_banned(link)), (None, false), "closed, and nobody is blamed");
    let link = introduced(&mut alone, 2, Role::Initial);
    let hello = alone.hello(2, Role::Initial, standing(1_000_000), &[]);
    alone.tell(Input::Control(link, hello));
    assert_eq!(role_of(&alone, link), Some(Role::Initial));
}

#[test]
fn a_proof_that_was_made_for_another_connection_or_by_another_key_is_a_broken_rule() {
    let mut alone = alone(Role::Viewer);
    let borrowed = alone.hello(1, Role::Initial, standing(1_000_000), &[]);
    let link = introduced(&mut alone, 2, Role::Viewer);
    alone.tell(Input::Control(link, borrowed));
    assert!(alone.is_banned(link), "what peer 1 signed was sent by peer 2");
    let link = introduced(&mut alone, 3, Role::Initial);
    let mut hello = alone.hello(3, Role::Initial, standing(1_000_000), &[]);
    let PeerMessage::Hello { proof, swarm, .. } = &mut hello else { panic!() };
    let (signer, verifier) = (Fingerprint([3; 32]), Fingerprint([super::alone::OWN_NUMBER; 32]));
    let statement = Statement::Link { swarm: *swarm, signer, verifier };
    *proof = Some(SecretKey::from_bytes(&[1; 32]).sign(&statement));
    alone.tell(Input::Control(link, hello));
    assert!(alone.is_banned(link));
}

#[test]
fn pushes_of_a_viewer_that_the_tracker_calls_a_viewer_are_a_broken_rule_until_it_proves_more() {
    for (role, is_banned) in [(Role::Viewer, true), (Role::Initial, false)] {
        let mut alone = alone(Role::Viewer);
        let link = introduced(&mut alone, 1, Role::Viewer);
        let hello = alone.hello(1, role, standing(1_000_000), &[]);
        alone.tell(Input::Control(link, hello));
        let frame = alone.frame(GroupRange::one(3));
        alone.tell(Input::Data(link, frame));
        assert_eq!(alone.is_banned(link), is_banned, "{role:?}");
    }
}

#[test]
fn a_borrowed_peer_id_or_a_twin_of_it_gets_nobody_banned() {
    let mut alone = alone(Role::Viewer);
    let victim = alone.meet_viewer(1);
    // Another certificate that says it is the same peer, and breaks rules.
    alone.hear(TrackerMessageBody::Connect { peer: PeerId(9), role: Role::Viewer, offer: true });
    let (link, _) = alone.peer.neighbours.named(PeerId(9)).unwrap();
    alone.open(link, 9);
    let mut hello = alone.hello(1, Role::Viewer, standing(1_000_000), &[]);
    let PeerMessage::Hello { peer, .. } = &mut hello else { panic!() };
    *peer = PeerId(1);
    alone.tell(Input::Control(link, hello));
    assert_eq!(alone.peer.neighbours.get(victim).map(|link| link.peer), Some(PeerId(1)));
    alone.tell(Input::Malformed(link, PeerDecodeError::Malformed));
    assert!(alone.is_banned(link) && role_of(&alone, victim).is_some());
    // The banned one does not come back under another id.
    alone.hear(TrackerMessageBody::Connect { peer: PeerId(10), role: Role::Viewer, offer: true });
    let (link, _) = alone.peer.neighbours.named(PeerId(10)).unwrap();
    alone.open(link, 9);
    assert!(alone.peer.neighbours.get(link).is_none());
}

#[test]
fn a_neighbour_of_another_version_is_let_go_and_not_blamed() {
    let mut alone = alone(Role::Viewer);
    let link = introduced(&mut alone, 1, Role::Viewer);
    alone.tell(Input::Malformed(link, PeerDecodeError::OtherVersion(2)));
    assert!(alone.peer.neighbours.get(link).is_none() && !alone.is_banned(link));
}

#[test]
fn a_publisher_signs_what_its_tracker_asked() {
    let mut net = Net::new(GROUPS * 16384);
    let node = net.add(Role::Initial, GroupRange::new(0, GROUPS as u32), 1_000_000);
    let challenge = Challenge([5; 32]);
    let peer = &mut net.nodes[node].peer;
    peer.handle_input(net.now, Input::TrackerOpen);
    peer.handle_input(
        net.now,
        Input::Tracker(TrackerMessage::notice(TrackerMessageBody::Welcome {
            version: 2,
            peer: PeerId(1),
            resume: String::new(),
            challenge,
            ice_servers: Vec::new(),
            report_interval_ms: 5000,
        })),
    );
    peer.handle_input(net.now, Input::ManifestPublished(Ok(())));
    let outputs = std::iter::from_fn(|| peer.poll_output());
    let proofs = outputs.filter_map(|output| {
        let Output::Tracker(request) = output else { return None };
        let PeerRequestBody::Join { swarm, proof, .. } = request.body else { return None };
        Some((swarm, proof))
    });
    let [(swarm, Some(proof))] = proofs.collect::<Vec<_>>()[..] else {
        panic!("it does not join with a proof")
    };
    let statement = Statement::Join { swarm, tracker: TrackerName::of("tracker"), challenge };
    assert!(key().public().has_signed(&statement, &proof));
}

#[test]
fn a_proof_that_came_before_the_manifest_is_checked_when_that_is_known() {
    let mut net = Net::new(GROUPS * 16384);
    net.has_http = false;
    let all = GroupRange::new(0, GROUPS as u32);
    net.add(Role::Initial, all, 1_000_000);
    let viewer = net.add(Role::Viewer, GroupRange::new(0, 0), 1_000_000);
    // Without HTTP the manifest comes over the link, after its greeting.
    assert!(net.run(Duration::from_secs(60), |net| net.is_complete(viewer)));
    let roles: Vec<Role> = net.nodes[viewer].peer.neighbours.open().map(|(_, link)| link.role).collect();
    assert_eq!(roles, [Role::Initial]);
}

#[test]
fn a_manifest_is_sent_once_a_link_and_not_at_all_by_who_sends_nothing() {
    let mut alone = alone(Role::Viewer);
    let link = alone.meet_viewer(1);
    let parts = |alone: &mut Alone| {
        let said = alone.take_said(link).into_iter();
        said.filter(|message| matches!(message, PeerMessage::ManifestPart { part_count: 1, .. })).count()
    };
    for (part, sent) in [(7, 0), (0, 1), (0, 0), (1, 0)] {
        alone.tell(Input::Control(link, PeerMessage::ManifestAsk { part }));
        assert_eq!(parts(&mut alone), sent, "part {part}");
    }
    alone.tell(Input::Upload(UploadLimit::Off));
    let link = alone.meet_viewer(2);
    alone.tell(Input::Control(link, PeerMessage::ManifestAsk { part: 0 }));
    let said = alone.take_said(link);
    assert!(said.iter().any(|message| matches!(message, PeerMessage::ManifestPart { part_count: 0, .. })));
}

#[test]
fn parts_of_the_manifest_leave_within_the_upload_limit_and_nobody_is_forgotten() {
    let mut alone = alone(Role::Viewer);
    // 1 kB a second; a manifest of this content has some 200 bytes.
    alone.tell(Input::Upload(UploadLimit::BitsPerSecond(8000)));
    let links: Vec<LinkId> = (1..=10).map(|number| alone.meet_viewer(number)).collect();
    let ask = || PeerMessage::ManifestAsk { part: 0 };
    links.iter().for_each(|link| (0..5).for_each(|_| alone.tell(Input::Control(*link, ask()))));
    let sent = |alone: &mut Alone| -> usize {
        let said: Vec<PeerMessage> = links.iter().flat_map(|link| alone.take_said(*link)).collect();
        let parts = said.iter().filter_map(|message| {
            let PeerMessage::ManifestPart { bytes, .. } = message else { return None };
            Some(bytes.len())
        });
        parts.sum()
    };
    let part_bytes = alone.net.manifest.to_bytes().unwrap().len();
    assert_eq!(sent(&mut alone), part_bytes, "the first leaves, the others wait");
    alone.wait(Duration::from_millis(1000));
    let in_a_second = sent(&mut alone);
    assert!((part_bytes..=1000 + part_bytes).contains(&in_a_second), "{in_a_second} bytes");
    alone.wait(Duration::from_secs(10));
    assert_eq!(part_bytes + in_a_second + sent(&mut alone), 10 * part_bytes);
}

/// Signals for connections within two seconds: candidates wait their turn.
fn remote_signals_later(alone: &mut Alone) -> usize {
    let (mut count, end) = (0, alone.now + Duration::from_secs(2));
    while let Some(at) = alone.peer.poll_timeout().filter(|at| *at <= end) {
        alone.now = at.max(alone.now);
        alone.peer.handle_timeout(alone.now);
        while let Some(output) = alone.peer.poll_output() {
            count += usize::from(matches!(output, Output::RemoteSignal(..)));
        }
    }
    count
}

#[test]
fn a_link_takes_a_few_candidates_whatever_is_sent() {
    let mut alone = alone(Role::Viewer);
    let from = PeerId(1);
    alone.hear(TrackerMessageBody::Connect { peer: from, role: Role::Viewer, offer: false });
    let candidate = |number: usize| Signal::Candidate {
        candidate: format!("candidate:1 1 UDP 1 192.0.2.{} {number} typ host", number / 2),
        sdp_mid: None,
        sdp_m_line_index: Some(0),
    };
    let lines: String =
        (0..5).map(|number| format!("a=candidate:1 1 UDP 1 2001:db8::1 {number} typ host\r\n")).collect();
    let offer = Signal::Offer { sdp: format!("{}{lines}", super::scene::description(1)) };
    let mut passed = 0;
    for signal in std::iter::once(offer).chain((0..300).map(candidate)) {
        let body = TrackerMessageBody::Signal { from, signal };
        alone.peer.handle_input(alone.now, Input::Tracker(TrackerMessage::notice(body)));
        while let Some(output) = alone.peer.poll_output() {
            passed += usize::from(matches!(output, Output::RemoteSignal(..)));
        }
    }
    passed += remote_signals_later(&mut alone);
    assert_eq!(passed, 1 + CANDIDATES_PER_LINK_MAX, "the description and the limit");
    // All at one address, which may be a third party's: fewer, in whatever form it is written.
    alone.hear(TrackerMessageBody::Connect { peer: PeerId(3), role: Role::Viewer, offer: false });
    let signal = Signal::Offer { sdp: super::scene::description(3) };
    alone.hear(TrackerMessageBody::Signal { from: PeerId(3), signal });
    passed = 0;
    for number in 0..15 {
        let address = if number % 2 == 0 { "192.0.2.1" } else { "::ffff:192.0.2.1" };
        let candidate = format!("candidate:1 1 UDP 1 {address} {number} typ host");
        let signal = Signal::Candidate { candidate, sdp_mid: None, sdp_m_line_index: Some(0) };
        let body = TrackerMessageBody::Signal { from: PeerId(3), signal };
        alone.peer.handle_input(alone.now, Input::Tracker(TrackerMessage::notice(body)));
        while let Some(output) = alone.peer.poll_output() {
            passed += usize::from(matches!(output, Output::RemoteSignal(..)));
        }
    }
    passed += remote_signals_later(&mut alone);
    assert_eq!(passed, CANDIDATES_PER_ADDRESS_MAX);
    let lines: String = (0..300).map(|_| "a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n").collect();
    alone.hear(TrackerMessageBody::Connect { peer: PeerId(2), role: Role::Viewer, offer: false });
    let signal = Signal::Offer { sdp: format!("{}{lines}", super::scene::description(2)) };
    alone.hear(TrackerMessageBody::Signal { from: PeerId(2), signal });
    assert!(
        alone.peer.neighbours.named(PeerId(2)).is_none(),
        "a description with hundreds of them is refused"
    );
}

#[test]
fn a_neighbour_that_floods_with_messages_is_sent_away() {
    let mut alone = alone(Role::Viewer);
    let link = alone.meet_viewer(1);
    for nonce in 0..110_000 {
        alone.peer.handle_input(alone.now, Input::Control(link, PeerMessage::Ping { nonce, sent_ms: 0 }));
        while alone.peer.poll_output().is_some() {}
    }
    assert!(alone.peer.neighbours.get(link).is_none());
}
