//! The binary `tracker-server`: reads the command line, listens, serves until it is told to stop.

mod options;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use options::Options;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
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
    let listener = listen(&options.listen).await?;
    let address = listener.local_addr().context("cannot tell which address is listened on")?;
    {
        let mut stdout = io::stdout().lock();
        // Nobody may be reading; that is no reason not to serve.
        _ = writeln!(stdout, "listening: http://{address}/").and_then(|()| stdout.flush());
    }
    Ok(tracker_server::serve(config, listener, stop).await?)
}

async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = if error.kind() == io::ErrorKind::AddrInUse {
            "it is in use: stop what listens there, or choose another with --listen (port 0 takes any free one)"
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            "this user may not: choose a port above 1023 with --listen"
        } else if error.kind() == io::ErrorKind::AddrNotAvailable {
            "it is no address of this machine: choose one that is with --listen"
        } else {
            return anyhow::anyhow!(
                "cannot listen on {address} ({error}): --listen takes HOST:PORT, such as 127.0.0.1:8080"
            );
        };
        anyhow::anyhow!("cannot listen on {address}: {advice}")
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
