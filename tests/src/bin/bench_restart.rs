//! Measures a rolling restart of three trackers that act as one. `cargo xtask bench restart` builds and runs this program and
//! summarises what it prints.
//!
//! ```text
//! bench_restart PEERS
//! ```
//!
//! A Redis server, three trackers and an nginx in front of them are processes. PEERS viewers in [`SWARMS`] swarms connect
//! through nginx, report each 5 s, and connect again as peers do when their connection ends. Then each tracker in turn is
//! asked to stop and is started again. The program prints one JSON object.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use swarm_core::tracker_message::{ErrorCode, PeerRequestBody, Role, SegmentRun, TrackerMessageBody};
use swarm_core::{PeerId, SecretKey, SwarmId};
use tests::balancer::Balancer;
use tests::crowd::socket::{Socket, hello, report};
use tests::crowd::{manifest, publish, raise_open_files};
use tests::redis::{Member, Redis};
use tests::wait::until;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant as TokioInstant, interval_at, sleep};

/// Swarms over which peers are spread.
const SWARMS: usize = 8;

/// Peers of one address.
const PER_ADDRESS: usize = 50;

/// Interval of reports.
const REPORTS: Duration = Duration::from_secs(5);

/// First waits of peers that lost their tracker are spread over this, ms; later ones double from the second on, up to the last.
const FIRST_MS: std::ops::Range<u64> = 100..2_100;
const SECOND_MS: u64 = 1_000;
const LONGEST_MS: u64 = 30_000;

/// For all peers to be there.
const PATIENCE: Duration = Duration::from_secs(60);

/// The result.
#[derive(Debug, Serialize)]
struct Measurement {
    peers: usize,
    /// Connections that ended.
    lost: usize,
    /// From the end of a connection until its peer is in the swarm again, ms.
    gap_p50_ms: f64,
    gap_p99_ms: f64,
    gap_max_ms: f64,
    /// Joins that were refused and made later.
    refused: u64,
    /// Attempts to connect that failed and were made again.
    failed: u64,
    /// Peers that got another id.
    renamed: u64,
    /// Peers that were missing in the swarms at the end.
    missing: usize,
    /// Each restart from SIGTERM until the tracker is back and all peers are in their swarms, s.
    restarts_s: Vec<f64>,
}

/// What all peers count together.
#[derive(Debug, Default)]
struct Counts {
    joined: AtomicUsize,
    refused: AtomicU64,
    failed: AtomicU64,
    renamed: AtomicU64,
    gaps_ms: Mutex<Vec<f64>>,
    /// Why the last attempt to connect failed.
    last_failure: Mutex<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let peers: usize = std::env::args().nth(1).context("usage: bench_restart PEERS")?.parse()?;
    raise_open_files()?;
    let redis = Redis::start()?;
    let mut members = Vec::new();
    for _ in 0..3 {
        members.push(start("127.0.0.1:0", &redis)?);
    }
    wait_for_all(&members).await?;
    let addresses: Vec<SocketAddr> = members.iter().map(Member::address).collect::<Result<_>>()?;
    let balancer = Balancer::start(&addresses).await?;
    let mut swarms = Vec::new();
    for number in 0..SWARMS {
        let film = manifest(&format!("restart {number}"), 30_000_000, &SecretKey::from_bytes(&[1; 32]))?;
        swarms.push(publish(balancer.address, IpAddr::V4(Ipv4Addr::LOCALHOST), &film).await?);
    }
    let counts = Arc::new(Counts::default());
    let mut taking_part = JoinSet::new();
    for number in 0..peers {
        let peer =
            Peer { at: balancer.address, number, swarm: swarms[number % SWARMS], id: None, resume: None };
        taking_part.spawn(peer.take_part(Arc::clone(&counts)));
        // Joined over some seconds, as an audience is.
        sleep(Duration::from_millis(2)).await;
    }
    wait_for_peers(&counts, peers).await?;
    counts.refused.store(0, Ordering::Relaxed);
    counts.failed.store(0, Ordering::Relaxed);
    let mut restarts_s = Vec::new();
    for place in 0..members.len() {
        let began = Instant::now();
        let address = members[place].tracker.address().to_owned();
        members[place].tracker.stop()?;
        members[place] = start(&address, &redis)?;
        wait_for_all(&members).await?;
        wait_for_peers(&counts, peers).await?;
        restarts_s.push(began.elapsed().as_secs_f64());
    }
    let missing = missing(&members, peers).await?;
    let mut gaps = counts.gaps_ms.lock().await.clone();
    gaps.sort_by(f64::total_cmp);
    let at = |percent: usize| gaps.get(gaps.len() * percent / 100).copied().unwrap_or_default();
    let measurement = Measurement {
        peers,
        lost: gaps.len(),
        gap_p50_ms: at(50),
        gap_p99_ms: at(99),
        gap_max_ms: gaps.last().copied().unwrap_or_default(),
        refused: counts.refused.load(Ordering::Relaxed),
        failed: counts.failed.load(Ordering::Relaxed),
        renamed: counts.renamed.load(Ordering::Relaxed),
        missing,
        restarts_s,
    };
    println!("{}", serde_json::to_string(&measurement)?);
    Ok(())
}

fn start(listen: &str, redis: &Redis) -> Result<Member> {
    // nginx is at this machine; the peers are, too, at other addresses.
    Member::start_at(listen, &redis.url(), &["--trust-proxy", "127.0.0.1/32", "--open"])
}

async fn wait_for_all(members: &[Member]) -> Result<()> {
    for member in members {
        member.wait_for_trackers(members.len()).await?;
    }
    Ok(())
}

async fn wait_for_peers(counts: &Counts, peers: usize) -> Result<()> {
    let what = format!("{peers} peers in their swarms");
    let joined = || counts.joined.load(Ordering::Relaxed);
    let waited = until(&what, PATIENCE, async || Ok((joined() == peers).then_some(()))).await;
    let last_failure = counts.last_failure.lock().await;
    waited.with_context(|| format!("{} are there; the last failure: {last_failure}", joined()))
}

/// Peers that no home counts, after the lists had time to be told.
async fn missing(members: &[Member], peers: usize) -> Result<usize> {
    let counted = async || {
        let mut counted = 0;
        for listed in members[0].listed().await? {
            counted += listed.swarms.iter().map(|swarm| swarm.seeders + swarm.leechers).sum::<u32>();
        }
        anyhow::Ok(usize::try_from(counted)?)
    };
    let all = until("all peers in the lists", Duration::from_secs(10), async || {
        Ok((counted().await? == peers).then_some(()))
    });
    if all.await.is_ok() { Ok(0) } else { Ok(peers.abs_diff(counted().await?).max(1)) }
}

/// A viewer.
struct Peer {
    at: SocketAddr,
    number: usize,
    swarm: SwarmId,
    id: Option<PeerId>,
    resume: Option<String>,
}

impl Peer {
    /// For ever.
    async fn take_part(mut self, counts: Arc<Counts>) -> Result<()> {
        let mut lost_at: Option<Instant> = None;
        let mut failures = 0u32;
        loop {
            match self.enter(&counts).await {
                Ok(mut socket) => {
                    failures = 0;
                    if let Some(lost_at) = lost_at.take() {
                        counts.gaps_ms.lock().await.push(lost_at.elapsed().as_secs_f64() * 1e3);
                    }
                    counts.joined.fetch_add(1, Ordering::Relaxed);
                    // An error is the end of the connection.
                    let _ended = self.talk(&mut socket).await;
                    counts.joined.fetch_sub(1, Ordering::Relaxed);
                    lost_at = Some(Instant::now());
                }
                Err(error) => {
                    *counts.last_failure.lock().await = format!("{error:#}");
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
            sleep(pause(self.number, failures)).await;
            failures += 1;
        }
    }

    async fn enter(&mut self, counts: &Counts) -> Result<Socket> {
        let place = u8::try_from(self.number / PER_ADDRESS)?;
        let mut socket = Socket::open(self.at, Ipv4Addr::new(127, 100, place, 1).into()).await?;
        let mut greeting = hello();
        if let PeerRequestBody::Hello { resume, .. } = &mut greeting {
            resume.clone_from(&self.resume);
        }
        let TrackerMessageBody::Welcome { peer, resume, .. } = socket.ask(greeting).await?.body else {
            bail!("no welcome")
        };
        if self.id.is_some_and(|id| id != peer) {
            counts.renamed.fetch_add(1, Ordering::Relaxed);
        }
        (self.id, self.resume) = (Some(peer), Some(resume));
        loop {
            let have = vec![SegmentRun(u32::try_from(self.number % 4)?, 1)];
            let join = PeerRequestBody::Join {
                swarm: self.swarm,
                role: Role::Viewer,
                have,
                playhead: None,
                proof: None,
            };
            let TrackerMessageBody::Error { code, text, retry_after_ms } = socket.ask(join).await?.body
            else {
                return Ok(socket);
            };
            counts.refused.fetch_add(1, Ordering::Relaxed);
            if code != ErrorCode::UnknownSwarm {
                bail!("a join is refused: {text}");
            }
            sleep(Duration::from_millis(u64::from(retry_after_ms.unwrap_or(1_000)))).await;
        }
    }

    async fn talk(&self, socket: &mut Socket) -> Result<()> {
        let offset = REPORTS * u32::try_from(self.number % 1_000)? / 1_000;
        let mut reports = interval_at(TokioInstant::now() + offset, REPORTS);
        loop {
            tokio::select! {
                message = socket.receive() => drop(message?),
                _ = reports.tick() => {
                    socket.send(report(1)).await?;
                }
            }
        }
    }
}

/// How long a peer waits; spread evenly by its number.
fn pause(number: usize, failures: u32) -> Duration {
    let part = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let spread = |range_ms: u64| (part * range_ms) >> 24;
    let ms = match failures {
        0 => FIRST_MS.start + spread(FIRST_MS.end - FIRST_MS.start),
        _ => {
            let whole_ms = (SECOND_MS << (failures - 1).min(10)).min(LONGEST_MS);
            whole_ms - spread(whole_ms / 4)
        }
    };
    Duration::from_millis(ms)
}
