//! Measures what a tab does that another tab of its window hides: whether it serves, fetches and plays. `cargo xtask bench hidden`
//! builds and runs this program and summarises what it prints.
//!
//! ```text
//! bench_hidden RUNS GRACE
//! ```
//! The measured tab is in a Chromium with a window, on a screen in memory, without the flags that tests usually have against the
//! throttling of hidden tabs. `GRACE` is how many seconds Chromium waits before it throttles a hidden and silent tab to one timer
//! a minute; 300 is its own value. The program prints one JSON object per measurement.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tests::browser::Tab;
use tests::content::film;
use tests::driver::Driver;
use tests::screen::Screen;
use tests::{Seeder, Tracker};

/// Maximum time for anything that a tab is to reach.
const TIMEOUT: Duration = Duration::from_secs(90);

/// How long a tab is hidden before it serves for the first time. Chromium begins to throttle after 10 s.
const HIDDEN: Duration = Duration::from_secs(15);

/// For how long timers are counted where they fire at least once a second.
const COUNTED: Duration = Duration::from_secs(5);

/// The same where they may fire less often.
const LONG_COUNTED: Duration = Duration::from_secs(10);

/// How long after the grace Chromium takes to throttle.
const AFTER_GRACE: Duration = Duration::from_secs(60);

/// For how long playback is watched.
const PLAYED: Duration = Duration::from_secs(10);

/// What the seeder may send to a tab that fetches, flag of `seeder`: four times the rate of the film.
const SEEDER_LIMIT: &str = "16M";

/// What Chromium's own grace is, s.
const USUAL_GRACE_S: u64 = 300;

/// Counts in the measured tab what its timers and those of its worker do: the worker gives an account each quarter of a second.
const COUNT: &str = "window.pageTimers = window.workerTimers = 0;
setInterval(() => { window.pageTimers += 1; }, 100);
window.Worker = class extends Worker {
    constructor(...rest) {
        super(...rest);
        this.addEventListener('message', ({ data }) => {
            if (data?.type === 'stats' && data.id === null) window.workerTimers += 1;
        });
    }
};";

/// Notes in a tab that fetches when its first and its last group are there. `performance.now()` counts from the start of the
/// navigation.
const WATCH: &str = "const watch = setInterval(async () => {
    const stats = await window.tributary?.fresh();
    if (!stats || stats.bytes_total === 0 || stats.bytes_verified === 0) return;
    window.firstMs ??= performance.now();
    if (stats.bytes_verified < stats.bytes_total) return;
    window.wholeMs ??= performance.now();
    clearInterval(watch);
}, 20);";

/// How the measured tab stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Visible,
    Hidden,
    /// For longer than the grace.
    HiddenLong,
}

/// Timers that fired, a second. Ten and four would without throttling.
#[derive(Debug, Clone, Copy, Serialize)]
struct Timers {
    page_timers_per_s: f64,
    worker_timers_per_s: f64,
}

#[derive(Debug, Serialize)]
#[serde(tag = "of", rename_all = "snake_case")]
enum Measurement {
    /// Another browser fetched the whole film from the tab, which alone had it.
    Serve {
        tab: State,
        hidden_s: f64,
        #[serde(flatten)]
        timers: Timers,
        /// From the start of the navigation to the first group.
        first_ms: f64,
        /// From the first group to the last.
        mbit_s: f64,
    },
    /// The tab fetched from the capped seeder while its film was paused.
    Fetch { tab: State, seconds: f64, mbit_s: f64 },
    /// The tab played while it was hidden.
    Play {
        is_muted: bool,
        #[serde(flatten)]
        timers: Timers,
        seconds: f64,
        played_s: f64,
        stalls: u32,
    },
}

fn say(measurement: &Measurement) -> Result<()> {
    println!("{}", serde_json::to_string(measurement)?);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<u64> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let &[runs, grace_s] = arguments.as_slice() else { anyhow::bail!("call it as bench_hidden RUNS GRACE") };
    let (screen, viewers) = (Screen::start()?, Driver::start()?);
    let driver = Driver::start_at(&screen)?;
    serve(&driver, &viewers, runs, grace_s).await?;
    for tab in [State::Visible, State::Hidden] {
        fetch(&driver, tab).await?;
    }
    play(&driver).await
}

async fn serve(driver: &Driver, viewers: &Driver, runs: u64, grace_s: u64) -> Result<()> {
    let home = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film()?, home.path(), &[])?;
    let grace = format!("--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/{grace_s}");
    let flags = if grace_s == USUAL_GRACE_S { vec![] } else { vec![grace.as_str()] };
    let tab = Tab::start_in_window(driver, "the serving tab", &flags).await?;
    tab.run_first(COUNT).await?;
    tab.open(seeder.link()).await?;
    tab.wait_stats("the whole film", TIMEOUT, |stats| stats.is_complete()).await?;
    // A tab that plays sound is never throttled.
    pause(&tab).await?;
    seeder.kill()?;
    let serving = Serving { tab: &tab, viewers, link: seeder.link() };
    // In turns, so that whatever else the machine does meets both alike.
    for _ in 0..runs {
        serving.run(State::Visible, Instant::now(), COUNTED, 1).await?;
        tab.hide().await?;
        let hidden_at = Instant::now();
        tokio::time::sleep(HIDDEN).await;
        serving.run(State::Hidden, hidden_at, COUNTED, 1).await?;
        tab.show().await?;
    }
    tab.hide().await?;
    let hidden_at = Instant::now();
    tokio::time::sleep(Duration::from_secs(grace_s) + AFTER_GRACE).await;
    serving.run(State::HiddenLong, hidden_at, LONG_COUNTED, runs).await?;
    tab.show().await?;
    serving.run(State::Visible, Instant::now(), COUNTED, 1).await?;
    tab.close().await
}

/// The tab that alone has the film, and what has others fetch it.
struct Serving<'a> {
    tab: &'a Tab,
    viewers: &'a Driver,
    link: &'a str,
}

impl Serving<'_> {
    /// Counts the tab's timers for this long, then has fresh browsers fetch the film from it, one after the other.
    async fn run(&self, state: State, since: Instant, counted: Duration, runs: u64) -> Result<()> {
        let is_hidden: bool = self.tab.value("document.hidden").await?;
        ensure!(is_hidden == (state != State::Visible), "the tab is meant to be {state:?}");
        let timers = count(self.tab, counted).await?;
        for _ in 0..runs {
            let hidden_s = if is_hidden { since.elapsed().as_secs_f64() } else { 0.0 };
            let (first_ms, mbit_s) = self.fetch().await?;
            say(&Measurement::Serve { tab: state, hidden_s, timers, first_ms, mbit_s })?;
        }
        ensure!(
            self.tab.value::<bool>("document.hidden").await? == is_hidden,
            "the tab did not stay as it was"
        );
        Ok(())
    }

    async fn fetch(&self) -> Result<(f64, f64)> {
        let viewer = Tab::start(self.viewers, "the fetching tab", &[]).await?;
        viewer.run_first(WATCH).await?;
        viewer.open(self.link).await?;
        let stats = viewer.wait_stats("the whole film", TIMEOUT, |stats| stats.is_complete()).await?;
        ensure!(stats.from_peers >= stats.bytes_total, "not all came from the tab: {stats:?}");
        viewer.wait_for("the time of it", TIMEOUT, "window.wholeMs !== undefined").await?;
        let (first_ms, whole_ms): (f64, f64) = viewer.value("[window.firstMs, window.wholeMs]").await?;
        viewer.close().await?;
        Ok((first_ms, mbit_s(stats.bytes_total, (whole_ms - first_ms) / 1000.0)))
    }
}

async fn fetch(driver: &Driver, state: State) -> Result<()> {
    let home = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film()?, home.path(), &["--upload-limit", SEEDER_LIMIT])?;
    let tab = Tab::start_in_window(driver, "the tab that fetches", &[]).await?;
    tab.open(seeder.link()).await?;
    tab.wait_stats("a first frame", TIMEOUT, |stats| stats.first_frame_ms.is_some()).await?;
    pause(&tab).await?;
    if state == State::Hidden {
        tab.hide().await?;
    }
    let (start, before) = (Instant::now(), tab.stats().await?);
    ensure!(!before.is_complete(), "there was nothing left to fetch");
    let stats = tab.wait_stats("the whole film", TIMEOUT, |stats| stats.is_complete()).await?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(tab.value::<bool>("document.hidden").await? == (state == State::Hidden), "not {state:?}");
    tab.close().await?;
    let mbit_s = mbit_s(stats.bytes_total - before.bytes_verified, seconds);
    say(&Measurement::Fetch { tab: state, seconds, mbit_s })
}

async fn play(driver: &Driver) -> Result<()> {
    let home = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film()?, home.path(), &["--upload-limit", SEEDER_LIMIT])?;
    let tab = Tab::start_in_window(driver, "the tab that plays", &[]).await?;
    tab.run_first(COUNT).await?;
    tab.open(seeder.link()).await?;
    tab.wait_playing_beyond(1.0, TIMEOUT).await?;
    tab.hide().await?;
    for is_muted in [false, true] {
        let set = format!("(document.querySelector('video').muted = {is_muted}) === {is_muted}");
        ensure!(tab.value::<bool>(&set).await?, "the sound cannot be changed");
        let stalls = tab.stats().await?.stalls;
        let (start, from_s) = (Instant::now(), position(&tab).await?);
        let timers = count(&tab, PLAYED).await?;
        let (seconds, played_s) = (start.elapsed().as_secs_f64(), position(&tab).await? - from_s);
        let stalls = tab.stats().await?.stalls - stalls;
        ensure!(tab.value::<bool>("document.hidden").await?, "the tab is not hidden any more");
        say(&Measurement::Play { is_muted, timers, seconds, played_s, stalls })?;
    }
    tab.close().await
}

async fn pause(tab: &Tab) -> Result<()> {
    let paused = "(video => { video.pause(); return video.paused; })(document.querySelector('video'))";
    ensure!(tab.value::<bool>(paused).await?, "the film cannot be paused");
    Ok(())
}

async fn position(tab: &Tab) -> Result<f64> {
    tab.value("document.querySelector('video').currentTime").await
}

/// Counts timers for this long.
async fn count(tab: &Tab, time: Duration) -> Result<Timers> {
    let counts = async || tab.value::<(f64, f64)>("[window.pageTimers, window.workerTimers]").await;
    let (start, before) = (Instant::now(), counts().await.context("no counts")?);
    tokio::time::sleep(time).await;
    let (after, seconds) = (counts().await?, start.elapsed().as_secs_f64());
    Ok(Timers {
        page_timers_per_s: (after.0 - before.0) / seconds,
        worker_timers_per_s: (after.1 - before.1) / seconds,
    })
}

fn mbit_s(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 * 8.0 / 1e6 / seconds
}
