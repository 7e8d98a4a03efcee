//! The programs of the `tests` crate that measure. They use that crate's harness and our crates, which xtask does
//! not: xtask builds and runs them and reads the JSON lines that they print.

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

use crate::process::{captured, run};
use crate::workspace::Workspace;

/// Builds a measuring program in release.
pub(crate) fn build(workspace: &Workspace, program: &str) -> Result<()> {
    build_with(workspace, program, "bench")
}

/// Builds in release a measuring program that needs browsers and none of our crates.
pub(crate) fn build_for_browsers(workspace: &Workspace, program: &str) -> Result<()> {
    build_with(workspace, program, "end-to-end")
}

fn build_with(workspace: &Workspace, program: &str, feature: &str) -> Result<()> {
    let mut cargo = workspace.cargo(["build", "--release", "--package", "tests"]);
    run(cargo.args(["--features", feature, "--bin", program]))
}

/// Runs a measuring program and reads one measurement from each line that it prints.
pub(crate) fn measurements<T: DeserializeOwned>(
    workspace: &Workspace,
    program: &str,
    arguments: &[String],
) -> Result<Vec<T>> {
    let mut command = workspace.command(&workspace.release_dir().join(program).to_string_lossy());
    command.args(arguments);
    command.env("TRIBUTARY_BIN_DIR", workspace.release_dir());
    command.env("TRIBUTARY_PAGE_DIR", workspace.dist_dir());
    command.env("CARGO_TARGET_DIR", workspace.target_dir());
    let printed = captured(&mut command)?;
    let read = |line: &str| serde_json::from_str(line).with_context(|| format!("no measurement: {line}"));
    printed.lines().map(read).collect()
}
