//! The terms of everything that is inside the program and its page: each crate with its licence, the texts that its
//! authors put beside it, and the player library.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};

use crate::dist::PACKAGE;
use crate::page::library::{self, Terms};
use crate::pins::{STATIC_TARGET, WASM_TARGET};
use crate::workspace::Workspace;

/// The page's peer.
const PEER: &str = "peer-wasm";

/// What is inside besides crates.
const HEAD: &str = "\
This program contains the software below. It also contains parts of Rust's standard library (MIT OR Apache-2.0,
https://github.com/rust-lang/rust/blob/main/COPYRIGHT) and of musl (MIT, https://git.musl-libc.org/cgit/musl/tree/COPYRIGHT).
";

/// Beginnings of the names of files with terms, in capitals.
const TERMS: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT"];

/// All of it as one text.
pub(super) fn text(workspace: &Workspace) -> Result<String> {
    let mut text = crates(workspace)?;
    let Terms { name, version, licence, home, text: terms } = library::terms(workspace)?;
    writeln!(text, "\n{}\n{name} {version} · {licence} · {home}\n\n{}\n", "=".repeat(100), terms.trim_end())?;
    Ok(text)
}

/// The terms of the crates.
fn crates(workspace: &Workspace) -> Result<String> {
    let mut crates = BTreeMap::new();
    for (package, target) in [(PACKAGE, STATIC_TARGET), (PEER, WASM_TARGET)] {
        let mut command = MetadataCommand::new();
        command.manifest_path(workspace.root().join("Cargo.toml"));
        command.features(CargoOpt::SomeFeatures(Vec::new()));
        command.other_options(["--locked".to_owned(), format!("--filter-platform={target}")]);
        let metadata = command.exec().context("cannot ask cargo about dependencies")?;
        for found in linked(&metadata, package)? {
            crates.insert((found.name.to_string(), found.version.clone()), found.clone());
        }
    }
    let mut text = HEAD.to_owned();
    // Many crates have the same terms, letter by letter.
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for ((name, version), package) in &crates {
        let terms = package.license.as_deref();
        let files = terms_beside(package.manifest_path.as_std_path())?;
        ensure!(terms.is_some() || !files.is_empty(), "{name} {version} says no licence");
        let home = package.repository.as_deref().unwrap_or("no repository named");
        writeln!(
            text,
            "\n{}\n{name} {version} · {} · {home}\n",
            "=".repeat(100),
            terms.unwrap_or("see below")
        )?;
        for file in files {
            match shown.get(file.trim()) {
                Some(first) => writeln!(text, "The text is that of {first}.\n")?,
                None => writeln!(text, "{}\n", file.trim_end())?,
            }
            shown.entry(file.trim().to_owned()).or_insert_with(|| format!("{name} {version}, above"));
        }
    }
    Ok(text)
}

/// The packages that a package of the workspace is linked with, without those of the workspace.
fn linked<'a>(metadata: &'a Metadata, name: &str) -> Result<Vec<&'a Package>> {
    let resolve = metadata.resolve.as_ref().context("cargo says nothing of dependencies")?;
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let root = metadata.packages.iter().find(|package| package.name.as_str() == name);
    let mut open = vec![&root.with_context(|| format!("there is no package {name}"))?.id];
    let mut seen: BTreeSet<&PackageId> = open.iter().copied().collect();
    while let Some(id) = open.pop() {
        for dependency in nodes.get(id).into_iter().flat_map(|node| &node.deps) {
            let is_linked = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if is_linked && seen.insert(&dependency.pkg) {
                open.push(&dependency.pkg);
            }
        }
    }
    let members: BTreeSet<_> = metadata.workspace_members.iter().collect();
    let packages = metadata.packages.iter();
    Ok(packages.filter(|package| seen.contains(&package.id) && !members.contains(&package.id)).collect())
}

/// The texts of the files with terms in the folder of a manifest, by name.
fn terms_beside(manifest: &Path) -> Result<Vec<String>> {
    let folder = manifest.parent().context("a manifest lies in a folder")?;
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if TERMS.iter().any(|begin| name.to_uppercase().starts_with(begin)) && entry.path().is_file() {
            found.insert(name, String::from_utf8_lossy(&fs::read(entry.path())?).into_owned());
        }
    }
    Ok(found.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_those_of_what_is_linked_and_not_of_what_builds_it() {
        let text = crates(&Workspace::find().unwrap()).unwrap();
        let has = |name: &str| {
            text.lines().any(|line| line.starts_with(&format!("{name} ")) && line.contains(" · "))
        };
        for name in ["ring", "tokio", "mimalloc", "wasm-bindgen", "webrtc"] {
            assert!(has(name), "{name}");
        }
        for name in ["wasm-bindgen-cli-support", "thirtyfour", "swarm-core", "cc"] {
            assert!(!has(name), "{name}");
        }
        assert!(text.contains("Permission is hereby granted, free of charge"));
    }
}
