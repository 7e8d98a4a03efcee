//! `bench hidden`: what a tab does that another tab of its window hides.
//!
//! `tests/src/bin/bench_hidden.rs` measures. This file runs it, prints the summary and compares it with the published
//! targets.

use anyhow::{Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::bench::measuring;
use crate::build;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// The measuring program.
const PROGRAM: &str = "bench_hidden";

/// Everything that the page, the film and the tabs need.
const NEEDS: [Need; 5] = [Need::WasmTarget, Need::Node, Need::Browser, Need::Films, Need::Screen];

/// Published target: what a hidden tab sends or receives, of what the same visible tab does.
const RATE_SHARE_MIN: f64 = 0.7;

/// Published target: how much of the film a hidden tab plays in a second.
const PLAYED_SHARE_MIN: f64 = 0.9;

/// Page timers a second above which a hidden tab was not throttled, so that nothing was measured. One a second is usual.
const THROTTLED_MAX: f64 = 2.0;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct HiddenOptions {
    /// Number of browsers that fetch the film from the tab in each state
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
    runs: u32,
    /// After how many seconds Chromium throttles a hidden, silent tab to one timer a minute; its own value is 300
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(10..=300))]
    grace: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Visible,
    Hidden,
    HiddenLong,
}

/// A measurement of the measuring program.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(tag = "of", rename_all = "snake_case")]
enum Measurement {
    Serve {
        tab: State,
        hidden_s: f64,
        page_timers_per_s: f64,
        worker_timers_per_s: f64,
        first_ms: f64,
        mbit_s: f64,
    },
    Fetch {
        tab: State,
        seconds: f64,
        mbit_s: f64,
    },
    Play {
        is_muted: bool,
        page_timers_per_s: f64,
        worker_timers_per_s: f64,
        seconds: f64,
        played_s: f64,
        stalls: u32,
    },
}

/// Builds, measures and prints. An error if a target is missed.
pub(crate) fn run(workspace: &Workspace, options: &HiddenOptions) -> Result<()> {
    setup::install(workspace, &NEEDS)?;
    build::parts(workspace)?;
    build::page(workspace)?;
    measuring::build_for_browsers(workspace, PROGRAM)?;
    let arguments = [options.runs.to_string(), options.grace.to_string()];
    let measured: Vec<Measurement> = measuring::measurements(workspace, PROGRAM, &arguments)?;
    for measurement in &measured {
        println!("{}", serde_json::to_string(measurement)?);
    }
    println!("{}", lines(&measured));
    check(&measured)
}

/// What a tab served, fetched or played, in words.
fn lines(measured: &[Measurement]) -> String {
    let mut lines = Vec::new();
    for tab in [State::Visible, State::Hidden, State::HiddenLong] {
        let timers = measured.iter().find_map(|one| match one {
            Measurement::Serve { tab: of, page_timers_per_s, worker_timers_per_s, hidden_s, .. }
                if *of == tab =>
            {
                Some((*page_timers_per_s, *worker_timers_per_s, *hidden_s))
            }
            Measurement::Serve { .. } | Measurement::Fetch { .. } | Measurement::Play { .. } => None,
        });
        if let (Some(mbit_s), Some((page, worker, hidden_s))) = (served(measured, tab), timers) {
            lines.push(format!(
                "{}, {hidden_s:.0} s: serves {mbit_s:.0} Mbit/s; timers a second: page {page:.2}, worker {worker:.2}",
                words(tab)
            ));
        }
        if let Some(mbit_s) = fetched(measured, tab) {
            lines.push(format!("{}: fetches {mbit_s:.1} Mbit/s", words(tab)));
        }
    }
    for one in measured {
        if let Measurement::Play { is_muted, page_timers_per_s, seconds, played_s, stalls, .. } = one {
            let sound = if *is_muted { "muted" } else { "with sound" };
            lines.push(format!(
                "hidden, {sound}: plays {played_s:.1} s in {seconds:.1} s, stalls {stalls}; page timers a second {page_timers_per_s:.2}"
            ));
        }
    }
    lines.join("\n")
}

fn words(tab: State) -> &'static str {
    match tab {
        State::Visible => "visible",
        State::Hidden => "hidden",
        State::HiddenLong => "hidden beyond the grace",
    }
}

/// The median of what a tab in this state served, Mbit/s.
fn served(measured: &[Measurement], tab: State) -> Option<f64> {
    median(measured, |one| match one {
        Measurement::Serve { tab: of, mbit_s, .. } if *of == tab => Some(*mbit_s),
        Measurement::Serve { .. } | Measurement::Fetch { .. } | Measurement::Play { .. } => None,
    })
}

/// The same of what it fetched.
fn fetched(measured: &[Measurement], tab: State) -> Option<f64> {
    median(measured, |one| match one {
        Measurement::Fetch { tab: of, mbit_s, .. } if *of == tab => Some(*mbit_s),
        Measurement::Serve { .. } | Measurement::Fetch { .. } | Measurement::Play { .. } => None,
    })
}

fn median(measured: &[Measurement], of: impl Fn(&Measurement) -> Option<f64>) -> Option<f64> {
    let mut values: Vec<f64> = measured.iter().filter_map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn check(measured: &[Measurement]) -> Result<()> {
    for one in measured {
        match one {
            Measurement::Serve { tab: State::Hidden | State::HiddenLong, page_timers_per_s, .. }
                if *page_timers_per_s > THROTTLED_MAX =>
            {
                bail!("the browser did not throttle the hidden tab: {page_timers_per_s:.1} timers a second");
            }
            Measurement::Play { is_muted, seconds, played_s, .. }
                if *played_s < PLAYED_SHARE_MIN * seconds =>
            {
                bail!(
                    "a target is missed: a hidden tab (muted: {is_muted}) plays {played_s:.1} s in {seconds:.1} s"
                );
            }
            Measurement::Serve { .. } | Measurement::Fetch { .. } | Measurement::Play { .. } => {}
        }
    }
    let compared = [
        ("serves", served(measured, State::Visible), served(measured, State::Hidden)),
        ("serves, hidden for long,", served(measured, State::Visible), served(measured, State::HiddenLong)),
        ("fetches", fetched(measured, State::Visible), fetched(measured, State::Hidden)),
    ];
    for (what, visible, hidden) in compared {
        let (Some(visible), Some(hidden)) = (visible, hidden) else {
            bail!("{PROGRAM} did not measure what a tab {what}")
        };
        if hidden < RATE_SHARE_MIN * visible {
            bail!("a target is missed: a hidden tab {what} {hidden:.1} Mbit/s, a visible one {visible:.1}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(tab: State, page_timers_per_s: f64, mbit_s: f64) -> Measurement {
        Measurement::Serve {
            tab,
            hidden_s: 12.0,
            page_timers_per_s,
            worker_timers_per_s: 4.0,
            first_ms: 700.0,
            mbit_s,
        }
    }

    /// What `change` makes of measurements that meet all targets.
    fn measured(change: impl Fn(&mut Vec<Measurement>)) -> Vec<Measurement> {
        let fetch = |tab, mbit_s| Measurement::Fetch { tab, seconds: 15.0, mbit_s };
        let mut measured = vec![
            serve(State::Visible, 10.0, 100.0),
            serve(State::Hidden, 1.0, 90.0),
            serve(State::HiddenLong, 0.8, 95.0),
            fetch(State::Visible, 16.0),
            fetch(State::Hidden, 15.0),
        ];
        change(&mut measured);
        measured
    }

    #[test]
    fn a_hidden_tab_must_serve_fetch_and_play_like_a_visible_one_and_be_throttled() {
        assert!(check(&measured(|_| ())).is_ok());
        assert!(lines(&measured(|_| ())).contains("hidden beyond the grace, 12 s: serves 95 Mbit/s"));
        let worse: [fn(&mut Vec<Measurement>); 6] = [
            |of| of[1] = serve(State::Hidden, 1.0, 60.0),
            |of| of[2] = serve(State::HiddenLong, 0.8, 60.0),
            |of| of[1] = serve(State::Hidden, 10.0, 100.0),
            |of| of[2] = serve(State::HiddenLong, 10.0, 100.0),
            |of| of[4] = Measurement::Fetch { tab: State::Hidden, seconds: 60.0, mbit_s: 4.0 },
            |of| {
                of.push(Measurement::Play {
                    is_muted: false,
                    page_timers_per_s: 10.0,
                    worker_timers_per_s: 4.0,
                    seconds: 10.0,
                    played_s: 5.0,
                    stalls: 1,
                });
            },
        ];
        for change in worse {
            assert!(check(&measured(change)).is_err());
        }
    }
}
