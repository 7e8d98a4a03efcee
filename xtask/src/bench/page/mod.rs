//! `bench page`: the time to the first frame of a film, over plain HTTP, through Tributary without and with a mirror and, on request,
//! by P2P Media Loader and WebTorrent.
//!
//! `tests/src/bin/bench_page` measures. This module runs it for each case, prints the summary ([`case`]) and compares it with
//! the published targets. [`others`] installs what to compare with.

mod case;
mod others;

use anyhow::{Result, bail};
use clap::Args;

use crate::bench::measuring;
use crate::build;
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use case::Case;
use others::Packages;

/// The measuring program.
const PROGRAM: &str = "bench_page";

/// Everything that the page, the films and the tabs need.
const NEEDS: [Need; 4] = [Need::WasmTarget, Need::Node, Need::Browser, Need::Films];

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct PageOptions {
    /// Number of measurements of each case and way
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Number of tabs that open the film at once in the second case; 1 leaves that case out
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    tabs: u32,
    /// Also measure with a film of 1.2 GB, which is made at the first use
    #[arg(long)]
    large: bool,
    /// Also measure P2P Media Loader and WebTorrent, which are installed from npm into a temporary folder
    #[arg(long)]
    compare: bool,
}

/// Builds, measures and prints. An error if a case misses a target.
pub(crate) fn run(workspace: &Workspace, options: &PageOptions) -> Result<()> {
    setup::install(workspace, &NEEDS)?;
    build::parts(workspace)?;
    build::page(workspace)?;
    measuring::build(workspace, PROGRAM)?;
    let packages = if options.compare { Some(Packages::install(workspace)?) } else { None };
    println!("Time from the start of the navigation to the first frame: median (min–max).");
    println!("One Chromium process per tab, runs: {}.", options.runs);
    let films: &[&str] = if options.large { &["short", "long"] } else { &["short"] };
    let mut cases = Vec::new();
    for film in films {
        for tabs in if options.tabs > 1 { vec![1, options.tabs] } else { vec![1] } {
            eprintln!("bench: the {film} film, tabs: {tabs}");
            let mut arguments = vec![(*film).to_owned(), tabs.to_string(), options.runs.to_string()];
            arguments.extend(packages.as_ref().map(|packages| packages.folder().display().to_string()));
            let measurements = measuring::measurements(workspace, PROGRAM, &arguments)?;
            let Some(case) = Case::of(tabs, &measurements) else { bail!("{PROGRAM} measured nothing") };
            println!("{}", case.table());
            cases.push(case);
        }
    }
    println!("{}", serde_json::to_string(&cases)?);
    let missed: Vec<String> = cases.iter().flat_map(Case::missed).collect();
    if !missed.is_empty() {
        bail!("the first frame is too late: {}", missed.join("; "));
    }
    Ok(())
}
