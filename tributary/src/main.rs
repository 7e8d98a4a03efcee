//! `tributary`: everything in one program. Publishes, serves and fetches films; runs trackers.
//!
//! Owns the command line, and what several parts do together. What each does alone is in the crates `peer-native` and
//! `tracker-server`.

mod cli;
#[cfg(test)]
mod documented;
mod manual;
mod page;
mod share;

use std::process::ExitCode;

use clap::CommandFactory;

use cli::{Cli, Command};

/// The allocator of musl takes one lock for all threads; see docs/decisions/0026.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let given = std::env::args_os().collect();
    let arguments = match flag_file::with_file(&Cli::command(), given, flag_file::warn) {
        Ok(arguments) => arguments,
        Err(error) => return failure(&error.into()),
    };
    let Cli { command, output } = match Cli::read(arguments) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match command {
        Command::Share(options) => share::run(*options, output),
        Command::Peer(command) => peer_native::program::run(command, output),
        Command::Tracker(options) => tracker_server::program::run(&options, page::inside()),
        Command::Token(options) => tracker_server::program::mint(&options),
        Command::Completions { shell } => ended(manual::completions(shell)),
        Command::Man { dir } => ended(manual::pages(dir.as_deref())),
    }
}

fn ended(result: anyhow::Result<()>) -> ExitCode {
    result.map_or_else(|error| failure(&error), |()| ExitCode::SUCCESS)
}

fn failure(error: &anyhow::Error) -> ExitCode {
    flag_file::to_stderr(&format!("error: {}", flag_file::in_words(&**error)));
    ExitCode::FAILURE
}
