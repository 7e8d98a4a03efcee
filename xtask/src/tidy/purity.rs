//! `swarm-core` knows no clock, no socket, no thread, no chance and nothing asynchronous.

use crate::tidy::Finding;
use crate::tidy::source::{Language, Source};

/// What may not stand in swarm-core, and what to do instead.
const FORBIDDEN: [(&str, &str); 17] = [
    ("Instant", "take a `Timestamp` from the caller"),
    ("SystemTime", "take a `Timestamp` from the caller"),
    ("std::net", "leave sockets to the driver"),
    ("std::fs", "leave files to the driver"),
    ("std::io", "take bytes from the driver"),
    ("std::env", "take what you need in `PeerConfig`"),
    ("std::thread", "return an `Output`; the driver decides where to run it"),
    ("std::process", "return an error; the driver decides what to do"),
    ("println!", "return an `Event`"),
    ("eprintln!", "return an `Event`"),
    ("tokio", "leave waiting to the driver"),
    ("futures", "leave waiting to the driver"),
    ("async fn", "return an `Output` and take the answer as an `Input`"),
    (".await", "return an `Output` and take the answer as an `Input`"),
    ("rand::", "use the generator that `PeerConfig::seed` feeds"),
    ("getrandom", "use the generator that `PeerConfig::seed` feeds"),
    ("js_sys", "leave the browser to peer-wasm"),
];

/// No forbidden word in the code of swarm-core.
pub(super) fn core_is_pure(source: &Source) -> Vec<Finding> {
    if source.language != Language::Rust || !source.path.starts_with("swarm-core/src/") {
        return Vec::new();
    }
    let lines = source.lines.iter().filter(|line| !line.is_test);
    lines
        .flat_map(|line| {
            FORBIDDEN.iter().filter(|(token, _)| has_token(&line.code, token)).map(|(token, instead)| {
                Finding::new(&source.path, line.number, format!("`{token}` in swarm-core: {instead}"))
            })
        })
        .collect()
}

/// Every unit test of swarm-core also runs as WebAssembly, where the ordinary attribute makes it vanish.
pub(super) fn core_tests_run_on_wasm(source: &Source) -> Vec<Finding> {
    if source.language != Language::Rust || !source.path.starts_with("swarm-core/src/") {
        return Vec::new();
    }
    let first = source.lines.iter().find(|line| line.code.trim() == "#[test]");
    let is_replaced = source.text.contains("use wasm_bindgen_test::wasm_bindgen_test as test;");
    let Some(first) = first.filter(|_| !is_replaced) else { return Vec::new() };
    let what = "begin the test module with `#[cfg(target_arch = \"wasm32\")] \
                use wasm_bindgen_test::wasm_bindgen_test as test;`, or these tests do not run on wasm32";
    vec![Finding::new(&source.path, first.number, what)]
}

/// Whether `token` stands in `code`, not as a part of a longer word.
fn has_token(code: &str, token: &str) -> bool {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(token).any(|(at, _)| {
        let before = code.get(..at).and_then(|text| text.chars().next_back());
        let after = code.get(at + token.len()..).and_then(|text| text.chars().next());
        let begins = !token.starts_with(is_word) || !before.is_some_and(is_word);
        let ends = !token.ends_with(is_word) || !after.is_some_and(is_word);
        begins && ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_the_core_is_found_and_nowhere_else() {
        let text = "//! Docs.\nuse std::time::Instant;\nstruct Instance; // Instant\n";
        let findings = core_is_pure(&Source::fake("swarm-core/src/a.rs", text));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, 2);
        assert!(core_is_pure(&Source::fake("peer-native/src/a.rs", text)).is_empty());
    }

    #[test]
    fn core_tests_that_would_vanish_on_wasm_are_found() {
        let module = "#[cfg(test)]\nmod tests {\n    #[test]\n    fn a() {}\n}\n";
        assert_eq!(core_tests_run_on_wasm(&Source::fake("swarm-core/src/a.rs", module))[0].line, 3);
        assert!(core_tests_run_on_wasm(&Source::fake("peer-native/src/a.rs", module)).is_empty());
        let import = "use wasm_bindgen_test::wasm_bindgen_test as test;\n";
        let replaced = module.replace("{\n    #[test]", &format!("{{\n{import}    #[test]"));
        assert!(core_tests_run_on_wasm(&Source::fake("swarm-core/src/a.rs", &replaced)).is_empty());
    }

    #[test]
    fn tokens_are_whole_words() {
        assert!(has_token("rand::random()", "rand::"));
        assert!(!has_token("operand::random()", "rand::"));
        assert!(has_token("pub async fn f()", "async fn"));
        assert!(has_token("f().await?", ".await"));
    }
}
