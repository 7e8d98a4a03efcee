//! What a publisher does besides serving: publishing again, looking at what is published.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::content::random_file;
use tests::{Program, Seeder, Tracker, seeder};

const TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn a_second_start_uses_the_tree_it_saved_and_keeps_the_link() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 4 * 1024 * 1024, 3)?;
    let tracker = Tracker::start()?;
    let data_dir = folder.path().join("data");
    let options = ["--data-dir", data_dir.to_str().context("a folder without a name")?];
    let first = Seeder::start(&tracker, &file, folder.path(), &options)?;
    let link = first.link().to_owned();
    ensure!(first.stop()?.status.success(), "a seeder that is asked to stop must end well");
    ensure!(fs::read_dir(&data_dir)?.next().is_some(), "nothing was saved in {}", data_dir.display());
    let second = Seeder::start(&tracker, &file, folder.path(), &options)?;
    ensure!(second.link() == link, "the link changed from {link} to {}", second.link());
    let ended = second.stop()?;
    ensure!(ended.stderr.iter().any(|line| line.contains("saved")), "it was hashed again: {ended:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_published_is_listed_and_can_be_inspected() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 1_000_000, 4)?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &file, folder.path(), &["--list"])?;
    let (status, body) = tracker.get("/v1/swarms").await?;
    ensure!(status == 200 && body.contains(seeder.swarm()) && body.contains("film.bin"), "{status} {body}");
    for content in [file.to_str().context("a file without a name")?, seeder.link()] {
        let mut command = seeder::command(folder.path())?;
        command.args(["inspect", content]);
        let ended = Program::start("inspect", &mut command)?.wait_end(TIMEOUT)?;
        ensure!(ended.status.success(), "{ended:?}");
        let text = ended.stdout.join("\n");
        // 62 groups in segments of 4, 8, 16, 32 and the remaining 2.
        ensure!(text.contains(seeder.swarm()) && text.contains("film.bin"), "{text}");
        ensure!(text.contains("62") || text.contains("1000000") || text.contains("1,000,000"), "{text}");
    }
    Ok(())
}
