//! Measures what an idle connection costs a running tracker in memory, and how fast it answers meanwhile.
//!
//! ```text
//! tracker-server --listen 127.0.0.1:8080 --connections-per-address-max 100000 &
//! cargo run --release -p tracker-server --example idle -- 127.0.0.1:8080 PID 2000
//! ```
//!
//! Opens the given number of WebSockets, says hello and joins one swarm on each, waits until the tracker has
//! nothing more to say, and prints by how much the resident memory of process PID grew for each. Then it
//! announces a segment on each in turn and prints the median time to the answer. Reads `/proc`, so Linux only;
//! the limit on open files must allow for the sockets.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::Request;
use hyper_util::rt::TokioIo;
use swarm_core::group::Geometry;
use swarm_core::manifest::{Mirrors, Seal};
use swarm_core::segmentation::doubling;
use swarm_core::tracker_message::{
    ErrorCode, PeerRequest, PeerRequestBody, Role, SegmentRun, TRACKER_VERSION, TrackerMessage,
    TrackerMessageBody,
};
use swarm_core::{ContentRoot, Manifest, SecretKey, SwarmId};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, pid, count] = &arguments[..] else { anyhow::bail!("usage: idle HOST:PORT PID COUNT") };
    let address: SocketAddr = address.parse().context("HOST:PORT must be an address")?;
    let count: usize = count.parse().context("COUNT must be a number")?;
    let swarm = publish(address).await?;
    // The first ones pay for what is made once: worker stacks, the allocator's arenas, the largest tables.
    let mut sockets = enter_many(address, swarm, count / 10).await?;
    let before = resident_bytes(pid)?;
    let warm = sockets.len();
    sockets.extend(enter_many(address, swarm, count).await?);
    // Nobody is introduced any more once those who came last have heard of one another.
    for socket in &mut sockets {
        while let Ok(frame) = timeout(Duration::from_millis(1), socket.next()).await {
            frame.context("the tracker closed a connection that should be idle")??;
        }
    }
    let after = resident_bytes(pid)?;
    let grown = after.saturating_sub(before);
    println!("{warm} connections: {before} bytes; {count} more: {after} bytes");
    println!("{} bytes for each idle connection", grown / count.max(1) as u64);
    let mut times = Vec::with_capacity(sockets.len());
    for socket in &mut sockets {
        times.push(announce(socket).await?);
    }
    times.sort_unstable();
    if let Some(median) = times.get(times.len() / 2) {
        println!("{median:?} from an announcement to its answer, median");
    }
    Ok(())
}

/// Tells the tracker of a segment; how long the answer took.
async fn announce(socket: &mut Socket) -> anyhow::Result<Duration> {
    let id = 3;
    let body = PeerRequestBody::Have { gained: vec![SegmentRun(0, 1)], dropped: vec![] };
    let frame = Message::text(PeerRequest { id, body }.encode());
    let began = Instant::now();
    socket.send(frame).await?;
    loop {
        let frame = socket.next().await.context("the tracker closed the connection")??;
        if frame.is_text() && TrackerMessage::decode(frame.to_text()?)?.id == Some(id) {
            return Ok(began.elapsed());
        }
    }
}

async fn enter_many(address: SocketAddr, swarm: SwarmId, count: usize) -> anyhow::Result<Vec<Socket>> {
    let mut sockets = Vec::with_capacity(count);
    while sockets.len() < count {
        match enter(address, swarm).await? {
            Some(socket) => sockets.push(socket),
            // All come from one address, which may not knock any faster.
            None => sleep(Duration::from_millis(100)).await,
        }
    }
    Ok(sockets)
}

/// A connection that has joined; none if the tracker refused it for its rate.
async fn enter(address: SocketAddr, swarm: SwarmId) -> anyhow::Result<Option<Socket>> {
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/v1/swarm")).await?;
    let hello = PeerRequestBody::Hello {
        version: TRACKER_VERSION,
        capabilities: vec![],
        uplink_bps: 10_000_000,
        token: None,
        resume: None,
    };
    let join = PeerRequestBody::Join { swarm, role: Role::Viewer, have: vec![], playhead: None, proof: None };
    for (id, body) in [(1, hello), (2, join)] {
        socket.send(Message::text(PeerRequest { id, body }.encode())).await?;
        let answer = socket.next().await.context("the tracker closed the connection")??;
        let answer = TrackerMessage::decode(answer.to_text()?)?.body;
        if let TrackerMessageBody::Error { code: ErrorCode::RateLimited, .. } = answer {
            return Ok(None);
        } else if let TrackerMessageBody::Error { text, .. } = answer {
            anyhow::bail!("the tracker refuses: {text}");
        }
    }
    Ok(Some(socket))
}

async fn publish(address: SocketAddr) -> anyhow::Result<SwarmId> {
    let length_bytes = 30_000_000;
    let manifest = Manifest {
        seal: Seal::default(),
        name: "idle".into(),
        title: None,
        media_type: "video/mp4".into(),
        length_bytes,
        root: ContentRoot([0; 32]),
        segments: doubling(Geometry::new(length_bytes)),
        duration_ms: None,
        chapters: Vec::new(),
        author: None,
        created_s: 0,
        trackers: vec![],
        attachments: Vec::new(),
        mirrors: Mirrors::default(),
    };
    let manifest = manifest.signed_by(&SecretKey::from_bytes(&[1; 32]))?;
    let swarm = manifest.swarm_id()?;
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let body = Full::new(Bytes::from(manifest.to_bytes()?));
    let request = Request::put(format!("/v1/manifests/{swarm}")).header("host", "tracker").body(body)?;
    let status = sender.send_request(request).await?.status();
    connection.abort();
    anyhow::ensure!(status.is_success(), "the manifest was refused: {status}");
    Ok(swarm)
}

fn resident_bytes(pid: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("no such process")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kibibytes: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kibibytes * 1024)
}
