//! The binary `tracker-server`: reads the command line, listens, serves until it is told to stop.

mod config_file;
#[cfg(unix)]
mod descriptors;
mod options;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use options::{Command, Options};
use tracker_server::Listeners;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match config_file::with_file(&Options::command(), std::env::args_os().collect()) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let options = Options::parse_from(arguments);
    if let Some(Command::Token(token)) = &options.command {
        return match token.mint() {
            Ok(token) => {
                println!("{token}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    start_logging(options.verbose);
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    let config = options.config()?;
    // Asked for first: a signal that comes during the start must not kill the process the hard way.
    let stop = stop_signal()?;
    #[cfg(unix)]
    descriptors::raise(config.connections_max);
    let public = listen(&options.listen, "--listen").await?;
    let private = match &options.metrics_listen {
        Some(address) => Some(listen(address, "--metrics-listen").await?),
        None => None,
    };
    let address = public.local_addr().context("cannot tell which address is listened on")?;
    {
        let mut stdout = io::stdout().lock();
        // Nobody may be reading; that is no reason not to serve.
        _ = writeln!(stdout, "listening: http://{address}/").and_then(|()| stdout.flush());
    }
    if let Some(address) = private.as_ref().and_then(|listener| listener.local_addr().ok()) {
        tracing::info!("metrics: http://{address}/metrics");
    }
    Ok(tracker_server::serve(config, Listeners { public, private }, stop).await?)
}

async fn listen(address: &str, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = if error.kind() == io::ErrorKind::AddrInUse {
            "it is in use: stop what listens there, or choose another with {flag} (port 0 takes any free one)"
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            "this user may not: choose a port above 1023 with {flag}"
        } else if error.kind() == io::ErrorKind::AddrNotAvailable {
            "it is no address of this machine: choose one that is with {flag}"
        } else {
            return anyhow::anyhow!(
                "cannot listen on {address} ({error}): {flag} takes HOST:PORT, such as 127.0.0.1:8080"
            );
        };
        anyhow::anyhow!("cannot listen on {address}: {}", advice.replace("{flag}", flag))
    })
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
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let has_colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(has_colours).with_writer(io::stderr).init();
}
