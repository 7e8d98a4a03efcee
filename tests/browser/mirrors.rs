//! Mirrors and the page: where no peer can be reached, and beside peers.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::{FILM_SECONDS, digest, film};
use tests::internet::{Internet, Router};
use tests::mirror::{Manner, Mirror};
use tests::scene::Scene;
use tests::{Seeder, Tracker};

const TIMEOUT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_without_udp_plays_to_the_end_from_a_mirror_and_says_so() -> Result<()> {
    let film = film()?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let mut internet = Internet::new()?;
    let (at_tracker, at_mirror) = (internet.public()?, internet.public()?);
    let tracker = Tracker::start_on(&at_tracker, &[])?;
    let mirror = Mirror::start_on(&at_mirror, &film, folder.path())?;
    // It is up all the time, and no datagram of the tab ever reaches it.
    let at_seeder = internet.public()?;
    let seeder = Seeder::start_on(&at_seeder, &tracker, &film, folder.path(), &["--mirror", &mirror.url()])?;
    let at_tab = internet.behind(Router::NoUdp)?;
    Scene::play("from a mirror", async |scene| {
        let tab = scene.tab_on(&at_tab, &tracker.http("")).await?;
        tab.open(seeder.link()).await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        let words = format!("lets no peer connection through. the film comes from {}.", at_mirror.address);
        tab.wait_words(&words, TIMEOUT).await?;
        tab.seek(FILM_SECONDS / 2.0).await?;
        tab.wait_playing_beyond(FILM_SECONDS / 2.0 + 1.0, TIMEOUT).await?;
        tab.seek(1.0).await?;
        tab.wait_ended(TIMEOUT).await?;
        let account = tab.stats().await?;
        eprintln!("figures: {account:?}");
        ensure!(account.is_complete() && account.from_mirrors == account.bytes_total, "{account:?}");
        ensure!(tab.digest().await?.as_deref() == Some(&original), "the tab holds other bytes");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_dies_in_mid_film_is_made_up_for_by_peers() -> Result<()> {
    let film = film()?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let mirror = Mirror::start(&film, folder.path())?;
    // Half of what the film needs: the mirror brings the rest, until it dies.
    let flags = ["--mirror", &mirror.url(), "--upload-limit", "2M"];
    let seeder = Seeder::start(&tracker, &film, folder.path(), &flags)?;
    Scene::play("a dying mirror", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        tab.wait_playing_beyond(5.0, TIMEOUT).await?;
        let before = tab
            .wait_stats("both to send", TIMEOUT, |stats| stats.from_mirrors > 0 && stats.from_initial > 0)
            .await?;
        mirror.kill();
        let more = before.from_initial + 4_000_000;
        let after = tab.wait_stats("the seeder to go on", TIMEOUT, |stats| stats.from_initial > more).await?;
        eprintln!("figures: {before:?}, then {after:?}");
        drop(seeder);
        let fast = Seeder::start(&tracker, &film, folder.path(), &["--mirror", &mirror.url()])?;
        tab.wait_ended(TIMEOUT).await?;
        tab.wait_stats("the whole film", TIMEOUT, |stats| stats.is_complete()).await?;
        ensure!(tab.digest().await?.as_deref() == Some(&original), "the tab holds other bytes");
        drop(fast);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_mirrors_are_said_in_words_and_nothing_of_theirs_is_played() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let mirror = Mirror::start(&film, folder.path())?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--mirror", &mirror.url()])?;
    seeder.kill()?;
    Scene::play("bad mirrors", async |scene| {
        // One after the other: a tab beside it would be a peer.
        let tab = scene.tab().await?;
        for (manner, words) in [
            (Manner::FlipsABit, "sent wrong bytes"),
            (Manner::Redirects, "redirects elsewhere"),
            (Manner::Whole, "sends whole files only"),
            (Manner::Page, "web page instead of the file"),
        ] {
            mirror.behave(manner);
            tab.open("about:blank").await?;
            tab.open(seeder.link()).await?;
            tab.wait_words(words, TIMEOUT).await?;
            let account = tab.stats().await?;
            // Before a wrong bit some groups may be right; they are verified one by one.
            ensure!(account.from_mirrors == 0 || manner == Manner::FlipsABit, "{manner:?}: {account:?}");
            let played: f64 = tab.value("document.querySelector('video')?.currentTime ?? 0").await?;
            ensure!(played <= 0.0, "{manner:?}: {played} s were played; {account:?}");
        }
        mirror.behave(Manner::Good);
        mirror.refuse_pages();
        tab.open("about:blank").await?;
        tab.open(seeder.link()).await?;
        tab.wait_words("rules for other sites (cors)", TIMEOUT).await
    })
    .await
}
