//! Puts the built page, `dist/` in the workspace's folder, into the program: writes a table of its files for src/page.rs.
//!
//! Without a page the program is built all the same, and says at run time what is missing.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Ending of a file that holds another one compressed.
const COMPRESSED: &str = ".br";

fn main() -> io::Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).unwrap_or_default();
    let dist = variable("CARGO_MANIFEST_DIR").join("../dist");
    // Cargo looks at every file below. While there is no such folder, this runs at each build.
    println!("cargo::rerun-if-changed={}", dist.display());
    let files = if dist.join("index.html").is_file() {
        files(&dist.canonicalize()?)?
    } else {
        println!(
            "cargo::warning=the page is not built, so the program has none: run `cargo xtask page` first"
        );
        Vec::new()
    };
    fs::write(variable("OUT_DIR").join("page.rs"), table(&files))
}

/// All files below, with `/` in their paths whatever the platform, in order.
fn files(dist: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let mut folders = vec![dist.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let below = path.strip_prefix(dist).unwrap_or(&path);
            let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            found.push((parts.join("/"), path));
        }
    }
    found.sort();
    Ok(found)
}

/// An expression of the type `&[PageFile]`.
fn table(files: &[(String, PathBuf)]) -> String {
    let bytes = |path: &Path| format!("include_bytes!({:?})", path.display().to_string());
    let mut table = "&[".to_owned();
    for (name, path) in files.iter().filter(|(name, _)| !name.ends_with(COMPRESSED)) {
        let compressed = files.iter().find(|(other, _)| other.strip_suffix(COMPRESSED) == Some(name));
        let brotli = compressed.map_or("None".to_owned(), |(_, path)| format!("Some({})", bytes(path)));
        // Writing to a String does not fail.
        let _ = writeln!(table, "PageFile {{ path: {name:?}, plain: {}, brotli: {brotli} }},", bytes(path));
    }
    table + "]"
}
