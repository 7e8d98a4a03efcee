//! A server on a free port, a WebSocket that speaks the protocol, and HTTP requests. Every wait has a deadline.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use swarm_core::group::Geometry;
use swarm_core::manifest::{Attachment, AttachmentKind, Mirrors, Seal};
use swarm_core::publisher::{Action, Statement, TrackerName};
use swarm_core::segmentation::doubling;
use swarm_core::tracker_message::{
    ErrorCode, PeerRequest, PeerRequestBody, Role, SegmentRun, TRACKER_VERSION, TrackerMessage,
    TrackerMessageBody,
};
use swarm_core::{ContentRoot, Manifest, PeerId, SecretKey, SwarmId};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tracker_server::{Listeners, Page, ServerConfig};

/// Nothing that is waited for takes anywhere near as long on a machine that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Where `/metrics` is.
    pub(crate) private: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut ServerConfig)) -> anyhow::Result<Self> {
        let mut config = ServerConfig::new(1, b"secret");
        config.page = Page::Directory("no-such-directory".into());
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let observed = TcpListener::bind("127.0.0.1:0").await?;
        let private = observed.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let listeners = Listeners { public: vec![listener], private: Some(observed), ..Listeners::default() };
        let task = tokio::spawn(async {
            let stopped = async { _ = stopped.await };
            let ended = tracker_server::serve(config, listeners, stopped).await;
            assert!(ended.is_ok(), "{ended:?}");
        });
        Ok(Self { address, private, stop, task })
    }

    /// Tells the server to stop; the handle is done when it has.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        _ = self.stop.send(());
        self.task
    }

    /// Ends the server as a crash does: without a word to its peers.
    pub(crate) fn kill(self) {
        self.task.abort();
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        request(self.address, "GET", path, &[], Bytes::new()).await
    }

    pub(crate) async fn metrics(&self) -> anyhow::Result<Answer> {
        request(self.private, "GET", "/metrics", &[], Bytes::new()).await
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<Bytes>) -> anyhow::Result<Answer> {
        request(self.address, "PUT", path, &[], body.into()).await
    }

    /// Publishes a content of some segments under `name`.
    pub(crate) async fn publish(&self, name: &str) -> anyhow::Result<SwarmId> {
        let (swarm, bytes) = manifest(name)?;
        let answer = self.act(&key(), Action::List, swarm, bytes).await?;
        anyhow::ensure!(answer.status == StatusCode::CREATED, "{answer:?}");
        Ok(swarm)
    }

    /// Has something done with a publication, with a signature over a fresh challenge.
    pub(crate) async fn act(
        &self,
        key: &SecretKey,
        action: Action,
        swarm: SwarmId,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let challenge = self.get("/v1/challenge").await?.text().trim().parse()?;
        let tracker = TrackerName::of(&self.address.to_string());
        let signature = key.sign(&Statement::Publication { action, swarm, tracker, challenge });
        let proof = format!("{challenge}.{signature}");
        let (method, query) = match action {
            Action::Publish => ("PUT", ""),
            Action::List => ("PUT", "?list=true"),
            Action::Remove => ("DELETE", ""),
        };
        let path = format!("/v1/manifests/{swarm}{query}");
        request(self.address, method, &path, &[("tributary-proof", &proof)], body.into()).await
    }

    /// Waits until `/metrics` has this line.
    pub(crate) async fn wait_for_metric(&self, line: &str) -> anyhow::Result<()> {
        let wait = async {
            loop {
                if self.metrics().await?.text().lines().any(|found| found == line) {
                    return anyhow::Ok(());
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, wait).await.with_context(|| format!("the metric never came: {line}"))?
    }
}

/// The publisher's.
pub(crate) fn key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32])
}

/// A manifest of three segments, and the id of its swarm.
pub(crate) fn manifest(name: &str) -> anyhow::Result<(SwarmId, Vec<u8>)> {
    let manifest = described(name, Vec::new());
    let manifest = manifest.signed_by(&key())?;
    Ok((manifest.swarm_id()?, manifest.to_bytes()?))
}

/// A WebP of four pixels, as far as its header tells.
pub(crate) const POSTER: &[u8] = b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x01\0\0\x01\0\0";

/// The same with a poster.
pub(crate) fn manifest_with_poster(media_type: &str, bytes: &[u8]) -> anyhow::Result<(SwarmId, Vec<u8>)> {
    let poster = Attachment {
        kind: AttachmentKind::Poster,
        media_type: media_type.into(),
        language: None,
        label: None,
        bytes: Bytes::copy_from_slice(bytes),
    };
    let manifest = described("pictured", vec![poster]);
    let manifest = manifest.signed_by(&key())?;
    Ok((manifest.swarm_id()?, manifest.to_bytes()?))
}

fn described(name: &str, attachments: Vec<Attachment>) -> Manifest {
    let length_bytes = 400_000;
    Manifest {
        seal: Seal::default(),
        name: name.into(),
        title: None,
        media_type: "video/mp4".into(),
        length_bytes,
        root: ContentRoot([3; 32]),
        segments: doubling(Geometry::new(length_bytes)),
        duration_ms: Some(5000),
        chapters: Vec::new(),
        author: None,
        created_s: 1,
        trackers: vec![],
        attachments,
        mirrors: Mirrors::default(),
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// One request on a connection of its own.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> anyhow::Result<Answer> {
    let exchange = async {
        let stream = TokioIo::new(TcpStream::connect(address).await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(Full::new(body))?).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await?.to_bytes();
        connection.abort();
        anyhow::Ok(Answer { status, headers, body })
    };
    timeout(PATIENCE, exchange).await.context("no answer to an HTTP request")?
}

/// A peer's end of a connection to the tracker.
pub(crate) struct Socket {
    pub(crate) inner: WebSocketStream<MaybeTlsStream<TcpStream>>,
    id: u32,
    notices: VecDeque<TrackerMessageBody>,
}

impl Socket {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let open = tokio_tungstenite::connect_async(format!("ws://{address}/v1/swarm"));
        Ok(Self::over(timeout(PATIENCE, open).await??.0))
    }

    /// The peer's end of a WebSocket that is open.
    pub(crate) const fn over(inner: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        Self { inner, id: 0, notices: VecDeque::new() }
    }

    /// A peer that is in the swarm.
    pub(crate) async fn enter(
        address: SocketAddr,
        swarm: SwarmId,
        have: &[SegmentRun],
    ) -> anyhow::Result<(Self, PeerId)> {
        let mut socket = Self::open(address).await?;
        let (peer, _) = socket.hello(None).await?;
        socket.join(swarm, have).await?;
        Ok((socket, peer))
    }

    pub(crate) async fn send_raw(&mut self, message: Message) -> anyhow::Result<()> {
        Ok(timeout(PATIENCE, self.inner.send(message)).await??)
    }

    /// The next message, answer or notice.
    pub(crate) async fn receive(&mut self) -> anyhow::Result<TrackerMessage> {
        Ok(TrackerMessage::decode(&self.receive_text().await?)?)
    }

    /// The next message as it is written.
    pub(crate) async fn receive_text(&mut self) -> anyhow::Result<String> {
        loop {
            let frame = timeout(PATIENCE, self.inner.next()).await.context("no message came")?;
            match frame.context("the socket ended")?? {
                Message::Text(text) => return Ok(text.to_string()),
                Message::Ping(_) | Message::Pong(_) => {}
                other @ (Message::Binary(_) | Message::Close(_) | Message::Frame(_)) => {
                    bail!("came: {other:?}")
                }
            }
        }
    }

    /// Sends a request and waits for its answer; what comes before it is kept for [`Self::notice`].
    pub(crate) async fn ask(&mut self, body: PeerRequestBody) -> anyhow::Result<TrackerMessageBody> {
        self.id += 1;
        let id = self.id;
        self.send_raw(Message::text(PeerRequest { id, body }.encode())).await?;
        loop {
            let message = self.receive().await?;
            match message.id {
                Some(answered) if answered == id => return Ok(message.body),
                Some(other) => bail!("an answer to {other} came while {id} was asked"),
                None => self.notices.push_back(message.body),
            }
        }
    }

    pub(crate) async fn notice(&mut self) -> anyhow::Result<TrackerMessageBody> {
        if let Some(notice) = self.notices.pop_front() {
            return Ok(notice);
        }
        let message = self.receive().await?;
        anyhow::ensure!(message.id.is_none(), "no notice: {message:?}");
        Ok(message.body)
    }

    /// Says hello; who the peer is, and its resume token.
    pub(crate) async fn hello(&mut self, resume: Option<String>) -> anyhow::Result<(PeerId, String)> {
        let answer = self.ask(hello(TRACKER_VERSION, resume)).await?;
        let TrackerMessageBody::Welcome { peer, resume, .. } = answer else {
            bail!("no welcome: {answer:?}")
        };
        Ok((peer, resume))
    }

    /// Joins; seeders and leechers.
    pub(crate) async fn join(&mut self, swarm: SwarmId, have: &[SegmentRun]) -> anyhow::Result<(u32, u32)> {
        let body = PeerRequestBody::Join {
            swarm,
            role: Role::Viewer,
            have: have.to_vec(),
            playhead: None,
            proof: None,
        };
        let answer = self.ask(body).await?;
        let TrackerMessageBody::Swarm { seeders, leechers, .. } = answer else {
            bail!("not joined: {answer:?}")
        };
        Ok((seeders, leechers))
    }

    /// Reads to the close frame; its status.
    pub(crate) async fn close_code(&mut self) -> anyhow::Result<u16> {
        loop {
            let frame = timeout(PATIENCE, self.inner.next()).await.context("the socket was not closed")?;
            let frame = frame.context("the socket ended without a close frame")??;
            if let Message::Close(close) = frame {
                return Ok(close.context("a close frame without status")?.code.into());
            }
        }
    }
}

pub(crate) fn hello(version: u16, resume: Option<String>) -> PeerRequestBody {
    PeerRequestBody::Hello { version, capabilities: vec![], uplink_bps: 0, token: None, resume }
}

/// The code of an error; anything else fails the test.
pub(crate) fn code_of(body: &TrackerMessageBody) -> anyhow::Result<ErrorCode> {
    let TrackerMessageBody::Error { code, .. } = body else { bail!("no error: {body:?}") };
    Ok(*code)
}
