//! How soon a fresh tab shows its first frame, in milliseconds since the navigation began: from the beginning of a
//! film, from its middle, and from the beginning of the same film with its index at the end. One line of JSON with
//! every measurement.
//!
//! ```text
//! cargo xtask build --release
//! cargo run --release -p tests --example page_start -- [ROUNDS [SECONDS [UPLOAD-LIMIT]]]
//! ```
//!
//! With an upload limit, such as `8M`, the seeder sends no more: then it is seen what is asked for first, and how busy
//! the machine is hardly matters.
//!
//! Each measurement has a tracker, a seeder and a browser of its own; the three alternate, each round in another
//! order, so that whatever else runs on the machine weighs on all. Ratios are to the start from the beginning, of
//! the medians and of the best of each, since disturbances only ever add.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::content::{film, film_with_index_last};
use tests::scene::Scene;
use tests::{Seeder, Tracker};

const TIMEOUT: Duration = Duration::from_secs(60);
const ROUNDS: usize = 5;
const START_SECONDS: u32 = 45;

/// One way to start, and how long it took each time.
struct Start {
    name: &'static str,
    film: PathBuf,
    suffix: String,
    measured_ms: Vec<u64>,
}

impl Start {
    fn new(name: &'static str, film: PathBuf, suffix: String) -> Self {
        Self { name, film, suffix, measured_ms: Vec::new() }
    }

    fn sorted_ms(&self) -> Vec<u64> {
        let mut sorted = self.measured_ms.clone();
        sorted.sort_unstable();
        sorted
    }

    fn best_ms(&self) -> u64 {
        self.sorted_ms().first().copied().unwrap_or(0)
    }

    /// The lower of the middle two of an even number.
    fn median_ms(&self) -> u64 {
        let sorted = self.sorted_ms();
        sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0)
    }

    /// What is printed of it, set against another.
    fn account(&self, base: &Self) -> Value {
        let ratio = |own: u64, other: u64| (own as f64 / other.max(1) as f64 * 100.0).round() / 100.0;
        json!({
            "ms": self.measured_ms,
            "median_ms": self.median_ms(),
            "best_ms": self.best_ms(),
            "median_ratio": ratio(self.median_ms(), base.median_ms()),
            "best_ratio": ratio(self.best_ms(), base.best_ms()),
        })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().map_or(Ok(ROUNDS), |text| text.parse()).context("ROUNDS is a number")?;
    let seconds: u32 =
        arguments.next().map_or(Ok(START_SECONDS), |text| text.parse()).context("SECONDS is a number")?;
    let limit = arguments.next();
    let options: Vec<&str> = limit.iter().flat_map(|limit| ["--upload-limit", limit]).collect();
    let film = film()?;
    let home = tempfile::tempdir()?;
    let mut starts = [
        Start::new("beginning", film.clone(), String::new()),
        Start::new("middle", film, format!("&t={seconds}")),
        Start::new("index_last", film_with_index_last()?, String::new()),
    ];
    for round in 0..rounds {
        for turn in 0..starts.len() {
            let index = (round + turn) % starts.len();
            if let Some(start) = starts.get_mut(index) {
                let measured_ms = first_frame_ms(start, home.path(), &options).await?;
                start.measured_ms.push(measured_ms);
            }
        }
    }
    let [base, ..] = &starts;
    let accounts = starts.iter().map(|start| (start.name.to_owned(), start.account(base)));
    let setting = [("middle_s".to_owned(), json!(seconds)), ("upload_limit".to_owned(), json!(limit))];
    println!("{}", Value::Object(accounts.chain(setting).collect()));
    Ok(())
}

/// Opens a film in a fresh tab, as `start` says, served by a seeder with `options`.
async fn first_frame_ms(start: &Start, home: &Path, options: &[&str]) -> Result<u64> {
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &start.film, home, options)?;
    let mut first_ms = None;
    Scene::play("a start", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&format!("{}{}", seeder.link(), start.suffix)).await?;
        let shown = |stats: &tests::TabStats| stats.first_frame_ms.is_some();
        first_ms = tab.wait_stats("the first frame", TIMEOUT, shown).await?.first_frame_ms;
        Ok(())
    })
    .await?;
    first_ms.context("no first frame")
}
