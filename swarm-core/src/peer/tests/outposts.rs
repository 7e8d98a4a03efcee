//! An initial peer that serves at more than one tracker.

use std::time::Duration;

use super::alone::{Alone, OWN_NUMBER};
use super::scene::{description, standing};
use crate::id::{Challenge, LinkId, PeerId};
use crate::manifest::tests::key;
use crate::peer::{Appetite, Economy, Event, Input, OutpostId, OutpostInput, OutpostOutput, PublishError};
use crate::publisher::{Statement, TrackerName};
use crate::tracker_message::{
    ErrorCode, PeerRequest, PeerRequestBody, Role, Signal, TRACKER_VERSION, TrackerMessage,
    TrackerMessageBody,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const POST: OutpostId = OutpostId(0);
const VIEWER: u8 = 7;

fn peer() -> Alone {
    let wants = (Appetite::Everything, Economy::Thrifty);
    Alone::beside(&[TrackerName::of("second")], 8, Role::Initial, wants)
}

fn tell(peer: &mut Alone, input: OutpostInput) {
    peer.tell(Input::Outpost(POST, input));
}

fn hear(peer: &mut Alone, body: TrackerMessageBody) {
    tell(peer, OutpostInput::Message(TrackerMessage::notice(body)));
}

fn requests(peer: &mut Alone) -> Vec<PeerRequest> {
    let all = std::mem::take(&mut peer.at_outposts).into_iter();
    all.filter_map(|output| if let OutpostOutput::Request(request) = output { Some(request) } else { None })
        .collect()
}

fn greet(peer: &mut Alone) {
    tell(peer, OutpostInput::Open);
    hear(
        peer,
        TrackerMessageBody::Welcome {
            version: TRACKER_VERSION,
            peer: PeerId(150),
            resume: "again".into(),
            challenge: Challenge([9; 32]),
            ice_servers: Vec::new(),
            report_interval_ms: 5000,
        },
    );
}

fn join(peer: &mut Alone) {
    greet(peer);
    tell(peer, OutpostInput::Published(Ok(())));
    let (at_risk, share, scarcity) = (Vec::new(), None, None);
    hear(peer, TrackerMessageBody::Swarm { seeders: 1, leechers: 3, at_risk, share, scarcity });
}

/// The outpost introduces the viewer under this id; its link.
fn introduced(peer: &mut Alone, id: u64) -> LinkId {
    let known: Vec<LinkId> = peer.peer.neighbours.iter().map(|(link, _)| link).collect();
    hear(peer, TrackerMessageBody::Connect { peer: PeerId(id), role: Role::Viewer, offer: true });
    let mut links = peer.peer.neighbours.iter().map(|(link, _)| link);
    links.find(|link| !known.contains(link)).unwrap()
}

/// The connection is built by way of the outpost and the viewer greets.
fn open(peer: &mut Alone, link: LinkId, id: u64) {
    peer.tell(Input::LocalSignal(link, Signal::Offer { sdp: description(OWN_NUMBER) }));
    let signal = Signal::Answer { sdp: description(VIEWER) };
    hear(peer, TrackerMessageBody::Signal { from: PeerId(id), signal });
    peer.tell(Input::LinkOpen(link));
    let hello = peer.hello(VIEWER, Role::Viewer, standing(1_000_000), &[]);
    peer.tell(Input::Control(link, hello));
}

#[test]
fn it_publishes_and_joins_at_each_tracker_with_a_proof_for_that_one() {
    let mut peer = peer();
    assert!(matches!(peer.at_outposts.remove(0), OutpostOutput::Connect));
    greet(&mut peer);
    let published = peer.at_outposts.pop();
    assert!(matches!(published, Some(OutpostOutput::Publish(bytes)) if !bytes.is_empty()));
    tell(&mut peer, OutpostInput::Published(Ok(())));
    let join = requests(&mut peer).pop().unwrap();
    let PeerRequestBody::Join { swarm, role: Role::Initial, proof, .. } = join.body else {
        panic!("{join:?}")
    };
    let statement =
        Statement::Join { swarm, tracker: TrackerName::of("second"), challenge: Challenge([9; 32]) };
    assert!(key().public().has_signed(&statement, &proof.unwrap()));
}

#[test]
fn a_viewer_that_is_met_at_both_trackers_has_one_link() {
    let mut peer = peer();
    join(&mut peer);
    let first = peer.meet_viewer(VIEWER);
    // The same number as at the first tracker: ids are a tracker's own.
    let second = introduced(&mut peer, u64::from(VIEWER));
    assert_ne!(first, second);
    let signal = requests(&mut peer);
    assert!(signal.iter().all(|request| !matches!(request.body, PeerRequestBody::Signal { .. })));
    open(&mut peer, second, u64::from(VIEWER));
    let offered = requests(&mut peer).into_iter().any(|request| {
        matches!(request.body, PeerRequestBody::Signal { to: PeerId(id), .. } if id == u64::from(VIEWER))
    });
    assert!(offered, "the offer goes by the tracker that introduced the viewer, under its own id");
    // The side with the smaller certificate closes the newer link; here that is the viewer.
    peer.tell(Input::LinkClosed(second, "linked already".into()));
    let links: Vec<LinkId> = peer.peer.neighbours.open().map(|(link, _)| link).collect();
    assert_eq!(links, [first]);
}

#[test]
fn what_came_from_a_viewer_is_reported_to_the_tracker_that_introduced_it() {
    let mut peer = peer();
    join(&mut peer);
    let link = introduced(&mut peer, 5);
    open(&mut peer, link, 5);
    requests(&mut peer);
    peer.wait(Duration::from_secs(6));
    let reports = requests(&mut peer).into_iter();
    let reports: Vec<_> =
        reports.filter(|request| matches!(request.body, PeerRequestBody::Report { .. })).collect();
    assert_eq!(reports.len(), 1, "{reports:?}");
}

#[test]
fn a_tracker_that_is_lost_is_tried_again_and_the_links_it_made_stay() {
    let mut peer = peer();
    join(&mut peer);
    let link = introduced(&mut peer, 5);
    open(&mut peer, link, 5);
    peer.at_outposts.clear();
    tell(&mut peer, OutpostInput::Closed("gone".into()));
    assert!(peer.events.iter().any(|event| matches!(event, Event::Outpost { reason: Some(_), .. })));
    peer.wait(Duration::from_secs(3));
    assert!(peer.at_outposts.iter().any(|output| matches!(output, OutpostOutput::Connect)));
    assert_eq!(peer.peer.neighbours.open().count(), 1);
}

#[test]
fn a_tracker_that_refuses_is_left_and_the_peer_serves_on_at_the_other() {
    let mut peer = peer();
    greet(&mut peer);
    tell(&mut peer, OutpostInput::Published(Err(PublishError::Refused("no token".into()))));
    peer.at_outposts.clear();
    peer.wait(Duration::from_secs(100));
    assert!(peer.at_outposts.is_empty(), "{:?}", peer.at_outposts);
    assert!(!peer.events.iter().any(|event| matches!(event, Event::Failed(_))));
    peer.meet_viewer(VIEWER);
    assert_eq!(peer.peer.neighbours.open().count(), 1);
}

#[test]
fn a_tracker_that_is_full_is_asked_again_later() {
    let mut peer = peer();
    greet(&mut peer);
    tell(&mut peer, OutpostInput::Published(Ok(())));
    let join = requests(&mut peer).pop().unwrap();
    let body = TrackerMessageBody::Error { code: ErrorCode::Full, text: "full".into(), retry_after_ms: None };
    tell(&mut peer, OutpostInput::Message(TrackerMessage { id: Some(join.id), body }));
    assert!(matches!(peer.at_outposts.pop(), Some(OutpostOutput::Disconnect)));
    peer.wait(Duration::from_secs(3));
    assert!(matches!(peer.at_outposts.pop(), Some(OutpostOutput::Connect)));
}
