//! Swarms whose peers together upload less than is played: who finishes, when, and how evenly the shortage is spread.

use anyhow::Result;

use super::{Report, Scenario, scenario, simulate};
use crate::workspace::Workspace;

/// A swarm with too little, simulated until half of T* for the fairness on the way, and until 1.2 T* for the end.
struct Overload {
    half: Scenario,
    end: Scenario,
    /// Least of Jain's index half way that is published.
    fairness_min: f64,
}

/// 30 viewers with media of 2 Mbit/s need 60 Mbit/s. T* is 671, 134 and 74.6 s.
const OVERLOADS: [Overload; 3] = [
    Overload {
        half: scenario("0.1", "--mb 16 --seeder-up 3 --peer-up 0.1 --limit 335"),
        end: scenario("0.1", "--mb 16 --seeder-up 3 --peer-up 0.1 --limit 805"),
        fairness_min: 0.7,
    },
    Overload {
        half: scenario("0.5", "--mb 16 --seeder-up 10 --peer-up 0.6667 --limit 67"),
        end: scenario("0.5", "--mb 16 --seeder-up 10 --peer-up 0.6667 --limit 161"),
        fairness_min: 0.9,
    },
    Overload {
        half: scenario("0.9", "--mb 16 --seeder-up 10 --peer-up 1.4667 --limit 37"),
        end: scenario("0.9", "--mb 16 --seeder-up 10 --peer-up 1.4667 --limit 89"),
        fairness_min: 0.95,
    },
];

/// Runs them; returns the table and what was missed.
pub(super) fn run(workspace: &Workspace, seeds: u64) -> Result<(String, Vec<String>)> {
    let scenarios: Vec<&Scenario> =
        OVERLOADS.iter().flat_map(|overload| [&overload.half, &overload.end]).collect();
    let reports = simulate(workspace, &scenarios, seeds)?;
    let mut table = String::from(
        "**Too little** (of all seeds the worst; starts and stalls are means over viewers and seeds)\n\n\
         | supply / demand | flags | viewers that finish within 1.2 T\\* | T/T\\* | fairness half way | target | start, s \
         | stalls a viewer, s |\n|---|---|---|---|---|---|---|---|\n",
    );
    let mut misses = Vec::new();
    for (overload, reports) in OVERLOADS.iter().zip(reports.chunks(2)) {
        if let [half, end] = reports {
            table += &row(overload, half, end);
            misses.extend(missed(overload, half, end));
        }
    }
    Ok((table, misses))
}

fn row(overload: &Overload, half: &[Report], end: &[Report]) -> String {
    let mean = |value: fn(&Report) -> f64| end.iter().map(value).sum::<f64>() / end.len().max(1) as f64;
    let finished = end.iter().map(|report| report.finished_viewers).min().unwrap_or(0);
    format!(
        "| {} | `{}` | {finished} of {} | {:.2} | {:.2} | ≥ {} | {:.1} | {:.0} |\n",
        overload.end.name,
        overload.end.flags,
        end.first().map_or(0, |report| report.peers),
        end.iter().map(|report| report.t_over_bound).fold(0.0, f64::max),
        fairness(half),
        overload.fairness_min,
        mean(|report| report.start_ms_mean) / 1000.0,
        mean(|report| report.stall_ms_mean) / 1000.0,
    )
}

/// Jain's index of the bytes received, with the worst seed.
fn fairness(half: &[Report]) -> f64 {
    half.iter().map(|report| report.fairness).fold(1.0, f64::min)
}

fn missed(overload: &Overload, half: &[Report], end: &[Report]) -> Vec<String> {
    let name = format!("supply {} of demand", overload.end.name);
    let unfinished = end.iter().any(|report| !report.finished);
    let unfinished = unfinished.then(|| format!("{name}: not everybody has everything within 1.2 T*"));
    let (fairness, least) = (fairness(half), overload.fairness_min);
    let unfair = (fairness < least)
        .then(|| format!("{name}: fairness half way is {fairness:.3}, at least {least} is published"));
    unfinished.into_iter().chain(unfair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(finished: bool, fairness: f64) -> Report {
        let finished_viewers = if finished { 30 } else { 12 };
        Report {
            finished,
            peers: 30,
            finished_viewers,
            t_over_bound: 1.1,
            seeder_copies: 4.0,
            start_ms_mean: 2000.0,
            stalls: 90.0,
            stall_ms_mean: 6300.0,
            fairness,
            duplicate_pct: 0.0,
        }
    }

    #[test]
    fn the_worst_seed_counts() {
        let half = [report(false, 0.99), report(false, 0.8)];
        let end = [report(true, 1.0), report(false, 1.0)];
        assert!(missed(&OVERLOADS[2], &half[..1], &end[..1]).is_empty());
        assert_eq!(missed(&OVERLOADS[2], &half, &end).len(), 2);
        let row = row(&OVERLOADS[2], &half, &end);
        assert!(row.ends_with("| 12 of 30 | 1.10 | 0.80 | ≥ 0.95 | 2.0 | 6 |\n"), "{row}");
    }
}
