//! Two links in one process, their signals handed from one to the other.

use std::time::Duration;

use bytes::Bytes;
use peer_native::Network;
use peer_native::inside::{Link, LinkEvent, LinkOptions};
use swarm_core::limits::FRAME_BYTES_MAX;
use swarm_core::peer_message::{DataHead, DataMessage, PeerMessage};
use swarm_core::tracker_message::Signal;
use swarm_core::tree::Proof;
use swarm_core::{GroupRange, LinkId};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

const DEADLINE: Duration = Duration::from_secs(30);

/// Bytes that may be under way before a sender waits, and at which it goes on.
const HIGH_WATER: u64 = 256 * 1024;
const LOW_WATER: u64 = 128 * 1024;

/// One side of a connection with what it has said so far.
pub(crate) struct Side {
    pub(crate) link: Link,
    events: mpsc::Receiver<(LinkId, LinkEvent)>,
}

impl Side {
    fn new(id: u32, is_offerer: bool) -> Self {
        Self::on(&Network::own_ports(), id, is_offerer)
    }

    /// A side whose sockets come from this network.
    pub(crate) fn on(network: &Network, id: u32, is_offerer: bool) -> Self {
        let (sender, events) = mpsc::channel(64);
        let network = network.clone();
        let options =
            LinkOptions { is_offerer, ice_servers: [].into(), is_relayed: false, is_local: true, network };
        Self { link: Link::open(&Handle::current(), LinkId(id), options, sender), events }
    }

    pub(crate) async fn next(&mut self) -> LinkEvent {
        let event = tokio::time::timeout(DEADLINE, self.events.recv()).await;
        event.expect("an event within the deadline").expect("the link lives").1
    }
}

/// Hands signals to and fro until both sides are open; returns the signals of both.
pub(crate) async fn connect(offerer: &mut Side, answerer: &mut Side) -> Vec<Signal> {
    let (mut open, mut signals) = (0, Vec::new());
    while open < 2 {
        let (event, other) = tokio::select! {
            event = offerer.next() => (event, &answerer.link),
            event = answerer.next() => (event, &offerer.link),
        };
        match event {
            LinkEvent::Signal(signal) => {
                assert!(signal.is_within_limits());
                other.signal(signal.clone()).unwrap();
                signals.push(signal);
            }
            LinkEvent::Open => open += 1,
            other => panic!("unexpected before both are open: {other:?}"),
        }
    }
    signals
}

async fn connected() -> (Side, Side, Vec<Signal>) {
    let (mut offerer, mut answerer) = (Side::new(1, true), Side::new(2, false));
    let signals = connect(&mut offerer, &mut answerer).await;
    (offerer, answerer, signals)
}

/// The `number`-th of many messages that fill a frame.
pub(crate) fn largest_message(number: u32) -> DataMessage {
    let head = DataHead {
        range: GroupRange::new(0, 3),
        sent_ms: number,
        waited_ms: 1200,
        queued_ms: 60,
        backlog_ms: u32::MAX,
        proof: Proof { top: 22, hashes: vec![[3; 32]; 44] },
    };
    let message = DataMessage { head, payload: Bytes::new() };
    let payload = Bytes::from(vec![number as u8; FRAME_BYTES_MAX - message.encode().len()]);
    DataMessage { payload, ..message }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_frames_pass_in_order_and_under_back_pressure() {
    let (mut sender, mut receiver, signals) = connected().await;
    for signal in &signals {
        if let Signal::Offer { sdp } | Signal::Answer { sdp } = signal {
            let size = sdp.lines().find_map(|line| line.strip_prefix("a=max-message-size:")).unwrap();
            assert!(size.trim().parse::<usize>().unwrap() >= FRAME_BYTES_MAX, "{size}");
        }
    }
    sender.link.set_low_water(LOW_WATER).unwrap();
    let count = 200;
    let receiving = tokio::spawn(async move {
        for number in 0..count {
            match receiver.next().await {
                LinkEvent::Data(message) => assert_eq!(message, largest_message(number)),
                LinkEvent::Signal(_) => {}
                other => panic!("unexpected: {other:?}"),
            }
        }
        receiver
    });
    let mut most = 0;
    for number in 0..count {
        while sender.link.buffered_bytes() > HIGH_WATER - FRAME_BYTES_MAX as u64 {
            assert!(matches!(sender.next().await, LinkEvent::Drained | LinkEvent::Signal(_)));
        }
        sender.link.data(largest_message(number).encode()).unwrap();
        most = most.max(sender.link.buffered_bytes());
    }
    let receiver = receiving.await.unwrap();
    assert!(most <= HIGH_WATER && most > LOW_WATER, "{most} bytes were under way at most");
    receiver.link.control(&PeerMessage::Ping { nonce: 7, sent_ms: 9 }).unwrap();
    loop {
        match sender.next().await {
            LinkEvent::Control(message) => {
                break assert_eq!(message, PeerMessage::Ping { nonce: 7, sent_ms: 9 });
            }
            LinkEvent::Drained | LinkEvent::Signal(_) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_link_closes_the_other_side() {
    let (offerer, mut answerer, _) = connected().await;
    drop(offerer.link);
    loop {
        match answerer.next().await {
            LinkEvent::Closed(reason) => break assert!(!reason.is_empty()),
            LinkEvent::Signal(_) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn candidates_that_come_before_the_offer_are_kept() {
    let (mut offerer, mut answerer) = (Side::new(1, true), Side::new(2, false));
    let mut offer = None;
    // The offer is held back until all candidates have overtaken it.
    loop {
        match offerer.next().await {
            LinkEvent::Signal(signal @ Signal::Offer { .. }) => offer = Some(signal),
            LinkEvent::Signal(signal) => {
                let is_last = signal == Signal::EndOfCandidates;
                answerer.link.signal(signal).unwrap();
                if is_last {
                    break;
                }
            }
            other => panic!("unexpected: {other:?}"),
        }
    }
    answerer.link.signal(offer.unwrap()).unwrap();
    connect(&mut offerer, &mut answerer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_is_no_message_is_reported() {
    let (offerer, mut answerer, _) = connected().await;
    offerer.link.data(vec![0xff; 100]).unwrap();
    loop {
        match answerer.next().await {
            LinkEvent::Malformed(_) => break,
            LinkEvent::Signal(_) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_that_is_none_ends_the_link_in_words() {
    let mut answerer = Side::new(2, false);
    answerer.link.signal(Signal::Offer { sdp: "this is not SDP".into() }).unwrap();
    let LinkEvent::Closed(reason) = answerer.next().await else { panic!("not closed") };
    assert!(reason.contains("session description"), "{reason}");
}
