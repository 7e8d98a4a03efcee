//! Connections that do not open or end by themselves are built again, and candidates wait their turn.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::time::Duration;

use super::alone::{Alone, OWN_NUMBER};
use super::scene::{description, standing};
use crate::id::{LinkId, PeerId};
use crate::limits::LINKS_MAX;
use crate::peer::neighbours::Link;
use crate::peer::tuning::{
    CANDIDATE_PACE, CANDIDATES_AT_ONCE, CONNECT_TIMEOUT, OFFER_PATIENCE, OPEN_LONG, RETRIES_MAX, RETRY_FIRST,
};
use crate::peer::{Appetite, Economy, Input, Output};
use crate::tracker_message::{ErrorCode, PeerRequestBody, Role, Signal, TrackerMessage, TrackerMessageBody};

const OTHER: PeerId = PeerId(1);

/// A peer that the tracker told to connect with another.
fn connecting(offer: bool) -> Alone {
    let mut alone = Alone::new(50, Role::Viewer, Appetite::Everything, Economy::Thrifty);
    alone.hear(TrackerMessageBody::Connect { peer: OTHER, role: Role::Viewer, offer });
    alone
}

fn link(alone: &Alone) -> Option<LinkId> {
    alone.peer.neighbours.named(OTHER).map(|(id, _)| id)
}

fn offer(alone: &mut Alone) {
    let signal = Signal::Offer { sdp: description(1) };
    alone.hear(TrackerMessageBody::Signal { from: OTHER, signal });
}

/// Lets time pass while the tracker answers everything.
fn wait(alone: &mut Alone, time: Duration) {
    let end = alone.now + time;
    while alone.now < end {
        let now = alone.now;
        (0..1000).for_each(|id| alone.peer.tracker.session.heard(now, Some(id)));
        alone.wait(Duration::from_millis(100).min(end.since(now)));
    }
}

/// The links that were built, one after another, while each failed at once.
fn attempts(alone: &mut Alone, time: Duration) -> Vec<LinkId> {
    let (mut ids, end) = (Vec::new(), alone.now + time);
    while alone.now < end {
        if let Some(id) = link(alone) {
            ids.push(id);
            alone.tell(Input::LinkClosed(id, "no network path".to_owned()));
        }
        wait(alone, Duration::from_millis(100));
    }
    ids
}

#[test]
fn a_connection_that_failed_is_tried_again_a_few_times() {
    let mut alone = connecting(true);
    let ids = attempts(&mut alone, Duration::from_secs(300));
    assert_eq!(ids.len(), 1 + RETRIES_MAX as usize);
    // The tracker says once more that the two are neighbours: this begins from the start.
    alone.hear(TrackerMessageBody::Connect { peer: OTHER, role: Role::Viewer, offer: true });
    assert_eq!(attempts(&mut alone, Duration::from_secs(300)).len(), 1 + RETRIES_MAX as usize);
}

#[test]
fn a_tracker_that_names_one_peer_again_and_again_has_few_connections_built() {
    let mut alone = connecting(true);
    // With and without `gone` in between, for 20 s.
    for _ in 0..200 {
        for _ in 0..50 {
            alone.hear(TrackerMessageBody::Connect { peer: OTHER, role: Role::Viewer, offer: true });
            alone.hear(TrackerMessageBody::Connect { peer: OTHER, role: Role::Viewer, offer: false });
            alone.hear(TrackerMessageBody::Gone { peer: OTHER });
        }
        wait(&mut alone, Duration::from_millis(100));
    }
    assert!((LINKS_MAX..=3 * LINKS_MAX + 2).contains(&alone.connects), "{}", alone.connects);
    // Later, the tracker is listened to as before.
    wait(&mut alone, Duration::from_secs(20));
    alone.hear(TrackerMessageBody::Connect { peer: OTHER, role: Role::Viewer, offer: true });
    assert!(link(&alone).is_some());
}

#[test]
fn a_connection_that_says_nothing_is_tried_again_too() {
    let mut alone = connecting(true);
    let first = link(&alone);
    wait(&mut alone, CONNECT_TIMEOUT);
    assert_eq!(link(&alone), None, "given up");
    wait(&mut alone, RETRY_FIRST);
    assert!(link(&alone).is_some() && link(&alone) != first);
}

#[test]
fn a_pair_that_the_tracker_took_back_is_not_tried_again() {
    for body in [TrackerMessageBody::Gone { peer: OTHER }, TrackerMessageBody::Unlink { peer: OTHER }] {
        let mut alone = connecting(true);
        let id = link(&alone).unwrap();
        alone.tell(Input::LinkClosed(id, "no network path".to_owned()));
        alone.hear(body);
        assert!(attempts(&mut alone, Duration::from_secs(300)).is_empty());
    }
}

/// A viewer with an open link to another one.
fn connected(role: Role) -> (Alone, LinkId) {
    let mut alone = Alone::new(50, role, Appetite::Everything, Economy::Thrifty);
    let id = alone.meet_viewer(1);
    (alone, id)
}

#[test]
fn a_link_that_was_open_and_ends_by_itself_is_built_again() {
    let (mut alone, id) = connected(Role::Viewer);
    wait(&mut alone, OPEN_LONG);
    alone.tell(Input::LinkClosed(id, "the network changed".to_owned()));
    wait(&mut alone, RETRY_FIRST);
    let second = link(&alone).expect("another attempt");
    assert!(second != id);
    alone.open(second, 1);
    let hello = alone.hello(1, Role::Viewer, standing(1_000_000), &[]);
    alone.tell(Input::Control(second, hello));
    assert!(alone.peer.neighbours.get(second).is_some_and(Link::is_open));
}

#[test]
fn a_link_to_a_peer_that_left_or_broke_the_rules_is_not_built_again() {
    let (mut left, id) = connected(Role::Viewer);
    left.hear(TrackerMessageBody::Gone { peer: OTHER });
    left.tell(Input::LinkClosed(id, "the other side closed the link".to_owned()));
    assert!(attempts(&mut left, Duration::from_secs(300)).is_empty());
    let (mut hostile, id) = connected(Role::Viewer);
    let out_of_order = hostile.hello(1, Role::Viewer, standing(1_000_000), &[]);
    hostile.tell(Input::Control(id, out_of_order));
    assert!(hostile.is_banned(id));
    assert!(attempts(&mut hostile, Duration::from_secs(300)).is_empty());
}

#[test]
fn an_offer_on_an_open_link_means_that_the_other_side_lost_it() {
    let mut alone = connecting(false);
    offer(&mut alone);
    let first = link(&alone).unwrap();
    alone.tell(Input::LocalSignal(first, Signal::Answer { sdp: description(OWN_NUMBER) }));
    alone.tell(Input::LinkOpen(first));
    let hello = alone.hello(1, Role::Viewer, standing(1_000_000), &[]);
    alone.tell(Input::Control(first, hello));
    assert!(alone.peer.neighbours.get(first).is_some_and(Link::is_open));
    let mut ids = vec![first];
    for _ in 0..100 {
        offer(&mut alone);
        ids.extend(link(&alone));
    }
    ids.dedup();
    assert!(ids.len() > 1, "a new link takes the offer");
    assert!(ids.len() <= 1 + RETRIES_MAX as usize, "offers without end do not build connections without end");
}

#[test]
fn the_other_side_takes_a_new_offer_after_its_attempt_failed() {
    let mut alone = connecting(false);
    offer(&mut alone);
    let first = link(&alone).unwrap();
    alone.tell(Input::LinkClosed(first, "no network path".to_owned()));
    wait(&mut alone, CONNECT_TIMEOUT);
    assert_eq!(link(&alone), None, "it begins nothing itself");
    offer(&mut alone);
    let second = link(&alone).unwrap();
    let described = alone.peer.neighbours.get(second).and_then(Link::fingerprint);
    assert!(second != first && described.is_some(), "the offer that began the attempt reached it");
    alone.tell(Input::LinkClosed(second, "no network path".to_owned()));
    wait(&mut alone, OFFER_PATIENCE + Duration::from_secs(1));
    offer(&mut alone);
    assert_eq!(link(&alone), None, "nobody waits for an offer for ever");
}

#[test]
fn a_new_offer_replaces_an_attempt_that_hangs_and_offers_without_end_do_not() {
    let mut alone = connecting(false);
    let mut ids = Vec::new();
    for _ in 0..100 {
        offer(&mut alone);
        ids.extend(link(&alone));
    }
    ids.dedup();
    assert_eq!(ids.len(), 1 + RETRIES_MAX as usize, "as many as the offerer may begin");
}

#[test]
fn candidates_of_an_offer_reach_the_connection_one_by_one() {
    let mut alone = connecting(false);
    let lines: String =
        (1..=8).map(|host| format!("a=candidate:1 1 UDP 1 192.0.2.{host} 9 typ host\r\n")).collect();
    let signal = Signal::Offer { sdp: format!("{}{lines}", description(1)) };
    let body = TrackerMessageBody::Signal { from: OTHER, signal };
    alone.peer.handle_input(alone.now, Input::Tracker(TrackerMessage::notice(body)));
    let passed = |alone: &mut Alone| {
        let mut signals = Vec::new();
        while let Some(output) = alone.peer.poll_output() {
            if let Output::RemoteSignal(_, signal) = output {
                signals.push(signal);
            }
        }
        signals
    };
    let first = passed(&mut alone);
    assert_eq!(first[0], Signal::Offer { sdp: description(1) }, "without its candidates");
    assert_eq!(first.len(), 1 + CANDIDATES_AT_ONCE as usize);
    for _ in CANDIDATES_AT_ONCE..8 {
        alone.now = alone.now + (CANDIDATE_PACE - Duration::from_millis(1));
        alone.peer.handle_timeout(alone.now);
        assert!(passed(&mut alone).is_empty());
        alone.now = alone.now + Duration::from_millis(1);
        alone.peer.handle_timeout(alone.now);
        assert_eq!(passed(&mut alone).len(), 1);
    }
}

/// The signals that leave now, with the ids of their requests.
fn signals(alone: &mut Alone) -> Vec<(u32, Signal)> {
    let mut signals = Vec::new();
    while let Some(output) = alone.peer.poll_output() {
        if let Output::Tracker(request) = output
            && let PeerRequestBody::Signal { signal, .. } = request.body
        {
            signals.push((request.id, signal));
        }
    }
    signals
}

/// The tracker refuses a request for two seconds.
fn refuse(alone: &mut Alone, id: u32) {
    let body = TrackerMessageBody::Error {
        code: ErrorCode::RateLimited,
        text: "busy".to_owned(),
        retry_after_ms: Some(2000),
    };
    alone.peer.handle_input(alone.now, Input::Tracker(TrackerMessage { id: Some(id), body }));
}

#[test]
fn a_signal_that_the_tracker_refuses_for_now_leaves_again_and_later_ones_wait_for_it() {
    let mut alone = connecting(true);
    let id = link(&alone).unwrap();
    let offer = Signal::Offer { sdp: description(1) };
    alone.peer.handle_input(alone.now, Input::LocalSignal(id, offer.clone()));
    let sent = signals(&mut alone);
    assert_eq!(sent.len(), 1);
    refuse(&mut alone, sent[0].0);
    alone.peer.handle_input(alone.now, Input::LocalSignal(id, Signal::EndOfCandidates));
    assert!(signals(&mut alone).is_empty(), "it is not to arrive before its offer");
    let due = alone.now + Duration::from_secs(2);
    assert!(alone.peer.poll_timeout().is_some_and(|at| at <= due));
    alone.now = due;
    alone.peer.handle_timeout(due);
    let again = signals(&mut alone);
    assert_eq!(
        again.iter().map(|(_, signal)| signal).collect::<Vec<_>>(),
        [&offer, &Signal::EndOfCandidates]
    );
    // Refused once more while the attempt fails: nothing leaves for a connection that is no more.
    refuse(&mut alone, again[0].0);
    alone.peer.handle_input(due, Input::LinkClosed(id, "no network path".to_owned()));
    signals(&mut alone);
    let later = due + Duration::from_secs(2);
    alone.peer.handle_timeout(later);
    assert!(signals(&mut alone).iter().all(|(_, signal)| *signal != offer));
}
