//! The tracker as a service of systemd: a socket that is passed to it, and what it tells.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::places::{binary, page_dir};
use tests::{Program, wait};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Starts a tracker with a listener as descriptors from 3 on.
fn program(listener: &TcpListener, count: usize, notify: &std::path::Path) -> Result<Program> {
    // The shell only places descriptors, and keeps its process id for the tracker.
    let script = r#"export LISTEN_PID=$$; exec "$0" "$@" 3<&0 4<&0 </dev/null"#;
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]).arg(binary("tracker-server")?).arg("--www").arg(page_dir());
    command.env("LISTEN_FDS", count.to_string()).env("NOTIFY_SOCKET", notify);
    let input = Stdio::from(OwnedFd::from(listener.try_clone()?));
    Program::start_reading("tracker", &mut command, input)
}

#[tokio::test]
async fn a_socket_that_is_passed_is_served_and_the_supervisor_is_told() -> Result<()> {
    for count in [1, 2] {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("notify");
        let notified = UnixDatagram::bind(&path)?;
        notified.set_read_timeout(Some(TIMEOUT))?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let tracker = program(&listener, count, &path)?;
        drop(listener);
        let mut told = [0; 64];
        let length = notified.recv(&mut told).context("nothing was told")?;
        ensure!(&told[..length] == b"READY=1\n", "{:?}", String::from_utf8_lossy(&told[..length]));
        let lines = tracker.stdout();
        let said = wait::until("the addresses", TIMEOUT, async || {
            let said = tracker.stdout().iter().filter(|line| line.contains(&address.to_string())).count();
            Ok((said == count).then_some(said))
        });
        said.await.with_context(|| format!("{lines:?}"))?;
        let answer = reqwest::get(format!("http://{address}/healthz")).await?;
        ensure!(answer.status() == 200, "{answer:?}");
        let ended = tracker.stop()?;
        ensure!(ended.status.success(), "{ended:?}");
        let length = notified.recv(&mut told).context("the end was not told")?;
        ensure!(&told[..length] == b"STOPPING=1\n", "{:?}", String::from_utf8_lossy(&told[..length]));
    }
    Ok(())
}
