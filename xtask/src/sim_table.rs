//! `cargo xtask sim-table`: the published tables of simulated swarms, made anew.
//!
//! Runs `swarm-sim` on every scenario of [`SCENARIOS`] and [`ABLATIONS`] with several seeds, two at a time, and
//! writes mean and worst of them between the marks in docs/method.md.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Deserialize;

use crate::build;
use crate::process::output;
use crate::workspace::Workspace;

const PAGE: &str = "docs/method.md";
const BEGIN: &str = "<!-- sim-table begin -->\n";
const END: &str = "<!-- sim-table end -->\n";
/// Simulations at a time; each is single-threaded.
const AT_A_TIME: usize = 2;

/// What to simulate.
#[derive(Debug, Args)]
pub(crate) struct SimTable {
    /// Seeds from 1 on
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Only scenarios whose name contains this; prints, and writes nothing
    #[arg(long)]
    only: Option<String>,
}

/// A swarm and what is expected of it.
struct Scenario {
    name: &'static str,
    flags: &'static str,
    /// Most that T/T* may be, and mean start in ms, where DESIGN §10 says so.
    bound: Option<f64>,
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

const ABLATIONS: &[Scenario] = &[
    scenario("the method", ""),
    scenario("no injection", "--policy no-injection"),
    scenario("no injection, sequential", "--policy no-injection-sequential"),
    scenario("random", "--policy random"),
    scenario("rarest of all", "--policy rarest"),
    scenario("sequential", "--policy sequential"),
    scenario("forwarding 64 KiB", "--policy forward-64k"),
    scenario("forwarding 256 KiB", "--policy forward-256k"),
    scenario("forwarding 1 MiB", "--policy forward-1m"),
    scenario("forwarding 4 MiB", "--policy forward-4m"),
    scenario("100 viewers, the method", "--peers 100"),
    scenario("100 viewers, neighbours by chance", "--peers 100 --policy random-graph"),
    scenario(
        "no urgent class, uplinks 1.5 × media, joins over 60 s",
        "--policy no-urgent --join-over 60 --peer-up 3",
    ),
];

/// What is used of one run's report.
#[derive(Debug, Clone, Deserialize)]
struct Report {
    finished: bool,
    t_over_bound: f64,
    seeder_copies: f64,
    start_ms_mean: f64,
    stalls: f64,
    duplicate_pct: f64,
}

/// Builds, simulates and writes, or prints if only a part was asked for.
pub(crate) fn run(workspace: &Workspace, options: &SimTable) -> Result<()> {
    build::simulator(workspace)?;
    let mut text = String::new();
    for (title, scenarios) in [("Scenarios", SCENARIOS), ("Without parts of the method", ABLATIONS)] {
        let is_chosen = |scenario: &&Scenario| {
            options.only.as_ref().is_none_or(|part| scenario.name.contains(part.as_str()))
        };
        let chosen: Vec<&Scenario> = scenarios.iter().filter(is_chosen).collect();
        if !chosen.is_empty() {
            let reports = simulate(workspace, &chosen, options.seeds)?;
            writeln!(text, "{}", table(title, &chosen, &reports))?;
        }
    }
    if options.only.is_some() {
        print!("{text}");
        return Ok(());
    }
    let path = workspace.root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
    fs::write(&path, replaced(&page, &text)?).with_context(|| format!("cannot write {PAGE}"))
}

/// The reports of each scenario, seed by seed.
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
    let json = output(&mut command).with_context(|| format!("swarm-sim {} failed", scenario.flags))?;
    serde_json::from_str(&json).context("swarm-sim's report is not as expected")
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

/// The page with what is between the marks replaced.
fn replaced(page: &str, text: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("{PAGE} has no mark {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE} has no mark {END}"))?;
    ensure!(!after.contains(BEGIN), "{PAGE} has the mark {BEGIN} twice");
    Ok(format!("{before}{BEGIN}{text}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(replaced(&page, "new\n").unwrap(), format!("a\n{BEGIN}new\n{END}b\n"));
        assert!(replaced("no marks", "new").is_err());
    }

    #[test]
    fn a_row_says_the_mean_and_the_worst_and_who_did_not_finish() {
        let report = |t_over_bound, finished| Report {
            finished,
            t_over_bound,
            seeder_copies: 1.0,
            start_ms_mean: 700.0,
            stalls: 0.0,
            duplicate_pct: 0.0,
        };
        let table = table("T", &[&SCENARIOS[0]], &[vec![report(1.01, true), report(1.03, false)]]);
        let row = table.lines().last().unwrap();
        assert_eq!(
            row,
            "| 30 viewers at once |  | 1.020; 1.030, not finished | ≤ 1.03 | 1.00 | 700 | ≤ 700 | 0 | 0.0 |"
        );
    }
}
