//! An error as a person reads it.

use std::error::Error;
use std::io::{self, Write};

/// Tells a person something beside a program's results. A reader that closed the standard error needs no message, and the program
/// goes on without one.
pub fn to_stderr(line: &str) {
    _ = writeln!(io::stderr().lock(), "{line}");
}

/// An error with its causes in one line, each once: many texts name their cause themselves.
pub fn in_words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let own = error.to_string();
        if !text.contains(&own) {
            text = format!("{text}: {own}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("k cannot be used: {source}")]
        Named { source: io::Error },
        #[error("k cannot be read")]
        Plain { source: io::Error },
    }

    #[test]
    fn a_cause_is_said_once() {
        let disk = || io::Error::other("no space left");
        assert_eq!(in_words(&Failure::Named { source: disk() }), "k cannot be used: no space left");
        assert_eq!(in_words(&Failure::Plain { source: disk() }), "k cannot be read: no space left");
    }
}
