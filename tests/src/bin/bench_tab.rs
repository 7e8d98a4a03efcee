//! Measures how soon one fresh Chromium tab shows a film and has it whole, from one seeder on this machine.
//!
//! ```text
//! cargo xtask build --release
//! cargo run --release -p tests --features end-to-end --bin bench_tab -- [RUNS [SEEDER...]]
//! ```
//! Prints one JSON object a run, and what the runs of each seeder come to. Several seeders are programs to be
//! compared: they take turns, so that whatever else the machine does meets them alike. The default is the built
//! one. The film is that of the end-to-end tests: 60 s, 720p, about 30 MB.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tests::browser::Tab;
use tests::content::film;
use tests::driver::Driver;
use tests::places::binary;
use tests::{Seeder, Tracker};

/// Runs unless another number is given.
const RUNS: u32 = 5;

/// How long one tab may take to get the film whole.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Notes in the page when everything is there; `performance.now()` counts from the start of the navigation.
const WATCH: &str = "const watch = setInterval(async () => {
    const stats = await window.tributary?.fresh();
    if (!stats || stats.bytes_total === 0 || stats.bytes_verified < stats.bytes_total) return;
    window.wholeMs ??= performance.now();
    clearInterval(watch);
}, 20);";

/// One tab's figures.
#[derive(Debug, Clone, Copy)]
struct Figures {
    first_frame_ms: u64,
    whole_ms: u64,
    stalls: u32,
    stall_ms: u64,
    /// Packets that found the buffer of some socket of this machine full.
    rcvbuf_errors: u64,
    /// What the seeder spent, user and system.
    seeder_cpu_s: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let runs = arguments.next().map_or(Ok(RUNS), |text| text.parse()).context("RUNS is a number")?;
    let mut seeders: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    if seeders.is_empty() {
        seeders.push(binary("seeder")?);
    }
    let film = film()?;
    let driver = Driver::start()?;
    let mut figures = vec![Vec::new(); seeders.len()];
    for _ in 0..runs {
        for (seeder, figures) in seeders.iter().zip(&mut figures) {
            let measured = measure(&driver, seeder, &film).await?;
            println!("{}", line(seeder, "run", measured));
            figures.push(measured);
        }
    }
    for (seeder, figures) in seeders.iter().zip(&figures) {
        println!("{}", line(seeder, "median", medians(figures)));
    }
    Ok(())
}

async fn measure(driver: &Driver, seeder: &Path, film: &Path) -> Result<Figures> {
    let home = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start_program(seeder, &tracker, film, home.path(), &[])?;
    let tab = Tab::start(driver, "tab", &[]).await?;
    tab.run_first(WATCH).await?;
    let (errors, cpu_s) = (rcvbuf_errors()?, seeder.cpu_s()?);
    tab.open(seeder.link()).await?;
    tab.wait_stats("the whole film", WHOLE_TIMEOUT, |stats| stats.is_complete()).await?;
    tab.wait_for("the time of it", WHOLE_TIMEOUT, "window.wholeMs !== undefined").await?;
    let seeder_cpu_s = seeder.cpu_s()? - cpu_s;
    let rcvbuf_errors = rcvbuf_errors()? - errors;
    let whole_ms: f64 = tab.value("window.wholeMs").await?;
    let stats = tab.wait_stats("a frame", WHOLE_TIMEOUT, |stats| stats.first_frame_ms.is_some()).await?;
    tab.close().await?;
    Ok(Figures {
        first_frame_ms: stats.first_frame_ms.unwrap_or_default(),
        whole_ms: whole_ms.round() as u64,
        stalls: stats.stalls,
        stall_ms: stats.stall_ms,
        rcvbuf_errors,
        seeder_cpu_s,
    })
}

fn line(seeder: &Path, kind: &str, figures: Figures) -> serde_json::Value {
    let Figures { first_frame_ms, whole_ms, stalls, stall_ms, rcvbuf_errors, seeder_cpu_s } = figures;
    let seeder = seeder.display().to_string();
    json!({ "of": kind, "seeder": seeder, "first_frame_ms": first_frame_ms, "whole_ms": whole_ms, "stalls": stalls,
        "stall_ms": stall_ms, "rcvbuf_errors": rcvbuf_errors, "seeder_cpu_s": (seeder_cpu_s * 100.0).round() / 100.0 })
}

/// The median of each figure by itself.
fn medians(figures: &[Figures]) -> Figures {
    fn median<T: PartialOrd + Copy + Default>(figures: &[Figures], of: impl Fn(&Figures) -> T) -> T {
        let mut values: Vec<T> = figures.iter().map(of).collect();
        values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        values.get(values.len() / 2).copied().unwrap_or_default()
    }
    Figures {
        first_frame_ms: median(figures, |of| of.first_frame_ms),
        whole_ms: median(figures, |of| of.whole_ms),
        stalls: median(figures, |of| of.stalls),
        stall_ms: median(figures, |of| of.stall_ms),
        rcvbuf_errors: median(figures, |of| of.rcvbuf_errors),
        seeder_cpu_s: median(figures, |of| of.seeder_cpu_s),
    }
}

/// `RcvbufErrors` of all UDP sockets since the machine started, IPv4.
fn rcvbuf_errors() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/net/snmp").context("the kernel's counters are Linux's")?;
    let mut lines = text.lines().filter(|line| line.starts_with("Udp:")).map(str::split_whitespace);
    let (names, values) = lines.next().zip(lines.next()).context("/proc/net/snmp has no UDP counters")?;
    let mut fields = names.zip(values);
    let found = fields.find(|(name, _)| *name == "RcvbufErrors").context("no count of full buffers")?;
    Ok(found.1.parse()?)
}
