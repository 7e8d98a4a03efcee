//! The way to the tracker: its WebSocket. Manifests over HTTP are [`publications`](crate::publications)'s.
//!
//! Owns sockets, time limits on them, and errors in words. When to connect, what to say and how long to wait
//! before the next attempt is the core's.

use std::io;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use swarm_core::limits::TRACKER_MESSAGE_BYTES_MAX;
use swarm_core::relays::{self, Relays};
use swarm_core::tracker_message::{PeerRequest, TrackerMessage};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::address::TrackerAddress;

/// Requests that may wait for the socket. The core sends a few a second; a socket that lets this many pile up
/// is stuck.
const REQUESTS_MAX: usize = 1024;

/// For name resolution, connecting and the handshakes together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// Trackers ping every 25 s; three missed pings mean that the tracker is gone without a word.
const SILENCE_MAX: Duration = Duration::from_secs(75);

/// A tracker that takes nothing of a message for this long is gone, or does not read.
const SEND_TIMEOUT: Duration = Duration::from_secs(15);

/// Answers to pings, and messages, that wait for a tracker that does not read.
const UNSENT_BYTES_MAX: usize = 1024 * 1024;

/// Characters that are shown of what is wrong with a message.
const WORDS_CHARS_SHOWN: usize = 200;

/// For the other side to confirm that the socket closes.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a tracker's socket tells.
#[derive(Debug)]
pub enum TrackerEvent {
    /// The socket is open.
    Open,
    /// The tracker gave relays, in place of those it gave before.
    Relays(Relays),
    /// The tracker sent a message.
    Message(TrackerMessage),
    /// The socket closed or could not be opened; in words. Nothing follows.
    Closed(String),
}

/// Where sockets tell what happens: each under the number it was opened with.
pub(crate) type TrackerEvents = mpsc::Sender<(u64, TrackerEvent)>;

/// The driver's end of a socket to a tracker. Dropping it sends what is queued and closes the socket.
#[derive(Debug)]
pub struct Tracker {
    requests: mpsc::Sender<PeerRequest>,
    task: JoinHandle<()>,
}

impl Tracker {
    /// Opens a socket on `runtime`. What follows is told by `events`, as number `number`.
    pub fn connect(runtime: &Handle, address: &TrackerAddress, number: u64, events: TrackerEvents) -> Self {
        let (requests, queue) = mpsc::channel(REQUESTS_MAX);
        let url = address.socket_url();
        let task = runtime.spawn(async move {
            let reason = run(&url, number, queue, &events).await;
            // An error means that the driver is gone.
            let _ = events.send((number, TrackerEvent::Closed(reason))).await;
        });
        Self { requests, task }
    }

    /// Sends a request. `false` if the socket takes no more.
    pub fn send(&self, request: PeerRequest) -> bool {
        self.requests.try_send(request).is_ok()
    }

    /// Closes the socket; the task ends once all that was queued is sent.
    pub fn close(self) -> JoinHandle<()> {
        self.task
    }
}

/// Until the socket closes; says why.
async fn run(
    url: &str,
    number: u64,
    mut requests: mpsc::Receiver<PeerRequest>,
    events: &TrackerEvents,
) -> String {
    let config = WebSocketConfig::default()
        .max_message_size(Some(TRACKER_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(TRACKER_MESSAGE_BYTES_MAX))
        .max_write_buffer_size(UNSENT_BYTES_MAX);
    let mut socket = match timeout(CONNECT_TIMEOUT, connect_async_with_config(url, Some(config), true)).await
    {
        Ok(Ok((socket, _))) => socket,
        Ok(Err(error)) => return format!("{url}: {}", in_words(&error)),
        Err(_) => return format!("{url} does not answer"),
    };
    let _ = events.send((number, TrackerEvent::Open)).await;
    loop {
        tokio::select! {
            request = requests.recv() => {
                let Some(request) = request else { break };
                match timeout(SEND_TIMEOUT, socket.send(Message::text(request.encode()))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return in_words(&error),
                    Err(_) => return "the tracker reads nothing".into(),
                }
            }
            message = timeout(SILENCE_MAX, socket.next()) => {
                let Ok(message) = message else { return "the tracker fell silent".into() };
                match message {
                    Some(Ok(message)) => match read(message) {
                        Ok(Some(Heard { message, relays })) => {
                            if let Some(relays) = relays {
                                let _ = events.send((number, TrackerEvent::Relays(relays))).await;
                            }
                            let _ = events.send((number, TrackerEvent::Message(message))).await;
                        }
                        Ok(None) => {}
                        Err(reason) => {
                            close(&mut socket).await;
                            return reason;
                        }
                    },
                    Some(Err(error)) => return in_words(&error),
                    None => return "the tracker closed the connection".into(),
                }
            }
        }
    }
    close(&mut socket).await;
    "closed by this side".into()
}

/// A message, and the relays that came with it.
struct Heard {
    message: TrackerMessage,
    relays: Option<Relays>,
}

/// What a frame means: a message, nothing (pings are answered by the socket), or the end, in words.
fn read(message: Message) -> Result<Option<Heard>, String> {
    match message {
        Message::Text(text) => TrackerMessage::decode(&text)
            .map(|message| Some(Heard { message, relays: relays::of(&text) }))
            .map_err(|error| {
                // The words quote what the tracker sent.
                let words: String = error.to_string().chars().take(WORDS_CHARS_SHOWN).collect();
                format!("the tracker sent something else than this program expects: {words}")
            }),
        Message::Close(Some(frame)) if !frame.reason.is_empty() => {
            Err(format!("the tracker closed the connection: {}", frame.reason))
        }
        Message::Close(_) => Err("the tracker closed the connection".into()),
        Message::Binary(_) => Err("the tracker sent a binary frame; is it a tracker?".into()),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(None),
    }
}

async fn close(socket: &mut Socket) {
    let farewell = async {
        socket.close(None).await?;
        while let Some(message) = socket.next().await {
            message?;
        }
        Ok::<(), tungstenite::Error>(())
    };
    match timeout(CLOSE_TIMEOUT, farewell).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "closing the tracker's socket"),
        Err(_) => tracing::debug!("the tracker did not confirm that the socket closes"),
    }
}

fn in_words(error: &tungstenite::Error) -> String {
    if let tungstenite::Error::Http(response) = error {
        return format!(
            "HTTP status {} where a tracker was expected; is the address right?",
            response.status().as_u16()
        );
    }
    if let tungstenite::Error::WriteBufferFull(_) = error {
        return "the tracker reads nothing".into();
    }
    if let tungstenite::Error::Protocol(_) = error {
        return "the connection broke off, or this is no WebSocket".into();
    }
    if let tungstenite::Error::Io(error) = error {
        return io_in_words(error).unwrap_or_else(|| error.to_string());
    }
    error.to_string()
}

pub(crate) fn io_in_words(error: &io::Error) -> Option<String> {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return Some("nothing listens there (connection refused)".into());
    }
    let is_broken = matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
    is_broken.then(|| "the connection broke off".into())
}
