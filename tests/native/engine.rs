//! A Redis with little memory, and trackers around it.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use swarm_core::group::Geometry;
use swarm_core::manifest::{Attachment, AttachmentKind, Mirrors, Seal};
use swarm_core::segmentation::doubling;
use swarm_core::{ContentRoot, Manifest, SecretKey, SwarmId};
use tests::Tracker;
use tests::redis::{Member, Redis, trackers};
use tests::wait::until;

const PATIENCE: Duration = Duration::from_secs(60);
/// Redis itself takes one of them, and buffers of its connections, which Redis cannot evict, up to another.
const MEMORY: &str = "4mb";
/// More titles with posters than it has room for.
const TITLES: usize = 60;

/// The beginning of a PNG of one pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01";

/// A manifest of 60 kB.
fn manifest(number: usize) -> Result<(SwarmId, Vec<u8>)> {
    let length_bytes = 400_000;
    let poster = Attachment {
        kind: AttachmentKind::Poster,
        media_type: "image/png".into(),
        language: None,
        label: None,
        bytes: [PNG, &[7; 60_000]].concat().into(),
    };
    let manifest = Manifest {
        seal: Seal::default(),
        name: format!("film {number}"),
        title: None,
        media_type: "video/mp4".into(),
        length_bytes,
        root: ContentRoot([3; 32]),
        segments: doubling(Geometry::new(length_bytes)),
        duration_ms: None,
        chapters: Vec::new(),
        author: None,
        created_s: 1,
        trackers: vec![],
        attachments: vec![poster],
        mirrors: Mirrors::default(),
    };
    let manifest = manifest.signed_by(&SecretKey::from_bytes(&[7; 32]))?;
    Ok((manifest.swarm_id()?, manifest.to_bytes()?))
}

/// Puts a title; the status.
async fn put(tracker: &Tracker, (swarm, bytes): &(SwarmId, Vec<u8>)) -> Result<u16> {
    let request = reqwest::Client::new().put(tracker.http(&format!("/v1/manifests/{swarm}")));
    Ok(request.body(bytes.clone()).send().await?.status().as_u16())
}

async fn shown(tracker: &Tracker, titles: &[(SwarmId, Vec<u8>)]) -> Result<usize> {
    let mut count = 0;
    for (swarm, _) in titles {
        count += usize::from(tracker.get(&format!("/v1/manifests/{swarm}")).await?.0 == 200);
    }
    Ok(count)
}

/// Waits until a tracker shows all titles.
async fn wait_shown(tracker: &Tracker, titles: &[(SwarmId, Vec<u8>)]) -> Result<()> {
    until("a tracker that shows all titles", PATIENCE, async || {
        Ok((shown(tracker, titles).await? == titles.len()).then_some(()))
    })
    .await
}

async fn little(policy: &str) -> Result<(Redis, Vec<Member>, Vec<(SwarmId, Vec<u8>)>)> {
    let redis = Redis::start_with(&["--maxmemory", MEMORY, "--maxmemory-policy", policy])?;
    let members = trackers(&redis.url(), 2).await?;
    let titles: Vec<_> = (0..TITLES).map(manifest).collect::<Result<_>>()?;
    for title in &titles {
        ensure!(put(&members[0].tracker, title).await? == 201);
    }
    Ok((redis, members, titles))
}

fn lines_about(member: &Member, words: &str) -> usize {
    member.tracker.log().iter().filter(|line| line.contains(words)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_without_memory_is_said_once_and_trackers_go_on_and_heal() -> Result<()> {
    let (redis, members, titles) = little("noeviction").await?;
    until("the metric", PATIENCE, async || {
        Ok((members[0].metric("tributary_tracker_engine_full").await? == 1).then_some(()))
    })
    .await?;
    for member in &members {
        ensure!(member.tracker.get("/readyz").await?.0 == 200, "it is not ready");
    }
    ensure!(members[0].metric("tributary_tracker_unshared_publications").await? > 0);
    ensure!(shown(&members[0].tracker, &titles).await? == TITLES, "the tracker itself keeps all");
    ensure!(shown(&members[1].tracker, &titles).await? < TITLES, "Redis had room for all");
    // Leases go on: another tracker is let in, and sees both.
    let late = Member::start(&redis.url())?;
    late.wait_for_trackers(3).await?;
    members[0].wait_for_trackers(3).await?;
    redis.configure("maxmemory", "100mb").await?;
    wait_shown(&members[1].tracker, &titles).await?;
    wait_shown(&late.tracker, &titles).await?;
    until("the end of the shortage", PATIENCE, async || {
        Ok((members[0].metric("tributary_tracker_engine_full").await? == 0).then_some(()))
    })
    .await?;
    ensure!(members[0].metric("tributary_tracker_unshared_publications").await? == 0);
    ensure!(lines_about(&members[0], "has no memory left") == 1, "{:?}", members[0].tracker.log());
    ensure!(lines_about(&members[0], "has memory again") == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_title_that_redis_evicted_was_not_removed_and_is_shared_again() -> Result<()> {
    let (redis, members, titles) = little("allkeys-lru").await?;
    // The trackers write to Redis after they have answered.
    until("an eviction", PATIENCE, async || {
        let stats = redis.ask("INFO stats").await?;
        let evicted = stats.lines().find_map(|line| line.strip_prefix("evicted_keys:")?.trim().parse().ok());
        Ok(evicted.is_some_and(|evicted: u64| evicted > 0).then_some(()))
    })
    .await?;
    // One that reads the list afresh finds entries without what they are about.
    let late = Member::start(&redis.url())?;
    if let Err(error) = late.wait_for_trackers(3).await {
        bail!("{error:#}; Redis: {}", redis.ask("INFO memory").await?);
    }
    ensure!(shown(&members[0].tracker, &titles).await? == TITLES, "evictions were taken for removals");
    for member in members.iter().chain([&late]) {
        for title in &titles {
            let status = put(&member.tracker, title).await?;
            ensure!(status == 200 || status == 201, "{status}: an eviction was taken for a removal");
        }
    }
    redis.configure("maxmemory", "100mb").await?;
    let later = Member::start(&redis.url())?;
    wait_shown(&later.tracker, &titles).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tracker_with_another_secret_ends_at_once_and_says_why() -> Result<()> {
    let redis = Redis::start()?;
    let members = trackers(&redis.url(), 1).await?;
    let options = ["--engine", &redis.url(), "--secret", "a secret that no other has"];
    let other = Tracker::program_with("127.0.0.1:0", &options)?;
    let ended = other.wait_end(PATIENCE)?;
    ensure!(ended.status.code() == Some(1), "{ended:?}");
    ensure!(ended.error_line()?.contains("another --secret"), "{ended:?}");
    members[0].wait_for_trackers(1).await
}
