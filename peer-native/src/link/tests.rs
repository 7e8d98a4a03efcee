//! What a link sends to addresses that the other side chose.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use swarm_core::GroupRange;

use super::*;
use crate::network::checks::{CHECK_PACE, CHECKS_AT_ONCE};

/// Sockets of the third party, all at one address: as many as a link takes candidates for.
const DOORS: usize = swarm_core::limits::CANDIDATES_PER_ADDRESS_MAX;

/// Opens a link on this machine.
fn open(is_offerer: bool) -> (Link, mpsc::Receiver<(LinkId, LinkEvent)>) {
    let (events, queue) = mpsc::channel(256);
    let options = LinkOptions {
        is_offerer,
        ice_servers: Arc::new([]),
        is_relayed: false,
        is_local: true,
        network: Network::own_ports(),
    };
    (Link::open(&Handle::current(), LinkId(1), options, events), queue)
}

/// Waits for the description of a link.
async fn description(queue: &mut mpsc::Receiver<(LinkId, LinkEvent)>) -> Signal {
    while let Some((_, event)) = queue.recv().await {
        if let LinkEvent::Signal(signal) = event
            && signal.description().is_some()
        {
            return signal;
        }
    }
    panic!("the link ended without a description");
}

/// Datagrams that wait at a socket.
fn waiting(door: &UdpSocket) -> usize {
    let mut buffer = [0; 2048];
    std::iter::from_fn(|| door.recv_from(&mut buffer).ok()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_party_that_an_offer_names_gets_few_packets() {
    let doors: Vec<UdpSocket> = (0..DOORS).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let (_offerer, mut offers) = open(true);
    let offer = description(&mut offers).await;
    let start = Instant::now();
    let (answerer, mut events) = open(false);
    answerer.signal(offer).unwrap();
    for door in &doors {
        door.set_nonblocking(true).unwrap();
        let port = door.local_addr().unwrap().port();
        let candidate = format!("candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host");
        let signal = Signal::Candidate { candidate, sdp_mid: None, sdp_m_line_index: Some(0) };
        answerer.signal(signal).unwrap();
    }
    let mut packets = 0;
    // Sockets are emptied while events come, so that their buffers never decide the count.
    loop {
        let event = tokio::time::timeout(Duration::from_millis(50), events.recv()).await;
        packets += doors.iter().map(waiting).sum::<usize>();
        match event {
            Ok(Some((_, LinkEvent::Closed(_)))) | Ok(None) => break,
            Ok(Some(_)) | Err(_) => {}
        }
    }
    let paced = start.elapsed().as_millis() / CHECK_PACE.as_millis();
    let most = CHECKS_AT_ONCE as usize + usize::try_from(paced).unwrap();
    assert!(packets > 0, "the addresses are checked");
    assert!(packets <= most, "{packets} packets, at most {most} are allowed");
}

/// Passes signals on to the other link until this one is open.
async fn until_open(queue: &mut mpsc::Receiver<(LinkId, LinkEvent)>, other: &Link) {
    while let Some((_, event)) = queue.recv().await {
        match event {
            LinkEvent::Signal(signal) => other.signal(signal).unwrap(),
            LinkEvent::Open => return,
            LinkEvent::Closed(reason) => panic!("{reason}"),
            LinkEvent::Control(_) | LinkEvent::Data(_) | LinkEvent::Malformed(_) | LinkEvent::Drained => {}
        }
    }
    panic!("the link ended before it opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_whose_other_side_reads_no_messages_is_closed_before_they_pile_up() {
    let (sender, mut sent) = open(true);
    let (reader, mut read) = open(false);
    tokio::join!(until_open(&mut sent, &reader), until_open(&mut read, &sender));
    // From here on nobody takes what arrives at the reader: its queues fill, then the path, then the sender's.
    let runs: Vec<GroupRange> = (0..4000).map(|group| GroupRange::one(group * 2)).collect();
    let message = PeerMessage::Have { gained: runs, dropped: Vec::new() };
    let bytes = message.encode().len() as u64;
    let mut handed = 0;
    let end = Instant::now() + Duration::from_secs(60);
    let reason = loop {
        assert!(Instant::now() < end, "{handed} bytes wait for a side that reads none");
        match tokio::time::timeout(Duration::from_millis(1), sent.recv()).await {
            Ok(Some((_, LinkEvent::Closed(reason)))) => break reason,
            Ok(None) => panic!("the link ended without a word"),
            Ok(Some(_)) | Err(_) => {}
        }
        if sender.control(&message).is_ok() {
            handed += bytes;
        }
    };
    assert_eq!(reason, "the other side takes no messages");
    drop(reader);
}
