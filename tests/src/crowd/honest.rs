//! A viewer as the tracker sees one: it joins, builds links by signals, tells what it holds, and reports.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use swarm_core::publisher::{Statement, TrackerName};
use swarm_core::tracker_message::{
    ErrorCode, PeerRequestBody, Role, SegmentRun, Signal, TrackerMessage, TrackerMessageBody,
};
use swarm_core::{PeerId, SecretKey, SwarmId};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval_at};

use super::hostile::Target;
use super::socket::{Socket, hello};

/// Neighbours with which a viewer has exchanged signals when it counts as linked.
const LINKS_NEEDED: usize = 2;

/// Bytes of a session description: about that of a browser.
const SDP_BYTES: usize = 1_200;

/// Candidates that follow each description.
const CANDIDATES: usize = 4;

/// Interval of `have`, as peers send it.
const HAVE_INTERVAL: Duration = Duration::from_secs(1);

/// How long one viewer took.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// From the start of its connection until it had joined and had sent to, and heard from, two neighbours.
    pub linked: Duration,
    /// … and until, besides that, its first report was answered. It sends the report when the tracker's interval is over.
    pub complete: Duration,
}

/// Who hears of a viewer.
#[derive(Debug)]
pub struct Ear {
    /// Learns the ids of viewers, for the attackers.
    pub target: Arc<Target>,
    /// Where a viewer that is complete says so.
    pub times: Option<mpsc::Sender<Times>>,
    /// Becomes true when the round is over.
    pub is_over: watch::Receiver<bool>,
}

/// One viewer, or the publisher.
#[derive(Debug)]
pub struct Viewer {
    /// Its address.
    pub from: IpAddr,
    /// The tracker's.
    pub tracker: SocketAddr,
    /// What it watches.
    pub swarm: SwarmId,
    /// Of the publisher: its key.
    pub key: Option<SecretKey>,
    /// Which one it is.
    pub number: usize,
}

/// How far the exchange with a neighbour is.
#[derive(Debug, Default, Clone, Copy)]
struct Exchange {
    is_sent: bool,
    is_heard: bool,
}

/// A viewer that has joined.
struct Session {
    socket: Socket,
    began: Instant,
    exchanges: HashMap<PeerId, Exchange>,
    /// Descriptions whose answer is due, and for whom they were.
    sent: HashMap<u32, PeerId>,
    report: Option<u32>,
    is_reported: bool,
    linked: Option<Duration>,
    segment: u32,
    lost: Vec<String>,
}

impl Viewer {
    /// Takes part until the round is over; what it was refused, and why its connection ended if it did.
    pub async fn take_part(self, mut ear: Ear) -> Result<Vec<String>> {
        let number = self.number;
        let began = Instant::now();
        let (mut session, report_interval) = match self.join(began, &ear.target).await {
            Ok(joined) => joined,
            Err(error) => return Ok(vec![format!("viewer {number} did not join: {error:#}")]),
        };
        let mut haves = interval_at(began + HAVE_INTERVAL, HAVE_INTERVAL);
        let mut reports = interval_at(began + report_interval, report_interval);
        loop {
            let step = tokio::select! {
                _ = ear.is_over.changed() => return Ok(session.lost),
                message = session.socket.receive() => match message {
                    Ok(message) => session.hear(message).await,
                    Err(error) => Err(error),
                },
                _ = haves.tick() => session.announce().await,
                _ = reports.tick() => session.report().await,
            };
            if let Err(error) = step {
                session.lost.push(format!("viewer {number} lost its connection: {error:#}"));
                return Ok(session.lost);
            }
            if let Some(times) = session.times()
                && let Some(told) = ear.times.take()
            {
                told.send(times).await.context("nobody waits for the viewers")?;
            }
        }
    }

    async fn join(self, began: Instant, target: &Target) -> Result<(Session, Duration)> {
        let mut socket = Socket::open(self.tracker, self.from).await?;
        let welcome = socket.ask(hello()).await?.body;
        let TrackerMessageBody::Welcome { peer, challenge, report_interval_ms, .. } = welcome else {
            bail!("no welcome but {welcome:?}");
        };
        target.note_viewer(peer);
        let (swarm, tracker) = (self.swarm, TrackerName::of(&self.tracker.to_string()));
        let proof = self.key.as_ref().map(|key| key.sign(&Statement::Join { swarm, tracker, challenge }));
        let role = if proof.is_some() { Role::Initial } else { Role::Viewer };
        let join = PeerRequestBody::Join { swarm, role, have: Vec::new(), playhead: None, proof };
        let joining = socket.send(join).await?;
        let mut session = Session::new(socket, began);
        loop {
            let message = session.socket.receive().await?;
            if message.id != Some(joining) {
                session.hear(message).await?;
                continue;
            }
            if let TrackerMessageBody::Error { text, .. } = message.body {
                bail!("{text}");
            }
            return Ok((session, Duration::from_millis(report_interval_ms.into())));
        }
    }
}

impl Session {
    fn new(socket: Socket, began: Instant) -> Self {
        Self {
            socket,
            began,
            exchanges: HashMap::new(),
            sent: HashMap::new(),
            report: None,
            is_reported: false,
            linked: None,
            segment: 0,
            lost: Vec::new(),
        }
    }

    fn times(&self) -> Option<Times> {
        let linked = self.linked?;
        self.is_reported.then(|| Times { linked, complete: self.began.elapsed() })
    }

    async fn hear(&mut self, message: TrackerMessage) -> Result<()> {
        match message.body {
            TrackerMessageBody::Connect { peer, offer: true, .. } => {
                self.describe(peer, Signal::Offer { sdp: "o".repeat(SDP_BYTES) }).await?;
            }
            TrackerMessageBody::Signal { from, signal } => self.hear_signal(from, signal).await?,
            TrackerMessageBody::Ok => {
                if let Some(peer) = message.id.and_then(|id| self.sent.remove(&id)) {
                    self.exchanges.entry(peer).or_default().is_sent = true;
                }
            }
            TrackerMessageBody::Swarm { .. } => self.is_reported |= message.id == self.report,
            TrackerMessageBody::Error { code, text, .. } => self.hear_error(message.id, code, text),
            TrackerMessageBody::Welcome { .. }
            | TrackerMessageBody::Peers { .. }
            | TrackerMessageBody::Connect { .. }
            | TrackerMessageBody::Unlink { .. }
            | TrackerMessageBody::Assign { .. }
            | TrackerMessageBody::Gone { .. } => {}
        }
        let is_done = |exchange: &&Exchange| exchange.is_sent && exchange.is_heard;
        if self.linked.is_none() && self.exchanges.values().filter(is_done).count() >= LINKS_NEEDED {
            self.linked = Some(self.began.elapsed());
        }
        Ok(())
    }

    async fn hear_signal(&mut self, from: PeerId, signal: Signal) -> Result<()> {
        match signal {
            Signal::Offer { .. } => {
                self.exchanges.entry(from).or_default().is_heard = true;
                self.describe(from, Signal::Answer { sdp: "a".repeat(SDP_BYTES) }).await
            }
            Signal::Answer { .. } => {
                self.exchanges.entry(from).or_default().is_heard = true;
                Ok(())
            }
            Signal::Candidate { .. } | Signal::EndOfCandidates => Ok(()),
        }
    }

    /// A neighbour that left, or a link that was given up, while a signal was on its way is nothing that was lost.
    fn hear_error(&mut self, id: Option<u32>, code: ErrorCode, text: String) {
        if code == ErrorCode::UnknownPeer {
            id.map(|id| self.sent.remove(&id));
        } else {
            self.lost.push(text);
        }
    }

    async fn describe(&mut self, to: PeerId, signal: Signal) -> Result<()> {
        let id = self.socket.send(PeerRequestBody::Signal { to, signal }).await?;
        self.sent.insert(id, to);
        for _ in 0..CANDIDATES {
            let candidate = "candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host".to_owned();
            let signal =
                Signal::Candidate { candidate, sdp_mid: Some("0".into()), sdp_m_line_index: Some(0) };
            self.socket.send(PeerRequestBody::Signal { to, signal }).await?;
        }
        Ok(())
    }

    async fn announce(&mut self) -> Result<()> {
        let gained = vec![SegmentRun(self.segment % 4, 1)];
        self.segment += 1;
        self.socket.send(PeerRequestBody::Have { gained, dropped: Vec::new() }).await.map(drop)
    }

    async fn report(&mut self) -> Result<()> {
        let report = PeerRequestBody::Report {
            received: Vec::new(),
            uplink_bps: 10_000_000,
            playhead: Some(0),
            ahead_ms: Some(10_000),
        };
        self.report = Some(self.socket.send(report).await?);
        Ok(())
    }
}
