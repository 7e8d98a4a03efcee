//! Builds the native binaries and the page.

use anyhow::Result;

use crate::page;
use crate::process::run;
use crate::workspace::Workspace;

/// The program with everything in it, the page included.
const WHOLE: &str = "tributary";

/// Packages with programs that do one thing.
const PARTS: [&str; 2] = ["tracker-server", "peer-native"];

/// Builds the page, then all programs for users.
pub(crate) fn everything(workspace: &Workspace, is_release: bool) -> Result<()> {
    page(workspace)?;
    packages(workspace, &[WHOLE, PARTS[0], PARTS[1]], is_release)
}

/// Builds the page, then the program with everything in it.
pub(crate) fn whole(workspace: &Workspace) -> Result<()> {
    page(workspace)?;
    packages(workspace, &[WHOLE], true)
}

/// Builds the tracker and the seeder, optimised.
pub(crate) fn parts(workspace: &Workspace) -> Result<()> {
    packages(workspace, &PARTS, true)
}

fn packages(workspace: &Workspace, packages: &[&str], is_release: bool) -> Result<()> {
    let mut cargo = workspace.cargo(["build", "--bins"]);
    cargo.args(packages.iter().flat_map(|package| ["--package", package]));
    run(cargo.args(is_release.then_some("--release")))
}

/// Builds the simulator in release.
pub(crate) fn simulator(workspace: &Workspace) -> Result<()> {
    run(&mut workspace.cargo(["build", "--bins", "--release", "--package", "swarm-sim"]))
}

/// Builds the page into dist/ and compresses it. Trackers serve it from there, `tributary` has it inside.
pub(crate) fn page(workspace: &Workspace) -> Result<()> {
    let sizes = page::build(workspace)?;
    eprintln!("page: {sizes}");
    Ok(())
}
