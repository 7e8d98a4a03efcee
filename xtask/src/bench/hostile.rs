//! `bench hostile`: how much later viewers are served while a hostile crowd attacks the tracker.
//!
//! `tests/src/bin/bench_hostile.rs` measures. This file runs it, prints the summary and compares it with the published
//! targets.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::bench::measuring;
use crate::build;
use crate::workspace::Workspace;

/// Published target: how much later viewers complete, per cent.
const LATER_PERCENT_MAX: f64 = 10.0;

/// Published target: maximum resident memory of the attacked tracker, MiB.
const TRACKER_MIB_MAX: f64 = 64.0;

/// The measuring program.
const PROGRAM: &str = "bench_hostile";

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct HostileOptions {
    /// Number of viewers
    #[arg(long, value_name = "COUNT", default_value_t = 500, value_parser = clap::value_parser!(u32).range(3..=2000))]
    honest: u32,
    /// Number of attackers
    #[arg(long, value_name = "COUNT", default_value_t = 500, value_parser = clap::value_parser!(u32).range(9..=1000))]
    hostile: u32,
    /// Runs: each is a round without attackers and one with them
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
    runs: u32,
    /// Time over which the viewers join, evenly, s
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=600))]
    join_over: u32,
}

/// All rounds of one kind.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
struct Crowd {
    completed: u32,
    linked_p50_ms: f64,
    linked_p99_ms: f64,
    complete_p50_ms: f64,
    complete_p99_ms: f64,
    lost: u32,
    first_lost: Option<String>,
    tracker_mib: f64,
    tracker_cpu_s: f64,
    acts: BTreeMap<String, u64>,
}

/// The measurement of the measuring program.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Measurement {
    honest: u32,
    hostile: u32,
    runs: u32,
    alone: Crowd,
    attacked: Crowd,
}

/// Builds, measures and prints. An error if a target is missed.
pub(crate) fn run(workspace: &Workspace, options: &HostileOptions) -> Result<()> {
    build::parts(workspace)?;
    measuring::build(workspace, PROGRAM)?;
    let arguments = [options.honest, options.hostile, options.runs, options.join_over];
    let measured: Vec<Measurement> =
        measuring::measurements(workspace, PROGRAM, &arguments.map(|number| number.to_string()))?;
    let measured = measured.first().with_context(|| format!("{PROGRAM} measured nothing"))?;
    println!("{}", serde_json::to_string(measured)?);
    println!("{}", measured.lines());
    match measured.missed() {
        Some(words) => bail!("{words}"),
        None => Ok(()),
    }
}

fn later_percent(alone: f64, attacked: f64) -> f64 {
    (attacked / alone - 1.0) * 100.0
}

impl Measurement {
    fn lines(&self) -> String {
        let (alone, attacked) = (&self.alone, &self.attacked);
        let row = |what: &str, alone: f64, attacked: f64| {
            let later = later_percent(alone, attacked);
            format!("{what}: {alone:.1} ms alone, {attacked:.1} ms attacked, {later:+.1} %")
        };
        let acts: Vec<String> = attacked.acts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        [
            format!(
                "{} runs, {} viewers, {} attackers; completed: {} alone, {} attacked",
                self.runs, self.honest, self.hostile, alone.completed, attacked.completed
            ),
            row("linked, p50", alone.linked_p50_ms, attacked.linked_p50_ms),
            row("linked, p99", alone.linked_p99_ms, attacked.linked_p99_ms),
            row("complete, p50", alone.complete_p50_ms, attacked.complete_p50_ms),
            row("complete, p99", alone.complete_p99_ms, attacked.complete_p99_ms)
                + &format!(" (target ≤ {LATER_PERCENT_MAX} % for both; includes the 5 s until the first report)"),
            format!(
                "tracker: {:.1} MiB at most alone, {:.1} attacked (target ≤ {TRACKER_MIB_MAX}); {:.1} and {:.1} s of processor",
                alone.tracker_mib, attacked.tracker_mib, alone.tracker_cpu_s, attacked.tracker_cpu_s
            ),
            format!("honest closed or refused: {} alone, {} attacked (target 0)", alone.lost, attacked.lost),
            format!("attackers: {}", acts.join(", ")),
        ]
        .join("\n")
    }

    /// The missed targets, in words; `None` if all are met.
    fn missed(&self) -> Option<String> {
        let mut missed = Vec::new();
        for (name, crowd) in [("alone", &self.alone), ("attacked", &self.attacked)] {
            let all = self.honest * self.runs;
            if crowd.completed < all {
                missed.push(format!("{} of {all} viewers completed {name}", crowd.completed));
            }
            if crowd.lost > 0 {
                let first = crowd.first_lost.as_deref().unwrap_or_default();
                missed.push(format!("{} closed or refused {name}, first: {first}", crowd.lost));
            }
        }
        let p50 = later_percent(self.alone.complete_p50_ms, self.attacked.complete_p50_ms);
        let p99 = later_percent(self.alone.complete_p99_ms, self.attacked.complete_p99_ms);
        for (name, later) in [("p50", p50), ("p99", p99)] {
            if later.is_nan() || later > LATER_PERCENT_MAX {
                missed.push(format!("{name} {later:.1} % later, not {LATER_PERCENT_MAX}"));
            }
        }
        if self.attacked.tracker_mib > TRACKER_MIB_MAX {
            missed.push(format!("{:.1} MiB, not {TRACKER_MIB_MAX}", self.attacked.tracker_mib));
        }
        (!missed.is_empty()).then(|| format!("a target is missed: {}", missed.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd() -> Crowd {
        let (complete_p50_ms, complete_p99_ms) = (5000.0, 6000.0);
        Crowd { completed: 20, complete_p50_ms, complete_p99_ms, tracker_mib: 30.0, ..Crowd::default() }
    }

    #[test]
    fn missed_targets_are_named() {
        let attacked = Crowd { complete_p99_ms: 6300.0, ..crowd() };
        let met = Measurement { honest: 10, hostile: 9, runs: 2, alone: crowd(), attacked };
        assert_eq!(met.missed(), None);
        assert!(met.lines().contains("complete, p99: 6000.0 ms alone, 6300.0 ms attacked, +5.0 %"));
        for (attacked, words) in [
            (Crowd { complete_p50_ms: 6000.0, ..crowd() }, "p50 20.0 % later, not 10"),
            (Crowd { completed: 19, ..crowd() }, "19 of 20 viewers completed attacked"),
            (Crowd { tracker_mib: 65.0, ..crowd() }, "65.0 MiB, not 64"),
            (
                Crowd { lost: 1, first_lost: Some("full".into()), ..crowd() },
                "1 closed or refused attacked, first: full",
            ),
        ] {
            let missed = Measurement { attacked, ..met.clone() }.missed().unwrap();
            assert_eq!(missed, format!("a target is missed: {words}"));
        }
    }
}
