//! Measures what a tab takes that plays a film of 1.2 GB: memory while it plays and after seeks, and what comes while it is
//! paused.
//!
//! ```text
//! cargo xtask build --release
//! cargo run --release -p tests --features end-to-end --bin bench_memory -- [memory]
//! ```
//! With `memory`, another tab of the browser has the files, so the measured one keeps what it holds in memory.
//!
//! Prints one JSON object and fails if a target is missed. The film is that of the end-to-end tests, 39 times: 720p, 4 Mbit/s.
//! Memory is that of the page's process: what is its own, and with the browser's program, which all processes share.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tests::browser::Tab;
use tests::content::long_film;
use tests::driver::Driver;
use tests::memory::PageMemory;
use tests::{Seeder, Tracker};

/// Where the person seeks to, seconds, and how long each place is played.
const SEEKS: [f64; 6] = [300.0, 1200.0, 60.0, 2200.0, 900.0, 1700.0];
const PLAY_TIME: Duration = Duration::from_secs(10);

/// How long the film is paused.
const PAUSE: Duration = Duration::from_secs(60);

/// How often memory is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

const TIMEOUT: Duration = Duration::from_secs(120);

/// Most memory that the tab may take.
const MEMORY_BYTES_MAX: u64 = 350_000_000;

/// Most bytes that may come after a seek while the film is paused: the look-ahead.
const PAUSED_BYTES_MAX: u64 = 64 << 20;

#[tokio::main]
async fn main() -> Result<()> {
    let film = long_film()?;
    let home = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, home.path(), &[])?;
    let driver = Driver::start()?;
    let tab = Tab::start(&driver, "tab", &[]).await?;
    tab.open(seeder.link()).await?;
    if std::env::args().nth(1).is_some_and(|place| place == "memory") {
        // The first tab has the files.
        tab.wait_stats("an open store", TIMEOUT, |stats| stats.storage.is_some()).await?;
        tab.open_beside(seeder.link()).await?;
    }
    tab.wait_playing_beyond(1.0, TIMEOUT).await?;
    let first_frame_ms = tab.stats().await?.first_frame_ms;
    let mut most = watch(&tab, PLAY_TIME).await?;
    for second in SEEKS {
        tab.seek(second).await?;
        tab.wait_playing_beyond(second + 0.5, TIMEOUT).await?;
        most = most.max(watch(&tab, PLAY_TIME).await?);
    }
    tab.value::<Option<bool>>("document.querySelector('video').pause() ?? null").await?;
    let received = async || Ok::<_, anyhow::Error>(tab.stats().await?).map(|stats| stats.from_initial);
    // A seek and a pause at once: all of the look-ahead is to come.
    tab.seek(2000.0).await?;
    let before = received().await?;
    most = most.max(watch(&tab, PAUSE).await?);
    let paused_bytes = received().await? - before;
    let (stats, last) = (tab.stats().await?, tab.memory()?);
    tab.close().await?;
    let figures = json!({ "first_frame_ms": first_frame_ms, "private_most_bytes": most.private_bytes,
        "private_bytes": last.private_bytes, "resident_bytes": last.resident_bytes, "paused_bytes": paused_bytes, "held_bytes": stats.bytes_verified,
        "received_bytes": stats.from_initial, "stalls": stats.stalls, "stall_ms": stats.stall_ms });
    println!("{figures}");
    ensure!(most.private_bytes <= MEMORY_BYTES_MAX, "the tab took {most:?}");
    ensure!(paused_bytes <= PAUSED_BYTES_MAX, "{paused_bytes} bytes came while the film was paused");
    Ok(())
}

/// The most memory that the tab takes in a time.
async fn watch(tab: &Tab, time: Duration) -> Result<PageMemory> {
    let (end, mut most) = (Instant::now() + time, PageMemory::default());
    while Instant::now() < end {
        most = most.max(tab.memory()?);
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(most)
}
