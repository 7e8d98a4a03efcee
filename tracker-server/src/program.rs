//! The command line of the tracker: the programs `tracker-server` and `tributary` run what is here.
//!
//! Owns the command line, the listeners, signals and exit codes. [`Embedded`] is a tracker beside other work in the same
//! process.

#[cfg(unix)]
mod descriptors;
mod embedded;
mod encryption;
mod listening;
mod openness;
mod options;
mod privacy_options;
mod proxy_options;
mod several_options;
mod supervised;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::{Listeners, Page};
use listening::{listen, listen_for_authority};
use supervised::Passed;

pub use embedded::{Embedded, Listen, PORT_FIRST};
pub use encryption::EncryptionOptions;
pub use options::{TokenOptions, TrackerOptions};

/// The program `tracker-server`.
pub fn main() -> ExitCode {
    let given = std::env::args_os().collect();
    let arguments = match flag_file::with_file(&options::Options::command(), given, flag_file::warn) {
        Ok(arguments) => arguments,
        Err(error) => return failure(&error.into()),
    };
    let options = options::Options::parse_from::<_, OsString>(arguments);
    match options.command {
        Some(options::Command::Token(token)) => mint(&token),
        None => run(&options.tracker, Page::Directory("dist".into())),
    }
}

/// Prints a permission to watch.
pub fn mint(options: &TokenOptions) -> ExitCode {
    match options.mint() {
        Ok(token) => match writeln!(io::stdout(), "{token}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failure(&anyhow::Error::from(error).context("the token cannot be written")),
        },
        Err(error) => failure(&error),
    }
}

/// Serves a tracker until it is told to stop. `page` is served where the options name no other.
pub fn run(options: &TrackerOptions, page: Page) -> ExitCode {
    start_logging(options.verbose);
    let passed = match supervised::sockets() {
        Ok(passed) => passed,
        Err(error) => return failure(&error),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("this machine gives no threads or sockets");
    match runtime.and_then(|runtime| runtime.block_on(serve(options, page, passed))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&error),
    }
}

fn failure(error: &anyhow::Error) -> ExitCode {
    flag_file::to_stderr(&format!("error: {}", flag_file::in_words(&**error)));
    ExitCode::FAILURE
}

async fn serve(options: &TrackerOptions, page: Page, passed: Passed) -> anyhow::Result<()> {
    let config = options.config(page)?;
    // Asked for first: a signal that comes during the start must not kill the process the hard way.
    let stop = stop_signal()?;
    #[cfg(unix)]
    descriptors::raise(config.connections_max);
    let listeners = listeners(options, passed).await?;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let base = &config.base_path;
    let mut lines = String::new();
    for listener in &listeners.public {
        let address = listener.local_addr().context("cannot tell which address is listened on")?;
        openness::check(&config, options.open, address)?;
        lines += &format!("listening: {scheme}://{address}{base}/\n");
    }
    if let Some(address) = listeners.private.as_ref().and_then(|listener| listener.local_addr().ok()) {
        tracing::info!("metrics: http://{address}/metrics");
    }
    if let Some(address) = listeners.redirect.as_ref().and_then(|listener| listener.local_addr().ok()) {
        tracing::info!("redirecting: http://{address}/");
    }
    // Begins to run once the data directory and the engine are found good.
    let stop = async {
        announce(&lines);
        supervised::tell_ready();
        stop.await;
        supervised::tell_stopping();
    };
    Ok(crate::serve(config, listeners, stop).await?)
}

/// Says where the tracker listens. Nobody may be reading; that is no reason not to serve.
fn announce(lines: &str) {
    let mut stdout = io::stdout().lock();
    _ = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush());
}

/// Where to listen: at the sockets that were passed, and for what has none of these, where the options say.
async fn listeners(options: &TrackerOptions, passed: Passed) -> anyhow::Result<Listeners> {
    let taken = |listener| TcpListener::from_std(listener).context("a socket that was passed cannot be used");
    let mut public = passed.public.into_iter().map(taken).collect::<anyhow::Result<Vec<_>>>()?;
    if public.is_empty() {
        public.push(match &options.listen {
            Some(address) => listen(address, "--listen").await?,
            None if options.encryption.has_domains() => listen_for_authority().await?,
            None => listen(options::LISTEN_DEFAULT, "--listen").await?,
        });
    }
    let other = async |passed: Option<std::net::TcpListener>, address: &Option<String>, flag| match passed {
        Some(listener) => taken(listener).map(Some),
        None => match address {
            Some(address) => listen(address, flag).await.map(Some),
            None => Ok(None),
        },
    };
    let private = other(passed.private, &options.metrics_listen, "--metrics-listen").await?;
    let redirect = other(passed.redirect, &options.encryption.redirect_listen, "--redirect-listen").await?;
    Ok(Listeners { public, private, redirect, own: None })
}

/// Done when the process is asked to stop, by Ctrl-C or SIGTERM.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tracing::info!("stopping");
        })
    }
    #[cfg(not(unix))]
    {
        Ok(async {
            _ = tokio::signal::ctrl_c().await;
            tracing::info!("stopping");
        })
    }
}

fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => "warn,tracker_server=info",
        1 => "info,tracker_server=debug",
        _ => "trace",
    };
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    // These log whole messages at `trace`, with the tokens in them. At other levels a directive would make them say more.
    let is_tracing = filter.max_level_hint().is_none_or(|level| level == LevelFilter::TRACE);
    for silent in ["tungstenite=debug", "tokio_tungstenite=debug"].into_iter().filter(|_| is_tracing) {
        if let Ok(directive) = silent.parse() {
            filter = filter.add_directive(directive);
        }
    }
    let has_colours = io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(has_colours)
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .init();
}
