//! Measures what a connection and a message cost the tracker. `cargo xtask bench tracker` builds and runs this program
//! and summarises what it prints.
//!
//! ```text
//! bench_tracker CONNECTIONS
//! ```
//!
//! The tracker is a process. First a tenth as many connections join, which pays for what is made once: stacks, arenas,
//! the largest tables. Then CONNECTIONS greet (idle), join one swarm (joined), and send [`MESSAGES`] messages each, `have`
//! and `report` in turn, one at a time on each connection. The program prints one JSON object.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use swarm_core::{SecretKey, SwarmId};
use tests::Tracker;
use tests::crowd::socket::{Socket, accepted, have, hello, join, report};
use tests::crowd::{manifest, publish, raise_open_files};

/// Messages of one connection.
const MESSAGES: u32 = 40;

/// Connections of one address: below what the tracker lets one have.
const PER_ADDRESS: usize = 250;

/// Connections that are served at a time.
const AT_ONCE: usize = 64;

/// The result.
#[derive(Debug, Serialize)]
struct Measurement {
    connections: usize,
    /// Growth of the tracker's resident memory for one connection that has greeted, KiB.
    idle_kib: f64,
    /// … and that has joined, links and entries in the directory included, KiB.
    joined_kib: f64,
    /// Messages that were sent and answered.
    messages: u64,
    /// Processor time of the tracker for one of them, user and system, µs.
    message_us: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let count: usize = std::env::args().nth(1).context("usage: bench_tracker CONNECTIONS")?.parse()?;
    ensure!(count >= 100, "at least 100 connections; fewer are less than the tracker's noise");
    raise_open_files()?;
    let tracker = Tracker::start()?;
    let address: SocketAddr = tracker.address().parse()?;
    let film = manifest("bench", 30_000_000, &SecretKey::from_bytes(&[1; 32]))?;
    let swarm = publish(address, IpAddr::V4(Ipv4Addr::LOCALHOST), &film).await?;

    let warm = greeted(address, 0..count / 10).await?;
    let warm = each(warm, |socket| enter(socket, swarm)).await?;
    let before = tracker.process().memory_bytes()?;
    let idle = greeted(address, count / 10..count / 10 + count).await?;
    let with_idle = tracker.process().memory_bytes()?;
    // All messages that are under way have arrived when each connection got an answer to one of its own.
    let joined = each(idle, |socket| enter(socket, swarm)).await?;
    let joined = each(joined, |socket| say(socket, 1)).await?;
    let warm = each(warm, |socket| say(socket, 1)).await?;
    let with_joined = tracker.process().memory_bytes()?;

    let cpu_before_s = tracker.process().cpu_s()?;
    let joined = each(joined, |socket| say(socket, MESSAGES)).await?;
    let cpu_s = tracker.process().cpu_s()? - cpu_before_s;
    let messages = u64::from(MESSAGES) * u64::try_from(joined.len())?;
    drop(warm);
    let kib = |bytes: u64| bytes.saturating_sub(before) as f64 / 1024.0 / count as f64;
    let measurement = Measurement {
        connections: count,
        idle_kib: kib(with_idle),
        joined_kib: kib(with_joined),
        messages,
        message_us: cpu_s * 1e6 / messages as f64,
    };
    println!("{}", serde_json::to_string(&measurement)?);
    Ok(())
}

/// New connections that have greeted.
async fn greeted(tracker: SocketAddr, numbers: std::ops::Range<usize>) -> Result<Vec<Socket>> {
    let open = |number: usize| async move {
        let mut socket = Socket::open(tracker, address_of(number)?).await?;
        accepted(socket.ask(hello()).await?)?;
        anyhow::Ok(socket)
    };
    stream::iter(numbers).map(open).buffer_unordered(AT_ONCE).try_collect().await
}

/// Does the same with all connections, some at a time.
async fn each<F: Future<Output = Result<Socket>>>(
    sockets: Vec<Socket>,
    act: impl FnMut(Socket) -> F,
) -> Result<Vec<Socket>> {
    stream::iter(sockets).map(act).buffer_unordered(AT_ONCE).try_collect().await
}

async fn enter(mut socket: Socket, swarm: SwarmId) -> Result<Socket> {
    accepted(socket.ask(join(swarm)).await?)?;
    Ok(socket)
}

async fn say(mut socket: Socket, messages: u32) -> Result<Socket> {
    for number in 0..messages {
        let body = if number % 2 == 0 { have(number) } else { report(number) };
        accepted(socket.ask(body).await?)?;
    }
    Ok(socket)
}

fn address_of(number: usize) -> Result<IpAddr> {
    Ok(Ipv4Addr::new(127, 100, u8::try_from(number / PER_ADDRESS)?, 1).into())
}
