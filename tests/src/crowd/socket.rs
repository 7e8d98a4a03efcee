//! Connections to a tracker from a chosen address: WebSockets with the tracker's messages, and plain HTTP.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use swarm_core::SwarmId;
use swarm_core::tracker_message::{
    PeerRequest, PeerRequestBody, Role, SegmentRun, TRACKER_VERSION, TrackerMessage, TrackerMessageBody,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, protocol::WebSocketConfig};

/// Bytes of each buffer of a socket: there are thousands of them.
const BUFFER_BYTES: usize = 4096;

/// A WebSocket to a tracker.
#[derive(Debug)]
pub struct Socket {
    inner: WebSocketStream<TcpStream>,
    next_id: u32,
}

impl Socket {
    /// Connects from an address of this machine.
    pub async fn open(tracker: SocketAddr, from: IpAddr) -> Result<Self> {
        let stream = connect(tracker, from).await?;
        stream.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(0);
        let url = format!("ws://{tracker}/v1/swarm");
        let opened = tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await;
        let (inner, _) = opened.context("no WebSocket")?;
        Ok(Self { inner, next_id: 0 })
    }

    /// Sends a request; its id.
    pub async fn send(&mut self, body: PeerRequestBody) -> Result<u32> {
        self.next_id += 1;
        let id = self.next_id;
        self.send_frame(Message::text(PeerRequest { id, body }.encode())).await?;
        Ok(id)
    }

    /// Sends any frame.
    pub async fn send_frame(&mut self, frame: Message) -> Result<()> {
        Ok(self.inner.send(frame).await?)
    }

    /// The tracker's next message; an error if it closes.
    pub async fn receive(&mut self) -> Result<TrackerMessage> {
        loop {
            match self.inner.next().await.context("the tracker ended the connection")?? {
                Message::Text(text) => return Ok(TrackerMessage::decode(&text)?),
                Message::Close(frame) => bail!("the tracker closed the connection: {frame:?}"),
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Sends a request and skips what is no answer to it.
    pub async fn ask(&mut self, body: PeerRequestBody) -> Result<TrackerMessage> {
        let id = self.send(body).await?;
        loop {
            let message = self.receive().await?;
            if message.id == Some(id) {
                return Ok(message);
            }
        }
    }
}

/// A greeting of a peer that is new.
pub fn hello() -> PeerRequestBody {
    PeerRequestBody::Hello {
        version: TRACKER_VERSION,
        capabilities: Vec::new(),
        uplink_bps: 10_000_000,
        token: None,
        resume: None,
    }
}

/// What a viewer that holds nothing says to enter a swarm.
pub fn join(swarm: SwarmId) -> PeerRequestBody {
    PeerRequestBody::Join { swarm, role: Role::Viewer, have: Vec::new(), playhead: None, proof: None }
}

/// What a viewer says each second; the number of a message chooses the segment.
pub fn have(number: u32) -> PeerRequestBody {
    PeerRequestBody::Have { gained: vec![SegmentRun(number % 4, 1)], dropped: Vec::new() }
}

/// What a viewer that plays without stalls reports.
pub fn report(number: u32) -> PeerRequestBody {
    PeerRequestBody::Report {
        received: Vec::new(),
        uplink_bps: 10_000_000,
        playhead: Some(number % 4),
        ahead_ms: Some(10_000),
    }
}

/// An error if the tracker answered with one.
pub fn accepted(answer: TrackerMessage) -> Result<()> {
    if let TrackerMessageBody::Error { text, .. } = answer.body {
        bail!("the tracker refuses: {text}");
    }
    Ok(())
}

/// A TCP connection from an address of this machine.
pub async fn connect(tracker: SocketAddr, from: IpAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0)).with_context(|| format!("no socket at {from}"))?;
    socket.connect(tracker).await.with_context(|| format!("no connection from {from} to {tracker}"))
}

/// The status of the answer to `PUT`.
pub async fn put(tracker: SocketAddr, from: IpAddr, path: &str, body: &[u8]) -> Result<u16> {
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {tracker}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    request(tracker, from, &[head.as_bytes(), body].concat()).await
}

/// The status of the answer to `GET`, after all of it was read. `header` is a line more of the head.
pub async fn get(tracker: SocketAddr, from: IpAddr, path: &str, header: &str) -> Result<u16> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: {tracker}\r\nconnection: close\r\n{header}\r\n\r\n");
    request(tracker, from, head.as_bytes()).await
}

async fn request(tracker: SocketAddr, from: IpAddr, bytes: &[u8]) -> Result<u16> {
    let mut stream = connect(tracker, from).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let status = String::from_utf8_lossy(line).split(' ').nth(1).and_then(|word| word.parse().ok());
    status.context("no answer of HTTP")
}
