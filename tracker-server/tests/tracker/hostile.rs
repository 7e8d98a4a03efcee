//! What the tracker does about those that break the rules.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use futures_util::SinkExt;
use swarm_core::tracker_message::{ErrorCode, PeerRequestBody, Signal, TrackerMessageBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use tracker_server::Page;
use tracker_server::REFUSAL_PAUSE;
use tracker_server::decision::Rate;

use crate::harness::{PATIENCE, Server, Socket, code_of, manifest, request};

#[tokio::test]
async fn what_is_no_request_is_answered_not_ignored() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut socket = Socket::open(server.address).await?;
    for (frame, id) in [
        (Message::text("{"), None),
        (Message::text(r#"{"id":5,"type":"dance"}"#), Some(5)),
        (Message::text(r#"{"id":6,"type":"leave"}"#), Some(6)),
        (Message::text(r#"[1,2,3]"#), None),
        (Message::binary(&b"hello"[..]), None),
    ] {
        socket.send_raw(frame.clone()).await?;
        let answer = socket.receive().await?;
        assert_eq!((answer.id, code_of(&answer.body)?), (id, ErrorCode::BadRequest), "{frame:?}");
    }
    socket.hello(None).await?;
    Ok(())
}

#[tokio::test]
async fn a_frame_beyond_the_limit_closes_the_connection() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut socket = Socket::open(server.address).await?;
    socket.hello(None).await?;
    socket.send_raw(Message::text("x".repeat(65_537))).await?;
    assert_eq!(socket.close_code().await?, 1009);
    Ok(())
}

#[tokio::test]
async fn who_says_nothing_is_closed() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.deadlines.hello = Duration::from_millis(50)).await?;
    let mut socket = Socket::open(server.address).await?;
    assert_eq!(socket.close_code().await?, 1002);
    Ok(())
}

#[tokio::test]
async fn who_answers_no_ping_is_closed_and_leaves_its_swarm() -> anyhow::Result<()> {
    let server = Server::start_with(|config| {
        config.deadlines.hello = Duration::from_millis(200);
        config.deadlines.ping = Duration::from_millis(100);
    })
    .await?;
    let swarm = server.publish("film").await?;
    // Pongs are sent while reading; this socket is not read from.
    let (mut silent, _) = Socket::enter(server.address, swarm, &[]).await?;
    server.wait_for_metric("tributary_tracker_closes_total{reason=\"silent\"} 1").await?;
    server.wait_for_metric("tributary_tracker_peers 0").await?;
    assert_eq!(silent.close_code().await?, 1008);
    Ok(())
}

#[tokio::test]
async fn who_answers_pings_stays() -> anyhow::Result<()> {
    let server = Server::start_with(|config| {
        config.deadlines.hello = Duration::from_millis(20);
        config.deadlines.ping = Duration::from_millis(20);
    })
    .await?;
    let mut socket = Socket::open(server.address).await?;
    socket.hello(None).await?;
    use futures_util::StreamExt;
    for _ in 0..10 {
        let frame = timeout(PATIENCE, socket.inner.next()).await?;
        assert!(matches!(frame, Some(Ok(Message::Ping(_)))), "{frame:?}");
        socket.inner.flush().await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_does_not_read_is_closed_and_does_not_hold_up_others() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.deadlines.send = Duration::from_millis(300)).await?;
    let swarm = server.publish("film").await?;
    let (_deaf, deaf_id) = Socket::enter(server.address, swarm, &[]).await?;
    let is_gone = async {
        let sdp = "x".repeat(16_000);
        loop {
            let (mut talker, _) = Socket::enter(server.address, swarm, &[]).await?;
            for _ in 0..400 {
                let signal = Signal::Offer { sdp: sdp.clone() };
                let answer = talker.ask(PeerRequestBody::Signal { to: deaf_id, signal }).await?;
                if answer == TrackerMessageBody::Ok {
                    continue;
                }
                let code = code_of(&answer)?;
                if code != ErrorCode::RateLimited {
                    return anyhow::Ok(code);
                }
                // The budget of this link is used up, or enough waits: the next talker goes on.
                break;
            }
        }
    };
    assert_eq!(timeout(PATIENCE * 2, is_gone).await??, ErrorCode::UnknownPeer);
    server.wait_for_metric("tributary_tracker_closes_total{reason=\"slow_reader\"} 1").await?;
    Ok(())
}

#[tokio::test]
async fn signals_never_close_the_peer_that_they_are_sent_to() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let swarm = server.publish("film").await?;
    let (mut victim, victim_id) = Socket::enter(server.address, swarm, &[]).await?;
    let mut refused = 0;
    for _ in 0..40 {
        let (mut talker, _) = Socket::enter(server.address, swarm, &[]).await?;
        for _ in 0..16 {
            let signal = Signal::Offer { sdp: "x".repeat(16_000) };
            let answer = talker.ask(PeerRequestBody::Signal { to: victim_id, signal }).await?;
            if answer != TrackerMessageBody::Ok {
                assert_eq!(code_of(&answer)?, ErrorCode::RateLimited);
                refused += 1;
            }
        }
    }
    assert!(refused >= 40 * 12, "{refused}");
    let leave = victim.ask(PeerRequestBody::Leave).await?;
    assert_eq!(leave, TrackerMessageBody::Ok, "the victim reads late and is still there");
    Ok(())
}

#[tokio::test]
async fn a_flood_is_refused_then_closed() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut socket = Socket::open(server.address).await?;
    for _ in 0..1000 {
        socket.inner.feed(Message::text("{")).await?;
    }
    socket.inner.flush().await?;
    assert_eq!(socket.close_code().await?, 1008);
    Ok(())
}

#[tokio::test]
async fn an_address_that_has_enough_connections_is_told_so() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.tracker.connections_per_address_max = 1).await?;
    let mut first = Socket::open(server.address).await?;
    first.hello(None).await?;
    let mut second = Socket::open(server.address).await?;
    let refused = second.receive().await?;
    assert_eq!((refused.id, code_of(&refused.body)?), (None, ErrorCode::Full));
    assert_eq!(second.close_code().await?, 1013);
    drop(first);
    server.wait_for_metric("tributary_tracker_connections 0").await?;
    Socket::open(server.address).await?.hello(None).await?;
    Ok(())
}

#[tokio::test]
async fn a_connection_beyond_the_last_place_is_not_served() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.connections_max = 1).await?;
    let mut only = Socket::open(server.address).await?;
    only.hello(None).await?;
    let refused = server.get("/healthz").await?;
    assert_eq!(
        (refused.status.as_u16(), &refused.text()[..]),
        (503, "the tracker is full; try again later\n")
    );
    drop(only);
    let is_served = async { while server.get("/healthz").await.is_ok_and(|answer| answer.status != 200) {} };
    timeout(PATIENCE, is_served).await?;
    Ok(())
}

/// Connections that are open and say nothing.
async fn idle(server: &Server, count: usize) -> anyhow::Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        streams.push(TcpStream::connect(server.address).await?);
    }
    Ok(streams)
}

#[tokio::test]
async fn idle_connections_of_one_address_leave_room_for_others_and_the_next_hears_why() -> anyhow::Result<()>
{
    let server = Server::start_with(|config| config.connections_max = 200).await?;
    let _idle = idle(&server, 100).await?;
    let refused = async {
        loop {
            let answer = server.get("/healthz").await?;
            if answer.status == 503 {
                return anyhow::Ok(answer.text());
            }
        }
    };
    let text = timeout(PATIENCE, refused).await??;
    assert_eq!(text, "too many connections from your network; try again later\n");
    let elsewhere = request_from([127, 1, 2, 3], server.address, "/healthz").await?;
    assert!(elsewhere.starts_with("HTTP/1.1 200"), "{elsewhere}");
    Ok(())
}

/// An answer as it came, to a request from another address of this machine.
async fn request_from(from: [u8; 4], to: SocketAddr, path: &str) -> anyhow::Result<String> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let exchange = async {
        let mut stream = socket.connect(to).await?;
        let head = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    timeout(PATIENCE, exchange).await?
}

#[tokio::test]
async fn a_connection_that_says_nothing_at_first_or_after_a_request_is_closed() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.deadlines.header = Duration::from_millis(50)).await?;
    for head in ["", "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.address).await?;
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
    }
    Ok(())
}

#[tokio::test]
async fn who_asks_and_does_not_read_is_cut() -> anyhow::Result<()> {
    let www = tempfile::tempdir()?;
    std::fs::write(www.path().join("long"), vec![0; 64 << 20])?;
    let directory = www.path().to_owned();
    let server = Server::start_with(|config| {
        config.page = Page::Directory(directory);
        config.connections_max = 1;
        config.deadlines.send = Duration::from_millis(100);
    })
    .await?;
    let mut stream = TcpStream::connect(server.address).await?;
    stream.write_all(b"GET /long HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await?;
    // The only place is free again although nothing was read.
    let is_served = async { while server.get("/healthz").await.is_ok_and(|answer| answer.status != 200) {} };
    timeout(PATIENCE, is_served).await?;
    drop(stream);
    Ok(())
}

#[tokio::test]
async fn who_reads_an_answer_for_ever_is_cut() -> anyhow::Result<()> {
    let www = tempfile::tempdir()?;
    std::fs::write(www.path().join("long"), vec![0; 64 << 20])?;
    let directory = www.path().to_owned();
    let server = Server::start_with(|config| {
        config.page = Page::Directory(directory);
        config.deadlines.plain = Duration::from_millis(200);
    })
    .await?;
    let mut stream = TcpStream::connect(server.address).await?;
    stream.write_all(b"GET /long HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await?;
    let drip = async {
        let mut byte = [0; 4096];
        let mut length = 0;
        while let Ok(count @ 1..) = stream.read(&mut byte).await {
            length += count;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        length
    };
    assert!(timeout(PATIENCE, drip).await? < 64 << 20);
    Ok(())
}

#[tokio::test]
async fn a_head_that_does_not_arrive_is_cut() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.deadlines.header = Duration::from_millis(50)).await?;
    let mut stream = TcpStream::connect(server.address).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: tracker\r\nx-slow: ").await?;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_flood_of_publications_is_refused_and_the_title_of_another_stays() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 1, 2, 3], 0).into())?;
    let (title, bytes) = manifest("title of another address")?;
    let mut stream = socket.connect(server.address).await?;
    let head = format!(
        "PUT /v1/manifests/{title} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        bytes.len()
    );
    stream.write_all(&[head.as_bytes(), &bytes].concat()).await?;
    stream.read_to_end(&mut Vec::new()).await?;
    let mut refused = None;
    for index in 0..700 {
        let (swarm, bytes) = manifest(&format!("flood {index}"))?;
        let answer = server.put(&format!("/v1/manifests/{swarm}"), bytes).await?;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.context("nothing was refused")?;
    assert!(refused.text().starts_with("too many publications from your address"), "{}", refused.text());
    assert_eq!(server.get(&format!("/v1/manifests/{title}")).await?.status, 200);
    let metrics = server.metrics().await?.text();
    assert!(metrics.contains("tributary_tracker_manifests 513"), "its quota and the title: {metrics}");
    Ok(())
}

#[tokio::test]
async fn a_head_without_end_is_refused() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let long = "x".repeat(100_000);
    let headers = [("x-long", long.as_str())];
    // It may also be cut off while it still sends, which reads as an error.
    if let Ok(answer) = request(server.address, "GET", "/healthz", &headers, Bytes::new()).await {
        assert_eq!(answer.status, 431);
    }
    assert_eq!(server.get("/healthz").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_flood_of_requests_from_one_address_is_refused_and_others_are_served() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.requests = Rate { per_s: 1, burst: 20 }).await?;
    let mut refused = None;
    for _ in 0..40 {
        let began = Instant::now();
        let answer = request_from([127, 8, 8, 8], server.address, "/v1/swarms").await?;
        if answer.starts_with("HTTP/1.1 429") {
            refused = Some((answer, began.elapsed()));
            break;
        }
    }
    let (refused, waited) = refused.context("nothing was refused")?;
    assert!(
        waited >= REFUSAL_PAUSE,
        "a refusal is answered after {waited:?}, as fast as the next can be asked for"
    );
    assert!(refused.contains("retry-after: 1"), "{refused}");
    assert!(refused.ends_with("too many requests from your address; try again in 1 s\n"), "{refused}");
    assert_eq!(server.get("/healthz").await?.status, 200);
    Ok(())
}
