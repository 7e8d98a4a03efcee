//! The command line of `bench swarm`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

/// Namespaces and processes that a machine is still good for.
const LEECHERS_MAX: u64 = 200;

/// Rates in Mbit/s, sizes in MB of 1,000,000 bytes, times in seconds.
#[derive(Debug, Clone, Args)]
pub(crate) struct SwarmOptions {
    /// How many fetch
    #[arg(long, value_name = "COUNT", default_value_t = 8,
          value_parser = clap::value_parser!(u64).range(1..=LEECHERS_MAX))]
    pub(crate) leechers: u64,
    /// Size of the content, MB
    #[arg(long, value_name = "MB", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=4000))]
    pub(crate) mb: u64,
    /// Uplink of the seeder, Mbit/s
    #[arg(long, value_name = "RATE", default_value = "8")]
    pub(crate) seeder_up: Rate,
    /// Uplinks of the leechers, Mbit/s; a list is gone through again and again
    #[arg(long, value_name = "RATES", value_delimiter = ',', default_value = "4")]
    pub(crate) up: Vec<Rate>,
    /// Downlinks of the leechers, Mbit/s; a list is gone through again and again
    #[arg(long, value_name = "RATES", value_delimiter = ',', default_value = "32")]
    pub(crate) down: Vec<Rate>,
    /// Leechers read a film at its rate; reports starts and stalls
    #[arg(long, conflicts_with = "compare")]
    pub(crate) play: bool,
    /// Rate of the film for --play, Mbit/s
    #[arg(long, value_name = "RATE", default_value = "2")]
    pub(crate) media: Rate,
    /// Leechers come evenly over so many seconds instead of all at once
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub(crate) join_over: Duration,
    /// The tracker is killed at second A and started again at second B
    #[arg(long, value_name = "A-B", conflicts_with = "compare")]
    pub(crate) kill_tracker: Option<Outage>,
    /// So many per cent of the leechers are killed at second T
    #[arg(long, value_name = "PERCENT@T")]
    pub(crate) kill_peers: Option<PeerLoss>,
    /// The seeder is killed as soon as the leechers hold everything together
    #[arg(long)]
    pub(crate) kill_seeder_after_injection: bool,
    /// How often to measure
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) runs: u32,
    /// After each run, the same with other programs
    #[arg(long, value_name = "SYSTEM")]
    pub(crate) compare: Option<Comparison>,
    /// Shows on stderr how far each uplink is used, second by second
    #[arg(long)]
    pub(crate) timeline: bool,
    /// Keeps what the programs write to stderr in this folder; RUST_LOG says how much that is
    #[arg(long, value_name = "DIR")]
    pub(crate) logs: Option<PathBuf>,
}

/// What can be measured beside our own programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Comparison {
    /// Debian's python3-libtorrent, without a tracker: every peer is told of all others
    Libtorrent,
}

/// Bits a second; written in Mbit/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rate {
    /// Bits a second.
    pub(crate) bits_per_s: u64,
}

impl Rate {
    /// In Mbit/s.
    pub(crate) fn mbit_per_s(self) -> f64 {
        self.bits_per_s as f64 / 1e6
    }

    /// Bytes that pass in a time.
    pub(crate) fn bytes_in(self, seconds: f64) -> f64 {
        self.bits_per_s as f64 / 8.0 * seconds
    }
}

impl FromStr for Rate {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mbit: f64 = text
            .trim()
            .parse()
            .with_context(|| format!("`{text}` is no rate in Mbit/s, such as 4 or 2.5"))?;
        ensure!((0.05..=10_000.0).contains(&mbit), "a rate is between 0.05 and 10000 Mbit/s, not {mbit}");
        // In range, so nothing is cut off.
        Ok(Self { bits_per_s: (mbit * 1e6).round() as u64 })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.mbit_per_s())
    }
}

/// From when to when the tracker is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    /// It is killed.
    pub(crate) from: Duration,
    /// It is started again.
    pub(crate) to: Duration,
}

impl FromStr for Outage {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (from, to) = text.split_once('-').context("an outage is written A-B, such as 5-65")?;
        let outage = Self { from: seconds(from)?, to: seconds(to)? };
        ensure!(outage.from < outage.to, "an outage ends after it begins");
        Ok(outage)
    }
}

/// How many leechers are lost, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PeerLoss {
    /// 1 to 99.
    pub(crate) percent: u32,
    /// From the start.
    pub(crate) at: Duration,
}

impl FromStr for PeerLoss {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (percent, at) = text.split_once('@').context("a loss is written PERCENT@T, such as 33@10")?;
        let percent = percent.parse().with_context(|| format!("`{percent}` is no number of per cent"))?;
        if !(1..=99).contains(&percent) {
            bail!("between 1 and 99 per cent can be lost, not {percent}");
        }
        Ok(Self { percent, at: seconds(at)? })
    }
}

fn seconds(text: &str) -> Result<Duration> {
    let seconds: f64 = text.parse().with_context(|| format!("`{text}` is no number of seconds"))?;
    ensure!((0.0..=86_400.0).contains(&seconds), "a time is between 0 and 86400 s, not {seconds}");
    Ok(Duration::from_secs_f64(seconds))
}

impl SwarmOptions {
    /// How many fetch.
    pub(crate) fn leecher_count(&self) -> usize {
        usize::try_from(self.leechers).unwrap_or(usize::MAX)
    }

    /// Uplink of each leecher.
    pub(crate) fn ups(&self) -> Vec<Rate> {
        self.up.iter().copied().cycle().take(self.leecher_count()).collect()
    }

    /// Downlink of each leecher.
    pub(crate) fn downs(&self) -> Vec<Rate> {
        self.down.iter().copied().cycle().take(self.leecher_count()).collect()
    }

    /// When a leecher comes, from the start.
    pub(crate) fn joins_at(&self, leecher: usize) -> Duration {
        self.join_over.mul_f64(leecher as f64 / self.leecher_count() as f64)
    }

    /// How many leechers `--kill-peers` kills: at least one, and one is left.
    pub(crate) fn lost_count(&self) -> usize {
        let count = self.leecher_count();
        self.kill_peers.map_or(0, |loss| {
            let share = count as f64 * f64::from(loss.percent) / 100.0;
            (share.round() as usize).clamp(1, count.saturating_sub(1).max(1)).min(count.saturating_sub(1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: SwarmOptions,
    }

    fn options(line: &str) -> Result<SwarmOptions, clap::Error> {
        Line::try_parse_from(format!("bench {line}").split_whitespace()).map(|line| line.options)
    }

    #[test]
    fn lists_of_rates_are_gone_through_again_and_again() {
        let options = options("--leechers 5 --up 2,4.5 --down 32").unwrap();
        let mbits = |rates: Vec<Rate>| rates.into_iter().map(Rate::mbit_per_s).collect::<Vec<_>>();
        assert_eq!(mbits(options.ups()), [2.0, 4.5, 2.0, 4.5, 2.0]);
        assert_eq!(mbits(options.downs()), [32.0; 5]);
    }

    #[test]
    fn leechers_come_evenly_over_the_time_given() {
        let options = options("--leechers 4 --join-over 60").unwrap();
        assert_eq!([0, 1, 3].map(|leecher| options.joins_at(leecher).as_secs()), [0, 15, 45]);
    }

    #[test]
    fn a_loss_is_never_nobody_and_never_all() {
        let lost = |line| options(line).unwrap().lost_count();
        assert_eq!(lost("--leechers 9 --kill-peers 33@10"), 3);
        assert_eq!(lost("--leechers 9 --kill-peers 1@10"), 1);
        assert_eq!(lost("--leechers 2 --kill-peers 99@10"), 1);
        assert_eq!(lost("--leechers 1 --kill-peers 99@10"), 0);
        assert_eq!(lost(""), 0);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "--leechers 0",
            "--up 0",
            "--up 4,fast",
            "--seeder-up NaN",
            "--kill-tracker 9-5",
            "--kill-tracker 9",
            "--kill-peers 100@3",
            "--join-over -1",
            "--compare libtorrent --play",
        ] {
            assert!(options(line).is_err(), "{line}");
        }
        let outage = options("--kill-tracker 5-65.5").unwrap().kill_tracker.unwrap();
        assert_eq!(outage, Outage { from: Duration::from_secs(5), to: Duration::from_millis(65_500) });
    }
}
