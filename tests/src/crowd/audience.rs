//! Viewers as a tracker sees them over a long time: they come, build links, tell what they hold, leave, and come back together.
//!
//! All viewers are tasks of one process, so a signal carries the time at which it was sent, and its receiver knows how long
//! it took.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fastrand::Rng;
use swarm_core::tracker_message::{ErrorCode, PeerRequestBody, Signal, TrackerMessage, TrackerMessageBody};
use swarm_core::{PeerId, SwarmId};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep, sleep_until};

use super::socket::{Socket, have, hello, join, report};

/// Candidates that follow each description.
const CANDIDATES: usize = 4;

/// Interval of `have`, as peers send it.
const HAVE_INTERVAL: Duration = Duration::from_secs(1);

/// A viewer that leaves is replaced after this time.
const REPLACED_AFTER: Duration = Duration::from_secs(1);

/// Viewers that lost their tracker come back after a random time up to this, as peers do.
pub const STORM: Duration = Duration::from_secs(2);

/// Pause after an attempt to join that failed.
const RETRY: Duration = Duration::from_secs(1);

/// What precedes the time at which a signal was sent, in µs since the beginning.
const SENT: &str = " sent ";

/// What all viewers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// They stay; each leaves after a random time with the plan's mean, and another one comes.
    Stay,
    /// Each connection ends now, and its viewer comes back.
    Storm,
    /// Everything ends.
    Over,
}

/// What the viewers of one phase measured together.
#[derive(Debug, Default)]
pub struct Tally {
    /// From `join` until its answer, µs.
    pub joins_us: Vec<u32>,
    /// From sending a signal until its receiver has it, µs.
    pub signals_us: Vec<u32>,
    /// Signals that were sent.
    pub signals_sent: u64,
    /// … of which to a peer that had left or was no neighbour any more, as the tracker answered.
    pub signals_unknown: u64,
    /// … of which refused for another reason.
    pub signals_refused: u64,
    /// Requests of viewers of all kinds.
    pub requests: u64,
    /// Joins that failed: refused, or no connection. They are tried again.
    pub joins_failed: u64,
    /// Connections that ended although neither the viewer nor the storm ended them.
    pub lost: u64,
    /// The last reason for a failure.
    pub last_failure: String,
}

/// Where all viewers are, and what they measure.
#[derive(Debug)]
pub struct Audience {
    /// The trackers.
    pub trackers: Vec<SocketAddr>,
    /// What is watched.
    pub swarms: Vec<SwarmId>,
    /// The mean time for which a viewer stays.
    pub stay: Option<Duration>,
    /// The beginning of all times.
    pub began: Instant,
    /// What has been measured since it was taken last.
    pub tally: Mutex<Tally>,
    /// The present phase.
    pub phase: watch::Receiver<Phase>,
    /// Viewers that have joined.
    pub present: AtomicUsize,
}

impl Audience {
    /// What has been measured since the last call.
    pub fn take_tally(&self) -> Tally {
        self.note(std::mem::take)
    }

    fn note<T>(&self, act: impl FnOnce(&mut Tally) -> T) -> T {
        act(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Which tracker a viewer comes to: any of them, whichever its swarm.
    fn tracker_of(&self, number: usize) -> SocketAddr {
        self.trackers[(number / self.swarms.len()) % self.trackers.len()]
    }

    /// Takes part as viewer `number`, and as those that replace it, until everything is over.
    pub async fn viewer(&self, number: usize, from: IpAddr) -> Result<()> {
        let mut phase = self.phase.clone();
        let mut random = Rng::with_seed(u64::try_from(number)?);
        loop {
            let ended = self.stay((number, from), &mut random, &mut phase).await;
            let is_storm = *phase.borrow_and_update() == Phase::Storm;
            let wait = match ended {
                Ok(Ended::Over) => return Ok(()),
                Ok(Ended::Left) if is_storm => STORM.mul_f64(random.f64()),
                Ok(Ended::Left) => REPLACED_AFTER,
                Err(error) => {
                    self.note(|tally| {
                        tally.joins_failed += 1;
                        tally.last_failure = format!("{error:#}");
                    });
                    RETRY.mul_f64(1.0 + random.f64())
                }
            };
            sleep(wait).await;
        }
    }

    /// One connection: an error is a join that failed.
    async fn stay(
        &self,
        (number, from): (usize, IpAddr),
        random: &mut Rng,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<Ended> {
        let socket = Socket::open(self.tracker_of(number), from).await?;
        let mut session = Session { audience: self, socket, random: random.fork(), segment: 0 };
        let report_interval = session.join(self.swarms[number % self.swarms.len()]).await?;
        let present = Present::new(&self.present);
        let stays = self.stay.map(|mean| mean.mul_f64(2.0 * random.f64()));
        let leaves = Instant::now() + stays.unwrap_or(Duration::from_secs(86_400));
        let began = Instant::now();
        let mut haves = interval_at(began + HAVE_INTERVAL, HAVE_INTERVAL);
        let mut reports = interval_at(began + report_interval, report_interval);
        loop {
            let step = tokio::select! {
                changed = phase.changed() => match changed.map(|()| *phase.borrow()) {
                    Ok(Phase::Stay) => Ok(()),
                    Ok(Phase::Storm) => return Ok(Ended::Left),
                    Ok(Phase::Over) | Err(_) => return Ok(Ended::Over),
                },
                () = sleep_until(leaves) => return Ok(Ended::Left),
                message = session.socket.receive() => match message {
                    Ok(message) => session.hear(message).await,
                    Err(error) => Err(error),
                },
                _ = haves.tick() => session.announce().await,
                _ = reports.tick() => session.report().await,
            };
            if let Err(error) = step {
                self.note(|tally| {
                    tally.lost += 1;
                    tally.last_failure = format!("{error:#}");
                });
                drop(present);
                return Ok(Ended::Left);
            }
        }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Left,
    Over,
}

/// Counts as present for as long as it exists.
struct Present<'a>(&'a AtomicUsize);

impl<'a> Present<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection of a viewer.
struct Session<'a> {
    audience: &'a Audience,
    socket: Socket,
    random: Rng,
    /// The number of the latest segment that it told of.
    segment: u32,
}

impl Session<'_> {
    /// Greets and joins; the interval of reports.
    async fn join(&mut self, swarm: SwarmId) -> Result<Duration> {
        let TrackerMessageBody::Welcome { report_interval_ms, .. } = self.socket.ask(hello()).await?.body
        else {
            bail!("no welcome");
        };
        let began = Instant::now();
        let joining = self.socket.send(join(swarm)).await?;
        loop {
            let message = self.socket.receive().await?;
            if message.id != Some(joining) {
                self.hear(message).await?;
                continue;
            }
            if let TrackerMessageBody::Error { text, .. } = message.body {
                bail!("{text}");
            }
            let took_us = micros(began.elapsed());
            self.audience.note(|tally| {
                tally.joins_us.push(took_us);
                tally.requests += 2;
            });
            return Ok(Duration::from_millis(report_interval_ms.into()));
        }
    }

    async fn hear(&mut self, message: TrackerMessage) -> Result<()> {
        match message.body {
            TrackerMessageBody::Connect { peer, offer: true, .. } => {
                let sdp = self.description();
                self.describe(peer, Signal::Offer { sdp }).await
            }
            TrackerMessageBody::Signal { from, signal } => {
                self.time(&signal)?;
                if matches!(signal, Signal::Offer { .. }) {
                    let sdp = self.description();
                    self.describe(from, Signal::Answer { sdp }).await?;
                }
                Ok(())
            }
            TrackerMessageBody::Error { code, text, .. } => {
                self.audience.note(|tally| {
                    if code == ErrorCode::UnknownPeer {
                        tally.signals_unknown += 1;
                    } else {
                        tally.signals_refused += 1;
                        tally.last_failure = text;
                    }
                });
                Ok(())
            }
            TrackerMessageBody::Welcome { .. }
            | TrackerMessageBody::Ok
            | TrackerMessageBody::Swarm { .. }
            | TrackerMessageBody::Peers { .. }
            | TrackerMessageBody::Connect { .. }
            | TrackerMessageBody::Unlink { .. }
            | TrackerMessageBody::Assign { .. }
            | TrackerMessageBody::Gone { .. }
            | TrackerMessageBody::Move { .. } => Ok(()),
        }
    }

    /// Notes how long a signal took.
    fn time(&self, signal: &Signal) -> Result<()> {
        let text = match signal {
            Signal::Offer { sdp } | Signal::Answer { sdp } => sdp,
            Signal::Candidate { candidate, .. } => candidate,
            Signal::EndOfCandidates => return Ok(()),
        };
        let (_, sent_us) = text.rsplit_once(SENT).context("a signal without its time")?;
        let took_us = self.audience.now_us().saturating_sub(sent_us.trim_end().parse()?);
        self.audience.note(|tally| tally.signals_us.push(u32::try_from(took_us).unwrap_or(u32::MAX)));
        Ok(())
    }

    /// A description as a browser makes it for a data channel, 1.3 KB long.
    fn description(&mut self) -> String {
        let mut sdp = String::from(
            "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
             a=extmap-allow-mixed\r\na=msid-semantic: WMS\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
             c=IN IP4 0.0.0.0\r\na=ice-ufrag:Yx3f\r\na=ice-pwd:Jm7zKc0dP1vQxq5c8H2sLrYt\r\na=ice-options:trickle\r\n\
             a=fingerprint:sha-256 ",
        );
        let digest: Vec<String> = (0..32).map(|_| format!("{:02X}", self.random.u8(..))).collect();
        sdp.push_str(&digest.join(":"));
        sdp.push_str("\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n");
        for number in 0..9 {
            let (host, port) = (self.random.u8(..), self.random.u16(1024..));
            sdp.push_str(&format!(
                "a=candidate:{number} 1 udp 2113937151 192.0.2.{host} {port} typ host generation 0 network-cost 999\r\n"
            ));
        }
        format!("{sdp}a=note{SENT}{}\r\n", self.audience.now_us())
    }

    async fn describe(&mut self, to: PeerId, signal: Signal) -> Result<()> {
        self.signal(to, signal).await?;
        for number in 0..CANDIDATES {
            let candidate = format!(
                "candidate:{number} 1 udp 2113937151 192.0.2.{number} 50000 typ host generation 0{SENT}{}",
                self.audience.now_us()
            );
            let signal =
                Signal::Candidate { candidate, sdp_mid: Some("0".into()), sdp_m_line_index: Some(0) };
            self.signal(to, signal).await?;
        }
        Ok(())
    }

    async fn signal(&mut self, to: PeerId, signal: Signal) -> Result<()> {
        self.audience.note(|tally| tally.signals_sent += 1);
        self.send(PeerRequestBody::Signal { to, signal }).await
    }

    async fn announce(&mut self) -> Result<()> {
        self.segment += 1;
        self.send(have(self.segment)).await
    }

    async fn report(&mut self) -> Result<()> {
        self.send(report(self.segment)).await
    }

    async fn send(&mut self, body: PeerRequestBody) -> Result<()> {
        self.audience.note(|tally| tally.requests += 1);
        self.socket.send(body).await.map(drop)
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
