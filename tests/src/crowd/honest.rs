//! A viewer as the tracker sees one: it joins, builds links by signals, tells what it holds, and reports.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use swarm_core::publisher::{Statement, TrackerName};
use swarm_core::tracker_message::{
    ErrorCode, PeerRequestBody, Role, Signal, TrackerMessage, TrackerMessageBody,
};
use swarm_core::{PeerId, SecretKey, SwarmId};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval_at, sleep_until};

use super::hostile::Target;
use super::socket::{Socket, have, hello, report};

/// Neighbours with which a viewer has exchanged signals when it counts as linked.
const LINKS_NEEDED: usize = 2;

/// Bytes of a session description: about that of a browser.
const SDP_BYTES: usize = 1_200;

/// Candidates that follow each description.
const CANDIDATES: usize = 4;

/// Interval of `have`, as peers send it.
const HAVE_INTERVAL: Duration = Duration::from_secs(1);

/// Times that a signal may be refused for now: for about as long as a peer waits for a connection.
const REFUSALS_MAX: u32 = 8;

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

/// A signal on its way.
#[derive(Debug, Clone)]
struct Parcel {
    to: PeerId,
    signal: Signal,
    /// How often it was refused for now.
    refusals: u32,
}

/// A viewer that has joined.
struct Session {
    socket: Socket,
    began: Instant,
    exchanges: HashMap<PeerId, Exchange>,
    /// Signals whose answer is due.
    sent: HashMap<u32, Parcel>,
    /// Signals that were refused for now, and when they leave again, in their order.
    again: VecDeque<(Instant, Parcel)>,
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
            let again = session.next_again();
            let step = tokio::select! {
                _ = ear.is_over.changed() => return Ok(session.all_lost()),
                message = session.socket.receive() => match message {
                    Ok(message) => session.hear(message).await,
                    Err(error) => Err(error),
                },
                () = sleep_until(again) => session.send_again().await,
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
            again: VecDeque::new(),
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
                let parcel = message.id.and_then(|id| self.sent.remove(&id));
                if let Some(parcel) = parcel.filter(|parcel| parcel.signal.description().is_some()) {
                    self.exchanges.entry(parcel.to).or_default().is_sent = true;
                }
            }
            TrackerMessageBody::Swarm { .. } => self.is_reported |= message.id == self.report,
            TrackerMessageBody::Error { code, text, retry_after_ms } => {
                self.hear_error(message.id, code, text, retry_after_ms);
            }
            TrackerMessageBody::Welcome { .. }
            | TrackerMessageBody::Peers { .. }
            | TrackerMessageBody::Move { .. }
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

    /// A neighbour that left, or a link that was given up, while a signal was on its way is nothing that was lost. A signal
    /// that was refused for now leaves again, as peers do; what is refused again and again is lost.
    fn hear_error(&mut self, id: Option<u32>, code: ErrorCode, text: String, retry_after_ms: Option<u32>) {
        let parcel = id.and_then(|id| self.sent.remove(&id));
        match (code, parcel, retry_after_ms) {
            (ErrorCode::UnknownPeer, _, _) => {}
            (ErrorCode::RateLimited, Some(mut parcel), Some(wait_ms)) if parcel.refusals < REFUSALS_MAX => {
                parcel.refusals += 1;
                self.again.push_back((Instant::now() + Duration::from_millis(wait_ms.into()), parcel));
            }
            (_, Some(parcel), _) => self.lost.push(format!("a signal to {}: {text}", parcel.to)),
            (_, None, _) => self.lost.push(text),
        }
    }

    fn next_again(&self) -> Instant {
        self.again.front().map_or_else(|| Instant::now() + HAVE_INTERVAL, |(at, _)| *at)
    }

    async fn send_again(&mut self) -> Result<()> {
        while let Some((_, parcel)) = self.again.pop_front_if(|(at, _)| *at <= Instant::now()) {
            self.pass(parcel).await?;
        }
        Ok(())
    }

    /// What was refused, and what still waits to leave again.
    fn all_lost(self) -> Vec<String> {
        let waiting = self.again.iter().map(|(_, parcel)| {
            format!("a signal to {} was refused {} times, and the round ended", parcel.to, parcel.refusals)
        });
        self.lost.iter().cloned().chain(waiting).collect()
    }

    async fn pass(&mut self, parcel: Parcel) -> Result<()> {
        let body = PeerRequestBody::Signal { to: parcel.to, signal: parcel.signal.clone() };
        let id = self.socket.send(body).await?;
        self.sent.insert(id, parcel);
        Ok(())
    }

    async fn describe(&mut self, to: PeerId, signal: Signal) -> Result<()> {
        self.pass(Parcel { to, signal, refusals: 0 }).await?;
        for _ in 0..CANDIDATES {
            let candidate = "candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host".to_owned();
            let signal =
                Signal::Candidate { candidate, sdp_mid: Some("0".into()), sdp_m_line_index: Some(0) };
            self.pass(Parcel { to, signal, refusals: 0 }).await?;
        }
        Ok(())
    }

    async fn announce(&mut self) -> Result<()> {
        self.segment += 1;
        self.socket.send(have(self.segment)).await.map(drop)
    }

    async fn report(&mut self) -> Result<()> {
        self.report = Some(self.socket.send(report(self.segment)).await?);
        Ok(())
    }
}
