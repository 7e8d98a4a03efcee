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

/// Adds a command and those below it.
fn describe(command: &Command, text: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let mut shown = command.clone().term_width(100).mut_args(|argument| argument.hide_env_values(true));
    let help = shown.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(text, "## `{name}`\n\n```text\n{}\n```\n\n", lines.join("\n").trim_end()).unwrap();
    let below = command.get_subcommands().filter(|command| command.get_name() != "help");
    below.for_each(|command| describe(command, text));
}

#[test]
fn the_documented_command_lines_are_those_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(MARKS.0).expect("the page has the first mark");
    let (_, after) = rest.split_once(MARKS.1).expect("the page has the second mark");
    let mut command = Cli::command();
    command.build();
    let mut text = String::from("\n");
    describe(&command, &mut text);
    let expected = format!("{before}{}{text}{}{after}", MARKS.0, MARKS.1);
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let now = fs::read_to_string(&path).unwrap();
    assert!(now == expected, "run `cargo xtask book --update`: docs/command-line.md differs from the help");
}
