//! Takes the paths of this machine out of what is built: a program must not say where it was built, and is the same wherever
//! that was.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::output;
use crate::workspace::Workspace;

/// Folders of this machine, and what programs are told instead. Of several that fit, the last one counts.
pub(crate) fn prefixes(workspace: &Workspace) -> Result<Vec<(PathBuf, String)>> {
    let mut prefixes = vec![
        (workspace.root().to_owned(), "/tributary".to_owned()),
        (workspace.target_dir().to_owned(), "/tributary/target".to_owned()),
    ];
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let cargo = cargo.context("there is no home directory; set CARGO_HOME")?;
    let sources = cargo.join("registry/src");
    prefixes.push((cargo, "/cargo".to_owned()));
    // One folder for each registry, named after its host.
    let mut registries: Vec<_> = match fs::read_dir(&sources) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(_) => Vec::new(),
    };
    registries.sort();
    prefixes.extend(registries.into_iter().map(|folder| (folder, "/crates".to_owned())));
    // Where the sources of the standard library are installed, its generic functions name that folder.
    let ask = |arguments: &[&str]| output(workspace.command("rustc").args(arguments));
    let sysroot = ask(&["--print", "sysroot"]).context("rustc does not say where it is")?;
    let details = ask(&["--version", "--verbose"]).context("rustc does not say its version")?;
    let commit = details.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("unknown");
    prefixes.push((PathBuf::from(sysroot).join("lib/rustlib/src/rust"), format!("/rustc/{commit}")));
    Ok(prefixes)
}

/// Flags of rustc.
pub(crate) fn rust_flags(workspace: &Workspace) -> Result<Vec<String>> {
    let flag = |(from, to): (PathBuf, String)| format!("--remap-path-prefix={}={to}", from.display());
    Ok(prefixes(workspace)?.into_iter().map(flag).collect())
}

/// A setting of cargo that adds these flags to those that the configuration has for `target`.
pub(crate) fn cargo_config(workspace: &Workspace, target: &str) -> Result<String> {
    let flags = serde_json::to_string(&rust_flags(workspace)?)?;
    Ok(format!("target.{target}.rustflags={flags}"))
}

/// Flags of a C compiler. Paths with white space are left out, since such flags stand in one variable.
pub(crate) fn c_flags(workspace: &Workspace) -> Result<String> {
    let flags = prefixes(workspace)?.into_iter().map(|(from, to)| (from.display().to_string(), to));
    let flags = flags.filter(|(from, _)| !from.contains(char::is_whitespace));
    Ok(flags.map(|(from, to)| format!("-ffile-prefix-map={from}={to}")).collect::<Vec<_>>().join(" "))
}
