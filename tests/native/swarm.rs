//! Peers that fetch a content together.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::{digest, random_file};
use tests::{Done, Fetch, Seeder, Tracker};

const MIB: u64 = 1024 * 1024;
const FILE_BYTES: u64 = 64 * MIB;
const FETCH_TIMEOUT: Duration = Duration::from_secs(240);

/// Slow enough to catch a fetch half-way, fast enough not to wait for.
const UPLINK: &str = "120M";

#[test]
fn five_peers_complete_a_file_and_one_that_was_killed_half_way_goes_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, FILE_BYTES, 1)?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &file, folder.path(), &["--upload-limit", UPLINK])?;

    let outputs: Vec<PathBuf> = (1..=5).map(|number| folder.path().join(format!("copy-{number}"))).collect();
    let mut fetches = Vec::new();
    for output in &outputs {
        fetches.push(Fetch::start(seeder.link(), output, &["--stay"])?);
    }
    let victim = fetches.remove(0);
    let verified = victim.wait_verified(FILE_BYTES * 3 / 5, FETCH_TIMEOUT)?;
    ensure!(verified < FILE_BYTES, "it was complete before it could be killed");
    victim.kill()?;
    ensure!(!victim.output.exists(), "an unfinished file has the name of a finished one");
    let resumed = Fetch::start(seeder.link(), &victim.output, &["--stay"])?;

    let mut all = Vec::new();
    for fetch in &fetches {
        all.push(fetch.wait_done(FETCH_TIMEOUT)?);
    }
    let again = resumed.wait_done(FETCH_TIMEOUT)?;
    let original = digest(&file)?;
    for output in &outputs {
        ensure!(digest(output)? == original, "{} differs from the original", output.display());
    }

    ensure!(again.bytes == FILE_BYTES, "{again:?}");
    let fetched_again = again.from_initial + again.from_peers;
    // What came since the store last noted what it holds is lost, never all.
    ensure!(fetched_again <= FILE_BYTES - verified / 4, "{verified} bytes were there, yet {again:?}");
    check_totals(&all)?;
    eprintln!("figures: {}", figures(&all, seeder.uploaded()));
    Ok(())
}

/// Whoever fetched from the beginning got every byte, and most of them from one another.
fn check_totals(all: &[Done]) -> Result<()> {
    for done in all {
        ensure!(done.bytes == FILE_BYTES, "{done:?}");
        ensure!(done.from_initial + done.from_peers >= FILE_BYTES, "bytes without a source: {done:?}");
        ensure!(done.duplicate_bytes <= FILE_BYTES / 20, "fetched twice: {done:?}");
        ensure!(done.proof_bytes <= FILE_BYTES / 100, "proofs above 1 %: {done:?}");
    }
    let (initial, peers) = sources(all);
    ensure!(
        peers > initial,
        "the peers got {initial} bytes from the seeder and only {peers} from one another"
    );
    Ok(())
}

fn sources(all: &[Done]) -> (u64, u64) {
    (all.iter().map(|done| done.from_initial).sum(), all.iter().map(|done| done.from_peers).sum())
}

fn figures(all: &[Done], uploaded: u64) -> String {
    let seconds = all.iter().map(|done| done.seconds).fold(0.0, f64::max);
    let (initial, peers) = sources(all);
    let copies = uploaded as f64 / FILE_BYTES as f64;
    format!(
        "five peers, 64 MiB, seeder at {UPLINK}bit/s: {seconds:.1} s, seeder sent {copies:.2} copies; \
         {} MiB from it and {} MiB from peers to the four that were not killed",
        initial / MIB,
        peers / MIB
    )
}

#[test]
fn a_fetch_goes_on_while_the_tracker_is_away() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, 16 * MIB, 2)?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &file, folder.path(), &["--upload-limit", "30M"])?;
    let fetch = Fetch::start(seeder.link(), &folder.path().join("copy"), &[])?;
    let verified = fetch.wait_verified(MIB, FETCH_TIMEOUT)?;
    tracker.kill()?;
    ensure!(verified < 16 * MIB, "it was complete before the tracker could be killed");
    fetch.wait_done(FETCH_TIMEOUT)?;
    ensure!(digest(&fetch.output)? == digest(&file)?, "the copy differs");
    ensure!(fetch.program().wait_end(Duration::from_secs(20))?.status.success(), "a complete fetch failed");

    // Back at the same place, it hears from the seeder again and brings newcomers to it.
    let _tracker = Tracker::start_at(tracker.address())?;
    let late = Fetch::start(seeder.link(), &folder.path().join("late"), &[])?;
    late.wait_done(FETCH_TIMEOUT)?;
    ensure!(digest(&late.output)? == digest(&file)?, "the late copy differs");
    Ok(())
}

#[test]
fn contents_of_every_awkward_length_arrive_whole() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    for length_bytes in [1, 16 * 1024, 16 * 1024 + 1, 5 * 16 * 1024 - 1] {
        let file = folder.path().join(format!("original-{length_bytes}"));
        random_file(&file, length_bytes, length_bytes)?;
        let seeder = Seeder::start(&tracker, &file, folder.path(), &[])?;
        let fetch = Fetch::start(seeder.link(), &folder.path().join(format!("copy-{length_bytes}")), &[])?;
        let done = fetch.wait_done(FETCH_TIMEOUT)?;
        ensure!(done.bytes == length_bytes, "{done:?}");
        ensure!(fs::read(&fetch.output)? == fs::read(&file)?, "{length_bytes} bytes differ");
    }
    Ok(())
}
