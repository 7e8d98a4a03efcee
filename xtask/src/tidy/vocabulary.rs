//! One word per idea: the words that this project does not use for what it has words for.
//!
//! Two places are read: names that our code declares, and what comments and documents say. Names that other
//! libraries gave are none of our business, so uses are not looked at.

use crate::tidy::Finding;
use crate::tidy::source::{Language, Line, Source};

/// Words that are refused in names and in comments, and the word to use.
const WORDS: [(&str, &str); 8] = [
    ("torrent", "swarm"),
    ("piece", "group, segment or range"),
    ("pieces", "groups, segments or ranges"),
    ("chunk", "group, segment or part"),
    ("chunks", "groups, segments or parts"),
    ("downloader", "leecher or peer"),
    ("uploader", "peer"),
    ("client", "peer"),
];

/// Words that are refused in names only; in a sentence they are ordinary English.
const NAME_WORDS: [(&str, &str); 9] = [
    ("block", "group"),
    ("blocks", "groups"),
    ("manager", "what it does"),
    ("helper", "what it does"),
    ("helpers", "what they do"),
    ("util", "what it does"),
    ("utils", "what they do"),
    ("common", "what it is"),
    ("get", "the noun alone"),
];

/// Names that are not ours to choose, with whose they are.
const ALLOWED_NAMES: [(&str, &str); 4] = [
    ("block_on", "a method of async runtimes"),
    ("key_utils", "a field of jsonwebtoken's provider"),
    ("client_server", "the architecture that swarms are compared with"),
    ("ClientServer", "the same, as a variant"),
];

/// Turns of phrase that are refused in comments.
const PHRASES: [(&str, &str); 5] = [
    ("node list", "peer list"),
    ("a block of content", "a group"),
    ("each block", "each group"),
    ("data block", "group"),
    ("missing block", "missing group"),
];

/// Text that is taken out before looking, with the reason.
const ALLOWED: [(&str, &str); 11] = [
    ("client-server", "the architecture that swarms are compared with"),
    ("Client-server", "the same, at the beginning of a sentence"),
    ("BLAKE3 chunks", "the hash's own unit of 1024 bytes"),
    ("BLAKE3 chunk", "the hash's own unit of 1024 bytes"),
    ("last chunk", "the hash's own unit, where a tree ends"),
    ("HTTP client", "the opposite of an HTTP server"),
    ("WebDriver client", "the opposite of a WebDriver server"),
    ("BitTorrent client", "programs of another system"),
    ("ReadableStream chunk", "what the Streams standard calls it"),
    ("clientId", "what the Service Worker standard calls it"),
    ("{Client}", "the Service Worker standard's type"),
];

/// No refused word in names and comments.
pub(super) fn one_word_per_idea(source: &Source) -> Vec<Finding> {
    let is_read = matches!(source.language, Language::Rust | Language::JavaScript | Language::Markdown);
    // These two say which words are not used.
    let is_about_words = ["xtask/src/tidy/vocabulary.rs", "CONTRIBUTING.md"].contains(&source.path.as_str());
    if !is_read || is_about_words {
        return Vec::new();
    }
    let mut findings = file_name(source);
    for line in &source.lines {
        let mut found = comment_words(&line.comment);
        if source.language == Language::Rust {
            found.extend(name_words(line));
        }
        findings.extend(found.into_iter().map(|(word, instead)| {
            Finding::new(&source.path, line.number, format!("`{word}`: say {instead} (see CONTRIBUTING.md)"))
        }));
    }
    findings
}

fn file_name(source: &Source) -> Vec<Finding> {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    refused_in_name(stem)
        .map(|(word, instead)| {
            Finding::new(&source.path, 1, format!("a file called `{word}`: name it for {instead}"))
        })
        .into_iter()
        .collect()
}

fn comment_words(comment: &str) -> Vec<(String, &'static str)> {
    let mut text = without_code(comment);
    for (allowed, _) in ALLOWED {
        text = text.replace(allowed, "");
    }
    let text = text.to_lowercase();
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_word(letter));
    let words = words.filter_map(|word| WORDS.iter().find(|(refused, _)| *refused == word));
    let phrases = PHRASES.iter().filter(|(phrase, _)| text.contains(phrase));
    words.chain(phrases).map(|(word, instead)| ((*word).to_owned(), *instead)).collect()
}

/// A comment without its `code`, which may name things of other libraries.
fn without_code(comment: &str) -> String {
    comment.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

/// Refused words in the names that a line of Rust declares.
fn name_words(line: &Line) -> Vec<(String, &'static str)> {
    declared(&line.code)
        .into_iter()
        .filter_map(|name| refused_in_name(name).map(|(_, instead)| (name.to_owned(), instead)))
        .collect()
}

/// The names after a declaring keyword, and those before a single colon: fields and parameters.
fn declared(code: &str) -> Vec<&str> {
    const KEYWORDS: [&str; 9] = ["fn", "struct", "enum", "trait", "mod", "type", "const", "static", "let"];
    let mut names = Vec::new();
    let mut after_keyword = false;
    let mut rest = code;
    while let Some(at) = rest.find(|letter: char| letter.is_alphabetic() || letter == '_') {
        let from = rest.get(at..).unwrap_or_default();
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let end = from.find(|letter| !is_word(letter)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        let is_field = after.starts_with(':') && !after.starts_with("::");
        if (after_keyword && word != "mut") || (is_field && !KEYWORDS.contains(&word)) {
            names.push(word);
        }
        after_keyword = KEYWORDS.contains(&word) || (after_keyword && word == "mut");
        rest = after;
    }
    names
}

/// Whether one of the words that `name` is made of is refused.
fn refused_in_name(name: &str) -> Option<(&'static str, &'static str)> {
    if ALLOWED_NAMES.iter().any(|(allowed, _)| *allowed == name) {
        return None;
    }
    let words = words_of(name);
    let all = WORDS.into_iter().chain(NAME_WORDS);
    let is_verb = |word: &str| word == "get";
    all.into_iter().find(|(refused, _)| {
        let hit = words.iter().position(|word| word == refused);
        // `get` is refused as the prefix of an accessor; alone it may be a verb of HTTP.
        hit.is_some_and(|at| !is_verb(refused) || (at == 0 && words.len() > 1))
    })
}

/// `GroupSet` and `group_set` are both made of `group` and `set`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_upper = true;
    for letter in name.chars() {
        if letter == '_' || letter == '-' || (letter.is_uppercase() && !was_upper) {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        was_upper = letter.is_uppercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<usize> {
        one_word_per_idea(&Source::fake(path, text)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn refused_words_are_found_where_our_code_declares_them() {
        let text = "fn pick_piece() {}\nstruct PeerManager;\nlet mut chunk = 1;\nfn f(block: u32) {}\n";
        assert_eq!(findings("a/src/b.rs", text), [1, 2, 3, 4]);
        assert_eq!(findings("a/src/b.rs", "fn get_name() {}\nfn get() {}\n"), [1]);
    }

    #[test]
    fn names_of_other_libraries_may_be_used() {
        let text = "use futures_util::a;\nfor part in bytes.chunks(8) {}\nlet a = reqwest::Client::new();\n";
        assert!(findings("a/src/b.rs", text).is_empty());
    }

    #[test]
    fn comments_use_the_words_of_the_project() {
        assert_eq!(
            findings("a/src/b.rs", "// The client asks.\n// Each piece.\n// As `chunks` does.\n"),
            [1, 2]
        );
        assert_eq!(findings("README.md", "A node list.\nWebTorrent, libtorrent.\n16 BLAKE3 chunks.\n"), [1]);
    }

    #[test]
    fn files_are_named_for_what_they_hold() {
        assert_eq!(findings("a/src/utils.rs", "//! A.\n"), [1]);
        assert!(findings("a/src/group_set.rs", "//! A.\n").is_empty());
    }

    #[test]
    fn names_are_taken_apart_at_underscores_and_capitals() {
        assert_eq!(words_of("GroupSet_max"), ["group", "set", "max"]);
        assert_eq!(declared("pub fn a(b: C, d: e::F) -> G {"), ["a", "b", "d"]);
    }
}
