//! Style as a check that can fail: the rules of CONTRIBUTING.md that no compiler knows.
//!
//! Each rule is a function from one file to what is wrong in it, and lives with its own tests in the module
//! that names its subject. Exceptions are tables there, each entry with its reason.

mod docs;
mod edges;
mod purity;
mod residue;
mod size;
mod source;
mod vocabulary;
mod web;

use std::fmt;
use std::fs;

use anyhow::{Context, Result, bail};

pub(crate) use docs::targets;

use crate::process::output;
use crate::tidy::source::Source;
use crate::workspace::Workspace;

/// Something that breaks a rule, or is about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
    is_warning: bool,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), is_warning: false }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what, is_warning } = self;
        write!(f, "{path}:{line}: {}{what}", if *is_warning { "warning: " } else { "" })
    }
}

/// Looks at one file and says what is wrong in it.
type Rule = fn(&Source) -> Vec<Finding>;

const RULES: [Rule; 14] = [
    docs::opens_with_module_docs,
    docs::links_lead_somewhere,
    docs::architecture_is_short,
    purity::core_is_pure,
    purity::core_tests_run_on_wasm,
    residue::nothing_is_left_to_do,
    residue::no_unwrap,
    residue::no_scripts,
    residue::no_machine_paths,
    residue::no_registry_hosts,
    size::files_are_short,
    vocabulary::one_word_per_idea,
    web::scripts_are_checked_and_build_no_html,
    web::styles_name_no_sides,
];

/// Runs every rule over every file; an error if one is broken.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut findings = edges::point_one_way(workspace.metadata());
    let sources = sources(workspace)?;
    findings.extend(docs::named_tests_exist(&sources));
    findings.extend(docs::pages_are_listed(&sources));
    for source in &sources {
        findings.extend(RULES.iter().flat_map(|rule| rule(source)));
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    let errors = findings.iter().filter(|finding| !finding.is_warning).count();
    if errors > 0 {
        bail!("tidy: {errors} rules are broken");
    }
    eprintln!("tidy: nothing is wrong, {} warnings", findings.len());
    Ok(())
}

/// Every text file that is, or is about to be, in the repository.
fn sources(workspace: &Workspace) -> Result<Vec<Source>> {
    let mut git = workspace.command("git");
    let list = output(git.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]))
        .context("cannot list the files; is this a git work tree?")?;
    let mut sources = Vec::new();
    for path in list.split('\0').filter(|path| !path.is_empty()) {
        let file = workspace.root().join(path);
        // A file that was deleted but not yet committed is still listed.
        let Ok(bytes) = fs::read(&file) else { continue };
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source::new(workspace.root(), path, text));
        }
    }
    source::mark_test_modules(&mut sources);
    Ok(sources)
}
