//! A hostile crowd at the tracker, beside viewers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use swarm_core::SwarmId;
use swarm_core::tracker_message::{PeerRequestBody, Role, TrackerMessageBody};
use tests::content::random_file;
use tests::crowd::socket::{Socket, hello};
use tests::crowd::{HOSTILE_ADDRESS, Plan, round};
use tests::{Seeder, Tracker, wait};

const VIEWERS: usize = 60;

/// As many as there are places for initial peers.
const IMPOSTORS: usize = 8;

/// Published target: a publisher that restarts is in its place after this long, from when it has its link.
const BACK_WITHIN: Duration = Duration::from_secs(2);

const TIMEOUT: Duration = Duration::from_secs(60);

/// `cargo xtask bench hostile` has the large crowd and says how much later the viewers complete.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_crowd_costs_no_viewer_its_place_and_the_tracker_stays_small() -> Result<()> {
    let plan = Plan { honest: VIEWERS, hostile: 90, join_over: Duration::from_secs(1) };
    let round = round(plan).await?;
    ensure!(round.lost.is_empty(), "honest viewers were refused or closed: {:?}", round.lost);
    ensure!(round.times.len() == VIEWERS, "{} of {VIEWERS} viewers completed", round.times.len());
    ensure!(round.memory_max_bytes <= 64 << 20, "{} bytes of memory", round.memory_max_bytes);
    ensure!(round.acts.iter().all(|(_, acts)| *acts > 0), "an attacker did nothing: {:?}", round.acts);
    Ok(())
}

/// A stranger elsewhere that asks for a publisher's place again and again. Counts its refusals; ends with the answer if it gets
/// a place. A connection that the tracker turns away or closes is a refusal, too.
async fn impostor(tracker: SocketAddr, swarm: SwarmId, refusals: Arc<AtomicU32>) -> TrackerMessageBody {
    loop {
        match ask_for_a_place(tracker, swarm).await {
            Ok(TrackerMessageBody::Error { .. }) => {}
            Ok(place) => return place,
            // It goes on as fast as its limits let it.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
        refusals.fetch_add(1, Ordering::Relaxed);
    }
}

async fn ask_for_a_place(tracker: SocketAddr, swarm: SwarmId) -> Result<TrackerMessageBody> {
    let mut socket = Socket::open(tracker, IpAddr::V4(HOSTILE_ADDRESS)).await?;
    socket.ask(hello()).await?;
    let (role, have) = (Role::Initial, Vec::new());
    let join = PeerRequestBody::Join { swarm, role, have, playhead: None, proof: None };
    Ok(socket.ask(join).await?.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_restarts_is_back_in_its_place_although_impostors_try() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 4_000_000, 9)?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &file, folder.path(), &["--list"])?;
    let refusals = Arc::new(AtomicU32::new(0));
    let (address, swarm) = (tracker.address().parse()?, seeder.swarm().parse().context("no swarm")?);
    let impostors: Vec<_> =
        (0..IMPOSTORS).map(|_| tokio::spawn(impostor(address, swarm, Arc::clone(&refusals)))).collect();
    let is_there = async |count: &str| {
        let (_, catalogue) = tracker.get("/v1/swarms").await?;
        Ok(catalogue.contains(&format!("\"seeders\":{count}")).then_some(()))
    };
    wait::until("the publisher in its place", TIMEOUT, async || is_there("1").await).await?;
    seeder.kill()?;
    wait::until("the publisher gone", TIMEOUT, async || is_there("0").await).await?;
    let before = refusals.load(Ordering::Relaxed);
    let again = Seeder::start(&tracker, &file, folder.path(), &["--list"])?;
    wait::until("the publisher back", BACK_WITHIN, async || is_there("1").await).await?;
    ensure!(refusals.load(Ordering::Relaxed) > before, "no impostor tried");
    ensure!(impostors.iter().all(|impostor| !impostor.is_finished()), "an impostor ended: it got a place");
    impostors.iter().for_each(tokio::task::JoinHandle::abort);
    again.stop()?;
    Ok(())
}
