//! The tracker as a process that somebody operates.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::random_file;
use tests::{Fetch, Seeder, Tracker};

/// A megabyte on this machine takes a second; a peer looks for a tracker that was away every few seconds.
const TIMEOUT: Duration = Duration::from_secs(60);

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
fn a_swarm_whose_seeder_is_away_outlives_a_restart_of_the_tracker() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 1_000_000, 6)?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &file, folder.path(), &[])?;
    let link = seeder.link().to_owned();
    let home = tempfile::tempdir()?;
    let viewer = Fetch::start(&link, &home.path().join("first.bin"), &["--stay"])?;
    viewer.wait_done(TIMEOUT)?;
    seeder.stop()?;
    let address = tracker.address().to_owned();
    tracker.kill()?;
    // It keeps nothing on disk: only the viewer still has the manifest, and brings it back.
    let _tracker = Tracker::start_at(&address)?;
    let late = Fetch::start(&link, &home.path().join("second.bin"), &[])?;
    late.wait_done(TIMEOUT)?;
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
