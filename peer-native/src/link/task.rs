//! The task of a link: signalling, the order in which channels open, and sending.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use swarm_core::limits::{CONTROL_BUFFERED_MAX, SIGNALS_PER_LINK_MAX};
use swarm_core::peer_message::{CONTROL_LABEL, DATA_LABEL};
use swarm_core::tracker_message::Signal;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use webrtc::data_channel::DataChannel;
use webrtc::peer_connection::{PeerConnection, RTCIceCandidateInit, RTCSessionDescription};

use super::reader::{Channel, Reader, sample};
use super::{Command, Counters, LinkEvent, LinkOptions, Told};
use crate::connection::{self, NEWS_MAX, News};
use crate::network::{Network, Traffic};

/// Until both channels are open, from the start.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

/// Low-water mark until the core sets one, bytes.
const LOW_WATER_DEFAULT: u64 = 32 * 1024;

/// How often what is under way is looked at while something is. The channel tells when it falls below the
/// low-water mark, but not if frames that it had not yet split into packets were all that held it above, nor when
/// the rest has arrived. While nothing is under way nothing is looked at.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(5);

/// The state of a link's task.
struct Task {
    connection: Arc<dyn PeerConnection>,
    network: Network,
    told: Told,
    counters: Arc<Counters>,
    traffic: Arc<Traffic>,
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
pub(super) async fn run(
    options: LinkOptions,
    commands: mpsc::Receiver<Command>,
    frames: mpsc::Receiver<Vec<u8>>,
    counters: Arc<Counters>,
    told: Told,
) -> String {
    let (news, news_queue) = mpsc::channel(NEWS_MAX);
    let traffic = Arc::new(Traffic::default());
    let connection = match connection::build(&options, news, &traffic).await {
        Ok(connection) => connection,
        Err(error) => return format!("a connection cannot be created: {error}"),
    };
    let (readers, reader_queue) = mpsc::channel(4);
    let mut task = Task {
        connection: connection.clone(),
        network: options.network,
        told,
        counters,
        traffic,
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
        let traffic = Arc::clone(&self.traffic);
        let excess = traffic.exceeds_its_messages();
        tokio::pin!(excess);
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
                _ = ticks.tick(), if self.has_bytes_under_way() => self.sample().await,
                () = &mut excess => {
                    return Err("the other side sends a message that does not end".into());
                }
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
                let waiting = channel.outstanding_bytes().await.map_err(over)?;
                if (waiting + frame.len()) as u64 > CONTROL_BUFFERED_MAX {
                    return Err("the other side takes no messages".into());
                }
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
                for line in self.network.told(&candidate.candidate) {
                    let signal = Signal::Candidate {
                        candidate: line,
                        sdp_mid: candidate.sdp_mid.clone(),
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
        Ok(())
    }

    async fn sample(&self) {
        if let Some(channel) = &self.data {
            sample(channel, &self.counters, self.low_water.load(Ordering::Relaxed), &self.told).await;
        }
    }

    fn has_bytes_under_way(&self) -> bool {
        self.counters.sent.load(Ordering::Relaxed) > self.counters.released.load(Ordering::Relaxed)
    }

    /// Starts the reader of a channel.
    fn read(&self, label: &'static str, channel: Arc<dyn DataChannel>) {
        let reader = Reader {
            label,
            channel,
            told: self.told.clone(),
            counters: self.counters.clone(),
            traffic: self.traffic.clone(),
            low_water: self.low_water.clone(),
            readers: self.readers.clone(),
            is_open: self.is_open.subscribe(),
        };
        tokio::spawn(reader.run());
    }
}

async fn set_threshold(channel: &Arc<dyn DataChannel>, bytes: u64) -> Result<(), webrtc::error::Error> {
    channel.set_buffered_amount_low_threshold(u32::try_from(bytes).unwrap_or(u32::MAX)).await
}

fn unusable(error: webrtc::error::Error) -> String {
    format!("a session description of the other side is not usable: {error}")
}

fn over(error: webrtc::error::Error) -> String {
    format!("a channel is over: {error}")
}
