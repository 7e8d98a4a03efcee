//! Makes the page: compiles the peer to WebAssembly, binds it to JavaScript, puts all files into `dist/` and compresses them.
//!
//! Everything happens in this process and with cargo, except the player [`library`], which is of npm. Files that did not
//! change are not written, so that programs with the page inside are not built again for nothing. [`trunk`] makes the
//! same page with Trunk, for comparison.

mod brotli;
pub(crate) mod library;
mod source;
pub(crate) mod trunk;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use wasm_bindgen_cli_support::Bindgen;

use crate::dist::remap;
use crate::pins::WASM_TARGET;
use crate::process::run;
use crate::workspace::Workspace;
use source::{PageSource, Peer};

/// The files of the page by their paths below its folder.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// How large the page is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    files: usize,
    plain_bytes: usize,
    brotli_bytes: usize,
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kilobytes = |bytes: usize| bytes.div_ceil(1000);
        let (plain, brotli) = (kilobytes(self.plain_bytes), kilobytes(self.brotli_bytes));
        write!(f, "{} files, {plain} kB, {brotli} kB over the wire with brotli", self.files)
    }
}

/// Builds the page into `dist/`.
pub(crate) fn build(workspace: &Workspace) -> Result<Sizes> {
    let www = workspace.root().join("www");
    let index = www.join("index.html");
    let text = fs::read_to_string(&index).with_context(|| format!("cannot read {}", index.display()))?;
    let PageSource { html, copied, peer } = PageSource::read(&text)?;
    library::bundle(workspace)?;
    let bound = workspace.target_dir().join("page");
    bind(&compile(workspace, &www, &peer)?, &bound)?;
    let mut files = read_below(&bound)?;
    for path in copied {
        files.extend(copy(&www, Path::new(&path))?);
    }
    files.insert("index.html".into(), html.into_bytes());
    write(&workspace.dist_dir(), &files)
}

/// Compiles the peer. Returns the module.
fn compile(workspace: &Workspace, www: &Path, peer: &Peer) -> Result<PathBuf> {
    let manifest = www.join(&peer.manifest);
    let manifest = manifest.canonicalize().with_context(|| format!("there is no {}", manifest.display()))?;
    let mut packages = workspace.metadata().packages.iter();
    let package =
        packages.find(|package| package.manifest_path.canonicalize().is_ok_and(|path| path == manifest));
    let package = package.with_context(|| format!("{} is not of this workspace", manifest.display()))?;
    let arguments = ["build", "--lib", "--target", WASM_TARGET, "--profile", &peer.profile, "--package"];
    let mut cargo = workspace.cargo(arguments);
    run(cargo.arg(package.name.as_str()).args(["--config", &remap::cargo_config(workspace, WASM_TARGET)?]))?;
    let name = package.name.replace('-', "_");
    let folder = workspace.target_dir().join(WASM_TARGET).join(&peer.profile);
    Ok(folder.join(format!("{name}.wasm")))
}

/// Writes the module and its JavaScript into `folder`.
fn bind(module: &Path, folder: &Path) -> Result<()> {
    remove_all(folder)?;
    let name = module.file_stem().and_then(|name| name.to_str()).unwrap_or_default().replace('_', "-");
    let mut bindgen = Bindgen::new();
    // As wasm-bindgen's own program does for web pages, so that Trunk makes the same.
    bindgen.input_path(module).out_name(&name).web(true)?.typescript(false).omit_default_module_path(false);
    bindgen.generate(folder).with_context(|| format!("wasm-bindgen cannot use {}", module.display()))
}

fn remove_all(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// A file, or all files of a folder, by their paths below `root`.
fn copy(root: &Path, path: &Path) -> Result<Files> {
    let from = root.join(path);
    if from.is_dir() {
        return Ok(read_below(&from)?.into_iter().map(|(below, bytes)| (path.join(below), bytes)).collect());
    }
    let bytes = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
    Ok(Files::from([(path.to_owned(), bytes)]))
}

/// All files of a folder and those below it.
fn read_below(folder: &Path) -> Result<Files> {
    let mut found = Files::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        found.extend(copy(folder, Path::new(&entry.file_name()))?);
    }
    Ok(found)
}

/// Makes `folder` hold these files, compressed as well, and no others.
fn write(folder: &Path, files: &Files) -> Result<Sizes> {
    let old = if folder.is_dir() { read_below(folder)? } else { Files::new() };
    let mut sizes = Sizes::default();
    let mut kept = Vec::new();
    for (path, plain) in files {
        let beside = PathBuf::from(format!("{}.br", path.display()));
        let is_old = old.get(path) == Some(plain);
        if !is_old {
            save(folder, path, plain)?;
        }
        kept.push(path.clone());
        if !brotli::is_worth_it(path) {
            continue;
        }
        let compressed = match old.get(&beside).filter(|_| is_old) {
            Some(compressed) => compressed.clone(),
            None => brotli::compressed(plain)?,
        };
        if old.get(&beside) != Some(&compressed) {
            save(folder, &beside, &compressed)?;
        }
        sizes.files += 1;
        sizes.plain_bytes += plain.len();
        sizes.brotli_bytes += compressed.len();
        kept.push(beside);
    }
    for path in old.keys().filter(|path| !kept.contains(path)) {
        fs::remove_file(folder.join(path)).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    ensure!(sizes.files > 0, "the page has no files");
    Ok(sizes)
}

fn save(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let to = folder.join(path);
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    fs::write(&to, bytes).with_context(|| format!("cannot write {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for a test, gone with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("xtask-page-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // What is left in the system's folder for such things is no failure of the test.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_folder_holds_what_the_page_is_made_of_and_nothing_else() {
        let folder = Folder::new("write");
        let dist = folder.0.join("dist");
        let text = b"tributary ".repeat(100);
        let mut files = Files::from([("app/a.js".into(), text.clone()), ("b.png".into(), vec![1])]);
        let sizes = write(&dist, &files).unwrap();
        assert_eq!((sizes.files, sizes.plain_bytes), (1, text.len()));
        let names =
            |files: Files| files.into_keys().map(|path| path.display().to_string()).collect::<Vec<_>>();
        assert_eq!(names(read_below(&dist).unwrap()), ["app/a.js", "app/a.js.br", "b.png"]);
        files.remove(Path::new("b.png"));
        files.insert("app/a.js".into(), b"other".to_vec());
        write(&dist, &files).unwrap();
        let again = read_below(&dist).unwrap();
        assert_eq!(again[Path::new("app/a.js")], b"other");
        assert_eq!(again[Path::new("app/a.js.br")], brotli::compressed(b"other").unwrap());
        assert_eq!(names(again), ["app/a.js", "app/a.js.br"]);
    }

    #[test]
    fn what_did_not_change_is_not_written_again() {
        let folder = Folder::new("keep");
        let files = Files::from([("a.js".into(), b"a".to_vec())]);
        write(&folder.0, &files).unwrap();
        let before = fs::metadata(folder.0.join("a.js.br")).unwrap().modified().unwrap();
        write(&folder.0, &files).unwrap();
        assert_eq!(fs::metadata(folder.0.join("a.js.br")).unwrap().modified().unwrap(), before);
    }
}
