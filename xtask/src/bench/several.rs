//! `bench several`: what it costs that several trackers act as one.
//!
//! `tests/src/bin/bench_several.rs` measures. This file runs it, prints the summary and compares it with the published
//! target.

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::bench::measuring;
use crate::build;
use crate::setup::{Need, install};
use crate::workspace::Workspace;

/// Published target: the median of what two bridges add to a signal, ms.
const ADDED_P50_MS_MAX: f64 = 2.0;

/// The measuring program.
const PROGRAM: &str = "bench_several";

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct SeveralOptions {
    /// Number of viewers, spread over three trackers
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    viewers: u32,
    /// For how long they talk, s
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    seconds: u32,
}

/// The measurement of the measuring program.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
struct Measurement {
    direct_p50_ms: f64,
    direct_p99_ms: f64,
    bridged_p50_ms: f64,
    bridged_p99_ms: f64,
    viewers: u32,
    operations_per_s: f64,
    redis_core_share: f64,
    message_us: f64,
    bridged_message_us: f64,
    moved_message_us: f64,
}

/// Builds, measures and prints. An error if the target is missed.
pub(crate) fn run(workspace: &Workspace, options: &SeveralOptions) -> Result<()> {
    install(workspace, &[Need::Engine])?;
    build::parts(workspace)?;
    measuring::build(workspace, PROGRAM)?;
    let arguments = [options.viewers.to_string(), options.seconds.to_string()];
    let measured: Vec<Measurement> = measuring::measurements(workspace, PROGRAM, &arguments)?;
    let measured = measured.first().with_context(|| format!("{PROGRAM} measured nothing"))?;
    println!("{}", serde_json::to_string(measured)?);
    println!("{}", measured.lines());
    let added_ms = measured.added_p50_ms();
    if added_ms > ADDED_P50_MS_MAX {
        bail!("a target is missed: two bridges add {added_ms:.2} ms to a signal, not {ADDED_P50_MS_MAX}");
    }
    Ok(())
}

impl Measurement {
    fn added_p50_ms(&self) -> f64 {
        self.bridged_p50_ms - self.direct_p50_ms
    }

    fn lines(&self) -> String {
        format!(
            "a signal at the home: p50 {:.2} ms, p99 {:.2} ms\n\
             a signal over two bridges: p50 {:.2} ms, p99 {:.2} ms; added p50 {:.2} ms (target ≤ {ADDED_P50_MS_MAX})\n\
             {} viewers: for 1,000 of them {:.0} operations of Redis a second, {:.3} of a core; \
             {:.0} µs of processor a message, over all trackers; {:.0} µs if all are at other trackers than their home, \
             {:.0} µs after they have moved there",
            self.direct_p50_ms,
            self.direct_p99_ms,
            self.bridged_p50_ms,
            self.bridged_p99_ms,
            self.added_p50_ms(),
            self.viewers,
            self.operations_per_s,
            self.redis_core_share,
            self.message_us,
            self.bridged_message_us,
            self.moved_message_us,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_the_difference_of_the_medians() {
        let measured = Measurement {
            direct_p50_ms: 0.25,
            direct_p99_ms: 1.0,
            bridged_p50_ms: 1.0,
            bridged_p99_ms: 3.0,
            viewers: 500,
            operations_per_s: 900.0,
            redis_core_share: 0.02,
            message_us: 40.0,
            bridged_message_us: 60.0,
            moved_message_us: 10.0,
        };
        assert!(measured.lines().contains("added p50 0.75 ms (target ≤ 2)"), "{}", measured.lines());
    }
}
