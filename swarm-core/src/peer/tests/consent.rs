//! What the person says about connections with other peers, before and while the peer runs.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::sync::Arc;

use super::net::Net;
use crate::manifest::tests::key;
use crate::peer::{Consent, Event, Input, MirrorUse, Output, Peer, PeerConfig};
use crate::time::Timestamp;
use crate::tracker_message::{
    CONSENT, ErrorCode, MOVE, PeerRequest, PeerRequestBody, TrackerMessage, TrackerMessageBody,
};

const NOW: Timestamp = Timestamp::from_millis(1);

/// A viewer that has not started, and whose person said this before.
fn viewer(consent: Consent) -> Peer {
    let net = Net::new(4 * 16384);
    let manifest = Arc::new((*net.manifest).clone().signed_by(&key()).unwrap());
    let swarm = manifest.swarm_id().unwrap();
    let mut peer = Peer::new(PeerConfig {
        manifest: Some(manifest),
        mirrors: MirrorUse::All,
        ..PeerConfig::viewer(swarm, 1)
    });
    peer.handle_input(NOW, Input::Consent(consent));
    peer
}

fn outputs(peer: &mut Peer, input: Input) -> Vec<Output> {
    peer.handle_input(NOW, input);
    std::iter::from_fn(|| peer.poll_output()).collect()
}

fn connects(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::ConnectTracker))
}

/// What the `hello` among these outputs says that the peer can and may.
fn capabilities(outputs: &[Output]) -> Vec<String> {
    let hello = outputs.iter().find_map(|output| {
        let Output::Tracker(PeerRequest { body: PeerRequestBody::Hello { capabilities, .. }, .. }) = output
        else {
            return None;
        };
        Some(capabilities.clone())
    });
    hello.expect("a hello")
}

#[test]
fn without_peers_no_tracker_is_asked_until_the_person_agrees() {
    let mut peer = viewer(Consent::Refused);
    assert!(!connects(&outputs(&mut peer, Input::Start)));
    assert!(connects(&outputs(&mut peer, Input::Consent(Consent::Given))));
    assert_eq!(capabilities(&outputs(&mut peer, Input::TrackerOpen)), [CONSENT, MOVE]);
}

#[test]
fn a_tracker_that_requires_consent_is_asked_again_once_it_is_given() {
    let mut peer = viewer(Consent::Open);
    assert!(connects(&outputs(&mut peer, Input::Start)));
    assert_eq!(capabilities(&outputs(&mut peer, Input::TrackerOpen)), [MOVE]);
    let refused = TrackerMessageBody::Error {
        code: ErrorCode::ConsentRequired,
        text: "ask first".into(),
        retry_after_ms: None,
    };
    let told = outputs(&mut peer, Input::Tracker(TrackerMessage { id: Some(2), body: refused }));
    assert!(told.iter().any(|output| matches!(output, Output::DisconnectTracker)), "{told:?}");
    assert!(
        told.iter().any(|output| matches!(
            output,
            Output::Event(Event::PeersWithheld { is_consent_required: true, reason }) if reason == "ask first"
        )),
        "{told:?}"
    );
    // The socket that closes is no lost tracker, and nothing is tried by itself.
    let told = outputs(&mut peer, Input::TrackerClosed("closed".into()));
    assert!(
        !told.iter().any(|output| matches!(output, Output::Event(Event::TrackerDown { .. }))),
        "{told:?}"
    );
    peer.handle_timeout(Timestamp::from_millis(600_000));
    let later: Vec<Output> = std::iter::from_fn(|| peer.poll_output()).collect();
    assert!(!connects(&later), "{later:?}");
    assert!(connects(&outputs(&mut peer, Input::Consent(Consent::Given))));
    assert_eq!(capabilities(&outputs(&mut peer, Input::TrackerOpen)), [CONSENT, MOVE]);
}

#[test]
fn a_person_who_takes_consent_back_leaves_the_swarm() {
    let mut peer = viewer(Consent::Given);
    outputs(&mut peer, Input::Start);
    outputs(&mut peer, Input::TrackerOpen);
    let told = outputs(&mut peer, Input::Consent(Consent::Refused));
    assert!(told.iter().any(|output| matches!(output, Output::DisconnectTracker)), "{told:?}");
    peer.handle_timeout(Timestamp::from_millis(600_000));
    let later: Vec<Output> = std::iter::from_fn(|| peer.poll_output()).collect();
    assert!(!connects(&later), "{later:?}");
}
