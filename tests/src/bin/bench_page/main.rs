//! Measures the time from the start of the navigation to the first frame of a film, over plain HTTP, through Tributary without and with
//! a mirror and, on request, by others, in fresh Chromium processes. `cargo xtask bench page` builds and runs this program and
//! summarises what it prints.
//!
//! ```text
//! bench_page short|long TABS RUNS [PACKAGES]
//! ```
//!
//! Each tab is a Chromium process of its own with an empty profile. All tabs of a measurement start their
//! navigations together. The ways alternate within each run, so that other load on the machine affects all of them.
//! `PACKAGES` is the folder with the programs of the [`others`]. The program prints one JSON object per measurement.
//!
//! The first frame is the first call of `requestVideoFrameCallback` of the first `<video>` in the page. The same
//! script measures it in all pages. `performance.now()` counts from the start of the navigation.

mod file_server;
mod others;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tests::browser::Tab;
use tests::content::{film, long_film};
use tests::driver::Driver;
use tests::program::Program;
use tests::{Seeder, Tracker, seeder};

use file_server::{FileServer, Files};
use others::Others;

/// Maximum time until the first frame of every tab.
const FIRST_FRAME_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum time until every tab has played [`PLAYED_SECONDS`].
const PLAYED_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum time until every tab has the whole film.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Maximum time to hash the film.
const TREE_TIMEOUT: Duration = Duration::from_secs(60);

/// What was sent is counted when every tab has played so much of the film.
const PLAYED_SECONDS: u32 = 10;

/// The page that plays the film over plain HTTP: the least that does. The attributes are those of the player in `www/`.
const PLAIN_PAGE: &str = "<!doctype html><meta charset=\"utf-8\"><title>A film over plain HTTP</title>\
    <script>window.bytesNow = async () => Number(await (await fetch('/sent')).text());</script>\
    <video src=\"/film.mp4\" controls autoplay playsinline preload=\"auto\"></video>";

/// Runs in each page before the page's own scripts.
///
/// At the first frame it asks for the bytes that came until then. It looks for the end of the transfer only after that, so that the
/// questions do not delay the first frame.
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
        measured.bytes_at_first_frame =
            (await window.tributary?.fresh())?.bytes_verified ?? (await window.bytesNow?.()) ?? null;
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
    /// The same with a mirror: the plain HTTP server.
    TributaryMirror,
    /// hls.js and P2P Media Loader, from the plain HTTP server.
    P2pMediaLoader,
    /// WebTorrent in the page, from another that has the film.
    WebTorrent,
}

/// The value of `window.measured`.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Measured {
    first_frame_ms: Option<f64>,
    bytes_at_first_frame: Option<u64>,
    whole_ms: Option<f64>,
}

/// What was sent until every tab had played a while. The short film has then come whole, by most ways.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Sent {
    /// By the plain HTTP server: the reference, the mirror, or the source of the stream.
    server_bytes: Option<u64>,
    /// By the peer that had the film from the beginning: payload.
    seeder_bytes: Option<u64>,
}

/// One measurement; lists have one entry per tab.
#[derive(Debug, Serialize)]
struct Measurement {
    way: Way,
    film_bytes: u64,
    /// From the start of the navigation to the first frame, ms.
    first_frame_ms: Vec<f64>,
    /// Bytes of the film in the tab at its first frame; over plain HTTP, what the server had sent to all tabs.
    bytes_at_first_frame: Vec<u64>,
    /// From the start of the navigation until the tab had the whole film, ms. Empty if that was not awaited.
    whole_ms: Vec<f64>,
    #[serde(flatten)]
    sent: Sent,
}

/// What the command line asks for.
struct Plan {
    film: PathBuf,
    film_bytes: u64,
    tabs: usize,
    runs: u32,
    /// Whether a tab fetches the whole film. A tab does not keep all of the long film.
    is_whole: bool,
    packages: Option<PathBuf>,
}

/// What stays from run to run.
struct Bench {
    plan: Plan,
    driver: Driver,
    /// The seeder keeps the film's hashes here, so that it hashes the film once and not in every run.
    home: tempfile::TempDir,
    tree: PathBuf,
    others: Option<Others>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let bench = Bench::prepare(Plan::from_arguments()?)?;
    let mut ways = vec![Way::Http, Way::Tributary, Way::TributaryMirror];
    if bench.others.is_some() {
        ways.extend([Way::P2pMediaLoader, Way::WebTorrent]);
    }
    for run in 0..bench.plan.runs {
        for way in &ways {
            let measurement = match bench.measure(*way, run).await {
                Ok(measurement) => measurement,
                Err(error) => {
                    // A browser that does not answer in time, on a busy machine, does not end all the others.
                    eprintln!("bench: {way:?} is measured once more: {error:#}");
                    bench.measure(*way, run).await.with_context(|| format!("{way:?}"))?
                }
            };
            println!("{}", serde_json::to_string(&measurement)?);
        }
        ways.rotate_left(1);
    }
    Ok(())
}

impl Plan {
    fn from_arguments() -> Result<Self> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let (film_name, tabs, runs, packages) = match &arguments[..] {
            [film, tabs, runs] => (film, tabs, runs, None),
            [film, tabs, runs, packages] => (film, tabs, runs, Some(PathBuf::from(packages))),
            _ => bail!("usage: bench_page short|long TABS RUNS [PACKAGES]"),
        };
        let (film, is_whole) = match film_name.as_str() {
            "short" => (film()?, true),
            "long" => (long_film()?, false),
            _ => bail!("the film is `short` or `long`, not `{film_name}`"),
        };
        let film_bytes = std::fs::metadata(&film)?.len();
        let tabs = tabs.parse().context("TABS is a number")?;
        let runs = runs.parse().context("RUNS is a number")?;
        Ok(Self { film, film_bytes, tabs, runs, is_whole, packages })
    }
}

impl Bench {
    fn prepare(plan: Plan) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let tree = home.path().join("film.mp4.tree");
        let mut command = seeder::command(home.path())?;
        command.arg("tree").arg(&plan.film).arg("--out").arg(&tree).arg("--json");
        let ended = Program::start("tree", &mut command)?.wait_end(TREE_TIMEOUT)?;
        ensure!(ended.status.success(), "no tree was written: {ended:?}");
        let others = plan.packages.as_deref().map(|packages| Others::start(packages, &plan.film));
        Ok(Self { driver: Driver::start()?, others: others.transpose()?, plan, home, tree })
    }

    async fn measure(&self, way: Way, run: u32) -> Result<Measurement> {
        match way {
            Way::Http => {
                let server = self.film_server().await?;
                self.over_server(way, &server, &server.link("/")).await
            }
            Way::Tributary => self.through_tributary(way, None).await,
            Way::TributaryMirror => {
                let server = self.film_server().await?;
                self.through_tributary(way, Some(&server)).await
            }
            Way::P2pMediaLoader => {
                let others = self.others()?;
                let server = FileServer::start(others.p2p_media_loader()).await?;
                let wishes = format!("/?run={run}-{}&tracker={}", self.plan.tabs, others.tracker());
                self.over_server(way, &server, &server.link(&wishes)).await
            }
            Way::WebTorrent => {
                let others = self.others()?;
                let server = FileServer::start(others.webtorrent()).await?;
                let before = others.uploaded_bytes().await?;
                let tabs = self.open(&server.link("/")).await?;
                let seeder_bytes = Some(others.uploaded_bytes().await? - before);
                self.finished(way, tabs, Sent { server_bytes: None, seeder_bytes }).await
            }
        }
    }

    fn others(&self) -> Result<&Others> {
        self.others.as_ref().context("there is no folder with the programs of the others")
    }

    /// The plain HTTP server: also a mirror.
    async fn film_server(&self) -> Result<FileServer> {
        let files = Files::default().page(PLAIN_PAGE).media("/film.mp4", &self.plan.film);
        FileServer::start(files.media("/film.mp4.tree", &self.tree)).await
    }

    async fn over_server(&self, way: Way, server: &FileServer, link: &str) -> Result<Measurement> {
        let tabs = self.open(link).await?;
        let server_bytes = Some(server.sent_bytes());
        self.finished(way, tabs, Sent { server_bytes, seeder_bytes: None }).await
    }

    async fn through_tributary(&self, way: Way, mirror: Option<&FileServer>) -> Result<Measurement> {
        let tracker = Tracker::start()?;
        let mirror_link = mirror.map(|mirror| mirror.link("/film.mp4"));
        let options: Vec<&str> = mirror_link.iter().flat_map(|link| ["--mirror", link]).collect();
        let seeder = Seeder::start(&tracker, &self.plan.film, self.home.path(), &options)?;
        let checked_bytes = mirror.map(FileServer::sent_bytes);
        let tabs = self.open(seeder.link()).await?;
        if self.plan.is_whole {
            let whole = |tab| {
                wait(tab, "the whole film", WHOLE_TIMEOUT, "window.measured.whole_ms !== null".to_owned())
            };
            try_join_all(tabs.iter().map(whole)).await?;
        }
        let seeder_bytes = Some(seeder.next_uploaded());
        let server_bytes = mirror.map(FileServer::sent_bytes).zip(checked_bytes);
        let server_bytes = server_bytes.map(|(sent, checked)| sent - checked);
        self.finished(way, tabs, Sent { server_bytes, seeder_bytes }).await
    }

    /// Starts the browsers one after another, then opens `link` in all of them at once. Returns when every tab has
    /// played a while.
    async fn open(&self, link: &str) -> Result<Vec<Tab>> {
        let mut tabs = Vec::new();
        for number in 1..=self.plan.tabs {
            let tab = Tab::start(&self.driver, &format!("tab {number}"), &[]).await?;
            tab.run_first(WATCH).await?;
            tabs.push(tab);
        }
        try_join_all(tabs.iter().map(|tab| tab.open(link))).await?;
        let shown = "window.measured?.first_frame_ms != null".to_owned();
        let shown = |tab| wait(tab, "the first frame", FIRST_FRAME_TIMEOUT, shown.clone());
        try_join_all(tabs.iter().map(shown)).await?;
        let played = format!("document.querySelector('video').currentTime >= {PLAYED_SECONDS}");
        let played = |tab| wait(tab, "some seconds of playback", PLAYED_TIMEOUT, played.clone());
        try_join_all(tabs.iter().map(played)).await?;
        Ok(tabs)
    }

    /// Reads what every tab measured and ends the tabs.
    async fn finished(&self, way: Way, tabs: Vec<Tab>, sent: Sent) -> Result<Measurement> {
        let mut measured: Vec<Measured> = Vec::new();
        for tab in tabs {
            measured.push(tab.value("window.measured").await?);
            tab.close().await?;
        }
        let measurement = Measurement {
            way,
            film_bytes: self.plan.film_bytes,
            first_frame_ms: measured.iter().filter_map(|tab| tab.first_frame_ms).collect(),
            bytes_at_first_frame: measured.iter().filter_map(|tab| tab.bytes_at_first_frame).collect(),
            whole_ms: measured.iter().filter_map(|tab| tab.whole_ms).collect(),
            sent,
        };
        ensure!(
            measurement.first_frame_ms.len() == self.plan.tabs,
            "a tab lost its measurement: {measurement:?}"
        );
        Ok(measurement)
    }
}

async fn wait(tab: &Tab, what: &str, timeout: Duration, condition: String) -> Result<()> {
    tab.wait_for(what, timeout, &condition).await
}
