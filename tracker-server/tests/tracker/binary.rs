//! The binary: what it prints, how it ends.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::harness::{PATIENCE, Socket};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracker-server"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Starts the binary on a free port and reads from its first line which one it got.
async fn start() -> anyhow::Result<(Child, SocketAddr)> {
    let mut child = command(&["--listen", "127.0.0.1:0"]).spawn()?;
    let stdout = child.stdout.take().context("no stdout")?;
    let line = timeout(PATIENCE, BufReader::new(stdout).lines().next_line()).await??.context("no line")?;
    let address = line.strip_prefix("listening: http://").and_then(|rest| rest.strip_suffix('/'));
    let address = address.with_context(|| format!("printed: {line}"))?.parse()?;
    Ok((child, address))
}

#[cfg(unix)]
async fn signal_ends_it_cleanly(signal: &str) -> anyhow::Result<()> {
    let (mut child, address) = start().await?;
    let mut socket = Socket::open(address).await?;
    socket.hello(None).await?;
    let pid = child.id().context("not running")?.to_string();
    let began = Instant::now();
    assert!(Command::new("kill").args([signal, &pid]).status().await?.success());
    assert_eq!(socket.close_code().await?, 1001);
    drop(socket);
    let status = timeout(PATIENCE, child.wait()).await??;
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn sigterm_closes_sockets_and_exits_with_zero() -> anyhow::Result<()> {
    signal_ends_it_cleanly("-TERM").await
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_closes_sockets_and_exits_with_zero() -> anyhow::Result<()> {
    signal_ends_it_cleanly("-INT").await
}

async fn refused(arguments: &[&str]) -> anyhow::Result<String> {
    let output = timeout(PATIENCE, command(arguments).output()).await??;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8(output.stderr)?;
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    Ok(stderr)
}

#[tokio::test]
async fn a_port_in_use_is_said_in_one_line() -> anyhow::Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let line = refused(&["--listen", &address]).await?;
    assert!(line.starts_with(&format!("error: cannot listen on {address}: it is in use: ")), "{line}");
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_none_is_said_in_one_line() -> anyhow::Result<()> {
    let line = refused(&["--listen", "nonsense"]).await?;
    assert!(line.starts_with("error: cannot listen on nonsense"), "{line}");
    assert!(line.contains("--listen takes HOST:PORT"), "{line}");
    let line = refused(&["--ice-server", "http://example.org"]).await?;
    assert!(line.contains("must begin with stun:"), "{line}");
    Ok(())
}
