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

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use swarm_core::LinkId;
use swarm_core::limits::SIGNALS_PER_LINK_MAX;
use swarm_core::peer_message::{CONTROL_LABEL, DATA_LABEL, DataMessage, PeerDecodeError, PeerMessage};
use swarm_core::tracker_message::{IceServer, Signal};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::peer_connection::{PeerConnection, RTCIceCandidateInit, RTCSessionDescription};

use crate::connection::{self, NEWS_MAX, News};

/// Signals, control messages and settings that may wait for a link's task. Control messages are small and sent
/// at once; only a task that does not run lets this many pile up.
const COMMANDS_MAX: usize = 512;

/// Data frames that may wait for a link's task; the core keeps at most 256 KiB under way.
const FRAMES_MAX: usize = 64;

/// Until both channels are open, from the start.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

/// Low-water mark until the core sets one, bytes.
const LOW_WATER_DEFAULT: u64 = 32 * 1024;

/// How often what is under way is looked at while it is above the low-water mark. The channel tells when it falls
/// below, but not if frames that it had not yet split into packets were all that held it above.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(5);

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
pub type LinkEvents = mpsc::Sender<(LinkId, LinkEvent)>;

/// How to build a link.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// Whether this side offers.
    pub is_offerer: bool,
    /// Servers for connection building.
    pub ice_servers: Arc<[IceServer]>,
    /// Whether the other side may be on this machine.
    pub is_local: bool,
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
        let task = runtime.spawn(run(options, command_queue, frame_queue, counters.clone(), told));
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

/// What the readers tell the link's task.
enum Channel {
    Opened(&'static str, Arc<dyn DataChannel>),
    Closed,
}

/// The state of a link's task.
struct Task {
    connection: Arc<dyn PeerConnection>,
    told: Told,
    counters: Arc<Counters>,
    /// Remote candidates that came before the remote description; bounded by the limit on signals.
    early: Vec<RTCIceCandidateInit>,
    has_remote_description: bool,
    control: Option<Arc<dyn DataChannel>>,
    data: Option<Arc<dyn DataChannel>>,
    low_water: Arc<AtomicU64>,
    readers: mpsc::Sender<Channel>,
    /// Readers hold back messages until both channels are open.
    is_open: watch::Sender<bool>,
}

/// Runs a link until it ends; says why.
async fn run(
    options: LinkOptions,
    commands: mpsc::Receiver<Command>,
    frames: mpsc::Receiver<Vec<u8>>,
    counters: Arc<Counters>,
    told: Told,
) -> String {
    let (news, news_queue) = mpsc::channel(NEWS_MAX);
    let connection = match connection::build(&options.ice_servers, options.is_local, news).await {
        Ok(connection) => connection,
        Err(error) => return format!("a connection cannot be created: {error}"),
    };
    let (readers, reader_queue) = mpsc::channel(4);
    let mut task = Task {
        connection: connection.clone(),
        told,
        counters,
        early: Vec::new(),
        has_remote_description: false,
        control: None,
        data: None,
        low_water: Arc::new(AtomicU64::new(LOW_WATER_DEFAULT)),
        readers,
        is_open: watch::Sender::new(false),
    };
    let queues = Queues { commands, frames, news: news_queue, readers: reader_queue };
    let reason = match task.serve(options.is_offerer, queues).await {
        Ok(()) => "closed by this side".into(),
        Err(reason) => reason,
    };
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "closing a connection");
    }
    reason
}

struct Queues {
    commands: mpsc::Receiver<Command>,
    frames: mpsc::Receiver<Vec<u8>>,
    news: mpsc::Receiver<News>,
    readers: mpsc::Receiver<Channel>,
}

impl Task {
    /// Until the driver drops its end (`Ok`) or the connection ends (`Err`, in words).
    async fn serve(&mut self, is_offerer: bool, mut queues: Queues) -> Result<(), String> {
        if is_offerer {
            self.offer().await.map_err(|error| format!("no offer can be made: {error}"))?;
        }
        let deadline = tokio::time::sleep(OPEN_TIMEOUT);
        tokio::pin!(deadline);
        let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_open = *self.is_open.borrow();
            tokio::select! {
                biased;
                command = queues.commands.recv() => match command {
                    None => return Ok(()),
                    Some(command) => self.obey(command).await?,
                },
                Some(news) = queues.news.recv() => self.hear(news).await?,
                Some(channel) = queues.readers.recv() => self.note(channel).await?,
                // `None` is seen by the first branch as well.
                Some(frame) = queues.frames.recv(), if is_open => self.send(frame).await?,
                _ = ticks.tick(), if self.is_above_low_water() => self.sample().await,
                () = &mut deadline, if !is_open => {
                    return Err(format!("no connection within {} s", OPEN_TIMEOUT.as_secs()));
                }
            }
        }
    }

    async fn offer(&mut self) -> Result<(), webrtc::error::Error> {
        for label in [CONTROL_LABEL, DATA_LABEL] {
            let channel = self.connection.create_data_channel(label, None).await?;
            self.read(label, channel);
        }
        let offer = self.connection.create_offer(None).await?;
        let sdp = offer.sdp.clone();
        self.connection.set_local_description(offer).await?;
        self.told.tell(LinkEvent::Signal(Signal::Offer { sdp })).await;
        Ok(())
    }

    async fn obey(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::Signal(signal) => self.take_signal(signal).await,
            Command::Control(frame) => {
                let Some(channel) = &self.control else { return Ok(()) };
                channel.send(BytesMut::from(frame)).await.map_err(over)
            }
            Command::LowWater(bytes) => {
                self.low_water.store(bytes, Ordering::Relaxed);
                let Some(channel) = &self.data else { return Ok(()) };
                set_threshold(channel, bytes).await.map_err(over)?;
                self.sample().await;
                Ok(())
            }
        }
    }

    async fn take_signal(&mut self, signal: Signal) -> Result<(), String> {
        match signal {
            Signal::Offer { sdp } => {
                let offer = RTCSessionDescription::offer(sdp).map_err(unusable)?;
                self.set_remote(offer).await?;
                let answer = self.connection.create_answer(None).await.map_err(unusable)?;
                let sdp = answer.sdp.clone();
                self.connection.set_local_description(answer).await.map_err(unusable)?;
                self.told.tell(LinkEvent::Signal(Signal::Answer { sdp })).await;
            }
            Signal::Answer { sdp } => {
                let answer = RTCSessionDescription::answer(sdp).map_err(unusable)?;
                self.set_remote(answer).await?;
            }
            Signal::Candidate { candidate, sdp_mid, sdp_m_line_index } => {
                let candidate = RTCIceCandidateInit {
                    candidate,
                    sdp_mid,
                    sdp_mline_index: sdp_m_line_index,
                    ..Default::default()
                };
                if self.has_remote_description {
                    self.add_candidate(candidate).await;
                } else if self.early.len() < SIGNALS_PER_LINK_MAX {
                    self.early.push(candidate);
                }
            }
            Signal::EndOfCandidates => {}
        }
        Ok(())
    }

    async fn set_remote(&mut self, description: RTCSessionDescription) -> Result<(), String> {
        self.connection.set_remote_description(description).await.map_err(unusable)?;
        self.has_remote_description = true;
        for candidate in std::mem::take(&mut self.early) {
            self.add_candidate(candidate).await;
        }
        Ok(())
    }

    /// A candidate that cannot be used costs a path, not the link.
    async fn add_candidate(&self, candidate: RTCIceCandidateInit) {
        // Browsers end their candidates with an empty one.
        if candidate.candidate.is_empty() {
            return;
        }
        if let Err(error) = self.connection.add_ice_candidate(candidate).await {
            tracing::debug!(%error, "a candidate of the other side is not usable");
        }
    }

    async fn hear(&mut self, news: News) -> Result<(), String> {
        match news {
            News::Candidate(candidate) => {
                if is_reachable(&candidate.candidate) {
                    let signal = Signal::Candidate {
                        candidate: candidate.candidate,
                        sdp_mid: candidate.sdp_mid,
                        sdp_m_line_index: candidate.sdp_mline_index,
                    };
                    self.told.tell(LinkEvent::Signal(signal)).await;
                }
            }
            News::GatheringDone => self.told.tell(LinkEvent::Signal(Signal::EndOfCandidates)).await,
            News::Channel(channel) => match channel.label().await.as_deref() {
                Ok(CONTROL_LABEL) => self.read(CONTROL_LABEL, channel),
                Ok(DATA_LABEL) => self.read(DATA_LABEL, channel),
                Ok(_) | Err(_) => return Err("the other side opened a channel that is not ours".into()),
            },
            News::Ended(reason) => return Err(reason.into()),
        }
        Ok(())
    }

    async fn note(&mut self, channel: Channel) -> Result<(), String> {
        match channel {
            Channel::Opened(label, channel) => {
                let slot = if label == DATA_LABEL {
                    let bytes = self.low_water.load(Ordering::Relaxed);
                    set_threshold(&channel, bytes).await.map_err(over)?;
                    &mut self.data
                } else {
                    &mut self.control
                };
                if slot.replace(channel).is_some() {
                    return Err("the other side opened a channel twice".into());
                }
                if self.control.is_some() && self.data.is_some() {
                    self.told.tell(LinkEvent::Open).await;
                    self.is_open.send_replace(true);
                }
                Ok(())
            }
            Channel::Closed => Err("the other side closed the connection".into()),
        }
    }

    async fn send(&mut self, frame: Vec<u8>) -> Result<(), String> {
        let Some(channel) = &self.data else { return Ok(()) };
        let bytes = frame.len() as u64;
        channel.send(BytesMut::from(Bytes::from(frame))).await.map_err(over)?;
        self.counters.sent.fetch_add(bytes, Ordering::Relaxed);
        self.sample().await;
        Ok(())
    }

    async fn sample(&self) {
        if let Some(channel) = &self.data {
            sample(channel, &self.counters, self.low_water.load(Ordering::Relaxed), &self.told).await;
        }
    }

    fn is_above_low_water(&self) -> bool {
        let sent = self.counters.sent.load(Ordering::Relaxed);
        let released = self.counters.released.load(Ordering::Relaxed);
        sent.saturating_sub(released) > self.low_water.load(Ordering::Relaxed)
    }

    /// Starts the reader of a channel.
    fn read(&self, label: &'static str, channel: Arc<dyn DataChannel>) {
        let reader = Reader {
            label,
            channel,
            told: self.told.clone(),
            counters: self.counters.clone(),
            low_water: self.low_water.clone(),
            readers: self.readers.clone(),
            is_open: self.is_open.subscribe(),
        };
        tokio::spawn(reader.run());
    }
}

/// Reads one channel until it closes.
struct Reader {
    label: &'static str,
    channel: Arc<dyn DataChannel>,
    told: Told,
    counters: Arc<Counters>,
    low_water: Arc<AtomicU64>,
    readers: mpsc::Sender<Channel>,
    is_open: watch::Receiver<bool>,
}

impl Reader {
    async fn run(mut self) {
        while let Some(event) = self.channel.poll().await {
            match event {
                DataChannelEvent::OnOpen => {
                    let _ = self.readers.send(Channel::Opened(self.label, self.channel.clone())).await;
                }
                DataChannelEvent::OnMessage(message) => {
                    if self.is_open.wait_for(|is_open| *is_open).await.is_err() {
                        return;
                    }
                    self.told.tell(decode(self.label, message.data.freeze())).await;
                }
                DataChannelEvent::OnBufferedAmountLow if self.label == DATA_LABEL => {
                    let low_water = self.low_water.load(Ordering::Relaxed);
                    sample(&self.channel, &self.counters, low_water, &self.told).await;
                }
                DataChannelEvent::OnClose => break,
                DataChannelEvent::OnError => tracing::debug!(label = self.label, "channel error"),
                DataChannelEvent::OnBufferedAmountLow
                | DataChannelEvent::OnBufferedAmountHigh
                | DataChannelEvent::OnClosing
                | _ => {}
            }
        }
        let _ = self.readers.send(Channel::Closed).await;
    }
}

fn decode(label: &str, frame: Bytes) -> LinkEvent {
    let event = if label == DATA_LABEL {
        DataMessage::decode(frame).map(LinkEvent::Data)
    } else {
        PeerMessage::decode(&frame).map(LinkEvent::Control)
    };
    event.unwrap_or_else(LinkEvent::Malformed)
}

/// Notes what the other side has acknowledged, and tells the driver if little is left under way.
async fn sample(channel: &Arc<dyn DataChannel>, counters: &Counters, low_water: u64, told: &Told) {
    // In this order the sum can only be too high for a moment, never too low.
    let sent = counters.sent.load(Ordering::Relaxed);
    let Ok(outstanding) = channel.outstanding_bytes().await else { return };
    let outstanding = outstanding as u64;
    counters.released.fetch_max(sent.saturating_sub(outstanding), Ordering::Release);
    if outstanding <= low_water {
        told.tell(LinkEvent::Drained).await;
    }
}

async fn set_threshold(channel: &Arc<dyn DataChannel>, bytes: u64) -> Result<(), webrtc::error::Error> {
    channel.set_buffered_amount_low_threshold(u32::try_from(bytes).unwrap_or(u32::MAX)).await
}

/// Whether anybody could dial this candidate: a machine without a network yields the wildcard address.
fn is_reachable(candidate: &str) -> bool {
    !matches!(candidate.split_whitespace().nth(4), None | Some("0.0.0.0" | "::"))
}

fn unusable(error: webrtc::error::Error) -> String {
    format!("a session description of the other side is not usable: {error}")
}

fn over(error: webrtc::error::Error) -> String {
    format!("a channel is over: {error}")
}
