//! Attackers: each does one kind of harm for as long as the round goes on, all from one address.
//!
//! What is done to neighbours and not to the tracker (wrong bytes, floods on links) is not here: viewers of this crowd
//! have no links.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use swarm_core::tracker_message::{
    PeerRequestBody, Received, Role, SegmentRun, Signal, TRACKER_VERSION, TrackerMessageBody, Want,
};
use swarm_core::{PeerId, SecretKey, SwarmId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::time::{interval, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::socket::{Socket, connect, get, hello, put};
use super::{HOSTILE_ADDRESS, manifest};
use crate::wait;

/// Interval between two acts of one attacker.
const PACE: Duration = Duration::from_millis(20);

/// Requests that a flood sends in one act.
const BATCH: usize = 4;

/// Sockets that one attacker holds at a time, if its kind holds sockets.
const HELD: usize = 24;

/// How long those sockets are held.
const HOLD: Duration = Duration::from_secs(4);

/// How much lower the attackers' threads stand with the scheduler: real attackers have machines of their own.
const NICE: i32 = 19;

/// How long until each kind has been at work.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A kind of harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Impostor,
    Manifests,
    Strangers,
    Floods,
    IdleSockets,
    SlowBodies,
    Crowding,
    Catalogue,
    Nonsense,
}

const KINDS: [(Kind, &str); 9] = [
    (Kind::Impostor, "joins as initial without a proof"),
    (Kind::Manifests, "manifests published"),
    (Kind::Strangers, "signals of 16 KB to strangers"),
    (Kind::Floods, "have, report and want of thousands of entries"),
    (Kind::IdleSockets, "idle sockets"),
    (Kind::SlowBodies, "bytes of slow bodies"),
    (Kind::Crowding, "joins that do not read and leave"),
    (Kind::Catalogue, "requests for the catalogue, metrics and as another site"),
    (Kind::Nonsense, "bad tokens, versions and frames"),
];

/// Whom attackers aim at, and what they have done.
#[derive(Debug)]
pub struct Target {
    tracker: SocketAddr,
    swarm: SwarmId,
    viewers: Mutex<Vec<PeerId>>,
    acts: [AtomicU64; KINDS.len()],
    serial: AtomicU64,
}

impl Target {
    pub(super) fn new(tracker: SocketAddr, swarm: SwarmId) -> Self {
        let acts = Default::default();
        Self { tracker, swarm, viewers: Mutex::default(), acts, serial: AtomicU64::new(0) }
    }

    /// Tells the attackers of a viewer.
    pub(super) fn note_viewer(&self, peer: PeerId) {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner).push(peer);
    }

    /// Number of acts so far, by kind.
    pub(super) fn acts(&self) -> Vec<(&'static str, u64)> {
        KINDS.iter().zip(&self.acts).map(|((_, name), acts)| (*name, acts.load(Ordering::Relaxed))).collect()
    }

    /// Some viewer, another each time.
    fn victim(&self) -> PeerId {
        let viewers = self.viewers.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = usize::try_from(self.next()).unwrap_or(0);
        viewers.get(turn % viewers.len().max(1)).copied().unwrap_or(PeerId(1))
    }

    fn next(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    fn count(&self, kind: Kind) {
        if let Some(acts) = self.acts.get(kind as usize) {
            acts.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Attackers at work. They end when this is dropped.
#[derive(Debug)]
pub struct Attack {
    runtime: Option<Runtime>,
    target: Arc<Target>,
}

impl Attack {
    pub(super) fn start(attackers: usize, target: &Arc<Target>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_start(|| {
                // An error leaves the attackers stronger, which is no reason to end.
                let _ = rustix::process::nice(NICE);
            })
            .enable_all()
            .build()
            .context("no threads for the attackers")?;
        for number in 0..attackers {
            runtime.spawn(attack(number, Arc::clone(target)));
        }
        Ok(Self { runtime: Some(runtime), target: Arc::clone(target) })
    }

    /// Returns when every kind of attacker has acted.
    pub(super) async fn wait_for_all_kinds(&self) -> Result<()> {
        wait::until("attackers of every kind at work", START_TIMEOUT, async || {
            Ok(self.target.acts().iter().all(|(_, acts)| *acts > 0).then_some(()))
        })
        .await
        .with_context(|| format!("attackers so far: {:?}", self.target.acts()))
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One attacker. Whatever the tracker does to it, it comes back.
async fn attack(number: usize, target: Arc<Target>) {
    let Some((kind, _)) = KINDS.get(number % KINDS.len()) else { return };
    let from = IpAddr::V4(HOSTILE_ADDRESS);
    let key = SecretKey::from_bytes(blake3::hash(&number.to_le_bytes()).as_bytes());
    let mut pace = interval(PACE);
    loop {
        pace.tick().await;
        // An error is what an attacker is to meet; what it costs the viewers is what is measured.
        let _ = match kind {
            Kind::Impostor => impostor(&target, from).await,
            Kind::Manifests => publish_another(&target, from, &key).await,
            Kind::Strangers => strangers(&target, from).await,
            Kind::Floods => floods(&target, from).await,
            Kind::IdleSockets => idle_sockets(&target, from).await,
            Kind::SlowBodies => slow_body(&target, from).await,
            Kind::Crowding => crowding(&target, from).await,
            Kind::Catalogue => catalogue(&target, from).await,
            Kind::Nonsense => nonsense(&target, from).await,
        };
    }
}

async fn impostor(target: &Target, from: IpAddr) -> Result<()> {
    let mut socket = Socket::open(target.tracker, from).await?;
    socket.ask(hello()).await?;
    target.count(Kind::Impostor);
    socket.ask(join(target, Role::Initial)).await.map(drop)
}

async fn publish_another(target: &Target, from: IpAddr, key: &SecretKey) -> Result<()> {
    let manifest = manifest(&format!("film {}", target.next()), 64 << 30, key)?;
    let path = format!("/v1/manifests/{}?list=true", manifest.swarm_id()?);
    target.count(Kind::Manifests);
    put(target.tracker, from, &path, &manifest.to_bytes()?).await.map(drop)
}

/// Signals to viewers that are no neighbours, and to neighbours beyond any budget.
async fn strangers(target: &Target, from: IpAddr) -> Result<()> {
    let socket = joined(target, from).await?;
    flood(socket, |neighbour| {
        let sdp = "x".repeat(16_000);
        let to = neighbour.filter(|_| target.next().is_multiple_of(4)).unwrap_or_else(|| target.victim());
        target.count(Kind::Strangers);
        PeerRequestBody::Signal { to, signal: Signal::Offer { sdp } }
    })
    .await
}

/// The longest lists that a message may have, and boasts.
async fn floods(target: &Target, from: IpAddr) -> Result<()> {
    let socket = joined(target, from).await?;
    let mut turn = 0_u32;
    flood(socket, |_| {
        target.count(Kind::Floods);
        turn += 1;
        let run = SegmentRun(0, 1000);
        match turn % 3 {
            0 => PeerRequestBody::Have { gained: vec![run; 4096], dropped: Vec::new() },
            1 => PeerRequestBody::Report {
                received: vec![Received { peer: target.victim(), bytes: u64::MAX, failures: u32::MAX }; 500],
                uplink_bps: u64::MAX,
                playhead: Some(u32::MAX),
                ahead_ms: Some(0),
            },
            _ => PeerRequestBody::Want { segments: vec![Want { segments: run, remaining_ms: 0 }; 1000] },
        }
    })
    .await
}

async fn idle_sockets(target: &Target, from: IpAddr) -> Result<()> {
    let mut held = Vec::with_capacity(HELD);
    for _ in 0..HELD {
        held.push(connect(target.tracker, from).await?);
        target.count(Kind::IdleSockets);
    }
    // The tracker closes what says nothing; the last one tells when it does.
    if let Some(last) = held.last_mut() {
        last.read_to_end(&mut Vec::new()).await?;
    }
    Ok(())
}

async fn slow_body(target: &Target, from: IpAddr) -> Result<()> {
    let mut stream = connect(target.tracker, from).await?;
    let head = format!(
        "PUT /v1/manifests/{} HTTP/1.1\r\nhost: {}\r\ncontent-length: 1000000\r\n\r\n",
        target.swarm, target.tracker
    );
    stream.write_all(head.as_bytes()).await?;
    let mut pace = interval(PACE);
    loop {
        pace.tick().await;
        stream.write_all(b"x").await?;
        target.count(Kind::SlowBodies);
    }
}

/// As many joined peers as the tracker takes. None of them reads; all leave together and come back.
async fn crowding(target: &Target, from: IpAddr) -> Result<()> {
    let mut held = Vec::with_capacity(HELD);
    for _ in 0..HELD {
        let mut socket = Socket::open(target.tracker, from).await?;
        socket.send(hello()).await?;
        socket.send(join(target, Role::Viewer)).await?;
        target.count(Kind::Crowding);
        held.push(socket);
    }
    tokio::time::sleep(HOLD).await;
    Ok(())
}

async fn catalogue(target: &Target, from: IpAddr) -> Result<()> {
    target.count(Kind::Catalogue);
    match target.next() % 4 {
        0 => get(target.tracker, from, "/metrics", "x: y").await,
        1 => get(target.tracker, from, "/v1/swarms", "origin: https://evil.example").await,
        _ => get(target.tracker, from, "/v1/swarms", "x: y").await,
    }
    .map(drop)
}

async fn nonsense(target: &Target, from: IpAddr) -> Result<()> {
    let mut socket = Socket::open(target.tracker, from).await?;
    let garbage = || Some("z".repeat(4_000));
    for version in [TRACKER_VERSION, 0] {
        target.count(Kind::Nonsense);
        socket.send_frame(Message::text("{\"id\":1,\"type\":")).await?;
        socket.send_frame(Message::binary(vec![0; 1000])).await?;
        let hello = PeerRequestBody::Hello {
            version,
            capabilities: Vec::new(),
            uplink_bps: u64::MAX,
            token: garbage(),
            resume: garbage(),
        };
        socket.ask(hello).await?;
    }
    socket.send_frame(Message::text("x".repeat(70_000))).await?;
    socket.receive().await.map(drop)
}

fn join(target: &Target, role: Role) -> PeerRequestBody {
    PeerRequestBody::Join {
        swarm: target.swarm,
        role,
        have: vec![SegmentRun(0, 4)],
        playhead: None,
        proof: None,
    }
}

async fn joined(target: &Target, from: IpAddr) -> Result<Socket> {
    let mut socket = Socket::open(target.tracker, from).await?;
    socket.ask(hello()).await?;
    socket.ask(join(target, Role::Viewer)).await?;
    Ok(socket)
}

/// Sends without waiting for answers, until the tracker closes. `next` is given some neighbour, if there is one.
async fn flood(mut socket: Socket, mut next: impl FnMut(Option<PeerId>) -> PeerRequestBody) -> Result<()> {
    let mut neighbour = None;
    let mut pace = interval(PACE);
    loop {
        pace.tick().await;
        for _ in 0..BATCH {
            socket.send(next(neighbour)).await?;
        }
        // Answers that are there are read, so that the flood goes on.
        while let Ok(message) = timeout(Duration::ZERO, socket.receive()).await {
            if let TrackerMessageBody::Connect { peer, .. } = message?.body {
                neighbour = Some(peer);
            }
        }
    }
}
