//! `bench audience`: how one tracker, or several that act as one, serve viewers that come, build links, leave and come back.
//!
//! `tests/src/bin/bench_audience.rs` measures. This file runs it, prints the summary and compares it with the published
//! targets.

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::bench::measuring;
use crate::build;
use crate::setup::{Need, install};
use crate::workspace::Workspace;

/// Published targets: the time of a join at one tracker while viewers stay, ms…
const JOIN_P99_MS_MAX: f64 = 10.0;
/// …and the share of signals that arrive, of those whose receiver is still a neighbour as far as the tracker knows. In the
/// storm it does not: connections that ended without a word are found dead one after the other.
const DELIVERED_MIN: f64 = 0.999;

/// The measuring program.
const PROGRAM: &str = "bench_audience";

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct AudienceOptions {
    /// Number of trackers; several act as one around a Redis
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=9))]
    trackers: u32,
    /// Number of viewers; the limit on open files must allow for twice as many
    #[arg(long, value_name = "COUNT", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=60_000))]
    viewers: u32,
    /// Number of films that they watch, equally many each
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    swarms: u32,
    /// For how long they are watched after all have come, s
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// They come evenly over this time, s
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    join_over: u32,
    /// The mean time for which a viewer stays before another one takes its place, s; 0: for ever
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    stay: u32,
}

/// The measurement of the measuring program.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Measurement {
    trackers: u32,
    viewers: u32,
    swarms: u32,
    viewer_kib: f64,
    arrival: Figures,
    stay: Figures,
    storm: Figures,
    storm_s: f64,
    redis_operations_per_s: f64,
    last_failure: String,
}

/// What was measured in one phase.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Figures {
    seconds: f64,
    joins: u64,
    join_ms: Percentiles,
    joins_failed: u64,
    connections_lost: u64,
    signals: u64,
    signal_ms: Percentiles,
    delivered: f64,
    signals_refused: u64,
    requests: u64,
    request_us: f64,
    cores: f64,
}

/// Of times, ms.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
    p999: f64,
}

/// Builds, measures and prints. An error if a target is missed.
pub(crate) fn run(workspace: &Workspace, options: &AudienceOptions) -> Result<()> {
    install(workspace, &[Need::Engine])?;
    build::parts(workspace)?;
    measuring::build(workspace, PROGRAM)?;
    let arguments =
        [options.trackers, options.viewers, options.swarms, options.seconds, options.join_over, options.stay];
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

impl Measurement {
    fn phases(&self) -> [(&'static str, &Figures); 3] {
        [("arrival", &self.arrival), ("stay", &self.stay), ("storm", &self.storm)]
    }

    fn lines(&self) -> String {
        let mut lines = vec![format!(
            "{} trackers, {} viewers in {} swarms: {:.1} KiB a viewer; after the storm all were back in {:.1} s; \
             {:.0} operations of Redis a second",
            self.trackers,
            self.viewers,
            self.swarms,
            self.viewer_kib,
            self.storm_s,
            self.redis_operations_per_s
        )];
        lines.extend(self.phases().map(|(name, figures)| format!("{name}: {}", figures.line())));
        if !self.last_failure.is_empty() {
            lines.push(format!("the last failure: {}", self.last_failure));
        }
        lines.join("\n")
    }

    /// The missed targets, in words; `None` if all are met.
    fn missed(&self) -> Option<String> {
        let mut missed = Vec::new();
        for (name, figures) in self.phases() {
            if figures.connections_lost > 0 {
                missed.push(format!("{name}: {} connections were lost", figures.connections_lost));
            }
            if name != "storm" && figures.delivered < DELIVERED_MIN {
                missed.push(format!(
                    "{name}: {:.4} of the signals arrived, not {DELIVERED_MIN}",
                    figures.delivered
                ));
            }
        }
        if self.trackers == 1 && self.stay.join_ms.p99 > JOIN_P99_MS_MAX {
            missed.push(format!("a join took {:.1} ms (p99), not {JOIN_P99_MS_MAX}", self.stay.join_ms.p99));
        }
        (!missed.is_empty()).then(|| format!("a target is missed: {}", missed.join("; ")))
    }
}

impl Figures {
    fn line(&self) -> String {
        let three = |times: Percentiles| format!("{:.2}, {:.2}, {:.2} ms", times.p50, times.p99, times.p999);
        format!(
            "{} joins (p50, p99, p999: {}; {} failed and were tried again), {} signals ({}; {:.4} arrived, {} refused), \
             {} requests at {:.1} µs, {:.2} cores, {} connections lost",
            self.joins,
            three(self.join_ms),
            self.joins_failed,
            self.signals,
            three(self.signal_ms),
            self.delivered,
            self.signals_refused,
            self.requests,
            self.request_us,
            self.cores,
            self.connections_lost,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_targets_are_named() {
        let times = Percentiles { p50: 0.3, p99: 4.0, p999: 9.0 };
        let figures = Figures {
            seconds: 30.0,
            joins: 100,
            join_ms: times,
            joins_failed: 0,
            connections_lost: 0,
            signals: 1000,
            signal_ms: times,
            delivered: 1.0,
            signals_refused: 0,
            requests: 5000,
            request_us: 12.0,
            cores: 0.2,
        };
        let met = Measurement {
            trackers: 1,
            viewers: 100,
            swarms: 1,
            viewer_kib: 9.0,
            arrival: figures.clone(),
            stay: figures.clone(),
            storm: figures.clone(),
            storm_s: 2.1,
            redis_operations_per_s: 0.0,
            last_failure: String::new(),
        };
        assert_eq!(met.missed(), None);
        let slow = Figures { join_ms: Percentiles { p99: 10.5, ..times }, ..figures.clone() };
        let late = Measurement { stay: slow, ..met.clone() };
        assert_eq!(late.missed().unwrap(), "a target is missed: a join took 10.5 ms (p99), not 10");
        let several = Measurement { trackers: 3, ..late };
        assert_eq!(several.missed(), None, "the target is that of one tracker");
        let lost =
            Measurement { arrival: Figures { delivered: 0.99, connections_lost: 2, ..figures }, ..met };
        let words = "a target is missed: arrival: 2 connections were lost; arrival: 0.9900 of the signals arrived, not 0.999";
        assert_eq!(lost.missed().unwrap(), words);
    }
}
