//! `bench swarm`: as many runs as asked for, one line of JSON each.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::bench::content::{self, MB};
use crate::bench::network;
use crate::bench::options::{Rate, SwarmOptions};
use crate::bench::report::Report;
use crate::bench::run::measure;
use crate::bench::system::{Scene, System};
use crate::build;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// Files of this process; they end with it.
struct Folder(PathBuf);

/// Builds, measures and prints; an error if not all were complete who should have been.
pub(crate) fn run(workspace: &Workspace, options: &SwarmOptions) -> Result<()> {
    network::check_rights()?;
    setup::install(workspace, &needs(options))?;
    build::parts(workspace)?;
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot wait for signals")?;
    let kept = workspace.target_dir().join("bench");
    let folder = Folder::new(kept.join(format!("run-{}", std::process::id())))?;
    let length_bytes = options.mb * MB;
    let original = if options.play {
        content::film(&kept, length_bytes, options.media)?
    } else {
        let path = folder.0.join("original");
        content::random_file(&path, length_bytes)?;
        path
    };
    let mut systems = vec![System::ours(workspace)];
    systems.extend(options.compare.map(|_| System::Libtorrent));
    let mut has_failed = false;
    for number in 1..=options.runs {
        for system in &systems {
            eprintln!("bench: run {number} of {}: {}", options.runs, system.name());
            let name = format!("{}-{number}", system.name());
            let own = Folder::new(folder.0.join(&name))?;
            let logs = options.logs.as_ref().map_or_else(|| own.0.clone(), |logs| logs.join(&name));
            create(&logs)?;
            let scene = Scene { original: &original, folder: &own.0, is_played: options.play };
            let record = measure(options, system, &scene, &logs, &mut signals)?;
            if options.timeline {
                let uplinks: Vec<Rate> = [options.seeder_up].into_iter().chain(options.ups()).collect();
                eprintln!("{}", record.timeline.table(&uplinks));
            }
            println!("{}", serde_json::to_string(&Report::of(system.name(), options, &record))?);
            has_failed |= !record.is_finished();
        }
    }
    if has_failed {
        bail!("not all leechers were complete in time; see `finished`");
    }
    Ok(())
}

fn needs(options: &SwarmOptions) -> Vec<Need> {
    let mut needs = vec![Need::Network];
    needs.extend(options.play.then_some(Need::Films));
    needs.extend(options.compare.map(|_| Need::Libtorrent));
    needs
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

impl Folder {
    fn new(path: PathBuf) -> Result<Self> {
        create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("bench: {} is left behind: {error}", self.0.display());
        }
    }
}
