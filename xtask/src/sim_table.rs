//! `cargo xtask sim-table`: the published tables of simulated swarms.
//!
//! Runs `swarm-sim` on every scenario of [`SCENARIOS`] and [`COMPARISONS`] with several seeds, two at a time, and
//! writes mean and worst over the seeds between the marks in docs/method.md. Then it fails if a published target is
//! missed with any seed.

mod overload;
mod rooms;

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Deserialize;

use crate::build;
use crate::document::Table;
use crate::workspace::Workspace;

const TABLE: Table = Table { path: "docs/method.md", name: "sim-table" };
/// Number of simulations that run at the same time; each is single-threaded.
const AT_A_TIME: usize = 2;

/// The options of `sim-table`.
#[derive(Debug, Args)]
pub(crate) struct SimTable {
    /// Seeds: from 1 to this
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Only scenarios whose name contains this, or `overload` or `rooms`; print the table and write nothing
    #[arg(long)]
    only: Option<String>,
}

/// A swarm and its published targets.
struct Scenario {
    name: &'static str,
    /// Flags of `swarm-sim`.
    flags: &'static str,
    /// Most that T/T* may be.
    bound: Option<f64>,
    /// Most that the mean start of a run may be, ms.
    start_ms: Option<f64>,
}

const fn scenario(name: &'static str, flags: &'static str) -> Scenario {
    Scenario { name, flags, bound: None, start_ms: None }
}

const SCENARIOS: &[Scenario] = &[
    Scenario { bound: Some(1.03), start_ms: Some(700.0), ..scenario("30 viewers at once", "") },
    Scenario { bound: Some(1.06), ..scenario("100 viewers", "--peers 100") },
    Scenario { bound: Some(1.05), ..scenario("uplinks of 2, 10 and 50 Mbit/s", "--peer-up 2,10,50") },
    Scenario { bound: Some(1.15), ..scenario("1 % loss, 20 ms jitter", "--loss 1 --jitter 20") },
    Scenario { bound: Some(1.30), ..scenario("20 % churn a minute", "--churn 20") },
    Scenario { bound: Some(1.10), ..scenario("10 % corrupt what they send", "--corrupt 10") },
    Scenario {
        start_ms: Some(300.0),
        ..scenario("joins over 60 s, uplinks 1.5 × media", "--join-over 60 --peer-up 3")
    },
    scenario("uplinks 2 × media", "--peer-up 4"),
    scenario("joins over 60 s", "--join-over 60"),
    scenario("publisher 10 × faster", "--seeder-up 100"),
    scenario("publisher slower than one viewer", "--seeder-up 2 --media 1"),
    scenario("3 publishers", "--seeders 3"),
    scenario("all seek at random", "--seekers 100"),
    scenario("100 viewers, joins over 60 s, uplinks 1.5 × media", "--peers 100 --join-over 60 --peer-up 3"),
    scenario("joins over 60 s, uplinks of 2, 10 and 50", "--join-over 60 --peer-up 2,10,50"),
    scenario("10 % promise and send nothing", "--liars 10"),
    scenario("10 % send 1 kB/s, uplinks 2 × media", "--drip 10 --peer-up 4"),
    scenario("no tracker from 10 s to 70 s", "--tracker-outage 10-70"),
    scenario("a third dies at 10 s", "--kill 33@10"),
    scenario("the publisher dies after one copy", "--kill-seeder"),
    scenario("an author's rules", "--rules"),
];

/// The method beside a swarm whose neighbours are chosen by chance, and beside an ideal server without a swarm.
const COMPARISONS: &[Scenario] = &[
    scenario("30 viewers, the method", ""),
    scenario("30 viewers, an ideal server", "--policy client-server"),
    scenario("publisher 10 × faster, the method", "--seeder-up 100"),
    scenario("publisher 10 × faster, an ideal server", "--seeder-up 100 --policy client-server"),
    scenario("100 viewers, the method", "--peers 100"),
    scenario("100 viewers, neighbours by chance", "--peers 100 --policy random-graph"),
];

/// The part of one run's report that the table shows.
#[derive(Debug, Clone, Deserialize)]
struct Report {
    finished: bool,
    t_over_bound: f64,
    seeder_copies: f64,
    start_ms_mean: f64,
    stalls: f64,
    duplicate_pct: f64,
    peers: u32,
    finished_viewers: u32,
    stall_ms_mean: f64,
    fairness: f64,
}

/// Builds the simulator, runs the scenarios and writes the tables, or prints them with `--only`. An error if a target is
/// missed; the tables are written in any case.
pub(crate) fn run(workspace: &Workspace, options: &SimTable) -> Result<()> {
    build::simulator(workspace)?;
    let (mut text, mut misses) = (String::new(), Vec::new());
    for (title, scenarios) in [("Scenarios", SCENARIOS), ("Compared with other ways", COMPARISONS)] {
        let is_chosen = |scenario: &&Scenario| {
            options.only.as_ref().is_none_or(|part| scenario.name.contains(part.as_str()))
        };
        let chosen: Vec<&Scenario> = scenarios.iter().filter(is_chosen).collect();
        if !chosen.is_empty() {
            let reports = simulate(workspace, &chosen, options.seeds)?;
            writeln!(text, "{}", table(title, &chosen, &reports))?;
            misses.extend(
                chosen.iter().zip(&reports).flat_map(|(scenario, reports)| missed(scenario, reports)),
            );
        }
    }
    if options.only.as_ref().is_none_or(|part| "overload".contains(part.as_str())) {
        let (table, missed) = overload::run(workspace, options.seeds)?;
        writeln!(text, "{table}")?;
        misses.extend(missed);
    }
    if options.only.as_ref().is_none_or(|part| "rooms".contains(part.as_str())) {
        let (table, missed) = rooms::run(workspace, options.seeds)?;
        writeln!(text, "{table}")?;
        misses.extend(missed);
    }
    if options.only.is_some() {
        print!("{text}");
    } else {
        TABLE.write(workspace, &text)?;
    }
    misses.iter().for_each(|miss| eprintln!("missed: {miss}"));
    if !misses.is_empty() {
        bail!("{} published targets are missed", misses.len());
    }
    Ok(())
}

/// The targets that a scenario misses, one line each. The worst seed counts, and a scenario with a target must finish
/// with every seed.
fn missed(scenario: &Scenario, reports: &[Report]) -> Vec<String> {
    let name = scenario.name;
    let exceeded = |what: &str, value: fn(&Report) -> f64, max: Option<f64>| {
        let (worst, seed) = reports.iter().map(value).zip(1..).max_by(|a, b| a.0.total_cmp(&b.0))?;
        let max = max.filter(|max| worst > *max)?;
        Some(format!("{name}: {what} is {worst:.3} with seed {seed}, at most {max} is published"))
    };
    let has_target = scenario.bound.is_some() || scenario.start_ms.is_some();
    let unfinished = reports.iter().zip(1..).find(|(report, _)| has_target && !report.finished);
    let unfinished =
        unfinished.map(|(_, seed)| format!("{name}: not everybody has everything with seed {seed}"));
    let bound = exceeded("T/T*", |report| report.t_over_bound, scenario.bound);
    let start = exceeded("mean start, ms,", |report| report.start_ms_mean, scenario.start_ms);
    unfinished.into_iter().chain(bound).chain(start).collect()
}

/// Runs every scenario with every seed; returns the reports by scenario, then by seed.
fn simulate(workspace: &Workspace, scenarios: &[&Scenario], seeds: u64) -> Result<Vec<Vec<Report>>> {
    let jobs: Vec<(usize, u64)> =
        (0..scenarios.len()).flat_map(|index| (1..=seeds).map(move |seed| (index, seed))).collect();
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, u64, Report)>> = Mutex::default();
    let work = || -> Result<()> {
        while let Some((index, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let report = one(workspace, scenarios[*index], *seed)?;
            eprintln!("{}, seed {seed}: {:.3}", scenarios[*index].name, report.t_over_bound);
            results
                .lock()
                .map_err(|_| anyhow::anyhow!("a simulation panicked"))?
                .push((*index, *seed, report));
        }
        Ok(())
    };
    thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a simulation panicked"))??;
        }
        Ok(())
    })?;
    let mut results = results.into_inner().map_err(|_| anyhow::anyhow!("a simulation panicked"))?;
    results.sort_by_key(|(index, seed, _)| (*index, *seed));
    let of = |index: usize| {
        results.iter().filter(move |result| result.0 == index).map(|(_, _, report)| report.clone())
    };
    Ok((0..scenarios.len()).map(|index| of(index).collect()).collect())
}

fn one(workspace: &Workspace, scenario: &Scenario, seed: u64) -> Result<Report> {
    let mut command = Command::new(workspace.release_dir().join("swarm-sim"));
    command.args(scenario.flags.split_whitespace()).args(["--json", "--seed", &seed.to_string()]);
    // A run that does not finish fails, but prints its report all the same.
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start swarm-sim {}", scenario.flags))?;
    ensure!(!output.stdout.is_empty(), "swarm-sim {} failed ({})", scenario.flags, output.status);
    serde_json::from_slice(&output.stdout).context("swarm-sim's report is not as expected")
}

fn table(title: &str, scenarios: &[&Scenario], reports: &[Vec<Report>]) -> String {
    let mut rows = format!(
        "**{title}** (mean; worst where it differs)\n\n\
         | swarm | flags | T/T\\* | target | publisher's copies | start, ms | target | stalls | duplicates, % |\n\
         |---|---|---|---|---|---|---|---|---|\n"
    );
    for (scenario, reports) in scenarios.iter().zip(reports) {
        let cell = |value: fn(&Report) -> f64, digits: usize| {
            let values: Vec<f64> = reports.iter().map(value).collect();
            let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
            let worst = values.iter().copied().fold(f64::MIN, f64::max);
            let (mean, worst) = (format!("{mean:.digits$}"), format!("{worst:.digits$}"));
            if mean == worst { mean } else { format!("{mean}; {worst}") }
        };
        let target = |most: Option<f64>| most.map_or(String::new(), |most| format!("≤ {most}"));
        let flags = if scenario.flags.is_empty() { String::new() } else { format!("`{}`", scenario.flags) };
        let unfinished = if reports.iter().all(|report| report.finished) { "" } else { ", not finished" };
        rows += &format!(
            "| {} | {flags} | {}{unfinished} | {} | {} | {} | {} | {} | {} |\n",
            scenario.name,
            cell(|report| report.t_over_bound, 3),
            target(scenario.bound),
            cell(|report| report.seeder_copies, 2),
            cell(|report| report.start_ms_mean, 0),
            target(scenario.start_ms),
            cell(|report| report.stalls, 0),
            cell(|report| report.duplicate_pct, 1),
        );
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(t_over_bound: f64, start_ms_mean: f64, finished: bool) -> Report {
        Report {
            finished,
            t_over_bound,
            seeder_copies: 1.0,
            start_ms_mean,
            stalls: 0.0,
            duplicate_pct: 0.0,
            peers: 30,
            finished_viewers: 30,
            stall_ms_mean: 0.0,
            fairness: 1.0,
        }
    }

    #[test]
    fn a_target_is_missed_if_one_seed_misses_it() {
        let [good, bad] = [report(1.03, 700.0, true), report(1.031, 699.0, true)];
        assert_eq!(missed(&SCENARIOS[0], &[good.clone(), good.clone()]), Vec::<String>::new());
        let misses = missed(&SCENARIOS[0], &[good, bad]);
        assert_eq!(misses, ["30 viewers at once: T/T* is 1.031 with seed 2, at most 1.03 is published"]);
        let misses = missed(&SCENARIOS[0], &[report(1.0, 701.0, false)]);
        assert_eq!(misses.len(), 2);
        assert!(misses[0].contains("not everybody") && misses[1].contains("mean start"), "{misses:?}");
    }

    #[test]
    fn a_scenario_without_a_target_misses_nothing() {
        assert!(missed(&scenario("a", ""), &[report(9.0, 9000.0, false)]).is_empty());
    }

    #[test]
    fn a_row_says_the_mean_and_the_worst_and_who_did_not_finish() {
        let reports = vec![report(1.01, 700.0, true), report(1.03, 700.0, false)];
        let table = table("T", &[&SCENARIOS[0]], &[reports]);
        let row = table.lines().last().unwrap();
        assert_eq!(
            row,
            "| 30 viewers at once |  | 1.020; 1.030, not finished | ≤ 1.03 | 1.00 | 700 | ≤ 700 | 0 | 0.0 |"
        );
    }
}
