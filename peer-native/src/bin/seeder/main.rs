//! `seeder`: the native peer on the command line.
//!
//! Owns the command line, signals, exit codes and what is shown; everything else is the library's.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong command line, 130 stopped before a fetch was complete.

mod amount;
mod author;
mod bar;
mod catalogue;
mod cli;
mod ending;
mod fetch;
mod inspect;
mod publishing;
mod report;
mod seed;
mod watch;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tracing_subscriber::EnvFilter;

use cli::{Cli, Command};
use ending::Ending;
use report::Reporter;

/// Exit code of a fetch that was stopped.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let reporter = Reporter { is_json: cli.json };
    start_logging(cli.verbose);
    match run(cli, reporter) {
        Ok(code) => code,
        Err(error) => {
            reporter.error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, reporter: Reporter) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("this machine gives no threads or sockets")?;
    let result = runtime.block_on(async {
        let ending = Ending::listen()?;
        match cli.command {
            Command::Seed(options) => seed::run(options, reporter, ending).await,
            Command::List(options) => catalogue::list(options, reporter),
            Command::Remove(options) => catalogue::remove(options, reporter).await,
            Command::Key(command) => catalogue::key(command, reporter),
            Command::Fetch(options) => fetch::run(options, reporter, ending).await,
            Command::Inspect(options) => inspect::run(options, reporter, ending).await,
        }
    });
    // A manifest that is just being fetched is of no interest any more.
    runtime.shutdown_background();
    result
}

/// Logs go to stderr. Without `-v` and `RUST_LOG` only warnings of this project appear, without time and origin.
fn start_logging(verbose: u8) {
    let default = match verbose {
        0 => "off,peer_native=warn,seeder=warn,swarm_core=warn",
        1 => "error,peer_native=info,seeder=info,swarm_core=info",
        _ => "warn,peer_native=debug,seeder=debug,swarm_core=debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let logs = logs.with_ansi(std::io::stderr().is_terminal());
    if verbose == 0 && std::env::var_os(EnvFilter::DEFAULT_ENV).is_none() {
        logs.without_time().with_target(false).init();
    } else {
        logs.init();
    }
}
