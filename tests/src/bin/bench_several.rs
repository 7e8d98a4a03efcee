//! Measures what it costs that several trackers act as one. `cargo xtask bench several` builds and runs this program and
//! summarises what it prints.
//!
//! ```text
//! bench_several VIEWERS SECONDS
//! ```
//!
//! A Redis server and three trackers are processes. First two viewers send one another [`SIGNALS`] signals: with both at the
//! home of their swarm, then each at one of the other trackers, so that each signal crosses two bridges. Then VIEWERS in one
//! swarm, spread over the trackers, send `have` each second and `report` each 5 s, as peers do. Then others do the same whose home is
//! at another tracker, and once more after they have moved there. The program prints one JSON object.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use swarm_core::tracker_message::{
    MOVE, MOVING, PeerRequestBody, Signal, TRACKER_VERSION, TrackerMessage, TrackerMessageBody,
};
use swarm_core::{PeerId, SecretKey, SwarmId};
use tests::crowd::socket::{Socket, accepted, have, hello, join, report};
use tests::crowd::{address_of, manifest, publish, raise_open_files};
use tests::redis::{Member, Redis, trackers};
use tokio::task::JoinSet;
use tokio::time::{interval, interval_at, timeout};

/// Signals that are timed: within what each end of a link may send at once.
const SIGNALS: usize = 600;

/// Bytes of each: about those of a candidate.
const SIGNAL_BYTES: usize = 120;

/// Interval of signals.
const PAUSE: Duration = Duration::from_millis(5);

/// Maximum time for one signal.
const PATIENCE: Duration = Duration::from_secs(5);

/// The result.
#[derive(Debug, Serialize)]
struct Measurement {
    /// From sending a signal until its receiver has it, both at the home, ms.
    direct_p50_ms: f64,
    direct_p99_ms: f64,
    /// The same, each at another tracker.
    bridged_p50_ms: f64,
    bridged_p99_ms: f64,
    viewers: usize,
    /// Operations of Redis each second, for 1,000 viewers.
    operations_per_s: f64,
    /// Processor time of Redis, of one core, for 1,000 viewers.
    redis_core_share: f64,
    /// Processor time of all trackers for one message of a viewer, µs.
    message_us: f64,
    /// The same of viewers that are all at other trackers than their home.
    bridged_message_us: f64,
    /// The same of these viewers after they have moved to their home.
    moved_message_us: f64,
}

/// A viewer that is in a swarm.
struct Entered {
    socket: Socket,
    peer: PeerId,
    resume: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().context("usage: bench_several VIEWERS SECONDS");
    let (viewers, seconds): (usize, u64) = (number()?.parse()?, number()?.parse()?);
    raise_open_files()?;
    let redis = Redis::start()?;
    let members = trackers(&redis.url(), 3).await?;
    let addresses: Vec<SocketAddr> = members.iter().map(Member::address).collect::<Result<_>>()?;
    let direct = signals(addresses[0], [addresses[0], addresses[0]], "direct").await?;
    let bridged = signals(addresses[0], [addresses[1], addresses[2]], "bridged").await?;
    let time = Duration::from_secs(seconds);
    let load = load(&redis, &members, (viewers, time)).await?;
    let (bridged_message_us, moved_message_us) = homing(&members, (viewers, time)).await?;
    let measurement = Measurement {
        direct_p50_ms: at(&direct, 50),
        direct_p99_ms: at(&direct, 99),
        bridged_p50_ms: at(&bridged, 50),
        bridged_p99_ms: at(&bridged, 99),
        bridged_message_us,
        moved_message_us,
        ..load
    };
    println!("{}", serde_json::to_string(&measurement)?);
    Ok(())
}

/// Times of signals between two viewers at these trackers, sorted, ms. A third one makes `home` the home.
async fn signals(home: SocketAddr, at: [SocketAddr; 2], name: &str) -> Result<Vec<f64>> {
    let swarm = published(home, name).await?;
    let _first = entered(home, 0, swarm, None).await?;
    let Entered { socket: mut left, peer: left_id, .. } = entered(at[0], 1, swarm, None).await?;
    let Entered { socket: mut right, peer: right_id, .. } = entered(at[1], 2, swarm, None).await?;
    // All introductions have arrived when each got an answer to a request of its own.
    left.ask(report(1)).await?;
    right.ask(report(1)).await?;
    let mut times = Vec::new();
    let mut pauses = interval(PAUSE);
    for number in 0..SIGNALS {
        pauses.tick().await;
        let forth = number % 2 == 0;
        let (from, from_id, to, to_id) = if forth {
            (&mut left, left_id, &mut right, right_id)
        } else {
            (&mut right, right_id, &mut left, left_id)
        };
        let signal =
            Signal::Candidate { candidate: "c".repeat(SIGNAL_BYTES), sdp_mid: None, sdp_m_line_index: None };
        let began = Instant::now();
        from.send(PeerRequestBody::Signal { to: to_id, signal }).await?;
        let arrived = async {
            while !is_signal_of(&to.receive().await?, from_id) {}
            times.push(began.elapsed().as_secs_f64() * 1e3);
            // The sender reads its answer, so that none waits for it.
            accepted(from.receive().await?)
        };
        timeout(PATIENCE, arrived)
            .await
            .with_context(|| format!("{name}: signal {number} did not arrive"))??;
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Viewers that say what peers say.
async fn load(redis: &Redis, members: &[Member], (viewers, time): (usize, Duration)) -> Result<Measurement> {
    let addresses: Vec<SocketAddr> = members.iter().map(Member::address).collect::<Result<_>>()?;
    let swarm = published(addresses[0], "load").await?;
    let entering =
        (0..viewers).map(|number| entered(addresses[number % addresses.len()], number, swarm, None));
    let entered: Vec<Entered> = stream::iter(entering).buffer_unordered(32).try_collect().await?;
    let before = (redis.operations().await?, redis.process().cpu_s()?);
    let began = Instant::now();
    let (_, message_us) = talk_all(members, entered, time).await?;
    let (took_s, thousands) = (began.elapsed().as_secs_f64(), viewers as f64 / 1e3);
    Ok(Measurement {
        direct_p50_ms: 0.0,
        direct_p99_ms: 0.0,
        bridged_p50_ms: 0.0,
        bridged_p99_ms: 0.0,
        viewers,
        operations_per_s: (redis.operations().await? - before.0) as f64 / took_s / thousands,
        redis_core_share: (redis.process().cpu_s()? - before.1) / took_s / thousands,
        message_us,
        bridged_message_us: 0.0,
        moved_message_us: 0.0,
    })
}

/// Processor time of all trackers for a message of viewers whose home is elsewhere, and then of the same at their home, µs.
async fn homing(members: &[Member], (viewers, time): (usize, Duration)) -> Result<(f64, f64)> {
    let addresses: Vec<SocketAddr> = members.iter().map(Member::address).collect::<Result<_>>()?;
    let (home, others) = addresses.split_first().context("no trackers")?;
    let swarm = published(*home, "homing").await?;
    let _first = entered(*home, 0, swarm, None).await?;
    let entering = (1..=viewers).map(|number| entered(others[number % others.len()], number, swarm, None));
    let bridged: Vec<Entered> = stream::iter(entering).buffered(32).try_collect().await?;
    let (bridged, bridged_us) = talk_all(members, bridged, time).await?;
    let moving = (1..=viewers).zip(bridged).map(async |(number, old)| {
        let moved = entered(*home, number, swarm, Some(old.resume)).await?;
        anyhow::ensure!(moved.peer == old.peer, "a viewer that moved got another id");
        Ok(moved)
    });
    let moved: Vec<Entered> = stream::iter(moving).buffered(32).try_collect().await?;
    anyhow::ensure!(members[0].metric("tributary_tracker_moved_here_total").await? == viewers as u64);
    let (_, moved_us) = talk_all(members, moved, time).await?;
    Ok((bridged_us, moved_us))
}

/// Has viewers talk for some time. Returns them, in their order, and the processor time of all trackers for a message, µs.
async fn talk_all(members: &[Member], entered: Vec<Entered>, time: Duration) -> Result<(Vec<Entered>, f64)> {
    let cpu_s = || members.iter().map(|member| member.tracker.process().cpu_s()).sum::<Result<f64>>();
    let (before_s, viewers) = (cpu_s()?, u32::try_from(entered.len())?.max(1));
    let mut talking = JoinSet::new();
    for (number, mut viewer) in (0u32..).zip(entered) {
        // Spread over a second, as an audience is: what comes at one moment travels together.
        let offset = Duration::from_secs(1) * number / viewers;
        talking.spawn(async move {
            let messages = talk(&mut viewer.socket, offset, time).await?;
            anyhow::Ok((number, viewer, messages))
        });
    }
    let (mut back, mut messages) = (Vec::new(), 0);
    while let Some(ended) = talking.join_next().await {
        let (number, viewer, count) = ended??;
        back.push((number, viewer));
        messages += count;
    }
    back.sort_by_key(|(number, _)| *number);
    Ok((back.into_iter().map(|(_, viewer)| viewer).collect(), (cpu_s()? - before_s) * 1e6 / messages as f64))
}

/// Says what a viewer says for some time; how many messages that were.
async fn talk(socket: &mut Socket, offset: Duration, time: Duration) -> Result<u64> {
    let ends = Instant::now() + time;
    let mut haves = interval_at(tokio::time::Instant::now() + offset, Duration::from_secs(1));
    let mut messages = 0;
    while Instant::now() < ends {
        tokio::select! {
            message = socket.receive() => accepted(message?)?,
            _ = haves.tick() => {
                socket.send(have(u32::try_from(messages)?)).await?;
                messages += 1;
                if messages % 6 == 5 {
                    socket.send(report(1)).await?;
                    messages += 1;
                }
            }
        }
    }
    Ok(messages)
}

async fn published(tracker: SocketAddr, name: &str) -> Result<SwarmId> {
    let film = manifest(name, 30_000_000, &SecretKey::from_bytes(&[1; 32]))?;
    publish(tracker, IpAddr::V4(Ipv4Addr::LOCALHOST), &film).await
}

/// A viewer that has joined; one that has a token moves.
async fn entered(
    tracker: SocketAddr,
    number: usize,
    swarm: SwarmId,
    token: Option<String>,
) -> Result<Entered> {
    let mut socket = Socket::open(tracker, address_of(number)).await?;
    let greeting = match token {
        None => hello(),
        token @ Some(_) => PeerRequestBody::Hello {
            version: TRACKER_VERSION,
            capabilities: vec![MOVE.into(), MOVING.into()],
            uplink_bps: 10_000_000,
            token: None,
            resume: token,
        },
    };
    let TrackerMessageBody::Welcome { peer, resume, .. } = socket.ask(greeting).await?.body else {
        bail!("no welcome")
    };
    accepted(socket.ask(join(swarm)).await?)?;
    Ok(Entered { socket, peer, resume })
}

fn is_signal_of(message: &TrackerMessage, peer: PeerId) -> bool {
    matches!(&message.body, TrackerMessageBody::Signal { from, .. } if *from == peer)
}

fn at(sorted: &[f64], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or_default()
}
