//! Files that can be read at once.

use crate::tidy::Finding;
use crate::tidy::source::{Language, Source};

/// Lines without tests at which a file should be thought about.
const LINES_GOOD: usize = 250;

/// Lines without tests that a file must not exceed.
const LINES_MAX: usize = 400;

/// Files that may be longer, each with its limit and its reason.
const EXCEPTIONS: [(&str, usize, &str); 2] = [
    ("www/messages/en.js", 600, "a dictionary: an entry a line, looked up by its key"),
    ("www/messages/de.js", 600, "a dictionary; a second file would be a second request"),
];

/// Warns about long files and refuses very long ones.
pub(super) fn files_are_short(source: &Source) -> Vec<Finding> {
    if !matches!(source.language, Language::Rust | Language::JavaScript) {
        return Vec::new();
    }
    let count = if source.is_test() {
        source.lines.len()
    } else {
        source.lines.iter().filter(|line| !line.is_test).count()
    };
    let max = EXCEPTIONS.iter().find(|(path, ..)| *path == source.path).map_or(LINES_MAX, |(_, max, _)| *max);
    if count > max {
        let what = format!("{count} lines without tests, at most {max}; split it by subject");
        return vec![Finding::new(&source.path, count, what)];
    }
    if count > LINES_GOOD && max == LINES_MAX {
        let what = format!("{count} lines without tests; {LINES_GOOD} are easier to read");
        return vec![Finding { is_warning: true, ..Finding::new(&source.path, count, what) }];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(lines: usize, tests: usize) -> Vec<Finding> {
        let text =
            format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "a;\n".repeat(lines), "b;\n".repeat(tests));
        files_are_short(&Source::fake("a/src/b.rs", &text))
    }

    #[test]
    fn tests_do_not_count() {
        assert!(findings(250, 1000).is_empty());
        assert!(findings(251, 0)[0].is_warning);
        assert!(findings(400, 9)[0].is_warning);
        assert!(!findings(401, 0)[0].is_warning);
    }

    #[test]
    fn a_file_of_tests_alone_counts_whole() {
        assert!(!files_are_short(&Source::fake("tests/native/a.rs", &"a;\n".repeat(401)))[0].is_warning);
    }
}
