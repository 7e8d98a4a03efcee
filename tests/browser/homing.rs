//! Tabs whose tracker sends them to the home of their swarm: two trackers around one Redis, each with an address of its own.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use tests::browser::TabStats;
use tests::content::film_at_rate;
use tests::ports::free_address;
use tests::redis::{Member, Redis};
use tests::scene::Scene;
use tests::{Seeder, Tab};

const TIMEOUT: Duration = Duration::from_secs(120);
/// A tracker sends a viewer home after 10 s, and a viewer takes up to 3 s.
const SENT_WITHIN: Duration = Duration::from_secs(40);

/// The film's rate. Small, because two browsers decode it on two processors.
const RATE_BITS_PER_S: u64 = 1_000_000;
/// The film's length.
const FILM_SECONDS: u64 = 120;
/// The seeder's uplink: no tab has all of the film before it has moved, which takes up to a minute.
const UPLINK: &str = "1500k";

/// What a tab fetches after its move: more than was asked for before it, which is at most what the uplink sends in 3 s.
const MORE_BYTES: u64 = 600_000;

/// Counts in a tab the connections to peers that were open and ended. One that is only interrupted is no lost link, nor is an
/// attempt that another one replaced.
const COUNT_LOST_LINKS: &str = "(() => {
  globalThis.lostLinks = 0;
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    #wasOpen = false;
    constructor(...options) {
      super(...options);
      this.addEventListener('connectionstatechange', () => {
        if (this.connectionState === 'connected') this.#wasOpen = true;
        if (this.connectionState === 'failed') this.#end();
      });
    }
    #end() {
      if (this.#wasOpen) globalThis.lostLinks += 1;
      this.#wasOpen = false;
    }
    close() { this.#end(); super.close(); }
  };
})()";

#[tokio::test(flavor = "multi_thread")]
async fn tabs_at_another_tracker_move_to_the_home_and_keep_their_links() -> Result<()> {
    let film = film_at_rate(RATE_BITS_PER_S, FILM_SECONDS)?;
    let folder = tempfile::tempdir()?;
    let redis = Redis::start()?;
    let addresses = [free_address()?.to_string(), free_address()?.to_string()];
    let origins = addresses.each_ref().map(|address| format!("http://{address}"));
    let start = |address: &String| {
        let own = format!("ws://{address}/v1/swarm");
        let [one, other] = origins.each_ref().map(String::as_str);
        let options = ["--public-url", &own, "--allow-origin", one, "--allow-origin", other];
        Member::start_at(address, &redis.url(), &options)
    };
    let [home, door] = [start(&addresses[0])?, start(&addresses[1])?];
    home.wait_for_trackers(2).await?;
    door.wait_for_trackers(2).await?;
    let seeder = Seeder::start(&home.tracker, &film, folder.path(), &["--upload-limit", UPLINK])?;
    let link = format!("{}/#{}", origins[1], seeder.swarm());
    Scene::play("homing", async |scene| {
        let tabs = [scene.tab().await?, scene.tab().await?];
        for tab in &tabs {
            tab.run_first(COUNT_LOST_LINKS).await?;
            tab.open(&link).await?;
        }
        try_join_all(tabs.iter().map(|tab| tab.wait_playing_beyond(0.5, TIMEOUT))).await?;
        home.wait_for_peers(seeder.swarm(), 3).await?;
        home.wait_for_metric("moved_here_total", 2, SENT_WITHIN).await?;
        door.wait_for_metric("connections", 0, SENT_WITHIN).await?;
        door.wait_for_metric("members", 0, SENT_WITHIN).await?;
        home.wait_for_metric("guests", 0, SENT_WITHIN).await?;
        try_join_all(tabs.iter().map(ensure_linked)).await?;
        for tab in &tabs {
            let held = tab.stats().await?.bytes_verified;
            tab.wait_stats("more of the film", TIMEOUT, |stats| stats.bytes_verified > held + MORE_BYTES)
                .await?;
        }
        ensure!(home.metric("tributary_tracker_moved_here_total").await? == 2, "a tab moved again");
        Ok(())
    })
    .await
}

async fn ensure_linked(tab: &std::sync::Arc<Tab>) -> Result<()> {
    // Two tabs may still be building their connection when both have moved already.
    let is_linked = |stats: &TabStats| stats.open_links("initial") == 1 && stats.open_links("viewer") == 1;
    let stats = tab.wait_stats("links to the seeder and the other tab", TIMEOUT, is_linked).await?;
    ensure!(!stats.is_complete(), "{} had all before it moved", tab.name());
    let lost: u32 = tab.value("lostLinks").await?;
    ensure!(lost == 0, "{} lost {lost} links", tab.name());
    tab.wait_for("the tracker", Duration::ZERO, "tributary.stats().tracker === 'up'").await
}
