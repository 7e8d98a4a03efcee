//! Which files are handed out, by the folder that each form of a package has for them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::dist::licences;
use crate::process::{captured, run};
use crate::workspace::Workspace;

/// Files at the root of the sources that go with the program.
const TEXTS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Documents for those who run it.
const DOCUMENTS: [&str; 3] = ["docs/operations.md", "docs/publishing.md", "docs/security.md"];

/// Shells with the names that their completions have.
const SHELLS: [(&str, &str); 3] = [("bash", "tributary"), ("zsh", "_tributary"), ("fish", "tributary.fish")];

/// Files by their paths, in order.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Everything that is handed out.
pub(super) struct Contents {
    program: Vec<u8>,
    /// README, licences of the project and of what it uses, documents.
    pub(super) texts: Files,
    /// Configurations of proxies, units, the container.
    pub(super) deploy: Files,
    /// Manual pages by their file names.
    pub(super) manual: Files,
    /// Completions by `SHELL/NAME`.
    pub(super) completions: Files,
}

impl Contents {
    /// Reads the files of the workspace and asks the program for what it writes itself.
    pub(super) fn collect(workspace: &Workspace, program: &Path) -> Result<Self> {
        let root = workspace.root();
        let mut texts = Files::new();
        for name in TEXTS.iter().chain(&DOCUMENTS) {
            texts.insert(name.into(), read(&root.join(name))?);
        }
        texts.insert("LICENSES-THIRD-PARTY.txt".into(), licences::text(workspace)?.into_bytes());
        let mut completions = Files::new();
        for (shell, name) in SHELLS {
            let script =
                captured(workspace.command(&program.to_string_lossy()).args(["completions", shell]))?;
            completions.insert(Path::new(shell).join(name), script.into_bytes());
        }
        Ok(Self {
            program: read(program)?,
            texts,
            deploy: folder(&root.join("deploy"))?,
            manual: manual(workspace, program)?,
            completions,
        })
    }

    /// The program.
    pub(super) fn program(&self) -> &[u8] {
        &self.program
    }

    #[cfg(test)]
    pub(super) fn fake() -> Self {
        let one = |path: &str, text: &str| Files::from([(path.into(), text.into())]);
        Self {
            program: b"ELF".to_vec(),
            texts: one("LICENSE-MIT", "MIT"),
            deploy: one("tributary-seed.service", "ExecStart=/usr/local/bin/tributary seed\n"),
            manual: one("tributary.1", ".TH tributary 1\n"),
            completions: one("bash/tributary", "complete\n"),
        }
    }
}

fn manual(workspace: &Workspace, program: &Path) -> Result<Files> {
    let made = workspace.target_dir().join("packages/man");
    if made.exists() {
        fs::remove_dir_all(&made).with_context(|| format!("cannot remove {}", made.display()))?;
    }
    run(workspace.command(&program.to_string_lossy()).args(["man", "--dir"]).arg(&made))?;
    let pages = folder(&made)?;
    fs::remove_dir_all(&made).with_context(|| format!("cannot remove {}", made.display()))?;
    Ok(pages)
}

/// The files of a folder without folders in it.
fn folder(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        files.insert(entry.file_name().into(), read(&entry.path())?);
    }
    ensure!(!files.is_empty(), "{} has no files", folder.display());
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
