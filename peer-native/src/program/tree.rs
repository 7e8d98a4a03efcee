//! `tree`: writes the tree file that a mirror serves beside the content.

use std::process::ExitCode;

use anyhow::Context;

use crate::program::amount;
use crate::program::cli::Tree;
use crate::program::ending::Ending;
use crate::program::publishing;
use crate::program::report::{Event, Reporter};
use crate::{publish, sidecar};

/// Runs the command.
pub(crate) async fn run(options: Tree, reporter: Reporter, ending: Ending) -> anyhow::Result<ExitCode> {
    publish::check(&options.file)?;
    let out = options.out.unwrap_or_else(|| sidecar::path_of(&options.file));
    let data_dir = publishing::data_dir(options.data.dir);
    let bar = reporter.bar("hashing");
    bar.set_length(options.file.metadata().map_or(0, |metadata| metadata.len()));
    let (file, own_bar) = (options.file.clone(), bar.clone());
    let hashing = tokio::task::spawn_blocking(move || {
        publish::tree(&file, data_dir.as_ref(), |bytes| own_bar.set_position(bytes))
    });
    let tree = tokio::select! {
        () = ending.asked() => anyhow::bail!("stopped before the file was hashed to its end"),
        tree = hashing => tree.context("hashing failed from within")??,
    };
    bar.finish_and_clear();
    sidecar::write(&out, &tree)?;
    let length_bytes = swarm_core::tree::sidecar::file_bytes(tree.geometry());
    reporter.text(&format!("{}: {}", out.display(), amount::size(length_bytes)));
    reporter.event(&Event::Tree { path: &out.display().to_string(), length_bytes, root: tree.root() });
    Ok(ExitCode::SUCCESS)
}
