//! Where built things and kept things are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The workspace's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// One of our programs, built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = named_by("TRIBUTARY_BIN_DIR").unwrap_or_else(|| target_dir().join("release"));
    let path = folder.join(name);
    ensure!(path.is_file(), "{} is not built; run the tests with `cargo xtask test`", path.display());
    Ok(path)
}

/// The built page.
pub fn page_dir() -> PathBuf {
    named_by("TRIBUTARY_PAGE_DIR").unwrap_or_else(|| root().join("dist"))
}

/// A folder that stays from run to run: films that take long to make, pictures of failures.
pub fn kept_dir() -> Result<PathBuf> {
    let folder = target_dir().join("end-to-end");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// A program of the system by one of its names.
pub fn system_program(names: &[&str]) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("none of {names:?} is installed; `cargo xtask setup` installs them"))
}

fn target_dir() -> PathBuf {
    named_by("CARGO_TARGET_DIR").unwrap_or_else(|| root().join("target"))
}

fn named_by(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}
