//! The player: bare until the first frame, then with controls; what it remembers, and what the panel beside it shows.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::content::{described_film, film};
use tests::internet::{Internet, Router};
use tests::scene::Scene;
use tests::{Seeder, Tab, Tracker};

const TIMEOUT: Duration = Duration::from_secs(60);

const WHOLE_TIMEOUT: Duration = Duration::from_secs(120);

/// On a slow machine, what comes later does not wait longer than this for the first frame.
const PATIENCE_MS: f64 = 5000.0;

/// Keeps what the page copies, since a browser without a screen has no clipboard to look at.
const CATCH_COPIES: &str = "Object.defineProperty(navigator, 'clipboard', { value: \
    { writeText: async (text) => { window.copied = text; } } });";

async fn wait_controls(tab: &Tab) -> Result<()> {
    tab.wait_for("the controls", TIMEOUT, "document.querySelector('media-time-range')?.shadowRoot").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bare_player_plays_and_what_comes_later_comes_after_the_first_frame() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    Scene::play("bare player", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        wait_controls(&tab).await?;
        ensure!(
            !tab.value::<bool>("document.querySelector('video').controls").await?,
            "two sets of controls"
        );
        let refused: Vec<String> =
            tab.console().await.into_iter().filter(|line| line.contains("Content Security Policy")).collect();
        ensure!(refused.is_empty(), "{refused:?}");
        let first_frame = tab.stats().await?.first_frame_ms.context("controls without a frame")?;
        let late: Vec<(String, f64)> = tab
            .value(
                "performance.getEntriesByType('resource').map(({ name, startTime }) => [name, startTime]) \
                 .filter(([name]) => /watching|media-chrome|proof/.test(name))",
            )
            .await?;
        ensure!(late.len() >= 4, "{late:?}");
        let earliest = (first_frame as f64 - 1.0).min(PATIENCE_MS);
        ensure!(late.iter().all(|(_, start_ms)| *start_ms >= earliest), "{first_frame} {late:?}");

        // Where the library does not come, the browser's own controls stay.
        let bare = scene.tab().await?;
        bare.command("Network.enable", json!({})).await?;
        bare.command("Network.setBlockedURLs", json!({ "urls": ["*media-chrome*"] })).await?;
        bare.open(seeder.link()).await?;
        bare.wait_playing_beyond(1.0, TIMEOUT).await?;
        bare.wait_words("where it comes from", TIMEOUT).await?;
        ensure!(bare.value::<bool>("document.querySelector('video').controls").await?, "no controls at all");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn volume_captions_and_place_are_remembered_and_a_link_leads_to_a_moment() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (film, rules) = described_film(folder.path())?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--rules", &rules.display().to_string()])?;
    Scene::play("memory", async |scene| {
        let tab = scene.tab().await?;
        tab.run_first(CATCH_COPIES).await?;
        tab.open(seeder.link()).await?;
        wait_controls(&tab).await?;
        tab.seek(30.0).await?;
        tab.wait_playing_beyond(30.5, TIMEOUT).await?;
        let told: (String, usize) = tab
            .value("(({ title, artwork }) => [title, artwork.length])(navigator.mediaSession.metadata)")
            .await?;
        ensure!(told == ("The river".to_owned(), 1), "the system is told {told:?}");
        tab.press("kc").await?;
        tab.value::<f64>("document.querySelector('video').volume = 0.4").await?;
        tab.value::<Option<bool>>("document.querySelector('#actions button').click() ?? null").await?;
        tab.wait_for("a copied link", TIMEOUT, "window.copied").await?;
        let copied: String = tab.value("window.copied").await?;
        let seconds: u32 = tab.value("Math.floor(document.querySelector('video').currentTime)").await?;
        let expected = format!("{}&t={seconds}", seeder.link());
        ensure!(seconds >= 30 && copied == expected, "{copied} is not {expected}");
        tab.wait_for("the place in memory", TIMEOUT, "localStorage.places?.includes('[3')").await?;

        // The next visit goes on there, and says so; a click goes to the beginning.
        tab.open("about:blank").await?;
        tab.open(seeder.link()).await?;
        tab.wait_words("where you left off", TIMEOUT).await?;
        tab.wait_playing_beyond(29.9, TIMEOUT).await?;
        // The offer stands for some seconds.
        tab.value::<Option<bool>>("document.querySelector('.resumed button').click() ?? null").await?;
        tab.wait_for("the beginning", TIMEOUT, "document.querySelector('video').currentTime < 10").await?;
        ensure!(tab.value::<f64>("document.querySelector('video').volume").await? == 0.4);
        let captions = "document.querySelector('video').textTracks[0].mode === 'showing'";
        tab.wait_for("the captions of before", TIMEOUT, captions).await?;

        // A link's own time comes first.
        tab.open("about:blank").await?;
        tab.open(&format!("{}&t=45", seeder.link())).await?;
        tab.wait_playing_beyond(44.9, TIMEOUT).await?;
        ensure!(!tab.value::<bool>("document.body.innerText.includes('left off')").await?);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_panel_shows_who_sent_what_and_how_and_a_report_can_be_copied() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    Scene::play("proof", async |scene| {
        let first = scene.tab().await?;
        first.open(seeder.link()).await?;
        first.wait_stats("the whole film", WHOLE_TIMEOUT, |stats| stats.is_complete()).await?;
        first.wait_words("all you watched came from the publisher; no other viewer", TIMEOUT).await?;
        seeder.kill()?;

        let second = scene.tab().await?;
        second.run_first(CATCH_COPIES).await?;
        second.open(seeder.link()).await?;
        second.wait_stats("the whole film", WHOLE_TIMEOUT, |stats| stats.is_complete()).await?;
        second.wait_words("100% of what you watched came from other viewers.", TIMEOUT).await?;
        first.wait_words("you passed on", TIMEOUT).await?;
        second.value::<bool>("document.getElementById('proof').open = true").await?;
        second.wait_words("direct (udp)", TIMEOUT).await?;
        let legend: String = second.value("document.getElementById('bar-legend').innerText").await?;
        ensure!(legend.contains("From viewers") && !legend.contains("From the publisher"), "{legend}");
        let chart = "document.querySelector('.chart').getAttribute('aria-label')";
        second
            .wait_for("the chart in words", TIMEOUT, &format!("/from viewers [0-9.]+ MB/.test({chart})"))
            .await?;
        second
            .value::<Option<bool>>("document.querySelector('.proof-body > .button').click() ?? null")
            .await?;
        second.wait_for("a copied report", TIMEOUT, "window.copied").await?;
        let report: Value = serde_json::from_str(&second.value::<String>("window.copied").await?)?;
        ensure!(
            report["stats"]["from_peers"].as_u64() == report["stats"]["bytes_total"].as_u64(),
            "{report}"
        );
        let ways = report["ways"].as_object().context("no ways")?;
        ensure!(ways.values().any(|way| way["is_relayed"] == json!(false)), "{report}");
        ensure!(
            report["history"]["bytes_each_second"].as_array().is_some_and(|rows| !rows.is_empty()),
            "{report}"
        );

        // What an earlier visit stored is told from what comes now.
        second.open("about:blank").await?;
        second.open(seeder.link()).await?;
        second.wait_words("was on this device already", TIMEOUT).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_reaches_nobody_says_why() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let mut internet = Internet::new()?;
    let (at_tracker, at_seeder) = (internet.public()?, internet.public()?);
    let tracker = Tracker::start_on(&at_tracker, &[])?;
    let at_tab = internet.behind(Router::NoUdp)?;
    let seeder = Seeder::start_on(&at_seeder, &tracker, &film, folder.path(), &[])?;
    Scene::play("no way", async |scene| {
        let tab = scene.tab_on(&at_tab, &tracker.http("")).await?;
        tab.open(seeder.link()).await?;
        tab.wait_for("the panel", TIMEOUT, "document.getElementById('proof')").await?;
        tab.value::<bool>("document.getElementById('proof').open = true").await?;
        tab.wait_words("the routers on the way let nothing through", TIMEOUT).await
    })
    .await
}
