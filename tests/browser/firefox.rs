//! The same in Firefox: a film plays, is passed on to Chromium, and plays inside another site; the page is in the viewer's language.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::{digest, film};
use tests::scene::Scene;
use tests::site::Lot;
use tests::{Seeder, Tracker};

use crate::embedding::{call, page_with_element, wait_position_beyond, wait_said};
use crate::language::wait_german;

const TIMEOUT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_film_plays_in_firefox_which_passes_it_on() -> Result<()> {
    let film = film()?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    Scene::play("Firefox", async |scene| {
        let firefox = scene.firefox().await?;
        firefox.open(seeder.link()).await?;
        firefox.wait_playing_beyond(1.0, TIMEOUT).await?;
        firefox.seek(40.0).await?;
        firefox.wait_playing_beyond(40.5, TIMEOUT).await?;
        firefox.wait_stats("the whole film", TIMEOUT, |account| account.is_complete()).await?;
        ensure!(firefox.digest().await?.as_deref() == Some(&original), "it holds other bytes");
        seeder.kill()?;
        let chromium = scene.tab().await?;
        chromium.open(seeder.link()).await?;
        chromium.wait_playing_beyond(1.0, TIMEOUT).await?;
        let account =
            chromium.wait_stats("something of Firefox", TIMEOUT, |account| account.from_peers > 0).await?;
        ensure!(account.from_initial == 0, "{account:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_player_plays_inside_another_site_in_firefox() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let lot = Lot::new().await?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--embed-origin", &lot.origin()])?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    let site = lot.build(page_with_element(&tracker, seeder.swarm(), "muted"), &[]);
    Scene::play("embedded in Firefox", async |scene| {
        let tab = scene.firefox().await?;
        tab.open(&site.url()).await?;
        wait_said(&tab, "ready", "true").await?;
        call(&tab, "play()").await?;
        wait_position_beyond(&tab, 1.0).await?;
        call(&tab, "seek(40)").await?;
        wait_position_beyond(&tab, 40.5).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_refuses_the_player_to_a_site_that_is_not_listed() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let lot = Lot::new().await?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    let site = lot.build(page_with_element(&tracker, seeder.swarm(), "autoplay muted"), &[]);
    Scene::play("not listed in Firefox", async |scene| {
        let tab = scene.firefox().await?;
        tab.open(&site.url()).await?;
        wait_said(&tab, "error", "detail.message.includes('may not allow this page')").await?;
        ensure!(seeder.uploaded() == 0, "something was sent to it");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_german_viewer_reads_german_in_firefox() -> Result<()> {
    let tracker = Tracker::start()?;
    Scene::play("German in Firefox", async |scene| {
        let tab = scene.firefox_in("de").await?;
        tab.open(&tracker.http("/")).await?;
        wait_german(&tab, "an empty catalogue", "hier ist noch nichts veröffentlicht").await?;
        tab.open(&tracker.http("/?lang=en")).await?;
        tab.wait_words("nothing is published here yet", TIMEOUT).await
    })
    .await
}
