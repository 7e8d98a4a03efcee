//! A swarm that is cut into rooms, with real peers: at one tracker, and at two around one Redis.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::content::{digest, random_file};
use tests::gate::Gate;
use tests::redis::{Listed, Member, Redis, take};
use tests::wait::until;
use tests::{Fetch, Seeder, Tracker};

const MIB: u64 = 1024 * 1024;
const FETCHERS: usize = 12;
const FETCH_TIMEOUT: Duration = Duration::from_secs(240);
const PATIENCE: Duration = Duration::from_secs(20);
const OPTIONS: [&str; 2] = ["--room-peers-max", "4"];

fn start_fetches(folder: &Path, link: &str, numbers: std::ops::Range<usize>) -> Result<Vec<Fetch>> {
    let fetch = |number| Fetch::start(link, &folder.join(format!("copy-{number}")), &["--stay"]);
    numbers.map(fetch).collect()
}

/// Waits until all have everything; at least one got most of it from other viewers.
fn wait_all(fetches: &[Fetch], file: &Path) -> Result<()> {
    let original = digest(file)?;
    let mut from_peers = 0;
    for fetch in fetches {
        from_peers += fetch.wait_done(FETCH_TIMEOUT)?.from_peers;
        ensure!(digest(&fetch.output)? == original, "{} differs", fetch.output.display());
    }
    ensure!(from_peers > 0, "viewers sent nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_that_is_alone_cuts_a_swarm_and_everybody_gets_everything() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, 4 * MIB, 61)?;
    let options = [&OPTIONS[..], &["--metrics-listen", "127.0.0.1:0"]].concat();
    let tracker = Tracker::start_with("127.0.0.1:0", &options)?;
    let private = tracker.process().wait_stderr("the private address", PATIENCE, |lines| {
        Some(lines.iter().find_map(|line| line.split_once("metrics: "))?.1.to_owned())
    })?;
    let seeder = Seeder::start(&tracker, &file, folder.path(), &["--list", "--upload-limit", "8M"])?;
    let link = format!("http://{}/#{}", tracker.address(), seeder.swarm());
    let fetches = start_fetches(folder.path(), &link, 0..FETCHERS)?;
    // The seeder has a place in the first room, and visits the others: it is counted once.
    tracker.wait_for_peers(seeder.swarm(), FETCHERS as u64 + 1).await?;
    let text = reqwest::get(&private).await?.text().await?;
    let metric =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    ensure!(metric("tributary_tracker_rooms") == Some(4), "it is not cut: {text}");
    ensure!(metric("tributary_tracker_visits").is_some_and(|visits| visits > 3), "rooms are apart: {text}");
    wait_all(&fetches, &file)
}

/// The rooms of a swarm with their homes and peers, as a tracker lists them.
fn rooms<'a>(listed: &'a [Listed], swarm: &str) -> Vec<(u32, &'a str, u32)> {
    let of = |tracker: &'a Listed| {
        let rooms = tracker.swarms.iter().filter(|room| room.swarm == swarm);
        let rooms = rooms.map(|room| (room.room, tracker.listens.as_str(), room.seeders + room.leechers));
        rooms.filter(|(.., peers)| *peers > 0).collect::<Vec<_>>()
    };
    listed.iter().flat_map(of).collect()
}

/// Waits until trackers agree that a swarm has so many peers, in all rooms. Returns where the home of its last room listens.
async fn wait_for_rooms(members: &[Member], swarm: &str, count: u32) -> Result<String> {
    let mut home = String::new();
    for member in members {
        let what = format!("{count} peers in the rooms at {}", member.tracker.address());
        home = until(&what, PATIENCE, async || {
            let listed = member.listed().await?;
            let rooms = rooms(&listed, swarm);
            let sum: u32 = rooms.iter().map(|(.., peers)| peers).sum();
            let last = rooms.iter().max_by_key(|(number, ..)| *number);
            Ok(last.filter(|_| sum == count).map(|(_, home, _)| (*home).to_owned()))
        })
        .await?;
    }
    Ok(home)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rooms_spread_over_two_trackers_and_a_home_that_is_killed_stops_no_fetch() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, 6 * MIB, 62)?;
    let redis = Redis::start()?;
    let start = || Member::start_at("127.0.0.1:0", &redis.url(), &OPTIONS);
    let mut members = vec![start()?, start()?];
    for member in &members {
        member.wait_for_trackers(2).await?;
    }
    let gate = Gate::to(vec![members[0].address()?, members[1].address()?]).await?;
    let options = ["--list", "--upload-limit", "8M"];
    let seeder = Seeder::start_at(&gate.address.to_string(), &file, folder.path(), &options)?;
    let link = format!("http://{}/#{}", gate.address, seeder.swarm());
    // A room's worth at a time: counts of other trackers are a second old.
    let mut fetches = Vec::new();
    for numbers in [0..3, 3..7, 7..11, 11..FETCHERS] {
        fetches.extend(start_fetches(folder.path(), &link, numbers)?);
        wait_for_rooms(&members, seeder.swarm(), u32::try_from(fetches.len() + 1)?).await?;
    }
    let listed = members[0].listed().await?;
    let found = rooms(&listed, seeder.swarm());
    let homes: BTreeSet<&str> = found.iter().map(|(_, home, _)| *home).collect();
    ensure!(found.len() >= 3 && homes.len() == 2, "the rooms are not spread: {found:?}");
    ensure!(found.iter().all(|(.., peers)| *peers <= 6), "a room has far too many: {found:?}");
    for member in &members {
        member.tracker.wait_for_peers(seeder.swarm(), FETCHERS as u64 + 1).await?;
    }
    fetches[FETCHERS - 1].wait_verified(MIB / 2, FETCH_TIMEOUT)?;
    let home = found.iter().max_by_key(|(number, ..)| *number).context("no room")?.1.to_owned();
    take(&mut members, &home)?.tracker.kill()?;
    // All rooms are at the other one; who lost its socket comes again there.
    wait_for_rooms(&members, seeder.swarm(), u32::try_from(FETCHERS + 1)?).await?;
    let late = start_fetches(folder.path(), &link, FETCHERS..FETCHERS + 1)?;
    wait_all(&fetches, &file)?;
    wait_all(&late, &file)
}
