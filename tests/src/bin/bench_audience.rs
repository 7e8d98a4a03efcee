//! Measures how one tracker, or several that act as one, serve an audience. `cargo xtask bench audience` builds and runs this
//! program and summarises what it prints.
//!
//! ```text
//! bench_audience TRACKERS VIEWERS SWARMS SECONDS JOIN-OVER STAY
//! ```
//!
//! Trackers are processes, with a Redis if there are several. VIEWERS in SWARMS swarms come evenly over JOIN-OVER seconds, each
//! to any tracker, and build links by signals as browsers do. For SECONDS each then stays for STAY seconds on average (0: for
//! ever) and is replaced. At the end all connections end at once and the viewers come back within two seconds. The program
//! prints one JSON object.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use swarm_core::{SecretKey, SwarmId};
use tests::Tracker;
use tests::crowd::audience::{Audience, Phase, STORM, Tally};
use tests::crowd::{address_of, manifest, publish, raise_open_files};
use tests::redis::{Member, Redis};
use tests::wait::until;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

/// How long all viewers may take to be there after the last one came.
const PATIENCE: Duration = Duration::from_secs(120);

/// After the last one has joined: signals that are on their way arrive.
const SETTLE: Duration = Duration::from_secs(3);

/// The result.
#[derive(Debug, Serialize)]
struct Measurement {
    trackers: usize,
    viewers: usize,
    swarms: usize,
    /// Resident memory of all trackers for one viewer, KiB, without what they had before the first one.
    viewer_kib: f64,
    arrival: Figures,
    stay: Figures,
    storm: Figures,
    /// From the end of all connections until all viewers had joined again, s.
    storm_s: f64,
    /// Operations of Redis each second while they stay; 0 without Redis.
    redis_operations_per_s: f64,
    /// Why the last join, connection or signal failed; empty if none did.
    last_failure: String,
}

/// What was measured in one phase.
#[derive(Debug, Serialize)]
struct Figures {
    seconds: f64,
    joins: usize,
    join_ms: Percentiles,
    joins_failed: u64,
    connections_lost: u64,
    signals: u64,
    signal_ms: Percentiles,
    /// Signals that arrived, of those whose receiver was still a neighbour.
    delivered: f64,
    signals_refused: u64,
    requests: u64,
    /// Processor time of all trackers for one request of a viewer, µs.
    request_us: f64,
    /// Processor time of all trackers, cores.
    cores: f64,
}

/// Of times, ms.
#[derive(Debug, Serialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
    p999: f64,
}

/// The trackers, and Redis if there are several.
struct Trackers {
    redis: Option<Redis>,
    members: Vec<Member>,
    alone: Vec<Tracker>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<usize> =
        std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [trackers, viewers, swarms, seconds, join_over, stay] = arguments[..] else {
        anyhow::bail!("usage: bench_audience TRACKERS VIEWERS SWARMS SECONDS JOIN-OVER STAY");
    };
    ensure!(trackers > 0 && viewers > 0 && swarms > 0, "at least one tracker, one viewer and one swarm");
    raise_open_files()?;
    let all = Trackers::start(trackers).await?;
    let (change, phase) = watch::channel(Phase::Stay);
    let audience = Arc::new(Audience {
        trackers: all.addresses()?,
        swarms: published(all.addresses()?[0], swarms).await?,
        stay: (stay > 0).then(|| Duration::from_secs(stay as u64)),
        began: Instant::now(),
        tally: std::sync::Mutex::default(),
        phase,
        present: AtomicUsize::new(0),
    });
    let empty_bytes = all.memory_bytes()?;
    let mut watching =
        Watching { all: &all, audience: &audience, began: Instant::now(), cpu_s: all.cpu_s()? };

    let mut tasks = JoinSet::new();
    let mut arrivals =
        interval((Duration::from_secs(join_over as u64) / viewers as u32).max(Duration::from_micros(1)));
    for number in 0..viewers {
        arrivals.tick().await;
        let audience = Arc::clone(&audience);
        tasks.spawn(async move { audience.viewer(number, address_of(number)).await });
    }
    // Some are always on their way from one stay to the next.
    let nearly_all = if stay > 0 { viewers - viewers / 20 } else { viewers };
    wait_present(&audience, nearly_all).await?;
    sleep(SETTLE).await;
    let (arrival, first) = watching.figures()?;
    let present = audience.present.load(Ordering::Relaxed);
    let viewer_kib = all.memory_bytes()?.saturating_sub(empty_bytes) as f64 / 1024.0 / present as f64;

    let operations = all.operations().await?;
    sleep(Duration::from_secs(seconds as u64)).await;
    let (staying, second) = watching.figures()?;
    let redis_operations_per_s = (all.operations().await? - operations) as f64 / staying.seconds;

    change.send_replace(Phase::Storm);
    let storm_began = Instant::now();
    // By then each has left, and come back or tried to.
    sleep(STORM).await;
    wait_present(&audience, nearly_all).await?;
    let storm_s = storm_began.elapsed().as_secs_f64();
    sleep(SETTLE).await;
    let (storm, third) = watching.figures()?;
    change.send_replace(Phase::Over);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let last_failure = [third, second, first].into_iter().find(|words| !words.is_empty()).unwrap_or_default();
    let measurement = Measurement {
        trackers,
        viewers,
        swarms,
        viewer_kib,
        arrival,
        stay: staying,
        storm,
        storm_s,
        redis_operations_per_s,
        last_failure,
    };
    println!("{}", serde_json::to_string(&measurement)?);
    Ok(())
}

async fn wait_present(audience: &Audience, count: usize) -> Result<()> {
    let there = async || Ok((audience.present.load(Ordering::Relaxed) >= count).then_some(()));
    until("all viewers", PATIENCE, there).await.with_context(|| {
        let tally = audience.take_tally();
        format!(
            "{} of {count} are there, {} joins failed, the last because: {}",
            audience.present.load(Ordering::Relaxed),
            tally.joins_failed,
            tally.last_failure
        )
    })
}

async fn published(tracker: SocketAddr, swarms: usize) -> Result<Vec<SwarmId>> {
    let mut ids = Vec::new();
    for number in 0..swarms {
        let film = manifest(&format!("film {number}"), 30_000_000, &SecretKey::from_bytes(&[1; 32]))?;
        ids.push(publish(tracker, IpAddr::V4(Ipv4Addr::LOCALHOST), &film).await?);
    }
    Ok(ids)
}

impl Trackers {
    async fn start(count: usize) -> Result<Self> {
        if count == 1 {
            return Ok(Self { redis: None, members: Vec::new(), alone: vec![Tracker::start()?] });
        }
        let redis = Redis::start()?;
        let members = tests::redis::trackers(&redis.url(), count).await?;
        Ok(Self { redis: Some(redis), members, alone: Vec::new() })
    }

    fn each(&self) -> impl Iterator<Item = &Tracker> {
        self.alone.iter().chain(self.members.iter().map(|member| &member.tracker))
    }

    fn addresses(&self) -> Result<Vec<SocketAddr>> {
        self.each().map(|tracker| tracker.address().parse().context("a tracker's address")).collect()
    }

    fn memory_bytes(&self) -> Result<u64> {
        self.each().map(|tracker| tracker.process().memory_bytes()).sum()
    }

    fn cpu_s(&self) -> Result<f64> {
        self.each().map(|tracker| tracker.process().cpu_s()).sum()
    }

    async fn operations(&self) -> Result<u64> {
        match &self.redis {
            Some(redis) => redis.operations().await,
            None => Ok(0),
        }
    }
}

/// Takes what was measured in one phase after another.
struct Watching<'a> {
    all: &'a Trackers,
    audience: &'a Audience,
    began: Instant,
    cpu_s: f64,
}

impl Watching<'_> {
    /// What was measured since the last call, and the last failure in words.
    fn figures(&mut self) -> Result<(Figures, String)> {
        let (now, cpu_s) = (Instant::now(), self.all.cpu_s()?);
        let seconds = now.duration_since(self.began).as_secs_f64();
        let spent_s = cpu_s - self.cpu_s;
        (self.began, self.cpu_s) = (now, cpu_s);
        let tally = self.audience.take_tally();
        let words = tally.last_failure.clone();
        Ok((Figures::of(tally, seconds, spent_s), words))
    }
}

impl Figures {
    fn of(mut tally: Tally, seconds: f64, cpu_s: f64) -> Self {
        // An answer may fall into the next phase.
        let due = tally.signals_sent.saturating_sub(tally.signals_unknown);
        Self {
            seconds,
            joins: tally.joins_us.len(),
            join_ms: Percentiles::of(&mut tally.joins_us),
            joins_failed: tally.joins_failed,
            connections_lost: tally.lost,
            signals: tally.signals_sent,
            delivered: tally.signals_us.len() as f64 / due.max(1) as f64,
            signal_ms: Percentiles::of(&mut tally.signals_us),
            signals_refused: tally.signals_refused,
            requests: tally.requests,
            request_us: cpu_s * 1e6 / tally.requests.max(1) as f64,
            cores: cpu_s / seconds,
        }
    }
}

impl Percentiles {
    fn of(times_us: &mut [u32]) -> Self {
        times_us.sort_unstable();
        let at = |per_mille: usize| {
            let place = times_us.len() * per_mille / 1000;
            times_us.get(place).map_or(0.0, |time_us| f64::from(*time_us) / 1e3)
        };
        Self { p50: at(500), p99: at(990), p999: at(999) }
    }
}
