//! Makes the page with Trunk and compares: people who have Trunk get the same page from `trunk build --release`.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{Files, read_below};
use crate::dist::remap;
use crate::process::run;
use crate::workspace::Workspace;

/// Differs in white space and in the form of links.
const INDEX: &str = "index.html";

/// Builds the page both ways; an error if they differ.
pub(crate) fn compare(workspace: &Workspace) -> Result<()> {
    super::build(workspace)?;
    let folder = workspace.target_dir().join("page-by-trunk");
    let mut trunk = workspace.command("trunk");
    // Trunk takes NO_COLOR as one of its own flags and does not accept the usual value.
    trunk.args(["build", "--release", "--dist"]).arg(&folder);
    trunk.env_remove("NO_COLOR").env("TRUNK_SKIP_VERSION_CHECK", "true");
    // Cargo adds them to the flags of its configuration. The text of a panic has the path of a source.
    trunk.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", remap::rust_flags(workspace)?.join(" "));
    run(&mut trunk)?;
    let mut ours = read_below(&workspace.dist_dir())?;
    ours.retain(|path, _| path.extension().is_none_or(|ending| ending != "br"));
    same(&ours, &read_below(&folder)?)?;
    eprintln!("trunk: the page is the same, {} files", ours.len());
    Ok(())
}

fn same(ours: &Files, theirs: &Files) -> Result<()> {
    let ours_only: Vec<_> = ours.keys().filter(|path| !theirs.contains_key(*path)).collect();
    let theirs_only: Vec<_> = theirs.keys().filter(|path| !ours.contains_key(*path)).collect();
    ensure!(
        ours_only.is_empty() && theirs_only.is_empty(),
        "only `cargo xtask page` makes {ours_only:?}, only Trunk makes {theirs_only:?}"
    );
    let differs = |(path, bytes): &(&std::path::PathBuf, &Vec<u8>)| {
        *path != Path::new(INDEX) && theirs.get(*path) != Some(*bytes)
    };
    let different: Vec<_> = ours.iter().filter(differs).map(|(path, _)| path).collect();
    ensure!(different.is_empty(), "Trunk makes other bytes of {different:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_only_one_build_has_or_makes_otherwise_is_named() {
        let files = |all: &[(&str, &str)]| -> Files {
            all.iter().map(|(path, text)| (path.into(), text.as_bytes().to_vec())).collect()
        };
        let ours = files(&[("index.html", "a"), ("a.js", "a")]);
        assert!(same(&ours, &files(&[("index.html", "b"), ("a.js", "a")])).is_ok());
        let missing = same(&ours, &files(&[("index.html", "a")])).unwrap_err();
        assert!(missing.to_string().contains("[\"a.js\"]"), "{missing}");
        let other = same(&ours, &files(&[("index.html", "a"), ("a.js", "b")])).unwrap_err();
        assert!(other.to_string().contains("a.js"), "{other}");
    }
}
