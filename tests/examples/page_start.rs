//! How soon a fresh tab shows its first frame, from the beginning and from the middle of a film: one line of
//! JSON with every measurement, in milliseconds since the navigation began.
//!
//! ```text
//! cargo xtask build --release
//! cargo run --release -p tests --example page_start -- [ROUNDS [SECONDS]]
//! ```
//!
//! Each measurement has a tracker, a seeder and a browser of its own; those from the beginning and those from
//! the middle alternate, so that whatever else runs on the machine weighs on both. The ratio is that of the
//! best of each, since disturbances only ever add.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tests::content::film;
use tests::scene::Scene;
use tests::{Seeder, Tracker};

const TIMEOUT: Duration = Duration::from_secs(60);
const ROUNDS: usize = 5;
const START_SECONDS: u32 = 45;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().map_or(Ok(ROUNDS), |text| text.parse()).context("ROUNDS is a number")?;
    let seconds =
        arguments.next().map_or(Ok(START_SECONDS), |text| text.parse()).context("SECONDS is a number")?;
    let film = film()?;
    let home = tempfile::tempdir()?;
    let (mut beginning_ms, mut middle_ms) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        beginning_ms.push(first_frame_ms(&film, home.path(), "").await?);
        middle_ms.push(first_frame_ms(&film, home.path(), &format!("&t={seconds}")).await?);
    }
    let best = |measured: &[u64]| measured.iter().min().copied().context("no rounds");
    let ratio = best(&middle_ms)? as f64 / best(&beginning_ms)? as f64;
    println!(
        "{}",
        json!({
            "beginning_ms": beginning_ms, "middle_ms": middle_ms, "middle_s": seconds,
            "best_ratio": (ratio * 100.0).round() / 100.0,
        })
    );
    Ok(())
}

/// Opens the film in a fresh tab, with `suffix` behind its link.
async fn first_frame_ms(film: &Path, home: &Path, suffix: &str) -> Result<u64> {
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, film, home, &[])?;
    let mut first_ms = None;
    Scene::play("a start", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&format!("{}{suffix}", seeder.link())).await?;
        let shown = |stats: &tests::TabStats| stats.first_frame_ms.is_some();
        first_ms = tab.wait_stats("the first frame", TIMEOUT, shown).await?.first_frame_ms;
        Ok(())
    })
    .await?;
    first_ms.context("no first frame")
}
