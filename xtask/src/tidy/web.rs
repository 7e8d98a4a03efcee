//! The page's scripts: types checked, text never turned into HTML. Its styles: the same from right to left.

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

/// Ends of a property's name that mean a side of the screen.
const SIDES: [&str; 2] = ["left", "right"];

/// What lies at a side lies at the other one in languages that are written from right to left: styles name start and end.
pub(super) fn styles_name_no_sides(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("www/") || !source.path.ends_with(".css") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        for declaration in line.split(['{', ';', '}']) {
            let Some((name, value)) = declaration.split_once(':') else { continue };
            let is_side = |word: &str| SIDES.contains(&word);
            let is_named = name.trim().split('-').any(is_side);
            let is_four = matches!(name.trim(), "margin" | "padding" | "inset" | "border-radius")
                && uneven(&value.split_whitespace().collect::<Vec<_>>());
            let is_aligned = name.trim() == "text-align" && is_side(value.trim());
            if is_named || is_four || is_aligned {
                let what = format!(
                    "`{}` differs from left to right; name start and end (inline)",
                    declaration.trim()
                );
                findings.push(Finding::new(&source.path, number, what));
            }
        }
    }
    findings
}

/// Whether four values give the two sides different ones.
fn uneven(values: &[&str]) -> bool {
    matches!(values, [_, right, _, left] if right != left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_in_styles_are_found() {
        let rule = styles_name_no_sides;
        let good =
            "a { margin: 1px 2px 3px 2px; inset-inline-end: 0; text-align: end; }\n@media (x: left) {}\n";
        assert!(
            rule(&Source::fake("www/a.css", "a { margin-inline: 0 auto; padding: 1px 2px 3px; }")).is_empty()
        );
        assert_eq!(rule(&Source::fake("www/a.css", good)).len(), 0);
        let bad = "a { margin-left: 1px; left: 0; }\nb { text-align: right; }\nc { padding: 0 1px 0 2px; }\n";
        let findings = rule(&Source::fake("www/a.css", bad));
        assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [1, 1, 2, 3]);
    }

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
