//! The book: `docs/` and the documents at the root as pages with a table of contents, built by mdBook.
//!
//! The sources are written to be read as they are, so they link to each other and to files of the repository by relative paths.
//! mdBook reads one folder. Therefore the pages and every file that they link to are copied into a folder of their own, at the
//! same relative paths, and built there.

mod links;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::run;
use crate::setup::{self, Need};
use crate::tidy::targets;
use crate::workspace::Workspace;

/// The list of pages, in their order. Its links are relative to its own folder.
const SUMMARY: &str = "docs/SUMMARY.md";

/// What mdBook is told: title and output.
const SETTINGS: &str = "docs/book.toml";

/// Documents of which the test that checks them also writes the generated part, with this variable set.
const UPDATE: &str = "TRIBUTARY_UPDATE_DOCS";

/// Builds the book and checks all links in it. `updates`: writes the pages that are made from the programs first.
pub(crate) fn build(workspace: &Workspace, updates: bool) -> Result<()> {
    setup::install(workspace, &Need::BOOK)?;
    if updates {
        let mut command = workspace.cargo(["test", "--package", "tributary", "documented"]);
        run(command.env(UPDATE, "1"))?;
    }
    let folder = workspace.target_dir().join("book");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    stage(workspace.root(), &folder)?;
    run(workspace.command("mdbook").arg("build").arg(&folder))?;
    let pages = folder.join("book");
    let count = links::check(&pages)?;
    eprintln!("book: {}, {count} links lead somewhere", pages.join("index.html").display());
    Ok(())
}

/// Copies the pages and what they link to.
fn stage(root: &Path, folder: &Path) -> Result<()> {
    let read = |path: &Path| {
        fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {}", path.display()))
    };
    let summary = from_root(&read(Path::new(SUMMARY))?, Path::new(SUMMARY));
    let pages: BTreeSet<PathBuf> = linked(&summary, Path::new("SUMMARY.md")).collect();
    let mut files = pages.clone();
    for page in &pages {
        files.extend(linked(&read(page)?, page));
    }
    for path in &files {
        copy(&root.join(path), &folder.join("src").join(path))?;
    }
    fs::write(folder.join("src/SUMMARY.md"), summary).context("cannot write the list of pages")?;
    copy(&root.join(SETTINGS), &folder.join("book.toml"))
}

/// Files that a page links to, by their paths below the root.
fn linked(text: &str, page: &Path) -> impl Iterator<Item = PathBuf> {
    let files = text.lines().flat_map(targets).filter_map(|target| target.split('#').next());
    files.filter(|file| !file.is_empty()).map(|file| joined(page, file))
}

/// A link in `page`, as a path below the root.
fn joined(page: &Path, link: &str) -> PathBuf {
    let mut path = page.parent().map(Path::to_owned).unwrap_or_default();
    for component in Path::new(link).components() {
        match component {
            Component::ParentDir => _ = path.pop(),
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path
}

/// The list of pages with links that are relative to the root.
fn from_root(text: &str, page: &Path) -> String {
    let line = |line: &str| {
        let mut line = line.to_owned();
        let links: Vec<String> = targets(&line).map(str::to_owned).collect();
        for link in links {
            let path = joined(page, &link).to_string_lossy().into_owned();
            line = line.replace(&format!("]({link})"), &format!("]({path})"));
        }
        line + "\n"
    };
    text.lines().map(line).collect()
}

/// Copies a file, or the files of a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    to.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .with_context(|| format!("cannot make {}", to.display()))?;
    fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {}", from.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_the_list_become_paths_below_the_root() {
        let text = "# Pages\n\n- [A](a.md)\n  - [B](decisions/b.md)\n- [Root](../README.md)\n";
        let expected = "# Pages\n\n- [A](docs/a.md)\n  - [B](docs/decisions/b.md)\n- [Root](README.md)\n";
        assert_eq!(from_root(text, Path::new(SUMMARY)), expected);
    }

    #[test]
    fn a_page_brings_the_files_that_it_links_to() {
        let text =
            "[a](../deploy/nginx.conf), [b](#here) and [c](method.md#there)\n[out](https://example.org)\n";
        let files: Vec<PathBuf> = linked(text, Path::new("docs/a.md")).collect();
        assert_eq!(files, [Path::new("deploy/nginx.conf"), Path::new("docs/method.md")]);
    }
}
