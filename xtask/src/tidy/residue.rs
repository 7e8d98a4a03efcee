//! What was not meant to stay: unfinished work, unwraps, scripts, traces of one machine.

use crate::tidy::Finding;
use crate::tidy::source::{Language, Source};

/// Words that mark unfinished work. Written apart, so that this table is not found by itself.
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

/// Macros that a finished program does not have.
const MACROS: [&str; 3] = ["dbg!", "todo!", "unimplemented!"];

/// The only script: what a machine calls that has nothing but a checkout.
const SCRIPT: &str = ".ci/run";

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tm", "p/w"),
    concat!("/Us", "ers/"),
];

/// Hosts that a lock file may name; a mirror's name would bind everybody to it.
const LOCKED_HOSTS: [&str; 2] =
    [concat!("https://github.com/rust-lang/crates.io", "-index"), concat!("https://registry.npm", "js.org/")];

/// No unfinished work.
pub(super) fn nothing_is_left_to_do(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for line in &source.lines {
        let marked = UNFINISHED.iter().filter(|word| {
            let words = [&line.code, &line.comment].into_iter().flat_map(|text| {
                text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect::<Vec<_>>()
            });
            words.into_iter().any(|found| found == **word)
        });
        let macros =
            MACROS.iter().filter(|name| source.language == Language::Rust && line.code.contains(**name));
        for found in marked.chain(macros) {
            let what = format!("`{found}`: finish it, or open an issue and say here how things are");
            findings.push(Finding::new(&source.path, line.number, what));
        }
    }
    findings
}

/// No `unwrap` outside tests; `clippy::unwrap_used` says the same, except for targets that it is not run on.
pub(super) fn no_unwrap(source: &Source) -> Vec<Finding> {
    let lines = source.lines.iter().filter(|line| source.language == Language::Rust && !line.is_test);
    lines
        .filter(|line| line.code.contains(".unwrap()"))
        .map(|line| {
            let what = "`unwrap` outside tests; return an error that says what to do";
            Finding::new(&source.path, line.number, what)
        })
        .collect()
}

/// No script besides the one that machines call: chores are `cargo xtask`.
pub(super) fn no_scripts(source: &Source) -> Vec<Finding> {
    let shebang = source.text.lines().next().is_some_and(|line| line.starts_with("#!/"));
    let is_script = source.path.ends_with(".sh") || source.path.ends_with(".bash") || shebang;
    if !is_script || source.path == SCRIPT {
        return Vec::new();
    }
    vec![Finding::new(&source.path, 1, "a script; make it a subcommand of `cargo xtask`")]
}

/// No path that only one machine has.
pub(super) fn no_machine_paths(source: &Source) -> Vec<Finding> {
    let found = source.text.lines().zip(1..).flat_map(|(line, number)| {
        MACHINE_PATHS.iter().filter(move |path| has_path(line, path)).map(move |path| (number, path))
    });
    found
        .map(|(number, path)| {
            let what = format!("`{path}…` exists on one machine only; make it relative");
            Finding::new(&source.path, number, what)
        })
        .collect()
}

/// Whether a path that begins so stands in `line`, and not as the tail of a longer one.
fn has_path(line: &str, beginning: &str) -> bool {
    line.match_indices(beginning).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|before| before.is_alphanumeric() || "._-*}".contains(before))
    })
}

/// Lock files name the public registries and nothing else.
pub(super) fn no_registry_hosts(source: &Source) -> Vec<Finding> {
    let is_cargo = source.path.ends_with("Cargo.lock");
    let is_npm = source.path.ends_with("package-lock.json");
    if !is_cargo && !is_npm {
        return Vec::new();
    }
    let key = if is_cargo { "source = \"registry+" } else { "\"resolved\": \"" };
    let found = source.text.lines().zip(1..).filter_map(|(line, number)| {
        let (_, address) = line.split_once(key)?;
        (!LOCKED_HOSTS.iter().any(|host| address.starts_with(host))).then_some(number)
    });
    let what = "a registry that is not the public one; lock again without the mirror";
    found.map(|number| Finding::new(&source.path, number, what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(findings: &[Finding]) -> Vec<usize> {
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn unfinished_work_is_found_in_comments_and_code() {
        let text = format!("// {}: more\nlet a = dbg!(b);\n\"dbg!\";\nlet TODOS = 1;\n", UNFINISHED[0]);
        assert_eq!(lines(&nothing_is_left_to_do(&Source::fake("a/src/b.rs", &text))), [1, 2]);
    }

    #[test]
    fn unwrap_is_for_tests() {
        let text = "a.unwrap();\na.unwrap_or(1);\n#[cfg(test)]\nmod tests {\nb.unwrap();\n}\n";
        assert_eq!(lines(&no_unwrap(&Source::fake("a/src/b.rs", text))), [1]);
        assert!(no_unwrap(&Source::fake("tests/native/b.rs", "a.unwrap();\n")).is_empty());
    }

    #[test]
    fn scripts_are_found_by_name_and_by_first_line() {
        assert_eq!(no_scripts(&Source::fake("a.sh", "")).len(), 1);
        assert_eq!(no_scripts(&Source::fake("deploy/a", "#!/bin/sh\n")).len(), 1);
        assert!(no_scripts(&Source::fake(SCRIPT, "#!/usr/bin/env bash\n")).is_empty());
        assert!(no_scripts(&Source::fake("a/src/b.rs", "#![no_std]\n")).is_empty());
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let text = format!("cd {}tree\nsee docs{}x and target\n", MACHINE_PATHS[0], MACHINE_PATHS[0]);
        assert_eq!(lines(&no_machine_paths(&Source::fake("a.md", &text))), [1]);
    }

    #[test]
    fn a_mirror_in_a_lock_file_is_found() {
        let text =
            format!("source = \"registry+{}\"\nsource = \"registry+https://mirror/x\"\n", LOCKED_HOSTS[0]);
        assert_eq!(lines(&no_registry_hosts(&Source::fake("Cargo.lock", &text))), [2]);
        let text = "\"resolved\": \"https://mirror/x\"\n";
        assert_eq!(lines(&no_registry_hosts(&Source::fake("www/package-lock.json", text))), [1]);
    }
}
