//! A peer whose copy is damaged on its disk: nothing wrong leaves it, and it costs the viewer nothing.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::{digest, random_file};
use tests::{Fetch, Seeder, Tracker};

const GROUP_BYTES: u64 = 16 * 1024;
const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Of the groups of the copy, one in so many is damaged.
const CORRUPT_EVERY: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(120);

#[test]
fn what_was_damaged_on_a_peers_disk_is_not_sent_and_the_download_completes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, FILE_BYTES, 5)?;
    let tracker = Tracker::start()?;
    // Slow, so that newcomers depend on the damaged copy.
    let seeder = Seeder::start(&tracker, &file, folder.path(), &["--upload-limit", "40M"])?;
    let damaged = Fetch::start(seeder.link(), &folder.path().join("damaged"), &["--stay", "-v"])?;
    damaged.wait_done(TIMEOUT)?;

    // One bit in one group of sixteen.
    for group in (0..FILE_BYTES / GROUP_BYTES).step_by(CORRUPT_EVERY) {
        flip_a_bit(&damaged, group * GROUP_BYTES + 77)?;
    }
    let viewer = Fetch::start(seeder.link(), &folder.path().join("viewer"), &["-v"])?;
    let done = viewer.wait_done(TIMEOUT)?;

    ensure!(digest(&viewer.output)? == digest(&file)?, "the copy is not the original");
    ensure!(digest(&damaged.output)? != digest(&file)?, "nothing was damaged");
    ensure!(done.from_initial > 0, "it did not depend on the seeder: {done:?}");
    // A reader compares each group with the tree before it is sent, and says so.
    damaged.program().wait_stderr("that the copy was found to be damaged", TIMEOUT, |lines| {
        lines.iter().find(|line| line.contains("has changed since")).cloned()
    })?;
    Ok(())
}

/// Changes one bit of what a peer serves, behind its back.
fn flip_a_bit(peer: &Fetch, offset: u64) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(&peer.output)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    file.write_all_at(&[byte[0] ^ 0x10], offset)?;
    Ok(())
}
