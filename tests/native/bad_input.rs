//! Whatever a person does wrong is said in one line, with a failing exit code, and says what to do.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::random_file;
use tests::false_tracker::{FalseTracker, Fault};
use tests::ports::free_address;
use tests::{Ended, Event, Fetch, Program, Seeder, Tracker, disk, seeder};

const TIMEOUT: Duration = Duration::from_secs(60);

fn run(folder: &Path, arguments: &[&str]) -> Result<Ended> {
    let mut command = seeder::command(folder)?;
    Program::start("seeder", command.args(arguments))?.wait_end(TIMEOUT)
}

/// Runs `seeder` and expects one line of error that has all these words.
fn refused(folder: &Path, arguments: &[&str], words: &[&str]) -> Result<()> {
    let ended = run(folder, arguments)?;
    let line = ended.error_line()?.to_lowercase();
    ensure!(words.iter().all(|word| line.contains(word)), "{arguments:?}: {words:?} are not all in: {line}");
    Ok(())
}

#[test]
fn files_that_cannot_be_shared_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("empty"), b"")?;
    fs::create_dir(path("folder"))?;
    let url = format!("ws://{}/v1/swarm", free_address()?);
    let seed = |name: &str, words: &[&str]| {
        refused(folder.path(), &["seed", &path(name), "--tracker", &url], &[&[name], words].concat())
    };
    seed("missing", &["does not exist"])?;
    seed("empty", &["empty"])?;
    seed("folder", &["no files to share"])
}

#[test]
fn arguments_that_mean_nothing_are_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    random_file(&file, 1000, 6)?;
    let (file, copy) = (file.display().to_string(), folder.path().join("copy").display().to_string());
    let swarm = "0".repeat(64);
    let url = format!("ws://{}/v1/swarm", free_address()?);
    refused(folder.path(), &["fetch", "http://127.0.0.1:1/#abc", "-o", &copy], &["64"])?;
    refused(folder.path(), &["fetch", "what is this", "-o", &copy], &["what is this"])?;
    refused(folder.path(), &["fetch", &swarm, "-o", &copy], &["--tracker"])?;
    refused(folder.path(), &["seed", &file, "--tracker", "not an address"], &["not an address"])?;
    refused(folder.path(), &["seed", &file, "--tracker", &url, "--upload-limit", "fast"], &["fast"])?;
    refused(
        folder.path(),
        &["fetch", &swarm, "--tracker", &url, "-o", &folder.path().display().to_string()],
        &["directory"],
    )
}

#[test]
fn an_unknown_swarm_is_given_up_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let copy = folder.path().join("copy").display().to_string();
    let swarm = "ab".repeat(32);
    refused(folder.path(), &["fetch", &tracker.http(&format!("/#{swarm}")), "-o", &copy], &["know", "abab"])
}

#[test]
fn an_unreachable_tracker_is_said_and_tried_again_until_it_is_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 100_000, 7)?;
    let address = free_address()?.to_string();
    let url = format!("ws://{address}/v1/swarm");
    let mut command = seeder::command(folder.path())?;
    command.arg("seed").arg(&file).args(["--json", "--tracker", &url]);
    let program = Program::start("seeder", &mut command)?;
    program.wait_stderr("a word that the tracker is not there and is tried again", TIMEOUT, |lines| {
        let said =
            |line: &&String| line.contains(&address) && (line.contains("again") || line.contains("retry"));
        lines.iter().find(said).map(drop)
    })?;
    let _tracker = Tracker::start_at(&address)?;
    program
        .wait_stdout("ready", TIMEOUT, |line| matches!(Event::read(line)?, Event::Ready { .. }).then_some(()))
}

#[test]
fn a_full_disk_ends_a_fetch() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 16 * 1024 * 1024, 8)?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &file, folder.path(), &[])?;
    let small = tempfile::tempdir()?;
    let mut command = seeder::command(small.path())?;
    command.args(["fetch", seeder.link(), "-o"]).arg(small.path().join("copy"));
    let mut command = disk::small(&command, small.path(), 4 * 1024 * 1024);
    let ended = Program::start("fetch to a small disk", &mut command)?.wait_end(TIMEOUT)?;
    let line = ended.error_line()?;
    let says_why = ["space", "too large", "full"].iter().any(|word| line.to_lowercase().contains(word));
    ensure!(says_why && line.contains("copy"), "{line}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_does_not_hash_to_its_id_is_not_used() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let other = [&b"TRB2 some other film"[..], &[0; 64]].concat();
    let tracker = FalseTracker::start(Fault::Manifest(other)).await?;
    let copy = folder.path().join("copy");
    let swarm = "cd".repeat(32);
    let link = tracker.link(&swarm);
    refused(folder.path(), &["fetch", &link, "-o", &copy.display().to_string()], &["manifest", "hashes to"])?;
    ensure!(!copy.exists(), "a file was made of a manifest that is not the link's");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_of_another_version_is_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let tracker = FalseTracker::start(Fault::Version).await?;
    let copy = folder.path().join("copy").display().to_string();
    refused(folder.path(), &["fetch", &tracker.link(&"ef".repeat(32)), "-o", &copy], &["version"])
}

#[test]
fn an_interrupted_fetch_says_how_to_go_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 16 * 1024 * 1024, 9)?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &file, folder.path(), &["--upload-limit", "20M"])?;
    let fetch = Fetch::start(seeder.link(), &folder.path().join("copy"), &[])?;
    fetch.wait_verified(1024 * 1024, TIMEOUT)?;
    let ended = fetch.program().stop()?;
    ensure!(ended.error_line()?.contains("copy.part"), "{ended:?}");
    Ok(())
}
