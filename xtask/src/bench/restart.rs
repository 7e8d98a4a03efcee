//! `bench restart`: what peers notice when three trackers that act as one are restarted one after the other.
//!
//! `tests/src/bin/bench_restart.rs` measures. This file runs it, prints the summary and compares it with the published
//! targets.

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::bench::measuring;
use crate::build;
use crate::setup::{Need, install};
use crate::workspace::Workspace;

/// The measuring program.
const PROGRAM: &str = "bench_restart";

/// Published target: from the end of a connection until its peer is in the swarm again, ms.
const GAP_MAX_MS: f64 = 10_000.0;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct RestartOptions {
    /// Number of viewers, spread over eight swarms and three trackers
    #[arg(long, value_name = "COUNT", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    peers: u32,
}

/// The measurement of the measuring program.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Measurement {
    peers: usize,
    lost: usize,
    gap_p50_ms: f64,
    gap_p99_ms: f64,
    gap_max_ms: f64,
    refused: u64,
    failed: u64,
    renamed: u64,
    missing: usize,
    restarts_s: Vec<f64>,
}

/// Builds, measures and prints. An error if a target is missed.
pub(crate) fn run(workspace: &Workspace, options: &RestartOptions) -> Result<()> {
    install(workspace, &[Need::Engine, Need::Proxies])?;
    build::parts(workspace)?;
    measuring::build(workspace, PROGRAM)?;
    let measured: Vec<Measurement> =
        measuring::measurements(workspace, PROGRAM, &[options.peers.to_string()])?;
    let measured = measured.first().with_context(|| format!("{PROGRAM} measured nothing"))?;
    println!("{}", serde_json::to_string(measured)?);
    println!("{}", measured.lines());
    measured.check()
}

impl Measurement {
    fn lines(&self) -> String {
        let restarts: Vec<String> = self.restarts_s.iter().map(|took| format!("{took:.1} s")).collect();
        format!(
            "{} of {} connections were lost and made again after p50 {:.0} ms, p99 {:.0} ms, at most {:.0} ms (target ≤ {GAP_MAX_MS:.0})\n\
             joins refused and made again {}, attempts to connect that failed {}; peers with another id {}, missing at the end {} (target 0)\n\
             each restart, until all are back: {}",
            self.lost,
            self.peers,
            self.gap_p50_ms,
            self.gap_p99_ms,
            self.gap_max_ms,
            self.refused,
            self.failed,
            self.renamed,
            self.missing,
            restarts.join(", "),
        )
    }

    fn check(&self) -> Result<()> {
        if self.missing > 0 || self.renamed > 0 {
            bail!("a target is missed: {} peers are missing, {} have another id", self.missing, self.renamed);
        }
        if self.gap_max_ms > GAP_MAX_MS {
            bail!("a target is missed: a peer was without its tracker for {:.0} ms", self.gap_max_ms);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_missing_or_late_misses_a_target() {
        let measured = Measurement {
            peers: 2000,
            lost: 2000,
            gap_p50_ms: 1000.0,
            gap_p99_ms: 2100.0,
            gap_max_ms: 2200.0,
            refused: 0,
            failed: 3,
            renamed: 0,
            missing: 0,
            restarts_s: vec![7.0, 7.5],
        };
        assert!(measured.check().is_ok());
        assert!(measured.lines().contains("7.0 s, 7.5 s"), "{}", measured.lines());
        assert!(Measurement { missing: 1, ..measured.clone() }.check().is_err());
        assert!(Measurement { gap_max_ms: 11_000.0, ..measured }.check().is_err());
    }
}
