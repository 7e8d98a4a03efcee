//! What a publisher does besides serving: publishing again, looking at what is published.

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use tests::content::random_file;
use tests::ports::free_address;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_knows_the_uplink_that_the_first_measured_unless_another_is_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 1_000_000, 5)?;
    let metrics = free_address()?.to_string();
    let tracker = Tracker::start_with("127.0.0.1:0", &["--metrics-listen", &metrics])?;
    let data_dir = folder.path().join("data");
    fs::create_dir(&data_dir)?;
    let data_dir_text = data_dir.to_str().context("a folder without a name")?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let saved = |bytes_per_s: u64| format!("{{\"bytes_per_s\":{bytes_per_s},\"measured_s\":{now_s}}}");
    // An uplink that is not known counts as 5 Mbit/s.
    let cases = [
        (saved(1_500_000), None, 12_000_000),
        (saved(1_500_000), Some("20M"), 20_000_000),
        (saved(u64::MAX), None, 5_000_000),
        ("{\"bytes_per_s\":".to_owned(), None, 5_000_000),
    ];
    for (saved, said, expected) in cases {
        fs::write(data_dir.join("uplink.json"), &saved)?;
        let uplink = said.map(|said| ["--uplink", said]);
        let options = ["--data-dir", data_dir_text].into_iter().chain(uplink.into_iter().flatten());
        let seeder = Seeder::start(&tracker, &file, folder.path(), &options.collect::<Vec<_>>())?;
        let supply = format!("tributary_tracker_supply_bits_per_second {expected}");
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let text = reqwest::get(format!("http://{metrics}/metrics")).await?.text().await?;
            if text.lines().any(|line| line == supply) {
                break;
            }
            ensure!(Instant::now() < deadline, "with {saved} and {said:?}: no line `{supply}` in {text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        ensure!(seeder.stop()?.status.success(), "a seeder that is asked to stop must end well");
    }
    Ok(())
}
