//! Measures how much later viewers are served while a hostile crowd attacks the tracker. `cargo xtask bench hostile`
//! builds and runs this program and summarises what it prints.
//!
//! ```text
//! bench_hostile HONEST HOSTILE RUNS JOIN_SECONDS
//! ```
//!
//! Each run is a round without attackers and a round with them, each at a tracker process of its own
//! ([`tests::crowd`]). The program prints one JSON object over all runs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde::Serialize;
use tests::crowd::honest::Times;
use tests::crowd::{Plan, Round, round};

/// The rounds of one kind together.
#[derive(Debug, Default, Serialize)]
struct Measurement {
    /// Viewers that completed, over all runs.
    completed: usize,
    linked_p50_ms: f64,
    linked_p99_ms: f64,
    complete_p50_ms: f64,
    complete_p99_ms: f64,
    /// Honest connections that were closed and honest requests that were refused.
    lost: usize,
    /// The first of those, in words.
    first_lost: Option<String>,
    /// Maximum resident memory of a tracker, MiB.
    tracker_mib: f64,
    /// Processor time of the trackers, s.
    tracker_cpu_s: f64,
    /// What the attackers did.
    acts: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct Report {
    honest: usize,
    hostile: usize,
    runs: usize,
    alone: Measurement,
    attacked: Measurement,
}

#[tokio::main]
async fn main() -> Result<()> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [honest, hostile, runs, join_seconds] = numbers[..] else {
        bail!("usage: bench_hostile HONEST HOSTILE RUNS JOIN_SECONDS");
    };
    ensure!(honest > 2 && hostile > 0 && runs > 0, "give at least 3 viewers, 1 attacker and 1 run");
    let join_over = Duration::from_secs(u64::try_from(join_seconds)?);
    let (mut alone, mut attacked) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        for (hostile, rounds) in [(0, &mut alone), (hostile, &mut attacked)] {
            eprintln!("run {run}: {honest} viewers, {hostile} attackers");
            rounds.push(round(Plan { honest, hostile, join_over }).await?);
        }
    }
    let (alone, attacked) = (Measurement::of(&alone), Measurement::of(&attacked));
    println!("{}", serde_json::to_string(&Report { honest, hostile, runs, alone, attacked })?);
    Ok(())
}

impl Measurement {
    fn of(rounds: &[Round]) -> Self {
        let times: Vec<Times> = rounds.iter().flat_map(|round| round.times.iter().copied()).collect();
        let mut acts: BTreeMap<String, u64> = BTreeMap::new();
        for (name, count) in rounds.iter().flat_map(|round| &round.acts) {
            *acts.entry((*name).to_owned()).or_default() += count;
        }
        let memory_bytes = rounds.iter().map(|round| round.memory_max_bytes).max().unwrap_or_default();
        let mut lost = rounds.iter().flat_map(|round| &round.lost);
        let linked = sorted_ms(times.iter().map(|times| times.linked));
        let complete = sorted_ms(times.iter().map(|times| times.complete));
        Self {
            completed: times.len(),
            linked_p50_ms: percentile(&linked, 50),
            linked_p99_ms: percentile(&linked, 99),
            complete_p50_ms: percentile(&complete, 50),
            complete_p99_ms: percentile(&complete, 99),
            lost: rounds.iter().map(|round| round.lost.len()).sum(),
            first_lost: lost.next().cloned(),
            tracker_mib: memory_bytes as f64 / 1024.0 / 1024.0,
            tracker_cpu_s: rounds.iter().map(|round| round.cpu_s).sum(),
            acts,
        }
    }
}

fn sorted_ms(times: impl Iterator<Item = Duration>) -> Vec<f64> {
    let mut times: Vec<f64> = times.map(|time| time.as_secs_f64() * 1000.0).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// The value below which so many per cent lie; 0 of nothing.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}
