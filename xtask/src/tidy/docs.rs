//! What must be written, and that it leads somewhere.

use std::fs;

use crate::tidy::Finding;
use crate::tidy::source::{Language, Source};

const ARCHITECTURE_LINES_MAX: usize = 150;

/// The list of the book's pages.
const PAGES: &str = "docs/SUMMARY.md";

/// The document that names tests as proofs.
const SECURITY: &str = "docs/security.md";

/// Every module says first what it owns.
pub(super) fn opens_with_module_docs(source: &Source) -> Vec<Finding> {
    if source.language != Language::Rust || source.text.starts_with("//! ") {
        return Vec::new();
    }
    let what = "begin the file with `//!` and say what the module owns and what it leaves to others";
    vec![Finding::new(&source.path, 1, what)]
}

/// ARCHITECTURE.md is read in one sitting.
pub(super) fn architecture_is_short(source: &Source) -> Vec<Finding> {
    let count = source.lines.len();
    if source.path != "ARCHITECTURE.md" || count <= ARCHITECTURE_LINES_MAX {
        return Vec::new();
    }
    let what = format!("{count} lines; keep it to {ARCHITECTURE_LINES_MAX}, details belong to module docs");
    vec![Finding::new(&source.path, count, what)]
}

/// Links between our documents lead to files and headings that exist.
pub(super) fn links_lead_somewhere(source: &Source) -> Vec<Finding> {
    if source.language != Language::Markdown {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for line in &source.lines {
        for target in targets(&line.comment).filter(|target| !leads_somewhere(source, target)) {
            let what = format!("the link to `{target}` leads nowhere; mend or delete it");
            findings.push(Finding::new(&source.path, line.number, what));
        }
    }
    findings
}

fn leads_somewhere(source: &Source, target: &str) -> bool {
    let (file, heading) =
        target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    if file.is_empty() {
        return heading.is_some_and(|heading| has_heading(&source.text, heading));
    }
    let own = source.root.join(&source.path);
    let path = own.parent().unwrap_or(&source.root).join(file);
    match heading.filter(|_| file.ends_with(".md")) {
        Some(heading) => fs::read_to_string(path).is_ok_and(|text| has_heading(&text, heading)),
        None => path.exists(),
    }
}

/// Whether a page has a heading that a link names by this text.
fn has_heading(text: &str, link: &str) -> bool {
    let mut is_fenced = false;
    text.lines().any(|line| {
        is_fenced ^= line.starts_with("```");
        !is_fenced && line.starts_with('#') && heading_link(line.trim_start_matches('#').trim()) == link
    })
}

/// What links call a heading, on GitHub and in the book: letters, digits and dashes.
fn heading_link(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).flat_map(char::to_lowercase).collect()
}

/// Every document is a page of the book.
pub(super) fn pages_are_listed(sources: &[Source]) -> Vec<Finding> {
    let Some(list) = sources.iter().find(|source| source.path == PAGES) else { return Vec::new() };
    let listed: Vec<&str> = list.lines.iter().flat_map(|line| targets(&line.comment)).collect();
    let pages = sources.iter().filter(|source| source.language == Language::Markdown && source.path != PAGES);
    let missing = pages.filter_map(|source| {
        let page = source.path.strip_prefix("docs/")?;
        (!listed.contains(&page))
            .then(|| Finding::new(PAGES, 1, format!("the page `{page}` is missing; list it")))
    });
    missing.collect()
}

/// Tests that docs/security.md names exist.
pub(super) fn named_tests_exist(sources: &[Source]) -> Vec<Finding> {
    let Some(document) = sources.iter().find(|source| source.path == SECURITY) else { return Vec::new() };
    let is_defined = |name: &str| sources.iter().any(|source| source.text.contains(&format!("fn {name}(")));
    let mut findings = Vec::new();
    for line in &document.lines {
        for name in line.comment.split('`').skip(1).step_by(2).filter(|name| is_test_name(name)) {
            if !is_defined(name) {
                let what = format!("there is no test `{name}`; name the one that proves this");
                findings.push(Finding::new(&document.path, line.number, what));
            }
        }
    }
    findings
}

/// Tests are named by sentences; what else stands between backticks is shorter.
fn is_test_name(name: &str) -> bool {
    name.matches('_').count() >= 3
        && name.chars().all(|letter| letter == '_' || letter.is_ascii_alphanumeric())
}

/// The local files and headings that a line of Markdown links to.
pub(crate) fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?;
        (!target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")).then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_module_docs_is_found() {
        assert_eq!(opens_with_module_docs(&Source::fake("a/src/b.rs", "use a;\n")).len(), 1);
        assert!(opens_with_module_docs(&Source::fake("a/src/b.rs", "//! Owns a.\n")).is_empty());
    }

    #[test]
    fn a_dead_link_is_found_with_its_line() {
        let text = "See [here](main.rs#top), [there](nowhere.md)\nand [out](https://example.org).\n";
        let findings = links_lead_somewhere(&Source::fake("src/x.md", text));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.contains("nowhere.md"));
    }

    #[test]
    fn a_link_to_a_heading_that_is_not_there_is_found() {
        let text = "# The wait, in `ms`\n[a](#the-wait-in-ms) [b](#the-wait)\n```\n# no heading\n```\n[c](#no-heading)\n\
                    [d](../../README.md#licence)\n[e](../../README.md#nothing)\n";
        let findings = links_lead_somewhere(&Source::fake("src/x.md", text));
        let lines: Vec<usize> = findings.iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [2, 6, 8], "{findings:?}");
    }

    #[test]
    fn a_test_that_is_named_as_a_proof_and_is_not_there_is_found() {
        let text = "| 1 | weak | `it_is_there_for_all`, `it_is_not_there` |\nand `frame_ancestors`\n";
        let document = Source::fake("docs/security.md", text);
        let code = Source::fake("a/src/b.rs", "fn it_is_there_for_all() {}\n");
        let findings = named_tests_exist(&[document, code]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.contains("`it_is_not_there`"));
    }

    #[test]
    fn a_page_that_the_book_does_not_list_is_found() {
        let list =
            Source::fake("docs/SUMMARY.md", "- [A](a.md)\n  - [B](decisions/b.md)\n- [R](../README.md)\n");
        let pages = ["docs/a.md", "docs/decisions/b.md", "docs/decisions/c.md", "www/d.md"];
        let mut sources = Vec::from(pages.map(|path| Source::fake(path, "# Page\n")));
        sources.push(list);
        let findings = pages_are_listed(&sources);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.contains("`decisions/c.md`"));
    }

    #[test]
    fn a_long_architecture_is_found() {
        assert_eq!(architecture_is_short(&Source::fake("ARCHITECTURE.md", &"a\n".repeat(151))).len(), 1);
        assert!(architecture_is_short(&Source::fake("ARCHITECTURE.md", &"a\n".repeat(150))).is_empty());
    }
}
