//! What the page says of the ways by which the film comes: directly, through a relay, from a mirror; and why not.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::content::film;
use tests::internet::{Internet, Relay, Router};
use tests::mirror::Mirror;
use tests::scene::Scene;
use tests::{Seeder, Tab, Tracker};

const TIMEOUT: Duration = Duration::from_secs(120);

/// Waits until the page's diagnosis names this source, and whether peers are kept away.
async fn diagnosis(tab: &Tab, source: &str, is_blocked: bool) -> Result<Value> {
    let found = format!(
        "await tributary.diagnose().then((found) => found.source === {} && found.is_blocked === {is_blocked})",
        json!(source)
    );
    let waited = tab.wait_for(&format!("the diagnosis “{source}”"), TIMEOUT, &found).await;
    let diagnosis: Value = tab.value("tributary.diagnose()").await?;
    waited.map_err(|error| error.context(format!("the last diagnosis was {diagnosis}")))?;
    Ok(diagnosis)
}

/// Opens the panel that says where the film comes from, and waits for words in it.
async fn wait_panel(tab: &Tab, words: &str) -> Result<()> {
    tab.wait_for("the panel", TIMEOUT, "document.getElementById('proof')").await?;
    tab.value::<bool>("document.getElementById('proof').open = true").await?;
    tab.wait_words(words, TIMEOUT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn where_udp_is_dropped_the_page_says_that_peers_are_blocked_and_which_mirror_sends() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let mut internet = Internet::new()?;
    let (at_tracker, at_relay, at_mirror) = (internet.public()?, internet.public()?, internet.public()?);
    // It answers questions of STUN as well: that nothing comes back proves that UDP is dropped.
    let relay = Relay::start(&at_relay)?;
    let tracker = Tracker::start_on(&at_tracker, &relay.options("udp"))?;
    let mirror = Mirror::start_on(&at_mirror, &film, folder.path())?;
    let at_seeder = internet.public()?;
    let seeder = Seeder::start_on(&at_seeder, &tracker, &film, folder.path(), &["--mirror", &mirror.url()])?;
    let at_tab = internet.behind(Router::NoUdp)?;
    Scene::play("no UDP, and a mirror", async |scene| {
        let tab = scene.tab_on(&at_tab, &tracker.http("")).await?;
        tab.open(seeder.link()).await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        let line = format!(
            "this network lets no peer connection through. the film comes from {}.",
            at_mirror.address
        );
        let diagnosis = diagnosis(&tab, "mirror", true).await?;
        ensure!(diagnosis["words"].as_str().map(str::to_lowercase).as_deref() == Some(&line), "{diagnosis}");
        ensure!(
            diagnosis["direct"]["state"] == "fails" && diagnosis["direct"]["why"] == "no_udp",
            "{diagnosis}"
        );
        ensure!(
            diagnosis["relayed"]["state"] == "fails" && diagnosis["relayed"]["why"] == "unreachable",
            "{diagnosis}"
        );
        ensure!(diagnosis["mirror"]["state"] == "works", "{diagnosis}");
        wait_panel(&tab, &line).await?;
        tab.wait_words("no udp datagram of this network is answered", TIMEOUT).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_blocked_the_page_says_that_connections_are_direct() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    Scene::play("nothing blocked", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        let diagnosis = diagnosis(&tab, "direct", false).await?;
        ensure!(diagnosis["direct"]["state"] == "works", "{diagnosis}");
        ensure!(diagnosis["relayed"]["why"] == "none" && diagnosis["mirror"]["why"] == "none", "{diagnosis}");
        wait_panel(&tab, "direct connections with other peers work.").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_a_relay_is_reached_the_page_says_so_and_why_nothing_is_direct() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let mut internet = Internet::new()?;
    let (at_tracker, at_relay, at_seeder) = (internet.public()?, internet.public()?, internet.public()?);
    let relay = Relay::start(&at_relay)?;
    let tracker = Tracker::start_on(&at_tracker, &relay.options("udp"))?;
    let at_tab = internet.behind(Router::UdpOnlyTo(at_relay.address))?;
    let seeder = Seeder::start_on(&at_seeder, &tracker, &film, folder.path(), &[])?;
    Scene::play("only a relay", async |scene| {
        let tab = scene.tab_on(&at_tab, &tracker.http("")).await?;
        tab.open(seeder.link()).await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        let diagnosis = diagnosis(&tab, "relayed", false).await?;
        ensure!(diagnosis["relayed"]["state"] == "works", "{diagnosis}");
        wait_panel(&tab, "a relay carries the connections.").await
    })
    .await
}
