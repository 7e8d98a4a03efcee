//! Measures what a viewer that cannot upload costs the seeder. `cargo xtask bench viewers` builds and runs this
//! program and summarises what it prints.
//!
//! ```text
//! bench_viewers VIEWERS SECONDS MBIT_PER_S JOIN_SECONDS
//! ```
//!
//! The tracker and the seeder are processes. The viewers are real native peers, all in this process, with upload
//! off. They join evenly over JOIN_SECONDS and play a film of MBIT_PER_S. The player of a viewer reads at most
//! [`PLAYER_BUFFER`] ahead, and the peer keeps at most [`BUDGET_BYTES`]. Once both are full, a viewer receives the
//! film at its rate. The measurement starts [`WARM_UP`] after the last viewer has joined and takes SECONDS. The
//! program prints one JSON object.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use peer_native::address::ContentAddress;
use peer_native::{Content, DriverOptions, Network, Notice, PeerHandle, Playable};
use serde::Serialize;
use swarm_core::limits::GROUP_BYTES;
use swarm_core::peer::{Appetite, Event, LinkState, PeerConfig, UploadLimit};
use swarm_core::player::{Playback, Player, RATE_GUESS, Reading};
use swarm_core::tracker_message::Role;
use swarm_core::{Manifest, ReaderId};
use tests::content::film_at_rate;
use tests::{Seeder, Tracker};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// Maximum bytes that a viewer keeps: 17 s of a film of 1 Mbit/s. Three quarters of them lie ahead of the playhead.
const BUDGET_BYTES: u64 = 2 * 1024 * 1024;

/// Media that a player holds beyond what it plays. A browser's player has such a buffer, too.
const PLAYER_BUFFER: Duration = Duration::from_secs(5);

/// Time between the last join and the measurement, in which viewers fill their budgets.
const WARM_UP: Duration = Duration::from_secs(15);

/// Film beyond the measurement, so that no viewer comes to the end.
const SPARE: Duration = Duration::from_secs(60);

/// Time between two looks of a player at what its viewer holds.
const PLAYER_INTERVAL: Duration = Duration::from_millis(100);

/// The one reader of each viewer.
const READER: ReaderId = ReaderId(1);

/// What the command line asks for.
#[derive(Debug, Clone, Copy)]
struct Plan {
    viewers: usize,
    measured: Duration,
    bits_per_s: u64,
    join_over: Duration,
}

/// The result.
#[derive(Debug, Serialize)]
struct Measurement {
    viewers: usize,
    /// Viewers with an open link to the seeder at the end. Links may move from viewer to viewer meanwhile.
    links: usize,
    /// Length of the measurement, s.
    seconds: f64,
    /// Rate of the film, bits a second.
    media_bits_per_s: f64,
    /// CPU seconds of the seeder during the measurement, user and system.
    cpu_s: f64,
    /// Payload that the seeder sent during the measurement, bytes.
    uploaded_bytes: u64,
    /// Resident memory of the seeder before the first viewer joined, bytes.
    memory_idle_bytes: u64,
    /// Resident memory of the seeder at the end, bytes.
    memory_bytes: u64,
    /// Viewers whose playback had not started at the end.
    not_started: usize,
    /// Stalls of all viewers since they joined.
    stalls: u32,
    /// Total length of those stalls, ms.
    stall_ms: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let plan = Plan::from_arguments()?;
    let length = plan.join_over + WARM_UP + plan.measured + SPARE;
    let film = film_at_rate(plan.bits_per_s, length.as_secs())?;
    let film_bits = std::fs::metadata(&film)?.len() * 8;
    let home = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, home.path(), &[])?;
    let memory_idle_bytes = seeder.program().memory_bytes()?;

    let is_over = Arc::new(AtomicBool::new(false));
    let mut peers: Vec<PeerHandle> = Vec::new();
    let mut viewers: Vec<JoinHandle<Result<Playback>>> = Vec::new();
    for number in 0..plan.viewers {
        let copy = home.path().join(format!("viewer-{number}"));
        let viewer = Viewer::start(number, seeder.link(), copy, Arc::clone(&is_over))?;
        peers.push(viewer.peer.clone());
        viewers.push(tokio::spawn(viewer.watch()));
        tokio::time::sleep(plan.join_over / u32::try_from(plan.viewers)?).await;
    }
    tokio::time::sleep(WARM_UP).await;

    let uploaded_before = next_uploaded(&seeder);
    let (start, cpu_before_s) = (Instant::now(), seeder.cpu_s()?);
    tokio::time::sleep(plan.measured).await;
    let uploaded_bytes = next_uploaded(&seeder) - uploaded_before;
    let (elapsed, cpu_s) = (start.elapsed(), seeder.cpu_s()? - cpu_before_s);
    let memory_bytes = seeder.program().memory_bytes()?;
    let links = count_linked(&peers).await?;

    is_over.store(true, Ordering::Relaxed);
    let mut playbacks: Vec<Playback> = Vec::new();
    for viewer in viewers {
        playbacks.push(viewer.await??);
    }
    let measurement = Measurement {
        viewers: plan.viewers,
        links,
        seconds: elapsed.as_secs_f64(),
        media_bits_per_s: film_bits as f64 / length.as_secs_f64(),
        cpu_s,
        uploaded_bytes,
        memory_idle_bytes,
        memory_bytes,
        not_started: playbacks.iter().filter(|playback| playback.start_ms.is_none()).count(),
        stalls: playbacks.iter().map(|playback| playback.stalls).sum(),
        stall_ms: playbacks.iter().map(|playback| playback.stall_ms).sum(),
    };
    println!("{}", serde_json::to_string(&measurement)?);
    Ok(())
}

/// Number of viewers with an open link to the seeder.
async fn count_linked(peers: &[PeerHandle]) -> Result<usize> {
    let mut count = 0;
    for peer in peers {
        let links = peer.stats().await?.links;
        if links.iter().any(|link| link.kind == Role::Initial && link.state == LinkState::Open) {
            count += 1;
        }
    }
    Ok(count)
}

/// The seeder's next account. It blocks the thread, while the viewers go on in the runtime's other threads.
fn next_uploaded(seeder: &Seeder) -> u64 {
    tokio::task::block_in_place(|| seeder.next_uploaded())
}

impl Plan {
    fn from_arguments() -> Result<Self> {
        let arguments: Vec<u64> =
            std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
        let [viewers, seconds, megabits_per_s, join_seconds] = arguments[..] else {
            bail!("usage: bench_viewers VIEWERS SECONDS MBIT_PER_S JOIN_SECONDS");
        };
        ensure!(viewers > 0 && seconds > 0 && megabits_per_s > 0, "the first three numbers are not 0");
        Ok(Self {
            viewers: usize::try_from(viewers)?,
            measured: Duration::from_secs(seconds),
            bits_per_s: megabits_per_s * 1_000_000,
            join_over: Duration::from_secs(join_seconds),
        })
    }
}

/// One viewer: a peer of its own with a player.
struct Viewer {
    number: usize,
    peer: PeerHandle,
    notices: tokio::sync::broadcast::Receiver<Notice>,
    player: Option<BufferedPlayer>,
    joined: Instant,
    is_over: Arc<AtomicBool>,
}

impl Viewer {
    fn start(number: usize, link: &str, copy: PathBuf, is_over: Arc<AtomicBool>) -> Result<Self> {
        let address: ContentAddress = link.parse()?;
        let config = PeerConfig {
            appetite: Appetite::Viewer { budget_bytes: BUDGET_BYTES, is_kept: false },
            upload: UploadLimit::Off,
            ..PeerConfig::viewer(address.swarm, number as u64)
        };
        let driver = DriverOptions {
            peer: config,
            tracker: address.tracker.context("the seeder's link names no tracker")?,
            outposts: Vec::new(),
            content: Content::Fetch(copy),
            network: Network::own_ports(),
            is_listed: false,
            publish_token: None,
        };
        let (peer, notices) =
            PeerHandle::start(driver).with_context(|| format!("viewer {number} cannot be started"))?;
        Ok(Self { number, peer, notices, player: None, joined: Instant::now(), is_over })
    }

    /// Plays until the measurement is over.
    async fn watch(mut self) -> Result<Playback> {
        let mut ticks = tokio::time::interval(PLAYER_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_over.load(Ordering::Relaxed) {
            tokio::select! {
                _ = ticks.tick() => self.play().await?,
                notice = self.notices.recv() => match notice {
                    Ok(notice) => self.hear(&notice)?,
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => bail!("viewer {} ended by itself", self.number),
                },
            }
        }
        self.peer.stop().await;
        Ok(self.player.map_or_else(Playback::default, |player| player.player.playback()))
    }

    fn hear(&mut self, notice: &Notice) -> Result<()> {
        if let Notice::Peer(Event::ManifestReady(manifest)) = notice {
            self.player = Some(BufferedPlayer::new(manifest));
        }
        if let Notice::StoreFailed(reason) | Notice::Peer(Event::Failed(reason)) = notice {
            bail!("viewer {}: {reason}", self.number);
        }
        Ok(())
    }

    async fn play(&mut self) -> Result<()> {
        let Some(player) = &mut self.player else { return Ok(()) };
        if let Some(playable) = self.peer.playable(player.read).await? {
            let reading = player.advance(self.joined.elapsed(), playable);
            self.peer.reader_at(READER, reading.group, reading.ahead_ms).await?;
        }
        Ok(())
    }
}

/// A player that keeps what it has read until it plays it. The peer may evict that meanwhile.
struct BufferedPlayer {
    player: Player,
    /// First group that the player has not read.
    read: u32,
    /// Maximum number of groups that it reads ahead.
    buffer_groups: u32,
}

impl BufferedPlayer {
    fn new(manifest: &Manifest) -> Self {
        let rate = manifest.rate_bytes_per_s();
        let buffer_bytes = rate.unwrap_or(RATE_GUESS) * PLAYER_BUFFER.as_secs();
        let buffer_groups = u32::try_from(buffer_bytes / u64::from(GROUP_BYTES)).unwrap_or(u32::MAX);
        Self { player: Player::new(manifest.geometry(), rate), read: 0, buffer_groups }
    }

    /// Reads what the peer holds from the first unread group on, and plays until `now`.
    fn advance(&mut self, now: Duration, playable: Playable) -> Reading {
        let end = self.player.group().saturating_add(self.buffer_groups);
        self.read = self.read.max(playable.missing.min(end));
        self.player.advance(now, self.read, playable.start_buffer)
    }
}
