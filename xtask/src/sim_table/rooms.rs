//! Swarms that the tracker cuts into rooms, beside the same swarms in one.

use anyhow::Result;

use super::{Report, Scenario, scenario, simulate};
use crate::workspace::Workspace;

/// A swarm in one room and in four.
struct Cut {
    whole: Scenario,
    cut: Scenario,
}

/// How much later a swarm in four rooms may end than in one, as a mean over the seeds, per cent.
const LATER_PCT_MAX: f64 = 3.0;

const CUTS: [Cut; 3] = [
    Cut {
        whole: scenario("200 viewers alike", "--peers 200 --mb 32 --seeder-up 20"),
        cut: scenario("200 viewers alike", "--peers 200 --mb 32 --seeder-up 20 --rooms 4"),
    },
    Cut {
        whole: scenario("uplinks of 2, 10 and 50", "--peers 200 --mb 32 --seeder-up 20 --peer-up 2,10,50"),
        cut: scenario(
            "uplinks of 2, 10 and 50",
            "--peers 200 --mb 32 --seeder-up 20 --peer-up 2,10,50 --rooms 4",
        ),
    },
    Cut {
        whole: scenario(
            "publisher 1.5 × media, viewers 2 ×",
            "--peers 200 --mb 32 --seeder-up 3 --peer-up 4",
        ),
        cut: scenario(
            "publisher 1.5 × media, viewers 2 ×",
            "--peers 200 --mb 32 --seeder-up 3 --peer-up 4 --rooms 4",
        ),
    },
];

/// Runs them; returns the table and what was missed.
pub(super) fn run(workspace: &Workspace, seeds: u64) -> Result<(String, Vec<String>)> {
    let scenarios: Vec<&Scenario> = CUTS.iter().flat_map(|cut| [&cut.whole, &cut.cut]).collect();
    let reports = simulate(workspace, &scenarios, seeds)?;
    let mut table = String::from(
        "**Four rooms** (beside one room; T/T\\*: mean; worst; the others: means)\n\n\
         | swarm | flags | T/T\\*, one room | T/T\\*, four rooms | later, % | target | publisher's copies | start, ms |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let mut misses = Vec::new();
    for (cut, reports) in CUTS.iter().zip(reports.chunks(2)) {
        if let [whole, four] = reports {
            table += &row(cut, whole, four);
            misses.extend(missed(cut, whole, four));
        }
    }
    Ok((table, misses))
}

fn mean(reports: &[Report], value: fn(&Report) -> f64) -> f64 {
    reports.iter().map(value).sum::<f64>() / reports.len().max(1) as f64
}

/// How much later four rooms end than one, per cent.
fn later_pct(whole: &[Report], four: &[Report]) -> f64 {
    let bound = |report: &Report| report.t_over_bound;
    (mean(four, bound) / mean(whole, bound) - 1.0) * 100.0
}

fn row(cut: &Cut, whole: &[Report], four: &[Report]) -> String {
    let bounds = |reports: &[Report]| {
        let worst = reports.iter().map(|report| report.t_over_bound).fold(0.0, f64::max);
        format!("{:.3}; {worst:.3}", mean(reports, |report| report.t_over_bound))
    };
    let both = |value: fn(&Report) -> f64, digits: usize| {
        format!("{:.digits$} and {:.digits$}", mean(whole, value), mean(four, value))
    };
    format!(
        "| {} | `{}` | {} | {} | {:.1} | ≤ {LATER_PCT_MAX} | {} | {} |\n",
        cut.cut.name,
        cut.cut.flags,
        bounds(whole),
        bounds(four),
        later_pct(whole, four),
        both(|report| report.seeder_copies, 2),
        both(|report| report.start_ms_mean, 0),
    )
}

fn missed(cut: &Cut, whole: &[Report], four: &[Report]) -> Vec<String> {
    let name = format!("{} in four rooms", cut.cut.name);
    let unfinished = whole.iter().chain(four).any(|report| !report.finished);
    let unfinished = unfinished.then(|| format!("{name}: not everybody has everything"));
    let later = later_pct(whole, four);
    let late = (later > LATER_PCT_MAX)
        .then(|| format!("{name}: it ends {later:.1} % later, at most {LATER_PCT_MAX} is published"));
    unfinished.into_iter().chain(late).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(t_over_bound: f64) -> Report {
        Report {
            finished: true,
            peers: 200,
            finished_viewers: 200,
            t_over_bound,
            seeder_copies: 1.0,
            start_ms_mean: 700.0,
            stalls: 0.0,
            stall_ms_mean: 0.0,
            fairness: 1.0,
            duplicate_pct: 0.0,
        }
    }

    #[test]
    fn four_rooms_are_compared_with_one_by_their_means() {
        let whole = [report(1.0), report(1.0)];
        assert!(missed(&CUTS[0], &whole, &[report(1.0), report(1.05)]).is_empty());
        let four = [report(1.0), report(1.08)];
        assert_eq!(missed(&CUTS[0], &whole, &four).len(), 1);
        let row = row(&CUTS[0], &whole, &four);
        let expected = "| 1.000; 1.000 | 1.040; 1.080 | 4.0 | ≤ 3 | 1.00 and 1.00 | 700 and 700 |\n";
        assert!(row.ends_with(expected), "{row}");
    }
}
