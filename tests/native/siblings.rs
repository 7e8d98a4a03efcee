//! Two trackers that name one another and share nothing else: their peers are one swarm.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::content::{digest, random_file};
use tests::{Fetch, Program, Seeder, Tracker, seeder};

const MIB: u64 = 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(20);

/// A tracker on a free port with this key file, and these siblings.
fn start(key: &Path, siblings: &[&Tracker]) -> Result<Tracker> {
    let key = key.to_str().context("a path that is no text")?;
    let urls: Vec<String> = siblings.iter().map(|sibling| sibling.url()).collect();
    let mut options = vec!["--sibling-key", key];
    options.extend(urls.iter().flat_map(|url| ["--sibling", url]));
    Tracker::start_with("127.0.0.1:0", &options)
}

fn wait_log(tracker: &Tracker, words: &str) -> Result<()> {
    tracker
        .process()
        .wait_stderr(words, PATIENCE, |lines| lines.iter().any(|line| line.contains(words)).then_some(()))
}

/// Two siblings. The first names the second and sends its own peers over: one way is enough to link the two groups.
fn pair(folder: &Path) -> Result<(Tracker, Tracker)> {
    let key = folder.join("key");
    fs::write(&key, "a secret of two trackers")?;
    let second = start(&key, &[])?;
    let first = start(&key, &[&second])?;
    wait_log(&first, "is reached")?;
    Ok((first, second))
}

/// Makes a content of one tracker known to the other, as a viewer that moved would.
async fn bring(swarm: &str, from: &Tracker, to: &Tracker) -> Result<()> {
    let path = format!("/v1/manifests/{swarm}");
    let manifest = reqwest::get(from.http(&path)).await?.bytes().await?;
    let http = reqwest::Client::new();
    let put = http.put(to.http(&path)).header("content-type", "application/octet-stream");
    let status = put.body(manifest).send().await?.status();
    ensure!(status.is_success(), "the manifest was not taken: {status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_of_both_get_what_only_one_tracker_has_a_seeder_of() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (first, second) = pair(folder.path())?;
    let file = folder.path().join("original");
    random_file(&file, 4 * MIB, 61)?;
    let seeder = Seeder::start(&first, &file, folder.path(), &["--upload-limit", "20M"])?;
    bring(seeder.swarm(), &first, &second).await?;
    let start = |tracker: &Tracker, name: &str| {
        let link = format!("http://{}/#{}", tracker.address(), seeder.swarm());
        Fetch::start(&link, &folder.path().join(name), &["--stay"])
    };
    let fetches = [start(&first, "a")?, start(&second, "b")?, start(&second, "c")?];
    let original = digest(&file)?;
    for fetch in &fetches {
        fetch.wait_done(TIMEOUT)?;
        ensure!(digest(&fetch.output)? == original, "{} differs", fetch.output.display());
    }
    // A sibling that dies takes nobody with it: who comes later still gets all from the peers here.
    second.kill()?;
    let late = start(&first, "d")?;
    late.wait_done(TIMEOUT)?;
    ensure!(digest(&late.output)? == original, "the last copy differs");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_that_stops_sends_its_peers_to_its_sibling() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (first, second) = pair(folder.path())?;
    let file = folder.path().join("original");
    random_file(&file, 4 * MIB, 62)?;
    let options = ["--tracker", &second.url(), "--list", "--upload-limit", "6M"];
    let seeder = Seeder::start(&first, &file, folder.path(), &options)?;
    let mut command = seeder::command(folder.path())?;
    let copy = folder.path().join("copy");
    command.args(["fetch", seeder.link(), "-v", "--stay", "-o"]).arg(&copy);
    let fetch = Program::start("fetch", &mut command)?;
    first.wait_for_peers(seeder.swarm(), 2).await?;
    ensure!(first.stop()?.status.success());
    let moved = format!("going on at the tracker {}", second.url());
    fetch.wait_stderr("a word that it goes on at the sibling", PATIENCE, |lines| {
        lines.iter().any(|line| line.contains(&moved)).then_some(())
    })?;
    second.wait_for_peers(seeder.swarm(), 2).await?;
    fetch.wait_stdout("the end", TIMEOUT, |line| line.contains("complete and verified").then_some(()))?;
    ensure!(digest(&copy)? == digest(&file)?, "the copy differs");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_with_another_key_is_no_sibling() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let keys = ["one", "other"].map(|name| folder.path().join(name));
    for key in &keys {
        fs::write(key, format!("a secret in the file {}", key.display()))?;
    }
    let host = start(&keys[0], &[])?;
    let guest = start(&keys[1], &[&host])?;
    wait_log(&guest, "is not reached")?;
    wait_log(&host, "a tracker that calls itself a sibling is refused")?;
    // One without siblings has no such address.
    let other = Tracker::start()?;
    let (status, _) = other.get("/v1/siblings").await?;
    ensure!(status == 404, "{status}");
    Ok(())
}
