//! `cargo xtask sim-sweep`: random populations, and whether the published targets hold for them.
//!
//! Builds and runs the simulator's own program, `swarm-sweep`, which draws the populations and judges them. This
//! module passes the flags on and puts the table into docs/method.md.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use crate::build;
use crate::document::Table;
use crate::process::run_watched;
use crate::workspace::Workspace;

const TABLE: Table = Table { path: "docs/method.md", name: "sim-sweep" };

/// Which populations to simulate.
#[derive(Debug, Args)]
pub(crate) struct SimSweep {
    /// Seed of the sequence of populations
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Several seeds, first and last
    #[arg(long, value_name = "A-B", conflicts_with = "seed")]
    seeds: Option<String>,
    /// Populations of each seed
    #[arg(long, default_value_t = 30)]
    count: u32,
    /// How freely the publisher gives: thrifty, generous, or both with a comma between them
    #[arg(long, default_value = "thrifty")]
    economy: String,
    /// Print each population's report as a line of JSON
    #[arg(long)]
    json: bool,
    /// Print the swarm-sim flags of one population, and simulate nothing
    #[arg(long, value_name = "SEED:INDEX")]
    replay: Option<String>,
    /// Put the table into docs/method.md
    #[arg(long, conflicts_with_all = ["json", "replay"])]
    write: bool,
}

/// Builds and sweeps; an error if a published target is missed. The table is written in any case.
pub(crate) fn run(workspace: &Workspace, options: &SimSweep) -> Result<()> {
    build::simulator(workspace)?;
    let mut command = Command::new(workspace.release_dir().join("swarm-sweep"));
    command.args(options.flags());
    let mut table = String::new();
    let succeeded = run_watched(&mut command, Duration::MAX, |line| {
        table += line;
        table.push('\n');
    })?;
    if options.write && !table.is_empty() {
        TABLE.write(workspace, &format!("{}{table}", options.caption()))?;
    }
    if !succeeded {
        bail!(
            "the sweep failed or missed a published target; it says above which one, and in which populations"
        );
    }
    Ok(())
}

impl SimSweep {
    /// The flags of `swarm-sweep`.
    fn flags(&self) -> Vec<String> {
        let mut flags = vec![format!("--count={}", self.count), format!("--economy={}", self.economy)];
        flags.push(
            self.seeds
                .as_ref()
                .map_or_else(|| format!("--seed={}", self.seed), |seeds| format!("--seeds={seeds}")),
        );
        flags.extend(self.json.then(|| "--json".to_owned()));
        flags.extend(self.replay.as_ref().map(|replay| format!("--replay={replay}")));
        flags.extend(self.write.then(|| "--markdown".to_owned()));
        flags
    }

    /// The line above the table: how to make it.
    fn caption(&self) -> String {
        let seeds = self.seeds.clone().unwrap_or_else(|| format!("{0}-{0}", self.seed));
        format!(
            "`cargo xtask sim-sweep --seeds {seeds} --count {} --economy {}`:\n\n",
            self.count, self.economy
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_passed_on() {
        let options = SimSweep {
            seed: 1,
            seeds: Some("1-3".into()),
            count: 10,
            economy: "generous".into(),
            json: false,
            replay: None,
            write: true,
        };
        assert_eq!(options.flags(), ["--count=10", "--economy=generous", "--seeds=1-3", "--markdown"]);
        assert_eq!(
            options.caption(),
            "`cargo xtask sim-sweep --seeds 1-3 --count 10 --economy generous`:\n\n"
        );
        let options = SimSweep {
            seed: 7,
            seeds: None,
            json: true,
            write: false,
            replay: Some("7:2".into()),
            ..options
        };
        let flags = ["--count=10", "--economy=generous", "--seed=7", "--json", "--replay=7:2"];
        assert_eq!(options.flags(), flags);
    }
}
