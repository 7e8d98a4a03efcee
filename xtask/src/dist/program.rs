//! Builds the static program with the page inside.

use std::path::PathBuf;

use anyhow::Result;

use crate::build;
use crate::dist::{PACKAGE, remap};
use crate::pins::STATIC_TARGET;
use crate::process::run;
use crate::workspace::Workspace;

/// The profile in Cargo.toml: optimised, without debug information.
const PROFILE: &str = "dist";

/// Builds the page, then the program. Returns where it is.
pub(super) fn build(workspace: &Workspace, time_s: u64) -> Result<PathBuf> {
    build::page(workspace)?;
    let config = remap::cargo_config(workspace, STATIC_TARGET)?;
    let arguments =
        ["build", "--locked", "--profile", PROFILE, "--target", STATIC_TARGET, "--config", &config];
    let mut cargo = workspace.cargo(arguments);
    cargo.args(["--package", PACKAGE, "--bin", PACKAGE]);
    cargo.env(format!("CFLAGS_{}", STATIC_TARGET.replace('-', "_")), remap::c_flags(workspace)?);
    cargo.env("SOURCE_DATE_EPOCH", time_s.to_string());
    run(&mut cargo)?;
    Ok(workspace.target_dir().join(STATIC_TARGET).join(PROFILE).join(PACKAGE))
}
