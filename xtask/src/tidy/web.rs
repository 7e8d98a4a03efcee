//! The page's scripts: types checked, text never turned into HTML.

use crate::tidy::Finding;
use crate::tidy::source::{Language, Source};

/// Ways from text to HTML, by which a name in a manifest could run as a script.
const HTML_SINKS: [&str; 5] =
    ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "createContextualFragment"];

/// Every script of the page begins with `// @ts-check` and uses `textContent` only.
pub(super) fn scripts_are_checked_and_build_no_html(source: &Source) -> Vec<Finding> {
    if source.language != Language::JavaScript || !source.path.starts_with("www/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if !source.text.starts_with("// @ts-check\n") {
        findings.push(Finding::new(&source.path, 1, "make `// @ts-check` the first line"));
    }
    for line in &source.lines {
        for sink in HTML_SINKS.iter().filter(|sink| line.code.contains(**sink)) {
            let what = format!("`{sink}` turns text into HTML; use `textContent` and `createElement`");
            findings.push(Finding::new(&source.path, line.number, what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_from_text_and_unchecked_scripts_are_found() {
        let rule = scripts_are_checked_and_build_no_html;
        assert!(
            rule(&Source::fake("www/a.js", "// @ts-check\n// no innerHTML\na.textContent = b;\n")).is_empty()
        );
        let findings = rule(&Source::fake("www/a.js", "a.innerHTML = b;\n"));
        assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [1, 1]);
    }
}
