//! docs/command-line.md has the help of every command, as the program prints it.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use clap::{Command, CommandFactory};

use crate::cli::Cli;

/// Below the folder of this package.
const DOCUMENT: &str = "../docs/command-line.md";

/// The lines around what is written here.
const MARKS: (&str, &str) = ("<!-- command-lines begin -->\n", "<!-- command-lines end -->\n");

/// With this variable set, the document is written instead of compared: `cargo xtask book --update` sets it.
const UPDATE: &str = "TRIBUTARY_UPDATE_DOCS";

/// Without what the environment of this run says.
fn plain(command: Command) -> Command {
    command.mut_args(|argument| argument.hide_env_values(true)).mut_subcommands(plain)
}

/// Adds what `--help` prints for a command, and for those below it.
fn describe(root: &Command, command: &Command, path: &[&str], text: &mut String) {
    let arguments = path.iter().copied().chain(["--help"]);
    let help = root.clone().try_get_matches_from(arguments).unwrap_err().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(text, "## `{}`\n\n```text\n{}\n```\n\n", path.join(" "), lines.join("\n").trim_end()).unwrap();
    for below in command.get_subcommands() {
        describe(root, below, &[path, &[below.get_name()]].concat(), text);
    }
}

#[test]
fn the_documented_command_lines_are_those_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(MARKS.0).expect("the page has the first mark");
    let (_, after) = rest.split_once(MARKS.1).expect("the page has the second mark");
    let root = plain(Cli::command()).term_width(100);
    let mut text = String::from("\n");
    describe(&root, &root, &[root.get_name()], &mut text);
    let expected = format!("{before}{}{text}{}{after}", MARKS.0, MARKS.1);
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let now = fs::read_to_string(&path).unwrap();
    assert!(now == expected, "run `cargo xtask book --update`: docs/command-line.md differs from the help");
}
