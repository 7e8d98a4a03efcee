//! Builds the native binaries and the page.

use anyhow::Result;

use crate::page;
use crate::process::run;
use crate::workspace::Workspace;

/// Packages whose binaries people run.
const PACKAGES: [&str; 2] = ["tracker-server", "peer-native"];

/// Builds the tracker and the seeder.
pub(crate) fn binaries(workspace: &Workspace, is_release: bool) -> Result<()> {
    let mut cargo = workspace.cargo(["build", "--bins"]);
    cargo.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    run(cargo.args(is_release.then_some("--release")))
}

/// Builds the simulator, for measuring.
pub(crate) fn simulator(workspace: &Workspace) -> Result<()> {
    run(&mut workspace.cargo(["build", "--bins", "--release", "--package", "swarm-sim"]))
}

/// Builds the page into dist/ and compresses it for the tracker to serve.
pub(crate) fn page(workspace: &Workspace) -> Result<()> {
    let mut trunk = workspace.command("trunk");
    // Trunk reads NO_COLOR as a flag of its own and refuses its usual value.
    trunk.args(["build", "--release"]).env_remove("NO_COLOR").env("TRUNK_SKIP_VERSION_CHECK", "true");
    run(&mut trunk)?;
    let sizes = page::compress(&workspace.dist_dir())?;
    eprintln!("page: {sizes}");
    Ok(())
}
