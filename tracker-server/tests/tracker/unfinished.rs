//! Messages that are begun and not ended: what a tracker keeps of them is bounded, and others go on.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::SinkExt;
use swarm_core::tracker_message::{PeerRequest, PeerRequestBody, SegmentRun, TrackerMessageBody};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;
use tracker_server::UNFINISHED_BYTES_PER_ADDRESS_MAX;

use crate::harness::{PATIENCE, Server, Socket};

/// Bytes of a long message that is within the limit.
const LONG: usize = 60_000;

/// A peer that comes from an address of this machine and has not greeted.
async fn open_from(from: [u8; 4], to: SocketAddr) -> anyhow::Result<Socket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = timeout(PATIENCE, socket.connect(to)).await??;
    let open = tokio_tungstenite::client_async(format!("ws://{to}/v1/swarm"), MaybeTlsStream::Plain(stream));
    Ok(Socket::over(timeout(PATIENCE, open).await??.0))
}

/// Begins a text frame that announces `announced` bytes, and sends so many of them.
async fn begin(socket: &mut Socket, first: u8, announced: usize, sent: usize) -> anyhow::Result<()> {
    let length = u16::try_from(announced)?.to_be_bytes();
    let mut bytes = [&[first, 0xfe][..], &length, &[0; 4]].concat();
    bytes.resize(bytes.len() + sent, b'x');
    timeout(PATIENCE, socket.inner.get_mut().write_all(&bytes)).await??;
    Ok(())
}

/// A request that is longer than usual: `have` of so many runs.
fn long_request(id: u32, runs: u32) -> Message {
    let gained = (0..runs).map(|index| SegmentRun(index * 2, 1)).collect();
    Message::text(PeerRequest { id, body: PeerRequestBody::Have { gained, dropped: vec![] } }.encode())
}

#[tokio::test]
async fn messages_of_one_address_that_do_not_end_leave_room_for_those_of_others() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.deadlines.message = Duration::from_secs(3)).await?;
    let swarm = server.publish("film").await?;
    let count = UNFINISHED_BYTES_PER_ADDRESS_MAX / LONG + 20;
    let mut stuck = Vec::new();
    for _ in 0..count {
        let mut socket = open_from([127, 9, 9, 9], server.address).await?;
        socket.hello(None).await?;
        begin(&mut socket, 0x81, LONG, LONG / 2).await?;
        stuck.push(socket);
    }
    let mut honest = open_from([127, 1, 2, 3], server.address).await?;
    honest.hello(None).await?;
    honest.join(swarm, &[]).await?;
    for id in 100..105 {
        // Beyond the segments of this content they change nothing; what counts is that each is read and answered.
        honest.send_raw(long_request(id, 3_000)).await?;
        let answer = honest.receive().await?;
        assert_eq!((answer.id, answer.body), (Some(id), TrackerMessageBody::Ok));
    }
    let mut codes = Vec::new();
    for socket in &mut stuck {
        codes.push(socket.close_code().await?);
    }
    let of = |code| codes.iter().filter(|found| **found == code).count();
    assert_eq!(of(1008) + of(1013), count, "{codes:?}");
    assert_eq!(
        of(1008),
        UNFINISHED_BYTES_PER_ADDRESS_MAX / (2 * LONG),
        "the others found no room: {codes:?}"
    );
    honest.ask(PeerRequestBody::Leave).await?;
    Ok(())
}

#[tokio::test]
async fn a_message_in_parts_takes_no_more_room_than_one_in_a_frame() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.deadlines.message = Duration::from_millis(500)).await?;
    let mut socket = Socket::open(server.address).await?;
    socket.hello(None).await?;
    begin(&mut socket, 0x01, 30_000, 30_000).await?;
    begin(&mut socket, 0x00, 40_000, 0).await?;
    assert_eq!(socket.close_code().await?, 1009, "its parts are longer than a message may be");
    let mut socket = Socket::open(server.address).await?;
    socket.hello(None).await?;
    begin(&mut socket, 0x01, 1_000, 1_000).await?;
    begin(&mut socket, 0x00, 30_000, 1_000).await?;
    assert_eq!(socket.close_code().await?, 1008, "the rest did not come");
    Ok(())
}

#[tokio::test]
async fn a_message_in_parts_without_end_is_closed_though_they_are_empty() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut socket = Socket::open(server.address).await?;
    socket.hello(None).await?;
    let empty = [&[0x01, 0x80, 0, 0, 0, 0][..], &[0x00, 0x80, 0, 0, 0, 0].repeat(1_000)].concat();
    timeout(PATIENCE, socket.inner.get_mut().write_all(&empty)).await??;
    assert_eq!(socket.close_code().await?, 1009);
    Ok(())
}

#[tokio::test]
async fn a_message_in_many_parts_is_read() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut socket = Socket::open(server.address).await?;
    let hello = crate::harness::hello(swarm_core::tracker_message::TRACKER_VERSION, None);
    let text = PeerRequest { id: 1, body: hello }.encode();
    let last = text.len() - 1;
    let part = |(index, byte): (usize, u8)| {
        let first = if index == 0 { 0x01 } else { 0x00 } | if index == last { 0x80 } else { 0 };
        [first, 0x81, 0, 0, 0, 0, byte]
    };
    let bytes: Vec<u8> = text.bytes().enumerate().flat_map(part).collect();
    timeout(PATIENCE, socket.inner.get_mut().write_all(&bytes)).await??;
    let answer = socket.receive().await?;
    assert!(matches!(answer.body, TrackerMessageBody::Welcome { .. }), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn before_its_greeting_a_peer_can_send_a_greeting_and_nothing_longer() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut socket = Socket::open(server.address).await?;
    begin(&mut socket, 0x81, 9_000, 0).await?;
    assert_eq!(socket.close_code().await?, 1009);
    Ok(())
}

#[tokio::test]
async fn a_long_message_right_behind_the_greeting_is_read() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let swarm = server.publish("film").await?;
    let mut socket = Socket::open(server.address).await?;
    let hello = crate::harness::hello(swarm_core::tracker_message::TRACKER_VERSION, None);
    socket.inner.feed(Message::text(PeerRequest { id: 1, body: hello }.encode())).await?;
    let have = (0..3_000).map(|index| SegmentRun(index * 2, 1)).collect();
    let role = swarm_core::tracker_message::Role::Viewer;
    let join = PeerRequestBody::Join { swarm, role, have, playhead: None, proof: None };
    socket.inner.feed(Message::text(PeerRequest { id: 2, body: join }.encode())).await?;
    socket.inner.feed(long_request(3, 3_000)).await?;
    timeout(PATIENCE, socket.inner.flush()).await??;
    for id in 1..=3 {
        let answer = socket.receive().await?;
        assert_eq!(answer.id, Some(id), "{answer:?}");
        assert!(!matches!(answer.body, TrackerMessageBody::Error { .. }), "{answer:?}");
    }
    Ok(())
}
