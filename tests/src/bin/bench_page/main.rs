//! Measures the time from the start of the navigation to the first frame of a film, over plain HTTP and through
//! Tributary, in fresh Chromium processes. `cargo xtask bench page` builds and runs this program and summarises
//! what it prints.
//!
//! ```text
//! bench_page short|long TABS RUNS
//! ```
//!
//! Each tab is a Chromium process of its own with an empty profile. All tabs of a measurement start their
//! navigations together. The two ways alternate within each run, so that other load on the machine affects both.
//! The program prints one JSON object per measurement.
//!
//! The first frame is the first call of `requestVideoFrameCallback` of the first `<video>` in the page. The same
//! script measures it in both pages. `performance.now()` counts from the start of the navigation.

mod film_server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tests::browser::{Driver, Tab};
use tests::content::{film, long_film};
use tests::{Seeder, Tracker};

use film_server::FilmServer;

/// Maximum time until the first frame of every tab.
const FIRST_FRAME_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum time until every tab has the whole film.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Runs in each page before the page's own scripts.
///
/// At the first frame it asks the peer, if there is one, for its account of that moment. It looks for the end of
/// the transfer only after that, so that the questions do not delay the first frame.
const WATCH: &str = "(() => {
    const measured = window.measured = { first_frame_ms: null, bytes_at_first_frame: null, whole_ms: null };
    const watchWhole = async () => {
        const stats = await window.tributary.fresh();
        if (stats.bytes_total > 0 && stats.bytes_verified === stats.bytes_total) {
            measured.whole_ms = performance.now();
        } else setTimeout(watchWhole, 20);
    };
    const firstFrame = async () => {
        const now = performance.now();
        measured.bytes_at_first_frame = (await window.tributary?.fresh())?.bytes_verified ?? null;
        measured.first_frame_ms = now;
        if (window.tributary) watchWhole();
    };
    new MutationObserver((_, observer) => {
        const video = document.querySelector('video');
        if (!video) return;
        observer.disconnect();
        video.requestVideoFrameCallback(firstFrame);
    }).observe(document, { childList: true, subtree: true });
})()";

/// How a film reaches the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    /// `<video src>` from a plain HTTP server.
    Http,
    /// Tracker, seeder and the page.
    Tributary,
}

/// The value of `window.measured`.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Measured {
    first_frame_ms: Option<f64>,
    bytes_at_first_frame: Option<u64>,
    whole_ms: Option<f64>,
}

/// One measurement; lists have one entry per tab.
#[derive(Debug, Serialize)]
struct Measurement {
    way: Way,
    film_bytes: u64,
    /// From the start of the navigation to the first frame, ms.
    first_frame_ms: Vec<f64>,
    /// Verified bytes in the tab at its first frame. Empty for plain HTTP.
    bytes_at_first_frame: Vec<u64>,
    /// From the start of the navigation until the tab had the whole film, ms. Empty if that was not awaited.
    whole_ms: Vec<f64>,
    /// Payload that the seeder sent until every tab was complete, in lengths of the film.
    seeder_copies: Option<f64>,
}

/// What the command line asks for.
struct Plan {
    film: PathBuf,
    film_bytes: u64,
    tabs: usize,
    runs: u32,
    /// Whether a tab fetches the whole film. A tab does not keep all of the long film.
    is_whole: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let plan = Plan::from_arguments()?;
    let driver = Driver::start()?;
    // The seeder keeps the film's hashes here, so that it hashes the film once and not in every run.
    let home = tempfile::tempdir()?;
    for run in 0..plan.runs {
        let ways = if run % 2 == 0 { [Way::Http, Way::Tributary] } else { [Way::Tributary, Way::Http] };
        for way in ways {
            let measurement = match way {
                Way::Http => over_http(&driver, &plan).await?,
                Way::Tributary => through_tributary(&driver, &plan, home.path()).await?,
            };
            println!("{}", serde_json::to_string(&measurement)?);
        }
    }
    Ok(())
}

impl Plan {
    fn from_arguments() -> Result<Self> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [film_name, tabs, runs] = &arguments[..] else { bail!("usage: bench_page short|long TABS RUNS") };
        let (film, is_whole) = match film_name.as_str() {
            "short" => (film()?, true),
            "long" => (long_film()?, false),
            _ => bail!("the film is `short` or `long`, not `{film_name}`"),
        };
        let film_bytes = std::fs::metadata(&film)?.len();
        let tabs = tabs.parse().context("TABS is a number")?;
        Ok(Self { film, film_bytes, tabs, runs: runs.parse().context("RUNS is a number")?, is_whole })
    }
}

async fn over_http(driver: &Driver, plan: &Plan) -> Result<Measurement> {
    let server = FilmServer::start(&plan.film).await?;
    let tabs = open(driver, plan.tabs, &server.link()).await?;
    finished(Way::Http, plan, tabs, None).await
}

async fn through_tributary(driver: &Driver, plan: &Plan, home: &Path) -> Result<Measurement> {
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &plan.film, home, &[])?;
    let tabs = open(driver, plan.tabs, seeder.link()).await?;
    let mut seeder_copies = None;
    if plan.is_whole {
        let whole = |tab| wait(tab, "the whole film", WHOLE_TIMEOUT, "window.measured.whole_ms !== null");
        try_join_all(tabs.iter().map(whole)).await?;
        let uploaded_bytes = seeder.next_uploaded();
        seeder_copies = Some(uploaded_bytes as f64 / plan.film_bytes as f64);
    }
    finished(Way::Tributary, plan, tabs, seeder_copies).await
}

/// Starts the browsers one after another, then opens `link` in all of them at once. Returns when every tab has
/// shown its first frame.
async fn open(driver: &Driver, count: usize, link: &str) -> Result<Vec<Tab>> {
    let mut tabs = Vec::new();
    for number in 1..=count {
        let tab = Tab::start(driver, &format!("tab {number}"), &[]).await?;
        tab.run_first(WATCH).await?;
        tabs.push(tab);
    }
    try_join_all(tabs.iter().map(|tab| tab.open(link))).await?;
    let shown =
        |tab| wait(tab, "the first frame", FIRST_FRAME_TIMEOUT, "window.measured?.first_frame_ms != null");
    try_join_all(tabs.iter().map(shown)).await?;
    Ok(tabs)
}

async fn wait(tab: &Tab, what: &str, timeout: Duration, condition: &str) -> Result<()> {
    tab.wait_for(what, timeout, condition).await
}

/// Reads what every tab measured and ends the tabs.
async fn finished(way: Way, plan: &Plan, tabs: Vec<Tab>, seeder_copies: Option<f64>) -> Result<Measurement> {
    let mut measured: Vec<Measured> = Vec::new();
    for tab in tabs {
        measured.push(tab.value("window.measured").await?);
        tab.close().await?;
    }
    let measurement = Measurement {
        way,
        film_bytes: plan.film_bytes,
        first_frame_ms: measured.iter().filter_map(|tab| tab.first_frame_ms).collect(),
        bytes_at_first_frame: measured.iter().filter_map(|tab| tab.bytes_at_first_frame).collect(),
        whole_ms: measured.iter().filter_map(|tab| tab.whole_ms).collect(),
        seeder_copies,
    };
    ensure!(measurement.first_frame_ms.len() == plan.tabs, "a tab lost its measurement: {measurement:?}");
    Ok(measurement)
}
