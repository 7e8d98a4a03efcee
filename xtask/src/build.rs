//! Builds the native binaries and the page.

use anyhow::Result;

use crate::page;
use crate::process::run;
use crate::workspace::Workspace;

/// Packages with binaries for users.
const PACKAGES: [&str; 2] = ["tracker-server", "peer-native"];

/// Builds the tracker and the seeder.
pub(crate) fn binaries(workspace: &Workspace, is_release: bool) -> Result<()> {
    let mut cargo = workspace.cargo(["build", "--bins"]);
    cargo.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    run(cargo.args(is_release.then_some("--release")))
}

/// Builds the simulator in release.
pub(crate) fn simulator(workspace: &Workspace) -> Result<()> {
    run(&mut workspace.cargo(["build", "--bins", "--release", "--package", "swarm-sim"]))
}

/// Builds the page into dist/ and compresses it. The tracker serves it from there.
pub(crate) fn page(workspace: &Workspace) -> Result<()> {
    let mut trunk = workspace.command("trunk");
    // Trunk takes NO_COLOR as one of its own flags and does not accept the usual value.
    trunk.args(["build", "--release"]).env_remove("NO_COLOR").env("TRUNK_SKIP_VERSION_CHECK", "true");
    // Trunk logs to standard output, which belongs to the results of the benches.
    run(trunk.stdout(std::io::stderr()))?;
    let sizes = page::compress(&workspace.dist_dir())?;
    eprintln!("page: {sizes}");
    Ok(())
}
