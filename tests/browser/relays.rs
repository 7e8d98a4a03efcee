//! Tabs whose networks keep them apart from everybody else: what passes goes through a relay (TURN).

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::{digest, film};
use tests::internet::{Internet, Relay, Router};
use tests::scene::Scene;
use tests::{Fetch, Seeder, Tracker};

const TIMEOUT: Duration = Duration::from_secs(120);

/// Fetcher to tab, then tab to tab: each time the only one who has the film.
#[tokio::test(flavor = "multi_thread")]
async fn a_tab_gets_a_film_from_a_fetcher_and_from_another_tab_through_a_relay() -> Result<()> {
    let film = film()?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let mut internet = Internet::new()?;
    let (at_tracker, at_relay, at_seeder) = (internet.public()?, internet.public()?, internet.public()?);
    let relay = Relay::start(&at_relay)?;
    let tracker = Tracker::start_on(&at_tracker, &relay.options("udp"))?;
    let router = Router::UdpOnlyTo(at_relay.address);
    let hosts = [internet.behind(router)?, internet.behind(router)?, internet.behind(router)?];
    let seeder = Seeder::start_on(&at_seeder, &tracker, &film, folder.path(), &[])?;
    let fetch = Fetch::start_on(&hosts[0], seeder.link(), &folder.path().join("copy.mp4"), &["--stay"])?;
    fetch.wait_done(TIMEOUT)?;
    seeder.kill()?;
    Scene::play("through a relay", async |scene| {
        let first = scene.tab_on(&hosts[1], &tracker.http("")).await?;
        first.open(seeder.link()).await?;
        first.wait_stats("the whole film", TIMEOUT, |stats| stats.is_complete()).await?;
        fetch.kill()?;
        let second = scene.tab_on(&hosts[2], &tracker.http("")).await?;
        second.open(seeder.link()).await?;
        second.wait_playing_beyond(1.0, TIMEOUT).await?;
        let account = second.wait_stats("the whole film", TIMEOUT, |stats| stats.is_complete()).await?;
        ensure!(second.digest().await?.as_deref() == Some(&original), "the second tab holds other bytes");
        ensure!(account.from_initial == 0 && account.from_peers >= account.bytes_total, "{account:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_without_udp_plays_a_film_through_a_relay_over_tcp() -> Result<()> {
    let film = film()?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let mut internet = Internet::new()?;
    let (at_tracker, at_relay, at_seeder) = (internet.public()?, internet.public()?, internet.public()?);
    let relay = Relay::start(&at_relay)?;
    let tracker = Tracker::start_on(&at_tracker, &relay.options("tcp"))?;
    let at_tab = internet.behind(Router::NoUdp)?;
    let seeder = Seeder::start_on(&at_seeder, &tracker, &film, folder.path(), &["--udp-port", "7000"])?;
    Scene::play("without UDP", async |scene| {
        let tab = scene.tab_on(&at_tab, &tracker.http("")).await?;
        tab.open(seeder.link()).await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        tab.wait_stats("the whole film", TIMEOUT, |stats| stats.is_complete()).await?;
        ensure!(tab.digest().await?.as_deref() == Some(&original), "the tab holds other bytes");
        Ok(())
    })
    .await
}

/// Keeps the connections that the page makes.
const CONNECTIONS: &str = "window.made = []; const Real = RTCPeerConnection; \
                           window.RTCPeerConnection = class extends Real { constructor(how) { super(how); made.push(this); } };";

/// Nothing but the tracker's word keeps this tab, whose network hides nothing, from the direct way.
#[tokio::test(flavor = "multi_thread")]
async fn where_relays_are_required_no_viewer_names_its_own_address() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let mut internet = Internet::new()?;
    let (at_tracker, at_relay, at_seeder) = (internet.public()?, internet.public()?, internet.public()?);
    let relay = Relay::start(&at_relay)?;
    let options = [relay.options("udp"), vec!["--relay-only".to_owned()]].concat();
    let tracker = Tracker::start_on(&at_tracker, &options)?;
    let at_tab = internet.public()?;
    let seeder = Seeder::start_on(&at_seeder, &tracker, &film, folder.path(), &[])?;
    Scene::play("relays required", async |scene| {
        let tab = scene.tab_on(&at_tab, &tracker.http("")).await?;
        tab.run_first(CONNECTIONS).await?;
        tab.open(seeder.link()).await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        let policies: Vec<String> =
            tab.value("made.map((made) => made.getConfiguration().iceTransportPolicy)").await?;
        ensure!(!policies.is_empty() && policies.iter().all(|policy| policy == "relay"), "{policies:?}");
        let said: String = tab.value("made.map((made) => made.localDescription?.sdp ?? '').join('')").await?;
        ensure!(said.contains("typ relay") && !said.contains("typ host"), "{said}");
        ensure!(!said.contains(&at_tab.address.to_string()), "it names its address: {said}");
        Ok(())
    })
    .await
}
