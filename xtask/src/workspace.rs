//! Where things are: the workspace's root, its build directory, and the packages it is made of.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};

/// The workspace that this program belongs to.
pub(crate) struct Workspace {
    root: PathBuf,
    target_dir: PathBuf,
    metadata: Metadata,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(manifest)
            .no_deps()
            .exec()
            .context("cannot ask cargo about the workspace")?;
        Ok(Self {
            root: metadata.workspace_root.clone().into_std_path_buf(),
            target_dir: metadata.target_directory.clone().into_std_path_buf(),
            metadata,
        })
    }

    /// The folder of the workspace's Cargo.toml.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The packages of the workspace, without those they use.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where the page is built.
    pub(crate) fn dist_dir(&self) -> PathBuf {
        self.root.join("dist")
    }

    /// Where everything that is built or kept from run to run is.
    pub(crate) fn target_dir(&self) -> &Path {
        &self.target_dir
    }

    /// Where release binaries are built.
    pub(crate) fn release_dir(&self) -> PathBuf {
        self.target_dir.join("release")
    }

    /// Where tools of another version than the installed one are kept.
    pub(crate) fn tools_dir(&self) -> PathBuf {
        self.target_dir.join("tools")
    }

    /// A command that runs in the root and prefers the tools kept there.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        let tools = self.tools_dir().join("bin");
        if tools.is_dir() {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let folders = std::iter::once(tools).chain(std::env::split_paths(&path));
            if let Ok(path) = std::env::join_paths(folders) {
                command.env("PATH", path);
            }
        }
        command
    }

    /// Cargo in the root with these arguments.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.command("cargo");
        command.args(arguments);
        // Set by the cargo that runs this program; build scripts that look at them would run again, and all
        // that depends on them be built again, whenever cargo is used with and without `xtask` in turn.
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| name.to_string_lossy().starts_with("CARGO_PKG_")) {
            command.env_remove(name);
        }
        command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_MANIFEST_PATH");
        command
    }
}
