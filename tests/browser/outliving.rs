//! What a tab does when others go away while it still lacks something.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use tests::content::{digest, film};
use tests::scene::Scene;
use tests::{Seeder, Tracker};

const TIMEOUT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_film_that_is_half_there_arrives_whole_without_the_tracker() -> Result<()> {
    let film = film()?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    // Twice what playback takes: it plays at once and is whole after half a minute.
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--upload-limit", "10M"])?;
    Scene::play("half a film", async |scene| {
        let tabs = [scene.tab().await?, scene.tab().await?];
        try_join_all(tabs.iter().map(|tab| tab.open(seeder.link()))).await?;
        for tab in &tabs {
            tab.wait_playing_beyond(1.0, TIMEOUT).await?;
            let linked =
                |stats: &tests::TabStats| stats.open_links("initial") == 1 && stats.open_links("viewer") == 1;
            tab.wait_stats("links to the seeder and to the other tab", TIMEOUT, linked).await?;
        }
        tracker.kill()?;
        for tab in &tabs {
            let account = tab.stats().await?;
            ensure!(!account.is_complete(), "{} was complete before the tracker was killed", tab.name());
        }
        try_join_all(
            tabs.iter().map(|tab| tab.wait_stats("the whole film", TIMEOUT, |stats| stats.is_complete())),
        )
        .await?;
        for tab in &tabs {
            ensure!(tab.digest().await?.as_deref() == Some(&original), "{} holds other bytes", tab.name());
            tab.seek(56.0).await?;
            tab.wait_ended(TIMEOUT).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_has_everything_serves_when_the_seeder_is_gone() -> Result<()> {
    let film = film()?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    Scene::play("no seeder", async |scene| {
        let first = scene.tab().await?;
        first.open(seeder.link()).await?;
        first.wait_stats("the whole film", TIMEOUT, |stats| stats.is_complete()).await?;
        seeder.kill()?;
        let second = scene.tab().await?;
        second.open(seeder.link()).await?;
        second.wait_playing_beyond(1.0, TIMEOUT).await?;
        let account = second.wait_stats("the whole film", TIMEOUT, |stats| stats.is_complete()).await?;
        ensure!(second.digest().await?.as_deref() == Some(&original), "the second tab holds other bytes");
        ensure!(account.from_initial == 0 && account.from_peers >= account.bytes_total, "{account:?}");
        Ok(())
    })
    .await
}
