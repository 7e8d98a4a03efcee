//! The command line of the native peer: the programs `seeder` and `tributary` run what is here.
//!
//! Owns the command line, signals, exit codes and what is shown; everything else is the rest of this crate.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong command line, 130 stopped before a fetch was complete.

mod amount;
mod author;
mod bar;
mod catalogue;
mod cli;
mod doctor;
mod ending;
mod fetch;
mod here;
mod http;
mod inspect;
mod publishing;
mod reach;
mod report;
mod seed;
mod seeding;
mod tree;
mod watch;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

pub use cli::{Command, Output, Serving};
pub use ending::Ending;
pub use here::Here;
pub use report::Reporter;
pub use seed::share;

/// Exit code of a fetch that was stopped.
const INTERRUPTED: u8 = 130;

/// The program `seeder`.
pub fn main() -> ExitCode {
    let given = std::env::args_os().collect();
    let arguments = match flag_file::with_file(&cli::Cli::command(), given, flag_file::warn) {
        Ok(arguments) => arguments,
        Err(error) => {
            Reporter { is_json: false }.error(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let cli::Cli { command, output } = cli::Cli::parse_from(arguments);
    run(command, output)
}

/// Runs one command to its end.
pub fn run(command: Command, output: Output) -> ExitCode {
    start_logging(output.verbose);
    ended(output, async |reporter, ending| match command {
        Command::Seed(options) => seed::run(*options, reporter, ending).await,
        Command::List(options) => catalogue::list(options, reporter),
        Command::Remove(options) => catalogue::remove(options, reporter).await,
        Command::Key(command) => catalogue::key(command, reporter),
        Command::Fetch(options) => fetch::run(options, reporter, ending).await,
        Command::Tree(options) => tree::run(options, reporter, ending).await,
        Command::Doctor(options) => doctor::run(*options, reporter, ending).await,
        Command::Inspect(options) => inspect::run(options, reporter, ending).await,
    })
}

/// Runs `work` on all processors, listens to signals meanwhile, and says why it failed if it did.
pub fn ended(
    output: Output,
    work: impl AsyncFnOnce(Reporter, Ending) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    let reporter = Reporter { is_json: output.json };
    let result = on_all_processors(async { work(reporter, Ending::listen()?).await });
    result.unwrap_or_else(|error| {
        reporter.error(&flag_file::in_words(&*error));
        ExitCode::FAILURE
    })
}

fn on_all_processors(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("this machine gives no threads or sockets")?;
    let result = runtime.block_on(work);
    // A manifest that is just being fetched is of no interest any more.
    runtime.shutdown_background();
    result
}

/// These log what they send at `trace`: whole messages and headers, with the tokens in them.
const SECRETIVE: [&str; 4] =
    ["tungstenite=debug", "tokio_tungstenite=debug", "ureq=debug", "ureq_proto=debug"];

/// Logs go to stderr. Without `-v` and `RUST_LOG` only warnings of this project appear, without time and origin.
pub fn start_logging(verbose: u8) {
    let default = match verbose {
        0 => "off,peer_native=warn,swarm_core=warn,tracker_server=warn",
        1 => "error,peer_native=info,swarm_core=info,tracker_server=info",
        _ => "warn,peer_native=debug,swarm_core=debug,tracker_server=debug",
    };
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // At other levels a directive would make them say more.
    let is_tracing = filter.max_level_hint().is_none_or(|level| level == LevelFilter::TRACE);
    for silent in SECRETIVE.into_iter().filter(|_| is_tracing) {
        if let Ok(directive) = silent.parse() {
            filter = filter.add_directive(directive);
        }
    }
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let logs = logs.with_ansi(std::io::stderr().is_terminal()).log_internal_errors(false);
    if verbose == 0 && std::env::var_os(EnvFilter::DEFAULT_ENV).is_none() {
        logs.without_time().with_target(false).init();
    } else {
        logs.init();
    }
}
