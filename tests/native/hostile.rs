//! A peer that lies: what it corrupts is noticed at once, costs it its link, and costs the viewer nothing.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::content::{digest, random_file};
use tests::{Fetch, Seeder, Tracker};

const GROUP_BYTES: u64 = 16 * 1024;
const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Of the liar's groups, one in so many is corrupt.
const CORRUPT_EVERY: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(120);

#[test]
fn a_peer_that_flips_a_bit_is_banned_at_that_group_and_the_download_completes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, FILE_BYTES, 5)?;
    let tracker = Tracker::start()?;
    // Slow, so that newcomers depend on the liar.
    let seeder = Seeder::start(&tracker, &file, folder.path(), &["--upload-limit", "40M"])?;
    let liar = Fetch::start(seeder.link(), &folder.path().join("liar"), &["--stay"])?;
    liar.wait_done(TIMEOUT)?;

    // One bit in one group of sixteen: whichever of these the viewer asks of it first is where it ends.
    for group in (0..FILE_BYTES / GROUP_BYTES).step_by(CORRUPT_EVERY) {
        flip_a_bit(&liar, group * GROUP_BYTES + 77)?;
    }
    let viewer = Fetch::start(seeder.link(), &folder.path().join("viewer"), &["-v"])?;
    let done = viewer.wait_done(TIMEOUT)?;

    ensure!(digest(&viewer.output)? == digest(&file)?, "the copy is not the original");
    ensure!(digest(&liar.output)? != digest(&file)?, "the liar had nothing to lie about");
    // That it depended on the liar, too, is what the ban shows; good groups may have come from there before, or not.
    ensure!(done.from_initial > 0, "it did not depend on the seeder: {done:?}");
    let banned = viewer.program().wait_stderr("a ban", TIMEOUT, |lines| {
        lines
            .iter()
            .find(|line| line.contains("banned") && line.contains("not those of the content"))
            .cloned()
    })?;
    let (first, end) = groups_named(&banned).with_context(|| format!("no groups in: {banned}"))?;
    let is_corrupt = |group: u64| group.is_multiple_of(CORRUPT_EVERY as u64);
    ensure!((first..end).any(is_corrupt) && end - first <= 4, "banned at other groups: {banned}");
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

/// The range in `groups 600..603: …`.
fn groups_named(line: &str) -> Option<(u64, u64)> {
    let (_, rest) = line.split_once("groups ")?;
    let (range, _) = rest.split_once(':')?;
    let (first, end) = range.split_once("..")?;
    Some((first.parse().ok()?, end.parse().ok()?))
}
