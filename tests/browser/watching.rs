//! The main job: publish a film, open a page, watch it through the swarm.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use tests::content::{FILM_SECONDS, digest, film};
use tests::scene::Scene;
use tests::{Seeder, Tracker};

/// How long a tab may take to show the film; several share two processors here.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a tab may take to get the film whole.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Where the tests seek to.
const SEEK_TO_SECONDS: f64 = 45.0;

/// The uplink of the seeder that three tabs share: a home line. It carries the film (4.1 Mbit/s) to two of them, so
/// the third gets it only if they serve one another. A seeder that could carry all of them sends each tab
/// what it needs within 1.5 s: each start, seek and stall then costs a copy of that part, by intention.
const HOME_UPLINK: &str = "10M";

/// Copies of the film that may leave the seeder for three tabs: they seek at once and all at the same time,
/// so that each wants the same urgent part. Without serving one another they would take three; they take about 1.1.
const COPIES_MAX: f64 = 1.3;

#[tokio::test(flavor = "multi_thread")]
async fn three_tabs_watch_a_film_serve_one_another_and_outlive_the_tracker() -> Result<()> {
    let film = film()?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--upload-limit", HOME_UPLINK])?;
    Scene::play("three tabs", async |scene| {
        let tabs = [scene.tab().await?, scene.tab().await?, scene.tab().await?];

        // Each plays.
        try_join_all(tabs.iter().map(|tab| tab.open(seeder.link()))).await?;
        try_join_all(tabs.iter().map(|tab| tab.wait_playing_beyond(1.0, START_TIMEOUT))).await?;

        // Each seeks and plays on.
        try_join_all(tabs.iter().map(|tab| tab.seek(SEEK_TO_SECONDS))).await?;
        let beyond = SEEK_TO_SECONDS + 1.0;
        try_join_all(tabs.iter().map(|tab| tab.wait_playing_beyond(beyond, START_TIMEOUT))).await?;

        // Each gets every byte as it was published.
        let whole = tabs
            .iter()
            .map(|tab| tab.wait_stats("the whole film", WHOLE_TIMEOUT, |stats| stats.is_complete()));
        let accounts = try_join_all(whole).await?;
        for tab in &tabs {
            ensure!(tab.digest().await?.as_deref() == Some(&original), "{} holds other bytes", tab.name());
        }

        // They serve one another.
        for (tab, account) in tabs.iter().zip(&accounts) {
            eprintln!("figures: {}: {account:?}", tab.name());
            ensure!(account.swarm == seeder.swarm(), "{account:?}");
        }
        let served = accounts.iter().filter(|account| account.from_peers > 0).count();
        ensure!(served >= 2, "only {served} tabs got anything from another tab: {accounts:?}");
        let from_seeder: u64 =
            accounts.iter().map(|account| account.from_initial + account.duplicate_bytes).sum();
        let copies = from_seeder as f64 / fs::metadata(&film)?.len() as f64;
        eprintln!("figures: {copies:.2} copies left the seeder for three tabs");
        ensure!(copies <= COPIES_MAX, "{copies:.2} copies left the seeder: {accounts:?}");

        // Without the tracker, links stay and playback goes on to the end.
        tracker.kill()?;
        for tab in &tabs {
            tab.wait_for(
                "word that the tracker is away",
                START_TIMEOUT,
                "tributary.stats().tracker === 'down'",
            )
            .await?;
        }
        try_join_all(tabs.iter().map(|tab| tab.wait_ended(Duration::from_secs(60)))).await?;
        for tab in &tabs {
            let account = tab.stats().await?;
            ensure!(account.open_links("viewer") > 0, "{} lost its links: {account:?}", tab.name());
            let seconds: f64 = tab.value("document.querySelector('video').currentTime").await?;
            ensure!((seconds - FILM_SECONDS).abs() < 1.0, "{} ended at {seconds} s", tab.name());
        }

        // The tracker is back, and a newcomer watches.
        let _tracker = Tracker::start_at(tracker.address()).context("the tracker's port is taken")?;
        let newcomer = scene.tab().await?;
        newcomer.open(seeder.link()).await?;
        newcomer.wait_playing_beyond(1.0, WHOLE_TIMEOUT).await?;
        newcomer.wait_stats("the whole film", WHOLE_TIMEOUT, |stats| stats.is_complete()).await?;
        ensure!(newcomer.digest().await?.as_deref() == Some(&original), "the newcomer holds other bytes");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_leads_to_the_film() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--list"])?;
    Scene::play("catalogue", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&tracker.http("/")).await?;
        let name = film.file_name().unwrap_or_default().to_string_lossy();
        tab.wait_words(&name.to_lowercase(), START_TIMEOUT).await?;
        let link = format!("document.querySelector('a[href$=\"#{}\"]')", seeder.swarm());
        tab.wait_for("a link to the film", START_TIMEOUT, &link).await?;
        tab.value::<Option<bool>>(&format!("{link}.click() ?? null")).await?;
        tab.wait_playing_beyond(0.5, START_TIMEOUT).await
    })
    .await
}
