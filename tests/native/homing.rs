//! Viewers whose tracker sends them to the home of their swarm: three trackers around one Redis, each with an address of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::content::{digest, random_file};
use tests::gate::Gate;
use tests::ports::free_address;
use tests::redis::{Member, Redis};
use tests::{Event, Fetch, Seeder, seeder};

/// Four fetchers take a minute at this rate, in which they are sent home.
const FILE_BYTES: u64 = 16 * 1024 * 1024;
const UPLINK: &str = "5M";
const FETCH_TIMEOUT: Duration = Duration::from_secs(180);
/// A tracker sends a viewer home after 10 s, and a viewer takes up to 3 s.
const SENT_WITHIN: Duration = Duration::from_secs(40);

/// Trackers, each of which names itself as `url` says from its own address.
async fn trackers(redis: &Redis, count: usize, url: impl Fn(usize, &str) -> String) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for number in 0..count {
        let address = free_address()?.to_string();
        let own = url(number, &address);
        members.push(Member::start_at(&address, &redis.url(), &["--public-url", &own])?);
    }
    for member in &members {
        member.wait_for_trackers(count).await?;
    }
    Ok(members)
}

fn own_address(_: usize, address: &str) -> String {
    format!("ws://{address}/v1/swarm")
}

/// A fetcher that says what happens to its links.
fn fetch(folder: &Path, name: &str, seeder: &Seeder, at: &str) -> Result<Fetch> {
    let output = folder.join(name);
    let mut command = seeder::command(folder)?;
    let link = format!("http://{at}/#{}", seeder.swarm());
    command.args(["fetch", &link, "--json", "--stay", "-o"]).arg(&output);
    command.env("RUST_LOG", "peer_native=debug");
    Fetch::run(&mut command, &output)
}

/// Links that it closed or lost, in words.
fn links_lost(fetch: &Fetch) -> Vec<String> {
    let lines = fetch.program().stderr();
    let is_lost = |line: &String| line.contains("closing a link") || line.contains("a link closed");
    lines.into_iter().filter(is_lost).collect()
}

fn ensure_complete(fetches: &[Fetch], file: &Path) -> Result<()> {
    let original = digest(file)?;
    for fetch in fetches {
        fetch.wait_done(FETCH_TIMEOUT)?;
        ensure!(digest(&fetch.output)? == original, "{} differs", fetch.output.display());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fetchers_at_other_trackers_end_at_the_home_with_their_ids_and_links() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, FILE_BYTES, 51)?;
    let redis = Redis::start()?;
    let members = trackers(&redis, 3, own_address).await?;
    let home = &members[0];
    let seeder = Seeder::start(&home.tracker, &file, folder.path(), &["--upload-limit", UPLINK])?;
    let fetches: Result<Vec<Fetch>> = (0..4)
        .map(|number| {
            let at = members[1 + number % 2].tracker.address();
            fetch(folder.path(), &format!("copy-{number}"), &seeder, at)
        })
        .collect();
    let fetches = fetches?;
    home.wait_for_peers(seeder.swarm(), 5).await?;
    home.wait_for_metric("moved_here_total", 4, SENT_WITHIN).await?;
    for fetch in &fetches {
        let is_done =
            fetch.program().stdout().iter().any(|line| matches!(Event::read(line), Some(Event::Done(_))));
        ensure!(!is_done, "it had all before it moved");
    }
    for other in &members[1..] {
        other.wait_for_metric("connections", 0, SENT_WITHIN).await?;
        other.wait_for_metric("members", 0, SENT_WITHIN).await?;
        ensure!(other.metric("tributary_tracker_sent_home_total").await? == 2, "it was told more than once");
    }
    home.wait_for_metric("connections", 5, SENT_WITHIN).await?;
    home.wait_for_metric("guests", 0, SENT_WITHIN).await?;
    // The same five peers: nobody came as a newcomer, and nobody left.
    ensure!(home.wait_for_peers(seeder.swarm(), 5).await? == home.tracker.address());
    for fetch in &fetches {
        let lost = links_lost(fetch);
        ensure!(lost.is_empty(), "links were lost: {lost:?}");
    }
    ensure_complete(&fetches, &file)?;
    ensure!(home.metric("tributary_tracker_moved_here_total").await? == 4, "a fetcher moved again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fetchers_that_cannot_reach_the_home_stay_where_they_are() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, FILE_BYTES, 52)?;
    let redis = Redis::start()?;
    // Nothing listens where the trackers say that they are.
    let nowhere = free_address()?;
    let members = trackers(&redis, 2, |number, _| format!("ws://{nowhere}/{number}/v1/swarm")).await?;
    let seeder = Seeder::start(&members[0].tracker, &file, folder.path(), &["--upload-limit", UPLINK])?;
    let at = members[1].tracker.address();
    let fetches = [fetch(folder.path(), "one", &seeder, at)?, fetch(folder.path(), "other", &seeder, at)?];
    members[1].wait_for_metric("sent_home_total", 2, SENT_WITHIN).await?;
    for fetch in &fetches {
        fetch.program().wait_stderr("an attempt", SENT_WITHIN, |lines| {
            lines.iter().any(|line| line.contains("the tracker names is not used")).then_some(())
        })?;
        ensure!(links_lost(fetch).is_empty(), "links were lost: {:?}", links_lost(fetch));
    }
    ensure_complete(&fetches, &file)?;
    ensure!(members[1].metric("tributary_tracker_members").await? == 2, "they are not bridged");
    ensure!(
        members[1].metric("tributary_tracker_requests_total{type=\"hello\"}").await? == 2,
        "they came again"
    );
    ensure!(members[0].metric("tributary_tracker_moved_here_total").await? == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn when_the_home_dies_those_that_moved_come_back_through_the_proxy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, FILE_BYTES, 53)?;
    let redis = Redis::start()?;
    let mut members = trackers(&redis, 3, own_address).await?;
    // The proxy leads to the two that are not the home.
    let gate = Gate::to(vec![members[1].address()?, members[2].address()?]).await?;
    let home = members.remove(0);
    let seeder = Seeder::start(&home.tracker, &file, folder.path(), &["--upload-limit", UPLINK])?;
    let proxy = gate.address.to_string();
    let fetches: Result<Vec<Fetch>> =
        (0..4).map(|number| fetch(folder.path(), &format!("copy-{number}"), &seeder, &proxy)).collect();
    let fetches = fetches?;
    home.wait_for_metric("moved_here_total", 4, SENT_WITHIN).await?;
    home.tracker.kill()?;
    let killed_at = Instant::now();
    // The seeder has lost its only tracker; the viewers are one swarm again, and take what they need over their links.
    members[0].wait_for_peers_beside(home.tracker.address(), seeder.swarm(), 4).await?;
    let took = killed_at.elapsed();
    ensure!(took < Duration::from_secs(10), "it took {} s", took.as_secs_f64());
    ensure_complete(&fetches, &file)?;
    for member in &members {
        ensure!(
            member.metric("tributary_tracker_moved_here_total").await? == 0,
            "they were moved again at once"
        );
    }
    eprintln!(
        "figures: a killed home is made up for in {:.1} s by viewers that had moved there",
        took.as_secs_f64()
    );
    Ok(())
}
