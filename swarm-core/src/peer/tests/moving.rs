//! A viewer that its tracker sends to another one.

use std::time::Duration;

use super::alone::Alone;
use super::scene::{description, standing};
use crate::group::GroupRange;
use crate::id::{Challenge, LinkId, PeerId};
use crate::peer::{Appetite, Economy, Event, Input, MoveInput, MoveOutput};
use crate::tracker_message::{
    CONSENT, ErrorCode, MOVE, MOVING, PeerRequest, PeerRequestBody, Role, SegmentRun, Signal,
    TRACKER_VERSION, TrackerMessage, TrackerMessageBody,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HOME: &str = "wss://home.example.org/v1/swarm";
/// The id of the peer, as its first tracker gave it.
const OWN: PeerId = PeerId(150);
const NEIGHBOUR: u8 = 7;

/// A viewer with one neighbour, which its tracker has just sent to another one.
fn sent(role: Role) -> (Alone, LinkId) {
    let mut peer = Alone::new(8, role, Appetite::Everything, Economy::Thrifty);
    let link = peer.meet(NEIGHBOUR, Role::Initial, standing(1_000_000), &[GroupRange::new(0, 8)]);
    peer.hear(TrackerMessageBody::Move { to: HOME.into() });
    peer.wait(Duration::from_secs(3));
    peer.told.clear();
    (peer, link)
}

fn hear_next(peer: &mut Alone, id: Option<u32>, body: TrackerMessageBody) {
    peer.tell(Input::Move(MoveInput::Message(TrackerMessage { id, body })));
}

fn welcome(peer: PeerId) -> TrackerMessageBody {
    TrackerMessageBody::Welcome {
        version: TRACKER_VERSION,
        peer,
        resume: "again".into(),
        challenge: Challenge([9; 32]),
        ice_servers: Vec::new(),
        report_interval_ms: 5000,
    }
}

fn swarm() -> TrackerMessageBody {
    TrackerMessageBody::Swarm { seeders: 1, leechers: 3, at_risk: vec![], share: None, scarcity: None }
}

/// The socket to the home opens: what is said there.
fn open(peer: &mut Alone) -> Vec<PeerRequest> {
    assert!(matches!(&peer.moves[..], [MoveOutput::Connect(to)] if to == HOME), "{:?}", peer.moves);
    peer.moves.clear();
    peer.tell(Input::Move(MoveInput::Open));
    let said = std::mem::take(&mut peer.moves).into_iter();
    said.filter_map(|output| if let MoveOutput::Request(request) = output { Some(request) } else { None })
        .collect()
}

fn is_linked(peer: &Alone, link: LinkId) -> bool {
    peer.peer.stats().links.iter().any(|stats| stats.link == link)
}

#[test]
fn a_viewer_goes_to_the_home_of_its_swarm_and_leaves_once_it_is_in_the_swarm_there() {
    let (mut peer, link) = sent(Role::Viewer);
    let said = open(&mut peer);
    let [PeerRequest { id: hello, body: PeerRequestBody::Hello { capabilities, resume, .. } }, join] =
        &said[..]
    else {
        panic!("{said:?}")
    };
    assert_eq!(capabilities, &[CONSENT, MOVE, MOVING]);
    assert!(resume.is_some() && matches!(join.body, PeerRequestBody::Join { .. }), "{said:?}");
    hear_next(&mut peer, Some(*hello), welcome(OWN));
    assert!(peer.moves.is_empty() && peer.peer.stats().is_tracker_up);
    hear_next(&mut peer, Some(join.id), swarm());
    assert!(matches!(peer.moves[..], [MoveOutput::Switch]), "{:?}", peer.moves);
    // What the tracker that was left has still to deliver is heard.
    peer.hear(TrackerMessageBody::Connect { peer: PeerId(9), role: Role::Viewer, offer: true });
    peer.wait(Duration::from_secs(3));
    assert!(matches!(peer.moves[..], [MoveOutput::Switch, MoveOutput::Leave]), "{:?}", peer.moves);
    assert!(is_linked(&peer, link) && peer.peer.stats().links.len() == 2);
    assert!(!peer.events.iter().any(|event| matches!(event, Event::TrackerDown { .. })), "{:?}", peer.events);
    // It is told again at once, by the home.
    peer.moves.clear();
    peer.hear(TrackerMessageBody::Move { to: "wss://back.example.org/".into() });
    peer.wait(Duration::from_secs(5));
    assert!(peer.moves.is_empty(), "it was moved a moment ago: {:?}", peer.moves);
}

#[test]
fn a_tracker_that_gives_another_id_or_refuses_or_is_silent_is_not_gone_to() {
    let full =
        || TrackerMessageBody::Error { code: ErrorCode::Full, text: "full".into(), retry_after_ms: None };
    for answer in [Some(welcome(PeerId(151))), Some(full()), None] {
        let (mut peer, link) = sent(Role::Viewer);
        let said = open(&mut peer);
        match answer {
            Some(body) => hear_next(&mut peer, Some(said[0].id), body),
            None => {
                for _ in 0..4 {
                    peer.wait(Duration::from_millis(2_600));
                    // The tracker in use answers reports all the while.
                    for request in std::mem::take(&mut peer.told) {
                        peer.tell(Input::Tracker(TrackerMessage { id: Some(request.id), body: swarm() }));
                    }
                }
            }
        }
        assert!(matches!(peer.moves[..], [MoveOutput::Abandon]), "{:?}", peer.moves);
        assert!(peer.peer.stats().is_tracker_up && is_linked(&peer, link) && peer.tracker_connects == 1);
    }
}

#[test]
fn the_old_connection_may_end_first() {
    let (mut peer, link) = sent(Role::Viewer);
    let said = open(&mut peer);
    peer.hear(TrackerMessageBody::Error {
        code: ErrorCode::Forbidden,
        text: "moved".into(),
        retry_after_ms: None,
    });
    peer.tell(Input::TrackerClosed("moved".into()));
    // The driver goes on on the new one.
    for (request, body) in said.iter().zip([welcome(OWN), swarm()]) {
        peer.tell(Input::Tracker(TrackerMessage { id: Some(request.id), body }));
    }
    peer.wait(Duration::from_secs(6));
    assert!(peer.moves.is_empty() && peer.peer.stats().is_tracker_up && is_linked(&peer, link));
    assert!(peer.told.iter().any(|request| matches!(request.body, PeerRequestBody::Report { .. })));
    let is_bad = |event: &Event| {
        matches!(event, Event::TrackerDown { .. } | Event::Dismissed { .. } | Event::Failed(_))
    };
    assert!(!peer.events.iter().any(is_bad) && peer.tracker_connects == 1, "{:?}", peer.events);
}

#[test]
fn news_of_segments_reaches_whichever_tracker_the_peer_ends_with() {
    let have = |peer: &mut Alone| {
        let told = std::mem::take(&mut peer.told).into_iter();
        let gained = told.filter_map(|request| {
            if let PeerRequestBody::Have { gained, .. } = request.body { Some(gained) } else { None }
        });
        gained.flatten().map(|SegmentRun(_, count)| count).sum::<u32>()
    };
    for is_taken in [true, false] {
        let (mut peer, link) = sent(Role::Viewer);
        peer.wait(Duration::from_millis(1_500));
        peer.told.clear();
        let said = open(&mut peer);
        for group in 0..8 {
            let data = peer.frame(GroupRange::one(group));
            peer.tell(Input::Data(link, data));
        }
        assert_eq!(peer.store.len(), 8);
        peer.wait(Duration::from_millis(1_500));
        assert_eq!(have(&mut peer), 0, "it is on its way");
        let [hello, join] = [said[0].id, said[1].id];
        if is_taken {
            hear_next(&mut peer, Some(hello), welcome(OWN));
            hear_next(&mut peer, Some(join), swarm());
        } else {
            peer.tell(Input::Move(MoveInput::Closed));
        }
        peer.wait(Duration::from_millis(1_500));
        assert!(have(&mut peer) > 0, "taken: {is_taken}");
    }
}

#[test]
fn signals_without_an_answer_leave_again_at_the_home() {
    let (mut peer, _) = sent(Role::Viewer);
    peer.hear(TrackerMessageBody::Connect { peer: PeerId(9), role: Role::Viewer, offer: true });
    let (link, _) = peer.peer.neighbours.named(PeerId(9)).unwrap();
    let said = open(&mut peer);
    peer.tell(Input::LocalSignal(link, Signal::Offer { sdp: description(150) }));
    let is_offer = |request: &PeerRequest| matches!(request.body, PeerRequestBody::Signal { .. });
    assert_eq!(peer.told.iter().filter(|request| is_offer(request)).count(), 1);
    hear_next(&mut peer, Some(said[0].id), welcome(OWN));
    hear_next(&mut peer, Some(said[1].id), swarm());
    peer.wait(Duration::from_millis(1));
    assert_eq!(peer.told.iter().filter(|request| is_offer(request)).count(), 2);
}

#[test]
fn an_initial_peer_and_one_that_is_leaving_go_nowhere() {
    let (peer, _) = sent(Role::Initial);
    assert!(peer.moves.is_empty(), "its proof names one tracker");
    let (mut peer, _) = sent(Role::Viewer);
    open(&mut peer);
    peer.tell(Input::Stop);
    assert!(matches!(peer.moves[..], [MoveOutput::Abandon]), "{:?}", peer.moves);
}
