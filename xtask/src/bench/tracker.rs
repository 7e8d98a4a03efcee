//! `bench tracker`: what a connection and a message cost the tracker.
//!
//! `tests/src/bin/bench_tracker.rs` measures. This file runs it, prints the summary and compares it with the published
//! targets.

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::bench::measuring;
use crate::build;
use crate::workspace::Workspace;

/// Published targets: a fifth above what the tracker cost before it checked who may do what (4.8 KiB, 6.6 KiB, 13 µs).
const IDLE_KIB_MAX: f64 = 5.76;
const JOINED_KIB_MAX: f64 = 7.92;
const MESSAGE_US_MAX: f64 = 15.6;

/// The measuring program.
const PROGRAM: &str = "bench_tracker";

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrackerOptions {
    /// Number of connections; the limit on open files must allow for them
    #[arg(long, value_name = "COUNT", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(100..=10_000))]
    connections: u32,
}

/// The measurement of the measuring program.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
struct Measurement {
    connections: u32,
    idle_kib: f64,
    joined_kib: f64,
    messages: u64,
    message_us: f64,
}

/// Builds, measures and prints. An error if a target is missed.
pub(crate) fn run(workspace: &Workspace, options: &TrackerOptions) -> Result<()> {
    build::parts(workspace)?;
    measuring::build(workspace, PROGRAM)?;
    let measured: Vec<Measurement> =
        measuring::measurements(workspace, PROGRAM, &[options.connections.to_string()])?;
    let measured = measured.first().with_context(|| format!("{PROGRAM} measured nothing"))?;
    println!("{}", serde_json::to_string(measured)?);
    println!("{}", measured.lines());
    match measured.missed() {
        Some(words) => bail!("{words}"),
        None => Ok(()),
    }
}

impl Measurement {
    /// Each figure with its name, its unit and its target.
    fn figures(&self) -> [(f64, &'static str, f64); 3] {
        [
            (self.idle_kib, "KiB an idle connection", IDLE_KIB_MAX),
            (self.joined_kib, "KiB a joined viewer", JOINED_KIB_MAX),
            (self.message_us, "µs of processor a message", MESSAGE_US_MAX),
        ]
    }

    fn lines(&self) -> String {
        let head = format!("{} connections, {} messages", self.connections, self.messages);
        let lines = self.figures().map(|(value, name, max)| format!("{value:.2} {name} (target ≤ {max})"));
        format!("{head}\n{}", lines.join("\n"))
    }

    /// The missed targets, in words; `None` if all are met.
    fn missed(&self) -> Option<String> {
        let beyond = self.figures().into_iter().filter(|(value, _, max)| value > max);
        let missed: Vec<String> =
            beyond.map(|(value, name, max)| format!("{value:.2} {name}, not {max}")).collect();
        (!missed.is_empty()).then(|| format!("a target is missed: {}", missed.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_targets_are_named() {
        let met =
            Measurement { connections: 100, idle_kib: 5.0, joined_kib: 7.0, messages: 10, message_us: 15.0 };
        assert_eq!(met.missed(), None);
        assert!(met.lines().contains("7.00 KiB a joined viewer (target ≤ 7.92)"));
        let slow = Measurement { message_us: 16.0, ..met };
        assert_eq!(slow.missed().unwrap(), "a target is missed: 16.00 µs of processor a message, not 15.6");
    }
}
