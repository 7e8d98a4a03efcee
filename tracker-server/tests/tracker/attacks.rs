//! Inputs that no peer of ours sends: requests out of order, absurd values, HTTP that can be read in two ways, proofs used
//! again, storms. Each ends in an answer or a close; none changes anything for others.

use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use futures_util::SinkExt;
use swarm_core::SwarmId;
use swarm_core::publisher::{Action, Statement, TrackerName};
use swarm_core::tracker_message::{ErrorCode, PeerRequestBody, Role, SegmentRun, Signal, TrackerMessageBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tracker_server::Page;

use crate::harness::{PATIENCE, Server, Socket, code_of, key, manifest, request};

fn join(swarm: SwarmId) -> PeerRequestBody {
    PeerRequestBody::Join { swarm, role: Role::Viewer, have: vec![], playhead: None, proof: None }
}

fn offer(to: swarm_core::PeerId) -> PeerRequestBody {
    PeerRequestBody::Signal { to, signal: Signal::Offer { sdp: "v=0".into() } }
}

#[tokio::test]
async fn requests_out_of_order_are_refused_and_the_connection_goes_on() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let swarm = server.publish("film").await?;
    let mut socket = Socket::open(server.address).await?;
    let early = [
        join(swarm),
        PeerRequestBody::Have { gained: vec![SegmentRun(0, 1)], dropped: vec![] },
        PeerRequestBody::Want { segments: vec![] },
        PeerRequestBody::Leave,
    ];
    for body in early {
        let answer = socket.ask(body.clone()).await?;
        assert_eq!(code_of(&answer)?, ErrorCode::BadRequest, "{body:?}");
    }
    let (own, _) = socket.hello(None).await?;
    assert!(code_of(&socket.ask(crate::harness::hello(2, None)).await?).is_ok(), "a second greeting");
    socket.join(swarm, &[]).await?;
    assert!(code_of(&socket.ask(join(swarm)).await?).is_ok(), "a second join");
    assert!(code_of(&socket.ask(offer(own)).await?).is_ok(), "a signal to oneself");
    let (mut other, peer) = Socket::enter(server.address, swarm, &[]).await?;
    assert_eq!(socket.ask(offer(peer)).await?, TrackerMessageBody::Ok);
    // Along a link that was just closed, in both directions.
    assert_eq!(other.ask(PeerRequestBody::Leave).await?, TrackerMessageBody::Ok);
    assert_eq!(code_of(&socket.ask(offer(peer)).await?)?, ErrorCode::UnknownPeer);
    assert!(code_of(&other.ask(offer(own)).await?).is_ok());
    assert_eq!(
        socket.ask(PeerRequestBody::Have { gained: vec![], dropped: vec![] }).await?,
        TrackerMessageBody::Ok,
        "who broke the order is still there"
    );
    Ok(())
}

#[tokio::test]
async fn absurd_values_are_answered_and_never_end_the_tracker() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let swarm = server.publish("film").await?;
    let (mut socket, _) = Socket::enter(server.address, swarm, &[]).await?;
    let deep = |depth: usize| format!("{{\"id\":9,\"type\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let frames = [
        r#"{"id":4294967296,"type":"leave"}"#.to_owned(),
        r#"{"id":-1,"type":"leave"}"#.to_owned(),
        r#"{"id":1.0,"type":"leave"}"#.to_owned(),
        r#"{"id":1e400,"type":"leave"}"#.to_owned(),
        format!(r#"{{"id":{},"type":"leave"}}"#, "9".repeat(60_000)),
        r#"{"id":9,"id":9,"type":"leave","type":"join"}"#.to_owned(),
        r#"{"id":9,"type":"have","gained":[[4294967295,4294967295]],"dropped":[[0,0]]}"#.to_owned(),
        r#"{"id":9,"type":"have","gained":[[0,-1]],"dropped":[]}"#.to_owned(),
        r#"{"id":9,"type":"want","segments":[{"segments":[4294967295,4294967295],"remaining_ms":4294967295}]}"#
            .to_owned(),
        r#"{"id":9,"type":"report","received":[{"peer":"ffffffffffffffff","bytes":18446744073709551615,"failures":4294967295}],"uplink_bps":18446744073709551615,"playhead":4294967295,"ahead_ms":4294967295}"#
            .to_owned(),
        r#"{"id":9,"type":"report","received":[],"uplink_bps":18446744073709551616}"#.to_owned(),
        r#"{"id":9,"type":"signal","to":"zzzzzzzzzzzzzzzz","signal":{"kind":"offer","sdp":"\u0000\u202e\ud83d"}}"#
            .to_owned(),
        deep(120),
        deep(30_000),
        "\u{feff}{}".to_owned(),
        "null".to_owned(),
        String::new(),
    ];
    for frame in frames {
        let shown: String = frame.chars().take(80).collect();
        socket.send_raw(Message::text(frame)).await?;
        let answer = loop {
            let message = socket.receive().await.with_context(|| shown.clone())?;
            let is_answer = message.id.is_some() || code_of(&message.body).is_ok();
            if is_answer {
                break message;
            }
        };
        assert!(answer.id.is_none_or(|id| id == 9), "{shown}: {answer:?}");
    }
    assert_eq!(
        socket.ask(PeerRequestBody::Have { gained: vec![], dropped: vec![] }).await?,
        TrackerMessageBody::Ok
    );
    Ok(())
}

/// All that comes back for bytes, until the tracker closes. The sending side stays open for as long.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.context("it was not closed")??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn requests_that_two_readers_would_part_differently_get_one_answer_and_a_close() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let smuggled = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let put = format!("PUT /v1/manifests/{} HTTP/1.1\r\nhost: localhost\r\n", "0".repeat(64));
    for (name, head) in [
        ("both lengths", "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("two lengths", "content-length: 0\r\ncontent-length: 5\r\n\r\n"),
        ("a length with a sign", "content-length: +0\r\n\r\n"),
        ("lengths in one line", "content-length: 0, 5\r\n\r\n"),
        ("an unknown coding", "transfer-encoding: xchunked\r\n\r\n"),
        ("a coding that is not the last", "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        ("a folded line", "x: a\r\n transfer-encoding: chunked\r\n\r\n"),
        ("a space before the colon", "content-length : 5\r\n\r\n"),
        ("a chunk without a length", "transfer-encoding: chunked\r\n\r\nzz\r\n"),
        ("a chunk beyond all numbers", "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
        ("a zero byte", "x: a\0b\r\n\r\n"),
    ] {
        let answer = exchange(server.address, format!("{put}{head}{smuggled}").as_bytes()).await?;
        let statuses: Vec<&str> =
            answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect();
        assert!(statuses.len() <= 1, "{name}: {statuses:?} {answer}");
        assert!(statuses.iter().all(|status| status.starts_with('4')), "{name}: {answer}");
    }
    assert_eq!(server.get("/healthz").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn no_path_leads_out_of_the_folder_of_the_page() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (www, secret) = (folder.path().join("www"), folder.path().join("secret.key"));
    std::fs::create_dir(&www)?;
    std::fs::write(&secret, "confidential")?;
    std::fs::write(www.join("index.html"), "<!doctype html><title>page</title>")?;
    let server = Server::start_with(|config| config.page = Page::Directory(www.clone())).await?;
    assert_eq!(server.get("/index.html").await?.status, 200);
    for path in [
        "/../secret.key",
        "/%2e%2e/secret.key",
        "/..%2fsecret.key",
        "/%2e%2e%2fsecret.key",
        "/a/../../secret.key",
        "//../secret.key",
        "/..\\secret.key",
        "/..%5csecret.key",
        "/%252e%252e/secret.key",
        "/index.html/../../secret.key",
        "/index.html%00.js",
        "/.%00./secret.key",
        "/v1/manifests/..%2f..%2fsecret.key",
        &format!("/{}", secret.display()),
        &format!("/%2f{}", secret.display()),
    ] {
        let ask = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = exchange(server.address, ask.as_bytes()).await?;
        assert!(!answer.contains("confidential"), "{path}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn ranges_without_end_cost_no_more_than_the_file() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("index.html"), "x".repeat(10_000))?;
    let server = Server::start_with(|config| config.page = Page::Directory(folder.path().to_owned())).await?;
    let many = format!("bytes={}", vec!["0-"; 1000].join(","));
    for range in
        [many.as_str(), "bytes=18446744073709551615-", "bytes=-18446744073709551616", "bytes=9-1", "x=0-"]
    {
        let headers = [("range", range)];
        let answer = request(server.address, "GET", "/index.html", &headers, Bytes::new()).await?;
        assert!([200, 206, 416].contains(&answer.status.as_u16()), "{range:.40}: {}", answer.status);
        assert!(answer.body.len() <= 10_000, "{range:.40}: {} bytes", answer.body.len());
    }
    Ok(())
}

#[tokio::test]
async fn a_proof_serves_what_it_was_made_for_and_nothing_else() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (film, film_bytes) = manifest("film")?;
    let (other, other_bytes) = manifest("other")?;
    for (swarm, bytes) in [(film, &film_bytes), (other, &other_bytes)] {
        assert_eq!(server.act(&key(), Action::List, swarm, bytes.clone()).await?.status, 201);
    }
    let challenge = server.get("/v1/challenge").await?.text().trim().parse()?;
    let tracker = TrackerName::of(&server.address.to_string());
    let sign = |action, tracker| {
        let signature = key().sign(&Statement::Publication { action, swarm: film, tracker, challenge });
        format!("{challenge}.{signature}")
    };
    let listing = sign(Action::List, tracker);
    let elsewhere = sign(Action::Remove, TrackerName::of("elsewhere.example"));
    let removing = sign(Action::Remove, tracker);
    let address = server.address;
    let ask = |method: &'static str, swarm: SwarmId, proof: String| async move {
        let path = format!("/v1/manifests/{swarm}");
        let headers = [("tributary-proof", proof.as_str())];
        anyhow::Ok(request(address, method, &path, &headers, Bytes::new()).await?.status.as_u16())
    };
    let signature = removing.split_once('.').context("a proof")?.1.to_owned();
    let forged = format!("{}.{signature}", "0".repeat(64));
    for (swarm, proof) in [
        (film, listing),
        (film, elsewhere),
        (other, removing.clone()),
        (film, forged),
        (film, format!("{removing}00")),
        (film, format!("{removing}.{removing}")),
        (film, String::new()),
        (film, ".".to_owned()),
        (film, "f".repeat(5000)),
    ] {
        let status = ask("DELETE", swarm, proof.clone()).await?;
        assert_eq!(status, 403, "{proof:.80}");
    }
    assert_eq!(ask("DELETE", film, removing).await?, 200);
    Ok(())
}

#[tokio::test]
async fn an_older_proof_does_not_undo_what_the_publisher_asked_for_since() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (swarm, bytes) = manifest("film")?;
    let tracker = TrackerName::of(&server.address.to_string());
    let sign = async |action| {
        let challenge = server.get("/v1/challenge").await?.text().trim().parse()?;
        let signature = key().sign(&Statement::Publication { action, swarm, tracker, challenge });
        anyhow::Ok(format!("{challenge}.{signature}"))
    };
    let put = async |query: &str, proof: &str| {
        let path = format!("/v1/manifests/{swarm}{query}");
        let headers = [("tributary-proof", proof)];
        anyhow::Ok(
            request(server.address, "PUT", &path, &headers, bytes.clone().into()).await?.status.as_u16(),
        )
    };
    let (listing, publishing) = (sign(Action::List).await?, sign(Action::Publish).await?);
    assert_eq!(put("?list=true", &listing).await?, 201);
    assert_eq!(put("?list=true", &listing).await?, 200, "to the same effect");
    assert_eq!(put("", &publishing).await?, 200);
    assert_eq!(put("?list=true", &listing).await?, 503);
    assert!(!server.get("/v1/swarms").await?.text().contains("film"));
    let path = format!("/v1/manifests/{swarm}");
    let removing = sign(Action::Remove).await?;
    let headers = [("tributary-proof", removing.as_str())];
    assert_eq!(request(server.address, "DELETE", &path, &headers, Bytes::new()).await?.status, 200);
    assert_eq!(put("", &publishing).await?, 503);
    assert_eq!(put("?list=true", &listing).await?, 503);
    assert_eq!(server.get(&path).await?.status, 404);
    assert_eq!(put("", &sign(Action::Publish).await?).await?, 201, "the publisher changes its mind");
    Ok(())
}

#[tokio::test]
async fn headers_that_two_readers_would_read_differently_are_refused() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.tracker.token = Some("friend".into())).await?;
    let host = format!("host: {}\r\n", server.address);
    let own = format!("{host}origin: http://{}\r\n", server.address);
    let friend = "authorization: Bearer friend\r\n";
    for (head, status) in [
        (format!("{host}{friend}"), "200"),
        (format!("{host}authorization: bEARER friend\r\n"), "200"),
        (format!("{host}{friend}authorization: Bearer foe\r\n"), "401"),
        (format!("{host}authorization: Bearer foe\r\n{friend}"), "401"),
        (format!("{host}{friend}{friend}"), "401"),
        (format!("{host}{host}{friend}"), "400"),
        (format!("{host}host: evil.example\r\n{friend}"), "400"),
        (format!("host: \u{e9}vil.example\r\n{friend}"), "400"),
        (friend.to_owned(), "400"),
        (format!("{own}{friend}"), "200"),
        (format!("{own}origin: https://evil.example\r\n{friend}"), "403"),
        (format!("{host}origin: https://\u{e9}vil.example\r\n{friend}"), "403"),
    ] {
        let ask = format!("GET /v1/swarms HTTP/1.1\r\nconnection: close\r\n{head}\r\n");
        let answer = exchange(server.address, ask.as_bytes()).await?;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {answer}");
    }
    let foreign =
        format!("GET http://evil.example/v1/swarms HTTP/1.1\r\nconnection: close\r\n{host}{friend}\r\n");
    assert!(exchange(server.address, foreign.as_bytes()).await?.starts_with("HTTP/1.1 421"));
    let old = format!("GET /v1/swarms HTTP/1.0\r\n{friend}\r\n");
    assert!(exchange(server.address, old.as_bytes()).await?.contains(" 200 OK"));
    Ok(())
}

#[tokio::test]
async fn a_storm_of_joins_and_departures_leaves_nothing_behind() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let swarm = server.publish("film").await?;
    let (mut honest, _) = Socket::enter(server.address, swarm, &[]).await?;
    for round in 0..60 {
        let (mut socket, _) = Socket::enter(server.address, swarm, &[SegmentRun(0, 3)]).await?;
        match round % 3 {
            0 => drop(socket.ask(PeerRequestBody::Leave).await?),
            // Half-open: the other half goes without a word.
            1 => drop(socket),
            _ => drop(socket.inner.close(None).await),
        }
    }
    server.wait_for_metric("tributary_tracker_connections 1").await?;
    server.wait_for_metric("tributary_tracker_peers 1").await?;
    assert_eq!(
        honest.ask(PeerRequestBody::Have { gained: vec![], dropped: vec![] }).await?,
        TrackerMessageBody::Ok
    );
    Ok(())
}

#[tokio::test]
async fn a_flood_of_pings_is_refused_then_closed() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut socket = Socket::open(server.address).await?;
    socket.hello(None).await?;
    for _ in 0..1000 {
        socket.inner.feed(Message::Ping(Bytes::new())).await?;
    }
    socket.inner.flush().await?;
    assert_eq!(socket.close_code().await?, 1008);
    Ok(())
}
