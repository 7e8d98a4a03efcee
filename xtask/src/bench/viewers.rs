//! `bench viewers`: what a viewer that cannot upload costs the seeder.
//!
//! `tests/src/bin/bench_viewers.rs` measures. This file runs it, prints the summary and compares it with the
//! published targets.

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;

use crate::bench::measuring;
use crate::build;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// Published target: viewers that one processor core of the seeder serves.
const VIEWERS_PER_CORE_MIN: f64 = 1000.0;

/// Published target: memory of the seeder for one viewer, KiB.
const KIB_PER_VIEWER_MAX: f64 = 600.0;

/// The measuring program.
const PROGRAM: &str = "bench_viewers";

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct ViewersOptions {
    /// Number of viewers
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=5000))]
    viewers: u32,
    /// Length of the measurement, s
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Rate of the film, Mbit/s
    #[arg(long, value_name = "RATE", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
    media: u32,
    /// Time over which the viewers join, evenly, s
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=600))]
    join_over: u32,
}

/// The measurement of the measuring program.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Measurement {
    viewers: u32,
    links: u32,
    seconds: f64,
    media_bits_per_s: f64,
    cpu_s: f64,
    uploaded_bytes: u64,
    memory_idle_bytes: u64,
    memory_bytes: u64,
    not_started: u32,
    stalls: u32,
    stall_ms: u64,
}

/// Builds, measures and prints. An error if a target is missed.
pub(crate) fn run(workspace: &Workspace, options: &ViewersOptions) -> Result<()> {
    setup::install(workspace, &[Need::Films])?;
    build::parts(workspace)?;
    measuring::build(workspace, PROGRAM)?;
    let arguments = [options.viewers, options.seconds, options.media, options.join_over];
    let measured: Vec<Measurement> =
        measuring::measurements(workspace, PROGRAM, &arguments.map(|number| number.to_string()))?;
    let measured = measured.first().with_context(|| format!("{PROGRAM} measured nothing"))?;
    println!("{}", measured.lines());
    match measured.missed() {
        Some(words) => bail!("{words}"),
        None => Ok(()),
    }
}

impl Measurement {
    /// CPU seconds of the seeder in one second.
    fn cpu_share(&self) -> f64 {
        self.cpu_s / self.seconds
    }

    /// Viewers that one core would serve at this cost per viewer. Only viewers with a link count.
    fn viewers_per_core(&self) -> f64 {
        f64::from(self.links) / self.cpu_share()
    }

    /// Growth of the seeder's memory for each viewer with a link, KiB.
    fn kib_per_viewer(&self) -> f64 {
        let grown_bytes = self.memory_bytes.saturating_sub(self.memory_idle_bytes);
        grown_bytes as f64 / 1024.0 / f64::from(self.links)
    }

    fn lines(&self) -> String {
        let mib = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
        let sent_mbit = self.uploaded_bytes as f64 * 8.0 / self.seconds / 1e6;
        let media_mbit = self.media_bits_per_s / 1e6;
        format!(
            "direct links: {} of {} viewers\n\
             payload: {:.2} Mbit/s for each link, film {media_mbit:.2} Mbit/s, for {:.0} s\n\
             seeder: {:.3} CPU seconds a second, {:.1} MiB resident, {:.1} MiB before the first viewer\n\
             viewers a core: {:.0} (target ≥ {VIEWERS_PER_CORE_MIN})\n\
             KiB a viewer: {:.0} (target ≤ {KIB_PER_VIEWER_MAX})\n\
             playback: {} viewers not started, {} stalls, {:.1} s in all",
            self.links,
            self.viewers,
            sent_mbit / f64::from(self.links),
            self.seconds,
            self.cpu_share(),
            mib(self.memory_bytes),
            mib(self.memory_idle_bytes),
            self.viewers_per_core(),
            self.kib_per_viewer(),
            self.not_started,
            self.stalls,
            self.stall_ms as f64 / 1000.0,
        )
    }

    /// The missed targets, in words; `None` if all are met.
    fn missed(&self) -> Option<String> {
        if self.links == 0 {
            return Some("no viewer has a link to the seeder".to_owned());
        }
        let mut missed = Vec::new();
        if self.viewers_per_core() < VIEWERS_PER_CORE_MIN {
            missed.push(format!("{:.0} viewers a core, not {VIEWERS_PER_CORE_MIN}", self.viewers_per_core()));
        }
        if self.kib_per_viewer() > KIB_PER_VIEWER_MAX {
            missed.push(format!("{:.0} KiB a viewer, not {KIB_PER_VIEWER_MAX}", self.kib_per_viewer()));
        }
        (!missed.is_empty()).then(|| format!("a target is missed: {}", missed.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement() -> Measurement {
        Measurement {
            viewers: 100,
            links: 40,
            seconds: 30.0,
            media_bits_per_s: 1e6,
            cpu_s: 1.2,
            uploaded_bytes: 150_000_000,
            memory_idle_bytes: 10 << 20,
            memory_bytes: (10 << 20) + 40 * (600 << 10),
            not_started: 60,
            stalls: 1,
            stall_ms: 500,
        }
    }

    #[test]
    fn the_cost_is_that_of_the_viewers_with_a_link() {
        let measured = measurement();
        assert_eq!(measured.viewers_per_core().round(), 1000.0);
        assert_eq!(measured.kib_per_viewer(), 600.0);
        assert!(measured.lines().contains("direct links: 40 of 100 viewers\npayload: 1.00 Mbit/s"));
    }

    #[test]
    fn missed_targets_are_named() {
        assert_eq!(measurement().missed(), None);
        let slow = Measurement { cpu_s: 2.4, ..measurement() };
        assert_eq!(slow.missed().unwrap(), "a target is missed: 500 viewers a core, not 1000");
        let large = Measurement { memory_bytes: 60 << 20, ..measurement() };
        assert_eq!(large.missed().unwrap(), "a target is missed: 1280 KiB a viewer, not 600");
        let alone = Measurement { links: 0, ..measurement() };
        assert_eq!(alone.missed().unwrap(), "no viewer has a link to the seeder");
    }
}
