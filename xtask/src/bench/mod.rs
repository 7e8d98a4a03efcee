//! `cargo xtask bench`: measurements of the real programs on this machine.
//!
//! One subcommand each. [`swarm`] is a whole swarm in network namespaces:
//!
//! ```text
//! options ─→ swarm ─→ run ─┬→ stage ─┬→ network   namespaces, rate caps, interface counters
//!                          │         ├→ system    which programs, ours or those to compare with
//!                          │         └→ program   one process: what it says, its CPU time, its end
//!                          ├→ faults    who is killed when
//!                          └→ record ─→ report    pure: bound, timeline, JSON
//! ```

mod bound;
mod content;
mod faults;
mod network;
mod options;
mod program;
mod record;
mod report;
mod run;
mod stage;
mod swarm;
mod system;
mod timeline;

use anyhow::Result;
use clap::Subcommand;

use crate::workspace::Workspace;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// A swarm of real processes in network namespaces with capped rates; prints JSON, one line a run
    Swarm(options::SwarmOptions),
}

/// Measures and prints.
pub(crate) fn run(workspace: &Workspace, bench: &Bench) -> Result<()> {
    match bench {
        Bench::Swarm(options) => swarm::run(workspace, options),
    }
}
