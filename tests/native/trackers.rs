//! Several trackers that know nothing of one another: a seeder serves at all, and fetches go on at another one.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::{digest, random_file};
use tests::{Fetch, Seeder, Tracker};

const MIB: u64 = 1024 * 1024;
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seeder_serves_at_two_trackers_and_the_peers_of_one_that_dies_come_to_the_other() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, 12 * MIB, 51)?;
    let (first, second) = (Tracker::start()?, Tracker::start()?);
    // 10 s of uplink, so that the fetches are under way when their tracker dies.
    let options = ["--tracker", &second.url(), "--list", "--upload-limit", "10M"];
    let seeder = Seeder::start(&first, &file, folder.path(), &options)?;
    let start = |tracker: &Tracker, name: &str| {
        let link = format!("http://{}/#{}", tracker.address(), seeder.swarm());
        Fetch::start(&link, &folder.path().join(name), &["--stay"])
    };
    let moving = [start(&first, "a")?, start(&first, "b")?];
    let staying = start(&second, "c")?;
    first.wait_for_peers(seeder.swarm(), 3).await?;
    second.wait_for_peers(seeder.swarm(), 2).await?;
    for fetch in &moving {
        fetch.wait_verified(MIB, FETCH_TIMEOUT)?;
    }
    first.kill()?;
    second.wait_for_peers(seeder.swarm(), 4).await?;
    let late = start(&second, "d")?;
    let original = digest(&file)?;
    for fetch in moving.iter().chain([&staying, &late]) {
        let done = fetch.wait_done(FETCH_TIMEOUT)?;
        ensure!(digest(&fetch.output)? == original, "{} differs", fetch.output.display());
        ensure!(done.from_peers > 0, "it had no neighbour but the seeder: {done:?}");
    }
    // A peer that was met at both trackers has one link: no group was sent twice.
    let sent = seeder.uploaded();
    ensure!(sent <= 4 * 12 * MIB, "the seeder sent {sent} bytes to 4 fetches of {} bytes", 12 * MIB);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_that_is_away_at_the_start_is_served_when_it_comes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, MIB, 52)?;
    let (first, second) = (Tracker::start()?, Tracker::start()?);
    let (address, url) = (second.address().to_owned(), second.url());
    second.stop()?;
    let seeder = Seeder::start(&first, &file, folder.path(), &["--tracker", &url, "--list"])?;
    seeder.program().wait_stderr("a word of the tracker that is away", PATIENCE, |lines| {
        lines.iter().any(|line| line.contains("not served at") && line.contains(&url)).then_some(())
    })?;
    let second = Tracker::start_at(&address)?;
    second.wait_for_peers(seeder.swarm(), 1).await?;
    let link = format!("http://{address}/#{}", seeder.swarm());
    let fetch = Fetch::start(&link, &folder.path().join("copy"), &[])?;
    fetch.wait_done(FETCH_TIMEOUT)?;
    ensure!(digest(&fetch.output)? == digest(&file)?, "the copy differs");
    Ok(())
}
