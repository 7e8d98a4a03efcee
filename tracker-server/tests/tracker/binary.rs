//! The binary: what it prints, how it ends.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use crate::harness::{PATIENCE, Socket, request};

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

/// Starts the binary with these flags; its address, and what it logs.
async fn start_with(arguments: &[&str]) -> anyhow::Result<(Child, SocketAddr, BufReader<ChildStderr>)> {
    let mut child = command(&[&["--listen", "127.0.0.1:0"], arguments].concat()).spawn()?;
    let stdout = child.stdout.take().context("no stdout")?;
    let line = timeout(PATIENCE, BufReader::new(stdout).lines().next_line()).await??.context("no line")?;
    let address = line.strip_prefix("listening: http://").and_then(|rest| rest.strip_suffix('/'));
    let address = address.with_context(|| format!("printed: {line}"))?.parse()?;
    let stderr = BufReader::new(child.stderr.take().context("no stderr")?);
    Ok((child, address, stderr))
}

#[tokio::test]
async fn a_file_configures_it_and_metrics_are_served_where_it_says() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tracker.toml");
    let data = folder.path().join("data");
    let text = format!(
        "metrics-listen = \"127.0.0.1:0\"\ndata-dir = {:?}\nallow-origin = [\"https://films.example\"]\n",
        data.display().to_string()
    );
    std::fs::write(&file, text)?;
    let (_child, address, stderr) = start_with(&["--config", &file.display().to_string()]).await?;
    let mut lines = stderr.lines();
    let metrics = async {
        loop {
            let line = lines.next_line().await?.context("no address of the metrics")?;
            if let Some((_, rest)) = line.split_once("http://") {
                return anyhow::Ok(rest.trim_end_matches("/metrics").parse::<SocketAddr>()?);
            }
        }
    };
    let metrics = timeout(PATIENCE, metrics).await??;
    let ask = async |address, path, headers: &[(&str, &str)]| {
        request(address, "GET", path, headers, bytes::Bytes::new()).await
    };
    assert_eq!(ask(metrics, "/metrics", &[]).await?.status, 200);
    assert_eq!(ask(address, "/metrics", &[]).await?.status, 404);
    let page = ask(metrics, "/v1/trackers", &[("origin", "http://evil.example")]).await?;
    assert_eq!(page.status, 403, "a page of another origin");
    let allowed = ask(address, "/v1/swarms", &[("origin", "https://films.example")]).await?;
    assert_eq!(allowed.header("access-control-allow-origin"), "https://films.example");
    assert!(data.join("manifests.redb").is_file());
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_soft_limit_on_open_files_is_raised() -> anyhow::Result<()> {
    let program = env!("CARGO_BIN_EXE_tracker-server");
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -Sn 256; exec {program} --listen 127.0.0.1:0 --connections-max 100")])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().context("no stdout")?;
    timeout(PATIENCE, BufReader::new(stdout).lines().next_line()).await??.context("no line")?;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id().context("not running")?))?;
    let line = limits.lines().find(|line| line.starts_with("Max open files")).context("no limit")?;
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
    Ok(())
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
async fn a_tracker_that_others_can_reach_starts_closed_or_open_on_purpose() -> anyhow::Result<()> {
    for (arguments, word) in [
        (&["--listen", "0.0.0.0:0"][..], "at 0.0.0.0:"),
        (&["--listen", "127.0.0.1:0", "--behind-proxy"], "through its proxy"),
    ] {
        let line = refused(arguments).await?;
        assert!(line.contains(word) && line.contains("--publish-token") && line.contains("--open"), "{line}");
        for more in [&["--open"][..], &["--publish-token", "x"], &["--token", "x"]] {
            let mut child = command(&[arguments, more].concat()).spawn()?;
            let stdout = child.stdout.take().context("no stdout")?;
            let line = timeout(PATIENCE, BufReader::new(stdout).lines().next_line()).await??;
            assert!(line.is_some_and(|line| line.starts_with("listening: ")), "{arguments:?} {more:?}");
        }
    }
    let mut child = command(&["--listen", "0.0.0.0:0"]).env("TRIBUTARY_OPEN", "yes").spawn()?;
    let stdout = child.stdout.take().context("no stdout")?;
    assert!(timeout(PATIENCE, BufReader::new(stdout).lines().next_line()).await??.is_some());
    Ok(())
}

#[tokio::test]
async fn an_empty_token_closes_nothing_and_is_refused() -> anyhow::Result<()> {
    for flag in ["--publish-token", "--token", "--secret", "--turn-secret"] {
        for text in ["", "  "] {
            let line = refused(&["--listen", "127.0.0.1:0", flag, text]).await?;
            assert!(line.contains(&format!("{flag} is empty")), "{line}");
        }
    }
    for flag in ["--secret", "--turn-secret"] {
        let line = refused(&["--listen", "127.0.0.1:0", flag, "fifteen letters"]).await?;
        assert!(line.contains(&format!("{flag} has fewer than 16 characters")), "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_links_or_requests_change_is_refused() -> anyhow::Result<()> {
    for (flag, text, words) in [
        ("--token", "salt&pepper", "in a link"),
        ("--token", " padded", "a space at an end"),
        ("--publish-token", "read from a file\n", "a line break"),
        ("--publish-token", "schlüssel", "beyond ASCII"),
    ] {
        let line = refused(&["--listen", "127.0.0.1:0", flag, text]).await?;
        assert!(line.contains(&format!("{flag} cannot be used")) && line.contains(words), "{line}");
    }
    Ok(())
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
    let line = refused(&["--listen", "127.0.0.1:0", "--metrics-listen", "nonsense"]).await?;
    assert!(line.contains("--metrics-listen takes HOST:PORT"), "{line}");
    let line = refused(&["--config", "no-such-file.toml"]).await?;
    assert!(line.contains("no-such-file.toml cannot be read"), "{line}");
    Ok(())
}

/// What the binary says that ends with exit code 1 at these flags.
#[cfg(unix)]
async fn refusal(arguments: &[&str]) -> anyhow::Result<String> {
    let output = command(&[&["--listen", "127.0.0.1:0"], arguments].concat()).output();
    let output = timeout(PATIENCE, output).await.with_context(|| format!("{arguments:?} does not end"))??;
    let text = String::from_utf8(output.stderr)?;
    anyhow::ensure!(output.status.code() == Some(1) && text.lines().count() == 1, "{arguments:?}: {text}");
    Ok(text)
}

#[cfg(unix)]
#[tokio::test]
async fn devices_pipes_and_endless_files_in_the_place_of_keys_end_the_start_in_a_line() -> anyhow::Result<()>
{
    let folder = tempfile::tempdir()?;
    let (long, pipe) = (folder.path().join("long"), folder.path().join("pipe"));
    std::fs::File::create(&long)?.set_len(1 << 40)?;
    // Nobody writes to it.
    assert!(Command::new("mkfifo").arg(&pipe).status().await?.success());
    let (long, pipe) = (long.to_str().context("no text")?, pipe.to_str().context("no text")?);
    for path in [long, "/dev/zero"] {
        let text = refusal(&["--sibling-key", path]).await?;
        assert!(text.contains("longer than 1 MiB"), "{text}");
    }
    for (path, words) in [
        (long, "longer than 1 MiB"),
        (pipe, "not an ordinary file"),
        ("/dev/zero", "not an ordinary file"),
        ("/", "not an ordinary file"),
    ] {
        let named = format!("a={path}");
        for arguments in
            [&["--viewer-key", &named][..], &["--certificate", path, "--certificate-key", "/dev/null"]]
        {
            let text = refusal(arguments).await?;
            assert!(text.contains(words) && text.contains(path), "{arguments:?}: {text}");
        }
    }
    Ok(())
}
