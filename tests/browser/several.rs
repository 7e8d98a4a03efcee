//! Three trackers that act as one, behind one nginx: tabs and fetches that lose the home of their swarm.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use tests::balancer::Balancer;
use tests::content::{digest, film_at_rate};
use tests::redis::{Member, Redis, take};
use tests::scene::Scene;
use tests::{Fetch, Seeder};

const TIMEOUT: Duration = Duration::from_secs(180);

/// The film's rate. Small, because three browsers decode it on two processors.
const RATE_BITS_PER_S: u64 = 1_000_000;
/// The film's length.
const FILM_SECONDS: u64 = 120;
/// The seeder's uplink: half more than the film takes while it plays. No tab has all of the film within 80 s, and the home is killed
/// before that, however slowly browsers start.
const UPLINK: &str = "1500k";

/// Native peers beside the tabs.
const FETCHES: usize = 4;

/// A killed home is made up for within this time. Whether a tab stalls meanwhile depends on what else the machine does: it is printed.
const NEWCOMER_MAX: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn tabs_play_on_when_the_home_of_their_swarm_is_killed_and_newcomers_are_let_in_within_10_s()
-> Result<()> {
    let film = film_at_rate(RATE_BITS_PER_S, FILM_SECONDS)?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let redis = Redis::start()?;
    let proxied = ["--trust-proxy", "127.0.0.1/32", "--open"];
    let start = |_| Member::start_at("127.0.0.1:0", &redis.url(), &proxied);
    let mut members = (0..3).map(start).collect::<Result<Vec<_>>>()?;
    for member in &members {
        member.wait_for_trackers(3).await?;
    }
    let addresses = members.iter().map(Member::address).collect::<Result<Vec<_>>>()?;
    let balancer = Balancer::start(&addresses).await?;
    let address = balancer.address.to_string();
    let seeder = Seeder::start_at(&address, &film, folder.path(), &["--upload-limit", UPLINK])?;
    let link = format!("http://{address}/#{}", seeder.swarm());
    Scene::play("three trackers", async |scene| {
        let tabs = [scene.tab().await?, scene.tab().await?, scene.tab().await?];
        try_join_all(tabs.iter().map(|tab| tab.open(&link))).await?;
        let start =
            |number: usize| Fetch::start(&link, &folder.path().join(format!("copy-{number}")), &["--stay"]);
        let fetches = (0..FETCHES).map(start).collect::<Result<Vec<_>>>()?;
        try_join_all(tabs.iter().map(|tab| tab.wait_playing_beyond(2.0, TIMEOUT))).await?;
        let count = u32::try_from(FETCHES + tabs.len() + 1)?;
        let home = members[0].wait_for_peers(seeder.swarm(), count).await?;
        let mut stalls = 0;
        for tab in &tabs {
            let account = tab.stats().await?;
            ensure!(!account.is_complete(), "{} was complete before the home was killed", tab.name());
            stalls += account.stalls;
        }
        let killed_at = Instant::now();
        take(&mut members, &home)?.tracker.kill()?;
        let late = start(FETCHES)?;
        members[0].wait_for_peers_beside(&home, seeder.swarm(), count + 1).await?;
        let took = killed_at.elapsed();
        ensure!(took < NEWCOMER_MAX, "it took {} s", took.as_secs_f64());
        try_join_all(tabs.iter().map(|tab| tab.wait_playing_beyond(12.0, TIMEOUT))).await?;
        let whole =
            tabs.iter().map(|tab| tab.wait_stats("the whole film", TIMEOUT, |stats| stats.is_complete()));
        let accounts = try_join_all(whole).await?;
        let stalls_after = accounts.iter().map(|account| account.stalls).sum::<u32>() - stalls;
        eprintln!(
            "figures: a newcomer is in the swarm {:.1} s after the kill; stalls of the tabs before {stalls}, after {stalls_after}",
            took.as_secs_f64()
        );
        for tab in &tabs {
            ensure!(tab.digest().await?.as_deref() == Some(&original), "{} holds other bytes", tab.name());
        }
        for fetch in fetches.iter().chain([&late]) {
            fetch.wait_done(TIMEOUT)?;
            ensure!(digest(&fetch.output)? == original, "{} differs", fetch.output.display());
        }
        Ok(())
    })
    .await
}
