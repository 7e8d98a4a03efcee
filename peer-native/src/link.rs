//! One WebRTC connection to one other peer, with its two data channels.
//!
//! Owns the signalling of the connection, the order in which its channels open, the coding of frames and the
//! count of bytes under way. What to say, to whom, and when to give a link up is the core's.
//!
//! ```text
//! driver ── signals, control messages, data frames ─→ link task ─→ RTCPeerConnection
//!        ←─ LinkEvent ── two readers, one a channel ←──────────────┘
//! ```
//!
//! The driver never waits for a link: its side of every queue is `try_send`, and a link whose queue is full is
//! beyond saving. A link waits for the driver, which makes the other side wait for us.

mod reader;
mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use swarm_core::LinkId;
use swarm_core::peer_message::{DataMessage, PeerDecodeError, PeerMessage};
use swarm_core::tracker_message::{IceServer, Signal};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::network::Network;

/// Signals, control messages and settings that may wait for a link's task. Control messages are small and sent
/// at once; only a task that does not run lets this many pile up.
const COMMANDS_MAX: usize = 512;

/// Data frames that may wait for a link's task: the core keeps at most 1 MiB under way, in frames of 16 KiB or
/// more but for the end of a content.
const FRAMES_MAX: usize = 128;

/// What a link tells its driver.
#[derive(Debug)]
pub enum LinkEvent {
    /// For the other side, through the tracker.
    Signal(Signal),
    /// Both channels are open.
    Open,
    /// A message came on the control channel.
    Control(PeerMessage),
    /// A message came on the data channel.
    Data(DataMessage),
    /// A frame came that is no message.
    Malformed(PeerDecodeError),
    /// [`Link::buffered_bytes`] fell to the low-water mark or below.
    Drained,
    /// The connection is over; in words. Nothing follows.
    Closed(String),
}

/// Where links tell what happens. Bounded; links wait while it is full.
pub(crate) type LinkEvents = mpsc::Sender<(LinkId, LinkEvent)>;

/// How to build a link.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// Whether this side offers.
    pub is_offerer: bool,
    /// Servers for connection building.
    pub ice_servers: Arc<[IceServer]>,
    /// Whether the connection must go through one of them that is a relay.
    pub is_relayed: bool,
    /// Whether the other side may be on this machine: then the loopback interface is offered beside the others.
    pub is_local: bool,
    /// Where its sockets come from.
    pub network: Network,
}

/// A queue towards a link is full, or the link is over: it is to be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link does not take any more")]
pub struct Overflow;

enum Command {
    Signal(Signal),
    Control(Bytes),
    LowWater(u64),
}

/// Bytes of the data channel since it opened.
#[derive(Debug, Default)]
struct Counters {
    /// Handed to the link by the driver.
    handed: AtomicU64,
    /// Handed to the channel by the link's task.
    sent: AtomicU64,
    /// Acknowledged by the other side.
    released: AtomicU64,
}

/// The driver's end of a link. Dropping it closes the connection.
#[derive(Debug)]
pub struct Link {
    commands: mpsc::Sender<Command>,
    frames: mpsc::Sender<Vec<u8>>,
    counters: Arc<Counters>,
}

impl Link {
    /// Starts building a connection on `runtime`. Everything else is told by `events`.
    pub fn open(runtime: &Handle, id: LinkId, options: LinkOptions, events: LinkEvents) -> Self {
        let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
        let (frames, frame_queue) = mpsc::channel(FRAMES_MAX);
        let counters = Arc::new(Counters::default());
        let told = Told { id, events: events.clone() };
        let task = runtime.spawn(task::run(options, command_queue, frame_queue, counters.clone(), told));
        runtime.spawn(async move {
            let reason = task.await.unwrap_or_else(|_| "the connection failed from within".into());
            // An error means that the driver is gone.
            let _ = events.send((id, LinkEvent::Closed(reason))).await;
        });
        Self { commands, frames, counters }
    }

    /// Hands over a signal of the other side.
    pub fn signal(&self, signal: Signal) -> Result<(), Overflow> {
        self.commands.try_send(Command::Signal(signal)).map_err(|_| Overflow)
    }

    /// Sends a message on the control channel.
    pub fn control(&self, message: &PeerMessage) -> Result<(), Overflow> {
        self.commands.try_send(Command::Control(message.encode())).map_err(|_| Overflow)
    }

    /// Sends a frame on the data channel.
    pub fn data(&self, frame: Vec<u8>) -> Result<(), Overflow> {
        let bytes = frame.len() as u64;
        self.frames.try_send(frame).map_err(|_| Overflow)?;
        self.counters.handed.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Sets the amount at which [`LinkEvent::Drained`] is told.
    pub fn set_low_water(&self, bytes: u64) -> Result<(), Overflow> {
        self.commands.try_send(Command::LowWater(bytes)).map_err(|_| Overflow)
    }

    /// Bytes given to [`Link::data`] that the other side has not acknowledged.
    pub fn buffered_bytes(&self) -> u64 {
        let handed = self.counters.handed.load(Ordering::Relaxed);
        handed.saturating_sub(self.counters.released.load(Ordering::Acquire))
    }
}

/// The way to the driver, for one link. Errors mean that the driver is gone; then the queues end, too.
#[derive(Clone)]
struct Told {
    id: LinkId,
    events: LinkEvents,
}

impl Told {
    async fn tell(&self, event: LinkEvent) {
        let _ = self.events.send((self.id, event)).await;
    }
}

#[cfg(test)]
mod tests;
