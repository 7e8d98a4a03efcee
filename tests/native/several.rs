//! Several trackers around one Redis, with real peers.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::content::{digest, random_file};
use tests::gate::Gate;
use tests::redis::{Member, Redis, take, trackers};
use tests::wait::until;
use tests::{Done, Fetch, Seeder};

const MIB: u64 = 1024 * 1024;
const FILE_BYTES: u64 = 16 * MIB;
/// Slow enough that much can happen meanwhile.
const UPLINK: &str = "12M";
const FETCH_TIMEOUT: Duration = Duration::from_secs(180);
const PATIENCE: Duration = Duration::from_secs(20);

/// A link by way of another address.
fn link_by(address: impl std::fmt::Display, seeder: &Seeder) -> String {
    format!("http://{address}/#{}", seeder.swarm())
}

fn start_fetches(folder: &Path, links: &[String]) -> Result<Vec<Fetch>> {
    let fetch = |(number, link): (usize, &String)| {
        Fetch::start(link, &folder.join(format!("copy-{number}")), &["--stay"])
    };
    links.iter().enumerate().map(fetch).collect()
}

fn wait_all(fetches: &[Fetch], file: &Path) -> Result<Vec<Done>> {
    let original = digest(file)?;
    let mut all = Vec::new();
    for fetch in fetches {
        all.push(fetch.wait_done(FETCH_TIMEOUT)?);
        ensure!(digest(&fetch.output)? == original, "{} differs", fetch.output.display());
    }
    Ok(all)
}

/// A gate in front of all trackers, as a reverse proxy is.
async fn gate_to(members: &[Member]) -> Result<Gate> {
    let targets: Result<Vec<_>> = members.iter().map(Member::address).collect();
    Gate::to(targets?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fetchers_at_three_trackers_are_one_swarm() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, FILE_BYTES, 41)?;
    let redis = Redis::start()?;
    let members = trackers(&redis.url(), 3).await?;
    let seeder = Seeder::start(&members[0].tracker, &file, folder.path(), &["--upload-limit", UPLINK])?;
    let links: Vec<String> =
        (0..6).map(|number| link_by(members[number % 3].tracker.address(), &seeder)).collect();
    let fetches = start_fetches(folder.path(), &links)?;
    for member in &members {
        member.wait_for_peers(seeder.swarm(), 7).await?;
    }
    let all = wait_all(&fetches, &file)?;
    // Those at trackers where the seeder is not got it over links that cross from tracker to tracker.
    for done in &all {
        ensure!(done.from_initial > 0 && done.from_peers > 0, "without links across: {done:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_home_that_is_killed_stops_no_fetch_and_newcomers_are_let_in_within_10_s() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, FILE_BYTES, 42)?;
    let redis = Redis::start()?;
    let mut members = trackers(&redis.url(), 3).await?;
    let gate = gate_to(&members).await?;
    let seeder =
        Seeder::start_at(&gate.address.to_string(), &file, folder.path(), &["--upload-limit", UPLINK])?;
    let fetches = start_fetches(folder.path(), &vec![link_by(gate.address, &seeder); 6])?;
    let home = members[0].wait_for_peers(seeder.swarm(), 7).await?;
    fetches[0].wait_verified(FILE_BYTES / 8, FETCH_TIMEOUT)?;
    let killed = take(&mut members, &home)?;
    let lost = killed.metric("tributary_tracker_connections").await?;
    killed.tracker.kill()?;
    let killed_at = Instant::now();
    // Everybody is in the swarm again: those at the other trackers over the same sockets.
    members[0].wait_for_peers_beside(&home, seeder.swarm(), 7).await?;
    let took = killed_at.elapsed();
    ensure!(took < Duration::from_secs(10), "it took {} s", took.as_secs_f64());
    let mut greetings = 0;
    for member in &members {
        greetings += member.metric("tributary_tracker_requests_total{type=\"hello\"}").await?;
    }
    ensure!(greetings == 7, "{greetings} greetings of 7 peers, {lost} of which had lost their socket");
    let late = Fetch::start(&link_by(gate.address, &seeder), &folder.path().join("late"), &[])?;
    wait_all(&fetches, &file)?;
    wait_all(&[late], &file)?;
    eprintln!("figures: a killed home is made up for in {:.1} s", took.as_secs_f64());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_engine_that_is_away_stops_nobody_and_trackers_come_together_after() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, FILE_BYTES, 43)?;
    let mut redis = Redis::start()?;
    let members = trackers(&redis.url(), 2).await?;
    let seeder = Seeder::start(&members[0].tracker, &file, folder.path(), &["--upload-limit", UPLINK])?;
    let links: Vec<String> =
        (0..4).map(|number| link_by(members[number % 2].tracker.address(), &seeder)).collect();
    let fetches = start_fetches(folder.path(), &links)?;
    members[1].wait_for_peers(seeder.swarm(), 5).await?;
    fetches[1].wait_verified(MIB, FETCH_TIMEOUT)?;
    redis.kill()?;
    let killed_at = Instant::now();
    for member in &members {
        until("a tracker notices", PATIENCE, async || {
            Ok((member.metric("tributary_tracker_engine_up").await? == 0).then_some(()))
        })
        .await?;
        ensure!(member.tracker.get("/readyz").await?.0 == 200, "it is not ready");
        let is_said = |line: &&String| line.contains("the engine does not answer");
        let said = member.tracker.process().wait_stderr("a line about the engine", PATIENCE, |lines| {
            let said = lines.iter().filter(is_said).count();
            (said > 0).then_some(said)
        })?;
        ensure!(said == 1, "it was said {said} times");
    }
    wait_all(&fetches, &file)?;
    let away = killed_at.elapsed();
    redis.restart()?;
    members[0].wait_for_peers(seeder.swarm(), 5).await?;
    members[1].wait_for_peers(seeder.swarm(), 5).await?;
    let healed = killed_at.elapsed() - away;
    eprintln!(
        "figures: the engine was away for {:.0} s; {:.1} s later all are one swarm again",
        away.as_secs_f64(),
        healed.as_secs_f64()
    );
    // An engine that forgot everything is told again what is published.
    let late = Member::start(&redis.url())?;
    late.wait_for_trackers(3).await?;
    let fetch = Fetch::start(&link_by(late.tracker.address(), &seeder), &folder.path().join("late"), &[])?;
    wait_all(&[fetch], &file)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tracker_that_stops_hands_over_and_its_peers_come_to_the_others() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, FILE_BYTES, 44)?;
    let redis = Redis::start()?;
    let mut members = trackers(&redis.url(), 2).await?;
    let gate = gate_to(&members).await?;
    let seeder =
        Seeder::start_at(&gate.address.to_string(), &file, folder.path(), &["--upload-limit", UPLINK])?;
    let fetches = start_fetches(folder.path(), &vec![link_by(gate.address, &seeder); 4])?;
    let home = members[0].wait_for_peers(seeder.swarm(), 5).await?;
    fetches[0].wait_verified(MIB, FETCH_TIMEOUT)?;
    let stopping = take(&mut members, &home)?;
    let ended = stopping.tracker.stop()?;
    ensure!(ended.status.success(), "it did not end well: {ended:?}");
    let said = ended.stderr.iter().any(|line| line.contains("swarms are handed over"));
    ensure!(said, "it handed nothing over: {ended:?}");
    members[0].wait_for_trackers(1).await?;
    ensure!(members[0].wait_for_peers(seeder.swarm(), 5).await? != home, "it is still the home");
    wait_all(&fetches, &file)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tracker_cut_off_from_the_engine_goes_on_and_heals_without_a_socket_closing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    random_file(&file, FILE_BYTES, 45)?;
    let redis = Redis::start()?;
    let line = Gate::to_socket(&redis.socket()).await?;
    let mut members = trackers(&redis.url(), 1).await?;
    members.push(Member::start(&format!("redis://{}", line.address))?);
    members[0].wait_for_trackers(2).await?;
    let seeder = Seeder::start(&members[0].tracker, &file, folder.path(), &["--upload-limit", UPLINK])?;
    let links: Vec<String> =
        (0..4).map(|number| link_by(members[number % 2].tracker.address(), &seeder)).collect();
    let fetches = start_fetches(folder.path(), &links)?;
    members[0].wait_for_peers(seeder.swarm(), 5).await?;
    line.shut();
    // One half has the seeder and two fetchers, the other two fetchers; links across stand.
    members[0].wait_for_peers(seeder.swarm(), 3).await?;
    until("the other half notices", PATIENCE, async || {
        Ok((members[1].metric("tributary_tracker_engine_up").await? == 0).then_some(()))
    })
    .await?;
    wait_all(&fetches, &file)?;
    line.open();
    members[0].wait_for_peers(seeder.swarm(), 5).await?;
    members[1].wait_for_peers(seeder.swarm(), 5).await?;
    for member in &members {
        let opened = member.metric("tributary_tracker_requests_total{type=\"hello\"}").await?;
        let open = member.metric("tributary_tracker_connections").await?;
        ensure!(opened == open, "{opened} greetings for {open} connections: a peer came again");
    }
    Ok(())
}
