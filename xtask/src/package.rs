//! The crates that are published: made as a registry gets them, and what must not be in them.
//!
//! Which crates these are is in their Cargo.toml (`publish`). Nothing is uploaded here.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::Package;
use flate2::read::GzDecoder;

use crate::process;
use crate::workspace::Workspace;

/// Bytes of a package, compressed, at most: thrice what the largest one has. A film or a test's data would exceed it.
const PACKAGE_BYTES_MAX: u64 = 1 << 20;

/// Files that each package has: what it is, and under which licences.
const REQUIRED: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Where else a package may have files: sources, examples, and what cargo itself adds.
const ALLOWED: [&str; 6] =
    ["src/", "examples/", "Cargo.toml", "Cargo.toml.orig", "Cargo.lock", ".cargo_vcs_info.json"];

/// Makes the packages without building them, which takes seconds, and looks into them.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    make(workspace, &["--no-verify"])
}

/// Makes the packages and builds each from what is in it, with the others in place of those of a registry.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    make(workspace, &[])
}

fn make(workspace: &Workspace, flags: &[&str]) -> Result<()> {
    let packages: Vec<&Package> =
        workspace.metadata().packages.iter().filter(|package| is_published(package)).collect();
    ensure!(!packages.is_empty(), "no crate says `publish = true`");
    // All at once: cargo takes those that depend on each other from a registry of its own that it makes for this command.
    let mut command = workspace.cargo(["package", "--locked", "--allow-dirty", "--quiet"]);
    command.args(flags);
    packages.iter().for_each(|package| _ = command.args(["--package", package.name.as_str()]));
    process::run(&mut command)?;
    for package in packages {
        let file = format!("{}-{}.crate", package.name, package.version);
        let path = workspace.target_dir().join("package").join(&file);
        let faults = faults_of(&path, &workspace.root().to_string_lossy())?;
        ensure!(faults.is_empty(), "{file} must not be published:\n  {}", faults.join("\n  "));
    }
    Ok(())
}

/// Whether some registry may get it.
fn is_published(package: &Package) -> bool {
    package.publish.as_ref().is_none_or(|registries| !registries.is_empty())
}

/// What is wrong with a package; `root`: where the workspace is on this machine.
fn faults_of(path: &Path, root: &str) -> Result<Vec<String>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let bytes = file.metadata()?.len();
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut files = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        // Everything is in a folder that is called like the package.
        let Some((_, name)) = name.split_once('/') else {
            bail!("{} has a file outside its folder", path.display())
        };
        let name = name.to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        files.push((name, String::from_utf8_lossy(&content).into_owned()));
    }
    Ok(faults(bytes, &files, root))
}

fn faults(bytes: u64, files: &[(String, String)], root: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if bytes > PACKAGE_BYTES_MAX {
        faults.push(format!(
            "it has {bytes} bytes, more than {PACKAGE_BYTES_MAX}; see `include` in its Cargo.toml"
        ));
    }
    for required in REQUIRED {
        if !files.iter().any(|(name, _)| name == required) {
            faults.push(format!("{required} is missing; link it to the one in the root, or write it"));
        }
    }
    for (name, content) in files {
        let is_allowed = ALLOWED
            .iter()
            .chain(&REQUIRED)
            .any(|allowed| if allowed.ends_with('/') { name.starts_with(allowed) } else { name == allowed });
        if !is_allowed {
            faults.push(format!("{name} does not belong there; see `include` in its Cargo.toml"));
        }
        if content.contains(root) {
            faults.push(format!("{name} names {root}, which is on this machine only"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(more: &[(&str, &str)]) -> Vec<(String, String)> {
        let usual =
            REQUIRED.iter().chain(&["src/lib.rs", "Cargo.toml", "Cargo.lock"]).map(|name| (*name, ""));
        usual
            .chain(more.iter().copied())
            .map(|(name, content)| (name.to_owned(), content.to_owned()))
            .collect()
    }

    #[test]
    fn sources_examples_and_licences_may_be_published() {
        assert_eq!(faults(300_000, &files(&[("examples/fetch.rs", "fn main() {}")]), "/a/b"), [""; 0]);
    }

    #[test]
    fn films_tests_and_paths_of_this_machine_may_not() {
        let found = faults(2 << 20, &files(&[("tests/film.mp4", ""), ("src/a.rs", "\"/a/b/c\"")]), "/a/b");
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("2097152 bytes"), "{found:?}");
        assert!(found[1].starts_with("tests/film.mp4 does not belong"), "{found:?}");
        assert!(found[2].starts_with("src/a.rs names /a/b"), "{found:?}");
    }

    #[test]
    fn a_package_without_its_licences_is_refused() {
        let found = faults(1, &files(&[])[1..], "/a/b");
        assert_eq!(found, ["README.md is missing; link it to the one in the root, or write it"]);
    }
}
