//! Which programs are run, and with which arguments: ours, or libtorrent's to compare with.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::network::Place;
use crate::pins::SYSTEM_PYTHON;
use crate::process;
use crate::workspace::Workspace;

/// Port of the tracker, in its own namespace.
const TRACKER_PORT: u16 = 8080;

/// A libtorrent peer that says what `seeder --json` says.
const LIBTORRENT_PEER: &str = include_str!("libtorrent_peer.py");

/// The programs of one run.
#[derive(Debug, Clone)]
pub(crate) enum System {
    /// `tracker-server` and `seeder`.
    Tributary {
        /// Where they are.
        binaries: PathBuf,
    },
    /// Peers that are told of one another; there is no tracker.
    Libtorrent,
}

/// What the programs of one run are given.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    /// The content.
    pub(crate) original: &'a Path,
    /// Where the run keeps its files.
    pub(crate) folder: &'a Path,
    /// Whether leechers read like a player.
    pub(crate) is_played: bool,
}

impl System {
    /// Our programs as they were built.
    pub(crate) fn ours(workspace: &Workspace) -> Self {
        Self::Tributary { binaries: workspace.release_dir() }
    }

    /// What reports call it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Tributary { .. } => "tributary",
            Self::Libtorrent => "libtorrent",
        }
    }

    /// The tracker, if there is one. It prints the address of its page when it listens.
    pub(crate) fn tracker(&self, place: &Place, scene: &Scene<'_>) -> Option<Command> {
        let Self::Tributary { binaries } = self else { return None };
        let mut command = place.command(binaries.join("tracker-server"));
        command.args(["--listen", &format!("{}:{TRACKER_PORT}", place.address), "--open"]);
        // Known again by those who were there before it was killed.
        command.args(["--secret", "of this bench only"]).arg("--www").arg(scene.folder);
        Some(command)
    }

    /// The seeder. It says `ready` with what leechers are given.
    pub(crate) fn seeder(&self, place: &Place, tracker: &Place, scene: &Scene<'_>) -> Result<Command> {
        match self {
            Self::Tributary { binaries } => {
                let mut command = place.command(binaries.join("seeder"));
                command.args(["--json", "seed"]).arg(scene.original);
                command.args(["--tracker", &format!("ws://{}:{TRACKER_PORT}/v1/swarm", tracker.address)]);
                command.arg("--data-dir").arg(scene.folder.join("data"));
                Ok(command)
            }
            Self::Libtorrent => {
                let script = scene.folder.join("libtorrent_peer.py");
                fs::write(&script, LIBTORRENT_PEER)
                    .with_context(|| format!("cannot write {}", script.display()))?;
                let description = scene.folder.join("description");
                process::run(
                    Command::new(SYSTEM_PYTHON)
                        .arg(&script)
                        .arg("describe")
                        .args([scene.original, description.as_path()]),
                )?;
                let folder = scene.original.parent().unwrap_or(scene.folder);
                let mut command = place.command(SYSTEM_PYTHON);
                command.arg(script).arg("seed").arg(description).arg(folder).arg(place.address.to_string());
                Ok(command)
            }
        }
    }

    /// A leecher that stays when it has everything.
    pub(crate) fn leecher(
        &self,
        number: usize,
        place: &Place,
        link: &str,
        others: &[Ipv4Addr],
        scene: &Scene<'_>,
    ) -> Result<Command> {
        match self {
            Self::Tributary { binaries } => {
                let mut command = place.command(binaries.join("seeder"));
                command.args(["--json", "fetch", link, "--stay", "--output"]);
                command.arg(scene.folder.join(format!("copy-{number}")));
                command.args(scene.is_played.then_some("--play"));
                Ok(command)
            }
            Self::Libtorrent => {
                let folder = scene.folder.join(format!("copy-{number}"));
                fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
                let mut command = place.command(SYSTEM_PYTHON);
                command.arg(scene.folder.join("libtorrent_peer.py")).arg("fetch").arg(link).arg(folder);
                command.arg(place.address.to_string());
                command.args(others.iter().map(Ipv4Addr::to_string));
                Ok(command)
            }
        }
    }

    /// Files in which a leecher may have what it holds so far.
    pub(crate) fn copies(&self, number: usize, scene: &Scene<'_>) -> Vec<PathBuf> {
        let copy = scene.folder.join(format!("copy-{number}"));
        match self {
            Self::Tributary { .. } => vec![copy.with_added_extension("part"), copy],
            Self::Libtorrent => vec![copy.join(scene.original.file_name().unwrap_or_default())],
        }
    }
}
