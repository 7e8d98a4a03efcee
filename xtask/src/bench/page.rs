//! `bench page`: the time to the first frame of a film, over plain HTTP and through Tributary.
//!
//! `tests/src/bin/bench_page` measures. This file runs it for each case, prints the summary and compares it with
//! the published target.

use anyhow::{Result, bail};
use clap::Args;
use serde::Deserialize;

use crate::bench::measuring;
use crate::bench::spread::Spread;
use crate::build;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// Published target: the median time to the first frame through Tributary, divided by that over plain HTTP.
const RATIO_MAX: f64 = 3.0;

/// The measuring program.
const PROGRAM: &str = "bench_page";

/// Everything that the page, the films and the tabs need.
const NEEDS: [Need; 4] = [Need::WasmTarget, Need::Node, Need::Browser, Need::Films];

const MB: f64 = 1e6;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct PageOptions {
    /// Number of measurements of each case and way
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Number of tabs that open the film at once in the second case; 1 leaves that case out
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    tabs: u32,
    /// Also measure with a film of 1.2 GB, which is made at the first use
    #[arg(long)]
    large: bool,
}

/// One measurement of the measuring program; lists have one entry per tab.
#[derive(Debug, Clone, Deserialize)]
struct Measurement {
    way: Way,
    film_bytes: u64,
    first_frame_ms: Vec<f64>,
    bytes_at_first_frame: Vec<u64>,
    whole_ms: Vec<f64>,
    seeder_copies: Option<f64>,
}

/// How the film reached the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Http,
    Tributary,
}

/// The summary of one film and one number of tabs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Case {
    film_bytes: u64,
    tabs: u32,
    http_ms: Spread,
    tributary_ms: Spread,
    bytes_at_first_frame: Option<Spread>,
    whole_ms: Option<Spread>,
    seeder_copies: Option<Spread>,
}

/// Builds, measures and prints. An error if a case misses the target.
pub(crate) fn run(workspace: &Workspace, options: &PageOptions) -> Result<()> {
    setup::install(workspace, &NEEDS)?;
    build::parts(workspace)?;
    build::page(workspace)?;
    measuring::build(workspace, PROGRAM)?;
    println!("Time from the start of the navigation to the first frame, ms: median (min–max).");
    println!(
        "One Chromium process per tab, runs: {}. Target: ratio of the medians ≤ {RATIO_MAX}.",
        options.runs
    );
    let films: &[&str] = if options.large { &["short", "long"] } else { &["short"] };
    let mut cases = Vec::new();
    for film in films {
        for tabs in if options.tabs > 1 { vec![1, options.tabs] } else { vec![1] } {
            eprintln!("bench: the {film} film, tabs: {tabs}");
            let arguments = [(*film).to_owned(), tabs.to_string(), options.runs.to_string()];
            let measurements = measuring::measurements(workspace, PROGRAM, &arguments)?;
            let Some(case) = Case::of(tabs, &measurements) else { bail!("{PROGRAM} measured nothing") };
            println!("{}", case.line());
            cases.push(case);
        }
    }
    match missed(&cases) {
        Some(words) => bail!("{words}"),
        None => Ok(()),
    }
}

impl Case {
    /// Summarises the measurements of a case; `None` unless both ways were measured.
    fn of(tabs: u32, measurements: &[Measurement]) -> Option<Self> {
        let by = |way| measurements.iter().filter(move |measurement| measurement.way == way);
        let first_frame = |way| Spread::of(by(way).flat_map(|one| one.first_frame_ms.iter().copied()));
        let ours = || by(Way::Tributary);
        Some(Self {
            film_bytes: ours().next()?.film_bytes,
            tabs,
            http_ms: first_frame(Way::Http)?,
            tributary_ms: first_frame(Way::Tributary)?,
            bytes_at_first_frame: Spread::of(
                ours().flat_map(|one| one.bytes_at_first_frame.iter().map(|bytes| *bytes as f64)),
            ),
            whole_ms: Spread::of(ours().flat_map(|one| one.whole_ms.iter().copied())),
            seeder_copies: Spread::of(ours().filter_map(|one| one.seeder_copies)),
        })
    }

    fn ratio(&self) -> f64 {
        self.tributary_ms.median / self.http_ms.median
    }

    fn name(&self) -> String {
        let tabs = if self.tabs == 1 { "tab" } else { "tabs" };
        format!("{:.1} MB, {} {tabs}", self.film_bytes as f64 / MB, self.tabs)
    }

    fn line(&self) -> String {
        let verdict = if self.ratio() <= RATIO_MAX { "met" } else { "MISSED" };
        let mut line = format!(
            "{}: plain HTTP {}, Tributary {}, ratio {:.2} {verdict}",
            self.name(),
            self.http_ms.shown(1.0, 0),
            self.tributary_ms.shown(1.0, 0),
            self.ratio()
        );
        if let Some(bytes) = self.bytes_at_first_frame {
            line += &format!("; MB in a tab at its first frame {}", bytes.shown(MB, 2));
        }
        if let Some(whole_ms) = self.whole_ms {
            line += &format!("; whole film, s {}", whole_ms.shown(1000.0, 2));
        }
        if let Some(copies) = self.seeder_copies {
            line += &format!("; copies from the seeder {}", copies.shown(1.0, 2));
        }
        line
    }
}

/// The cases that miss the target, in words; `None` if all meet it.
fn missed(cases: &[Case]) -> Option<String> {
    let missed: Vec<String> = cases
        .iter()
        .filter(|case| case.ratio() > RATIO_MAX)
        .map(|case| format!("{:.2} ({})", case.ratio(), case.name()))
        .collect();
    let words = || format!("first frame later than {RATIO_MAX} × plain HTTP: {}", missed.join(", "));
    (!missed.is_empty()).then(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(json: &str) -> Measurement {
        serde_json::from_str(json).unwrap()
    }

    fn case(tributary_ms: &str) -> Case {
        let http = r#"{"way": "http", "film_bytes": 30000000, "first_frame_ms": [100.0, 300.0],
            "bytes_at_first_frame": [], "whole_ms": [], "seeder_copies": null}"#;
        let ours = format!(
            r#"{{"way": "tributary", "film_bytes": 30000000, "first_frame_ms": {tributary_ms},
            "bytes_at_first_frame": [1500000, 2500000], "whole_ms": [4000.0, 5000.0], "seeder_copies": 1.25}}"#
        );
        Case::of(2, &[measurement(http), measurement(&ours)]).unwrap()
    }

    #[test]
    fn all_tabs_of_all_runs_count_and_the_medians_are_compared() {
        let expected = "30.0 MB, 2 tabs: plain HTTP 200 (100–300), Tributary 500 (400–600), ratio 2.50 met; \
                        MB in a tab at its first frame 2.00 (1.50–2.50); whole film, s 4.50 (4.00–5.00); \
                        copies from the seeder 1.25 (1.25–1.25)";
        assert_eq!(case("[400.0, 600.0]").line(), expected);
    }

    #[test]
    fn a_missed_target_is_named_with_its_case() {
        assert_eq!(missed(&[case("[600.0, 600.0]")]), None, "the target itself is met");
        let words = missed(&[case("[400.0, 600.0]"), case("[700.0, 700.0]")]).unwrap();
        assert_eq!(words, "first frame later than 3 × plain HTTP: 3.50 (30.0 MB, 2 tabs)");
    }

    #[test]
    fn a_case_without_one_of_the_ways_is_no_case() {
        assert_eq!(Case::of(1, &[]), None);
    }
}
