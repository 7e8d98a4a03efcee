//! The player library of the page: a package of npm, made into one file that the page loads after the first frame.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process::run;
use crate::workspace::Workspace;

/// The package.
const LIBRARY: &str = "media-chrome";

/// What `npm ci` last installed: a copy of the lock file. It goes with the folder.
const STAMP: &str = "node_modules/.installed";

/// The lock file.
const LOCK: &str = "package-lock.json";

/// Makes `www/vendor/` with a program of the same package manager. See `bundle.mjs` beside this file.
pub(crate) fn bundle(workspace: &Workspace) -> Result<()> {
    install(workspace)?;
    run(workspace.command("npm").args(["run", "--silent", "bundle"]))
        .context("the player library is not made")
}

/// What the library's authors say of its use.
#[derive(Debug, Deserialize)]
pub(crate) struct Terms {
    pub(crate) name: String,
    pub(crate) version: String,
    #[serde(rename = "license")]
    pub(crate) licence: String,
    #[serde(rename = "homepage")]
    pub(crate) home: String,
    /// The whole text.
    #[serde(skip)]
    pub(crate) text: String,
}

/// The terms of the library as it is installed.
pub(crate) fn terms(workspace: &Workspace) -> Result<Terms> {
    install(workspace)?;
    let folder = workspace.root().join("node_modules").join(LIBRARY);
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let terms: Terms = serde_json::from_str(&read("package.json")?).context("the library says no licence")?;
    Ok(Terms { text: read("LICENSE")?, ..terms })
}

/// Installs the locked packages, unless they are there.
pub(crate) fn install(workspace: &Workspace) -> Result<()> {
    if is_installed(workspace.root())? {
        return Ok(());
    }
    // Scripts of packages are not run: none of them needs any.
    run(workspace.command("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])).context(
        "the page's packages are not installed; check that npm reaches its registry, then run this again",
    )?;
    let lock = workspace.root().join(LOCK);
    fs::copy(lock, workspace.root().join(STAMP)).context("cannot note what is installed")?;
    Ok(())
}

fn is_installed(root: &Path) -> Result<bool> {
    let lock = fs::read(root.join(LOCK)).with_context(|| format!("cannot read {LOCK}"))?;
    Ok(fs::read(root.join(STAMP)).is_ok_and(|installed| installed == lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_again_when_the_lock_file_is_another() {
        let root = std::env::temp_dir().join(format!("xtask-library-{}", std::process::id()));
        fs::create_dir_all(root.join("node_modules")).unwrap();
        fs::write(root.join(LOCK), "1").unwrap();
        assert!(!is_installed(&root).unwrap());
        fs::write(root.join(STAMP), "1").unwrap();
        assert!(is_installed(&root).unwrap());
        fs::write(root.join(LOCK), "2").unwrap();
        assert!(!is_installed(&root).unwrap());
        fs::remove_dir_all(root).unwrap();
    }
}
