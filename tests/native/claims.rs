//! What a manifest claims costs nobody anything before it is true.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use swarm_core::limits::{CONTENT_BYTES_MAX, GROUPS_MAX};
use swarm_core::manifest::{Mirrors, Period, Seal, Segment, SegmentKind};
use swarm_core::{ContentRoot, Manifest, SecretKey};
use tests::content::random_file;
use tests::{Event, Fetch, Seeder, Tracker, wait};

const TIMEOUT: Duration = Duration::from_secs(60);

/// What the claim may add to the memory of a fetch: a set of groups has a table of 24 KiB then, the counts of copies one of
/// 96 KiB.
const MEMORY_BYTES: u64 = 8 * 1024 * 1024;

/// What it may take of the disk: the first step of the spare file, and what a file system takes for four files.
const DISK_BYTES: u64 = 256 * 1024;

/// Some hundred bytes that claim 64 GiB, of which nobody has anything.
fn manifest() -> Result<Manifest> {
    let all = Segment {
        group_count: GROUPS_MAX,
        kind: SegmentKind::Data,
        priority: 3,
        period: Period::Background,
        time_ms: None,
        duration_ms: None,
    };
    let manifest = Manifest {
        seal: Seal::default(),
        name: "everything.bin".to_owned(),
        title: None,
        media_type: "application/octet-stream".to_owned(),
        length_bytes: CONTENT_BYTES_MAX,
        root: ContentRoot([9; 32]),
        segments: vec![all],
        duration_ms: None,
        chapters: vec![],
        author: None,
        created_s: 1,
        trackers: vec![],
        attachments: vec![],
        mirrors: Mirrors::default(),
    };
    Ok(manifest.signed_by(&SecretKey::from_bytes(&[9; 32]))?)
}

/// Bytes on the disk of what a folder has directly in it.
fn disk_bytes(folder: &std::path::Path) -> Result<u64> {
    let entries = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.iter().map(|entry| Ok(entry.metadata()?.blocks() * 512)).sum()
}

/// The largest memory of a fetch that has opened its store and is in the swarm.
async fn memory_of(link: &str, output: &std::path::Path) -> Result<(Fetch, u64)> {
    let fetch = Fetch::start(link, output, &[])?;
    let part = output.with_extension("part");
    let is_open = async || Ok(part.exists().then_some(()));
    wait::until("the partial file", TIMEOUT, is_open).await?;
    // The first account that knows the length comes when all that depends on it is there.
    fetch.program().wait_stdout("an account", TIMEOUT, |line| match Event::read(line)? {
        Event::Progress { bytes_total, .. } => (bytes_total > 0).then_some(()),
        Event::Ready { .. } | Event::Done(_) | Event::Error { .. } => None,
    })?;
    let memory_bytes = fetch.program().memory_max_bytes()?;
    Ok((fetch, memory_bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_claims_64_gib_takes_memory_and_disk_for_what_is_held() -> Result<()> {
    let home = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    // What a fetch takes that still lacks most of a small content.
    let file = home.path().join("small.bin");
    random_file(&file, 4 * 1024 * 1024, 3)?;
    let seeder = Seeder::start(&tracker, &file, home.path(), &["--upload-limit", "1M"])?;
    let (_small, small_bytes) = memory_of(seeder.link(), &home.path().join("small")).await?;

    let manifest = manifest()?;
    let (swarm, bytes) = (manifest.swarm_id()?, manifest.to_bytes()?);
    ensure!(bytes.len() < 300, "it is meant to be small: {} bytes", bytes.len());
    let url = tracker.http(&format!("/v1/manifests/{swarm}"));
    let answer = reqwest::Client::new().put(url).body(bytes).send().await?;
    answer.error_for_status().context("the tracker refuses the manifest")?;
    let folder = tempfile::tempdir()?;
    let link = tracker.http(&format!("/#{swarm}"));
    let (fetch, claim_bytes) = memory_of(&link, &folder.path().join("claim")).await?;
    eprintln!(
        "memory: {small_bytes} bytes for 4 MiB, {claim_bytes} for 64 GiB; {} on the disk",
        disk_bytes(folder.path())?
    );
    ensure!(
        claim_bytes < small_bytes + MEMORY_BYTES,
        "{claim_bytes} bytes, {small_bytes} for a small content"
    );
    let disk_bytes = disk_bytes(folder.path())?;
    ensure!(disk_bytes <= DISK_BYTES, "{disk_bytes} bytes on the disk");

    // It starts again at once: only what the saved tree vouches for is read, not 64 GiB of holes.
    fetch.program().stop()?;
    memory_of(&link, &folder.path().join("claim")).await?;
    Ok(())
}
