//! `cargo xtask`: every chore of this repository, in Rust.
//!
//! This file owns the command line and the order of the steps. What a step does is in the module of its
//! name; programs from outside and their versions are in [`pins`].

mod bench;
mod book;
mod build;
mod check;
mod demo;
mod dist;
mod document;
mod package;
mod page;
mod pins;
mod process;
mod setup;
mod sim_sweep;
mod sim_table;
mod tidy;
mod tiers;
mod workspace;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bench::Bench;
use crate::setup::Need;
use crate::tiers::Tier;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Every chore of this repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install whatever is missing: wasm target, lints, wasm-bindgen, browser and network programs
    Setup,
    /// Build the native binaries and the page
    Build {
        /// Optimise the native binaries; the page always is
        #[arg(long)]
        release: bool,
    },
    /// Build the page into dist/, for programs that are built after it and for trackers that serve it
    Page,
    /// Build the page with Trunk as well and fail if it is another; installs Trunk
    Trunk,
    /// Make what is handed out: archive, Debian package and container image of the static program, with digests
    Dist,
    /// Share the sample clip and say which page to open
    Demo {
        /// Address and port on which the page is
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
    },
    /// Run the tests, installing what they need
    Test {
        /// Run only this tier; may be repeated
        #[arg(long = "tier", value_name = "TIER")]
        tiers: Vec<Tier>,
    },
    /// Feed random input to everything that reads what strangers send; each target runs for some minutes
    Fuzz {
        /// How long each target runs, minutes
        #[arg(long, default_value = "1")]
        minutes: u64,
        /// Run only these targets
        targets: Vec<String>,
    },
    /// Measure the real programs on this machine
    Bench {
        /// What to measure
        #[command(subcommand)]
        bench: Box<Bench>,
    },
    /// Simulate the published scenarios, write their tables into docs/method.md, fail if a target is missed
    SimTable(sim_table::SimTable),
    /// Simulate random populations and fail if a published target is missed
    SimSweep(sim_sweep::SimSweep),
    /// Build the book from docs/ into target/book and check all links in it; installs mdBook
    Book {
        /// Write the pages that are made from the programs first: the command lines
        #[arg(long)]
        update: bool,
    },
    /// Make the crates that are published, and build each from its package alone; nothing is uploaded
    Package,
    /// Static checks: format, tidy, lints, documentation, JavaScript types
    Check,
    /// Check the rules of CONTRIBUTING.md that no compiler knows
    Tidy,
    /// Everything that must pass before a change is merged: `check`, then `test`
    Ci,
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match chore {
        Chore::Setup => setup::install(&workspace, &Need::ALL),
        Chore::Build { release } => {
            setup::install(&workspace, &Need::PAGE)?;
            build::everything(&workspace, release)
        }
        Chore::Page => {
            setup::install(&workspace, &Need::PAGE)?;
            build::page(&workspace)
        }
        Chore::Trunk => {
            setup::install(&workspace, &Need::TRUNK)?;
            page::trunk::compare(&workspace)
        }
        Chore::Dist => dist::run(&workspace),
        Chore::Demo { listen } => demo::run(&workspace, listen),
        Chore::Test { tiers } => tiers::run(&workspace, &tiers),
        Chore::Fuzz { minutes, targets } => {
            let mut command = workspace.cargo(["run", "--release", "--package", "fuzz", "--"]);
            process::run(command.args(["--minutes", &minutes.to_string()]).args(targets))
        }
        Chore::Bench { bench } => bench::run(&workspace, &bench),
        Chore::SimTable(options) => sim_table::run(&workspace, &options),
        Chore::SimSweep(options) => sim_sweep::run(&workspace, &options),
        Chore::Book { update } => book::build(&workspace, update),
        Chore::Package => package::build(&workspace),
        Chore::Check => check::run(&workspace),
        Chore::Tidy => tidy::run(&workspace),
        Chore::Ci => {
            check::run(&workspace)?;
            tiers::run(&workspace, &[])
        }
    }
}
