//! Static checks: everything that can be checked in the sources without running them.

use anyhow::Result;

use crate::package;
use crate::page;
use crate::pins::WASM_TARGET;
use crate::process;
use crate::setup::{self, Need};
use crate::tidy;
use crate::workspace::Workspace;

/// Packages that are built for the browser and tested as WebAssembly.
const WASM_PACKAGES: [&str; 4] = ["--package", "peer-wasm", "--package", "swarm-core"];

/// Features that a plain `cargo test` leaves out: it needs no browser and does not build the benches.
const GUARDED: [&str; 2] = ["--features", "tests/end-to-end,tests/bench"];

/// Installs what the checks need, then runs them. The quick checks run first.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::install(workspace, &[Need::Lints, Need::WasmTarget, Need::Deny, Need::Node])?;
    process::run(&mut workspace.cargo(["fmt", "--all", "--check"]))?;
    tidy::run(workspace)?;
    dependencies(workspace)?;
    package::check(workspace)?;
    javascript(workspace)?;
    lints(workspace)?;
    documentation(workspace)
}

/// Licences, sources and second versions. Advisories are left out: their list is fetched from a server, and a check
/// that fails because of the day it runs on would stop changes that have nothing to do with it.
fn dependencies(workspace: &Workspace) -> Result<()> {
    let mut deny = workspace.command("cargo-deny");
    process::run(deny.args([
        "--log-level",
        "error",
        "--locked",
        "check",
        "-D",
        "unmatched-skip",
        "licenses",
        "bans",
        "sources",
    ]))
}

fn lints(workspace: &Workspace) -> Result<()> {
    let deny = ["--", "--deny", "warnings"];
    let mut native = workspace.cargo(["clippy", "--all-targets"]);
    process::run(native.args(GUARDED).args(deny))?;
    // `--tests` includes the unit tests, which the `wasm` tier runs. Benches are native only.
    let mut wasm = workspace.cargo(["clippy", "--lib", "--tests", "--target", WASM_TARGET]);
    process::run(wasm.args(WASM_PACKAGES).args(deny))
}

fn documentation(workspace: &Workspace) -> Result<()> {
    process::run(workspace.cargo(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings"))?;
    let mut wasm = workspace.cargo(["doc", "--no-deps", "--target", WASM_TARGET]);
    process::run(wasm.args(["--package", "peer-wasm"]).env("RUSTDOCFLAGS", "--deny warnings"))
}

/// Checks the JSDoc types of www/ with `tsc`.
fn javascript(workspace: &Workspace) -> Result<()> {
    page::library::install(workspace)?;
    process::run(workspace.command("npm").args(["run", "--silent", "check"]))
}
