//! The tracker as a process that somebody operates.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::random_file;
use tests::{Seeder, Tracker};

#[tokio::test]
async fn it_says_that_it_lives_and_that_it_takes_peers() -> Result<()> {
    let tracker = Tracker::start()?;
    for path in ["/healthz", "/readyz"] {
        let (status, body) = tracker.get(path).await?;
        ensure!(status == 200, "{path}: {status} {body}");
    }
    Ok(())
}

#[test]
fn it_ends_well_when_asked_to_while_peers_are_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 100_000, 5)?;
    let tracker = Tracker::start()?;
    let _seeder = Seeder::start(&tracker, &file, folder.path(), &[])?;
    let ended = tracker.stop()?;
    ensure!(ended.status.success(), "{ended:?}");
    Ok(())
}

#[test]
fn a_port_in_use_is_said_in_one_line() -> Result<()> {
    let tracker = Tracker::start()?;
    let ended = Tracker::program(tracker.address())?.wait_end(Duration::from_secs(20))?;
    let line = ended.error_line()?;
    ensure!(line.contains("in use") && line.contains(tracker.address()), "{line}");
    Ok(())
}
