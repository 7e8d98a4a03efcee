//! What the README promises, on this machine: the sample clip, shared by `tributary share`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::build;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// Installs, builds, and becomes the program, which runs until Ctrl-C.
pub(crate) fn run(workspace: &Workspace, listen: SocketAddr) -> Result<()> {
    setup::install(workspace, &Need::PAGE)?;
    build::whole(workspace)?;
    let mut share = Command::new(workspace.release_dir().join("tributary"));
    share.arg("share").args(clips(&workspace.root().join("sample"))?);
    share.arg("--listen").arg(listen.to_string());
    share.arg("--data-dir").arg(workspace.root().join("data/demo"));
    println!(
        "\nOpen the link in a browser, then in a second one: they will serve each other. Ctrl-C stops.\n"
    );
    Err(share.exec()).context("cannot start `tributary share`")
}

/// The sample clips, in order.
fn clips(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut clips: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "mp4"))
        .collect();
    clips.sort();
    if clips.is_empty() {
        bail!("no clip in {}", folder.display());
    }
    Ok(clips)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_clip_to_share() {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample");
        assert!(!clips(&sample).unwrap().is_empty());
        assert!(clips(&sample.join("..")).unwrap_err().to_string().starts_with("no clip in"));
    }
}
