//! One file as the rules see it: its lines, each split into code, comment and text in quotes.

use std::path::{Path, PathBuf};

/// What a file is written in, as far as the rules care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// `.rs`.
    Rust,
    /// `.js` and `.mjs`.
    JavaScript,
    /// `.md`: everything is comment.
    Markdown,
    /// Anything else: everything is code.
    Other,
}

/// One line, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    /// The line without comments, and without what is in quotes.
    pub(super) code: String,
    /// What comments say.
    pub(super) comment: String,
    /// Whether the line belongs to tests.
    pub(super) is_test: bool,
}

/// One file.
#[derive(Debug)]
pub(super) struct Source {
    /// The workspace's folder.
    pub(super) root: PathBuf,
    /// Path below it, with `/`.
    pub(super) path: String,
    /// What it is written in.
    pub(super) language: Language,
    /// All of it.
    pub(super) text: String,
    /// Its lines.
    pub(super) lines: Vec<Line>,
}

impl Source {
    /// Takes a file apart.
    pub(super) fn new(root: &Path, path: &str, text: String) -> Self {
        let language = match path.rsplit('.').next() {
            Some("rs") => Language::Rust,
            Some("js" | "mjs") => Language::JavaScript,
            Some("md") => Language::Markdown,
            Some(_) | None => Language::Other,
        };
        let mut lines = Scanner::default().lines(language, &text);
        mark_tests(path, &text, &mut lines);
        Self { root: root.to_owned(), path: path.to_owned(), language, text, lines }
    }

    /// A file for a rule's own tests.
    #[cfg(test)]
    pub(super) fn fake(path: &str, text: &str) -> Self {
        Self::new(Path::new(env!("CARGO_MANIFEST_DIR")), path, text.to_owned())
    }

    /// Whether the file is tests and nothing else.
    pub(super) fn is_test(&self) -> bool {
        self.lines.iter().all(|line| line.is_test)
    }
}

/// Test modules stand at the end of their file; the end-to-end crate and every `tests` folder are all test.
fn mark_tests(path: &str, text: &str, lines: &mut [Line]) {
    let is_all = path.split('/').any(|part| part == "tests" || part == "tests.rs");
    // Attributes on single items, and modules kept in other files, stand before code that is no test: only a
    // module with a body ends the file.
    let is_module = |at: &usize| {
        let item = text.lines().skip(at + 1).find(|line| !line.starts_with("#["));
        item.is_some_and(|line| line.contains("mod ") && !line.trim_end().ends_with(';'))
    };
    let marked = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("#[cfg(test)]"));
    let first = if is_all { Some(0) } else { marked.map(|(at, _)| at).find(is_module) };
    if let Some(first) = first {
        lines.iter_mut().skip(first).for_each(|line| line.is_test = true);
    }
}

/// Files that are modules of tests by what another file says: `#[cfg(test)] mod fixture;`.
pub(super) fn mark_test_modules(sources: &mut [Source]) {
    let paths: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in sources.iter_mut().filter(|source| paths.contains(&source.path)) {
        source.lines.iter_mut().for_each(|line| line.is_test = true);
    }
}

/// Where the test modules that a file declares without a body may be.
fn test_modules(source: &Source) -> Vec<String> {
    let (folder, name) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let folder = match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        name => format!("{folder}/{}", name.trim_end_matches(".rs")),
    };
    let pairs = source.lines.iter().zip(source.lines.iter().skip(1));
    let declared = pairs.filter(|(first, _)| first.code.trim() == "#[cfg(test)]");
    let modules = declared.filter_map(|(_, second)| {
        second.code.trim().trim_start_matches("pub(crate) ").strip_prefix("mod ")?.strip_suffix(';')
    });
    modules.flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]).collect()
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum State {
    #[default]
    Code,
    /// How deep comments are nested.
    Comment(usize),
    /// The character that ends it.
    Quote(char),
    /// How many `#` end it.
    Raw(usize),
}

/// Walks through a file and remembers across lines what it is in.
#[derive(Default)]
struct Scanner {
    state: State,
}

impl Scanner {
    fn lines(&mut self, language: Language, text: &str) -> Vec<Line> {
        text.lines()
            .zip(1..)
            .map(|(text, number)| match language {
                Language::Rust | Language::JavaScript => self.line(language, number, text),
                Language::Markdown => Line { number, comment: text.to_owned(), ..Line::default() },
                Language::Other => Line { number, code: text.to_owned(), ..Line::default() },
            })
            .collect()
    }

    fn line(&mut self, language: Language, number: usize, text: &str) -> Line {
        let mut line = Line { number, ..Line::default() };
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let taken = match self.state.clone() {
                State::Code if rest.starts_with("//") => {
                    line.comment.push_str(rest);
                    rest.len()
                }
                State::Code => self.code(language, rest, next, &mut line),
                State::Comment(depth) => self.comment(depth, rest, next, &mut line),
                State::Quote(_) if next == '\\' => rest.chars().take(2).map(char::len_utf8).sum(),
                State::Quote(end) => {
                    if next == end {
                        self.state = State::Code;
                    }
                    next.len_utf8()
                }
                State::Raw(hashes) => {
                    let end = format!("\"{}", "#".repeat(hashes));
                    if rest.starts_with(&end) {
                        self.state = State::Code;
                        end.len()
                    } else {
                        next.len_utf8()
                    }
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        line
    }

    fn comment(&mut self, depth: usize, rest: &str, next: char, line: &mut Line) -> usize {
        if rest.starts_with("*/") {
            self.state = if depth > 1 { State::Comment(depth - 1) } else { State::Code };
            return 2;
        }
        if rest.starts_with("/*") {
            self.state = State::Comment(depth + 1);
            return 2;
        }
        line.comment.push(next);
        next.len_utf8()
    }

    fn code(&mut self, language: Language, rest: &str, next: char, line: &mut Line) -> usize {
        if rest.starts_with("/*") {
            self.state = State::Comment(1);
            return 2;
        }
        let is_rust = language == Language::Rust;
        let starts_word = !line.code.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        if is_rust
            && starts_word
            && let Some(hashes) = raw_string(rest)
        {
            self.state = State::Raw(hashes);
            return rest.find('"').map_or(rest.len(), |at| at + 1);
        }
        line.code.push(next);
        match next {
            '"' => self.state = State::Quote('"'),
            '\'' if is_rust => return character(rest),
            '\'' | '`' if !is_rust => self.state = State::Quote(next),
            _ => {}
        }
        next.len_utf8()
    }
}

/// The number of `#` of a raw string that starts here.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after.get(hashes..)?.starts_with('"').then_some(hashes)
}

/// Bytes of a character in quotes; 1 if the quote begins a lifetime.
fn character(rest: &str) -> usize {
    let mut inside = rest.char_indices().skip(1);
    match (inside.next(), inside.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let from = at + escaped.len_utf8();
            rest.get(from..).and_then(|rest| rest.find('\'')).map_or(1, |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        (Some(_) | None, Some(_) | None) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_and_comment(text: &str) -> Vec<(String, String)> {
        let source = Source::fake("a/src/b.rs", text);
        source.lines.into_iter().map(|line| (line.code.trim().into(), line.comment.trim().into())).collect()
    }

    #[test]
    fn comments_and_quotes_are_told_from_code() {
        let lines =
            code_and_comment("let a = \"// no\"; // yes\n/* one\ntwo */ b('\"', '\\'', 'x'); // three");
        assert_eq!(lines[0], ("let a = \";".into(), "// yes".into()));
        assert_eq!(lines[1], (String::new(), "one".into()));
        assert_eq!(lines[2], ("b(', ', ');".into(), "two // three".into()));
    }

    #[test]
    fn raw_strings_and_lifetimes_do_not_confuse_it() {
        let lines = code_and_comment("fn f<'a>(x: &'a str) { r#\"quote \" // no\"# } // yes\nlet bar = 1;");
        assert_eq!(lines[0].1, "// yes");
        assert!(lines[0].0.contains("fn f<'a>(x: &'a str)"));
        assert_eq!(lines[1].0, "let bar = 1;");
    }

    #[test]
    fn a_file_that_another_declares_a_test_module_is_tests() {
        let mut sources = [
            Source::fake("a/src/lib.rs", "#[cfg(test)]\nmod fixture;\nmod b;\n"),
            Source::fake("a/src/fixture.rs", "fn f() {}\n"),
            Source::fake("a/src/b.rs", "#[cfg(test)]\npub(crate) mod c;\n"),
            Source::fake("a/src/b/c.rs", "fn f() {}\n"),
        ];
        mark_test_modules(&mut sources);
        assert_eq!(sources.each_ref().map(Source::is_test), [false, true, false, true]);
    }

    #[test]
    fn lines_from_the_test_module_on_are_tests() {
        let source = Source::fake("a/src/b.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n}\n");
        assert_eq!(
            source.lines.iter().map(|line| line.is_test).collect::<Vec<_>>(),
            [false, true, true, true]
        );
        let source = Source::fake("a/src/b.rs", "#[cfg(test)]\nuse a;\nfn b() {}\n");
        assert!(source.lines.iter().all(|line| !line.is_test));
        assert!(Source::fake("tests/src/lib.rs", "fn a() {}\n").is_test());
    }
}
