//! What a tab fetched outlasts it, and nothing that happens to the storage stops playback.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::browser::{Tab, TabStats, TabStorage};
use tests::content::{digest, film};
use tests::scene::Scene;
use tests::{Seeder, Tracker};

const TIMEOUT: Duration = Duration::from_secs(120);

/// Bytes that this page's content has on the disk, as the page's list would say. Written after what it counts.
const STORED: &str = "(async () => {
    try {
        const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('tributary');
        const folder = await root.getDirectoryHandle(window.tributary.stats().swarm);
        const file = await (await folder.getFileHandle('about')).getFile();
        return JSON.parse(await file.text()).held_bytes;
    } catch { return 0; }
})()";

/// Waits until the store is open, and says where it is.
async fn storage(tab: &Tab) -> Result<TabStorage> {
    let stats = tab.wait_stats("an open store", TIMEOUT, |stats| stats.storage.is_some()).await?;
    stats.storage.context("waited for")
}

async fn whole(tab: &Tab) -> Result<TabStats> {
    tab.wait_stats("the whole film", TIMEOUT, TabStats::is_complete).await
}

/// Waits until everything is on the disk.
async fn wait_stored(tab: &Tab, bytes: u64) -> Result<()> {
    tab.wait_for("the film on the disk", TIMEOUT, &format!("(await {STORED}) === {bytes}")).await
}

/// The page says nothing that stops.
async fn ensure_no_error(tab: &Tab) -> Result<()> {
    let fatal: Option<String> = tab.value("document.querySelector('.is-fatal')?.textContent ?? null").await?;
    ensure!(fatal.is_none(), "the page says: {fatal:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_in_mid_film_fetches_nothing_again() -> Result<()> {
    let film = film()?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--upload-limit", "16M"])?;
    Scene::play("reload", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        ensure!(storage(&tab).await?.is_on_disk, "Chromium gives files");
        let before = tab
            .wait_stats("a third of the film", TIMEOUT, |stats| stats.bytes_verified > stats.bytes_total / 3)
            .await?;
        tab.reload().await?;
        let resumed = storage(&tab).await?;
        ensure!(resumed.is_on_disk, "the page before let go in time");
        let hundredth = before.bytes_total / 100;
        ensure!(resumed.resumed_bytes + hundredth >= before.bytes_verified, "{resumed:?} after {before:?}");
        let after = whole(&tab).await?;
        let fetched = after.from_initial + after.from_peers;
        ensure!(resumed.resumed_bytes + fetched <= after.bytes_total + hundredth, "{resumed:?}, {after:?}");
        ensure!(tab.digest().await?.as_deref() == Some(&original), "it holds other bytes");
        tab.wait_playing_beyond(0.5, TIMEOUT).await?;
        ensure_no_error(&tab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_seeds_again_after_its_browser_was_killed_while_the_seeder_is_off() -> Result<()> {
    let film = film()?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    Scene::play("killed browser", async |scene| {
        let first = scene.tab().await?;
        first.open(seeder.link()).await?;
        let account = whole(&first).await?;
        wait_stored(&first, account.bytes_total).await?;
        seeder.kill()?;
        let again = scene.restart(first).await?;
        again.open(seeder.link()).await?;
        let account = whole(&again).await?;
        ensure!(account.from_initial + account.from_peers == 0, "it fetched again: {account:?}");
        let second = scene.tab().await?;
        second.open(seeder.link()).await?;
        second.wait_playing_beyond(1.0, TIMEOUT).await?;
        let account = whole(&second).await?;
        ensure!(account.from_initial == 0 && account.from_peers >= account.bytes_total, "{account:?}");
        ensure!(second.digest().await?.as_deref() == Some(&original), "the second tab holds other bytes");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tabs_of_one_content_one_has_the_files_and_both_play() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    Scene::play("two tabs", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        ensure!(storage(&tab).await?.is_on_disk, "the first tab has the files");
        tab.open_beside(seeder.link()).await?;
        ensure!(!storage(&tab).await?.is_on_disk, "the second tab has them, too");
        whole(&tab).await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        ensure_no_error(&tab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_plays_on_when_its_files_are_cleared() -> Result<()> {
    let film = film()?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--upload-limit", "16M"])?;
    Scene::play("cleared data", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        tab.wait_stats("a third of the film", TIMEOUT, |stats| stats.bytes_verified > stats.bytes_total / 3)
            .await?;
        let origin = tracker.http("");
        let cleared = json!({ "origin": origin.trim_end_matches('/'), "storageTypes": "file_systems" });
        tab.command("Storage.clearDataForOrigin", cleared).await?;
        whole(&tab).await?;
        tab.seek(50.0).await?;
        tab.wait_playing_beyond(50.5, TIMEOUT).await?;
        tab.seek(1.0).await?;
        tab.wait_playing_beyond(1.5, TIMEOUT).await?;
        // What was lost is found out by reading, and fetched again.
        tab.wait_for("all bytes", TIMEOUT, &format!("(await window.tributary.digest()) === '{original}'"))
            .await?;
        ensure_no_error(&tab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_quota_leaves_the_rest_to_memory() -> Result<()> {
    let film = film()?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--upload-limit", "16M"])?;
    Scene::play("full quota", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        tab.wait_stats("some of the film", TIMEOUT, |stats| stats.bytes_verified > 2_000_000).await?;
        let origin = tracker.http("");
        let quota = json!({ "origin": origin.trim_end_matches('/'), "quotaSize": 8_000_000 });
        tab.command("Storage.overrideQuotaForOrigin", quota).await?;
        let account = whole(&tab).await?;
        ensure!(tab.digest().await?.as_deref() == Some(&original), "it holds other bytes");
        tab.seek(50.0).await?;
        tab.wait_playing_beyond(50.5, TIMEOUT).await?;
        let stored: u64 = tab.value(STORED).await?;
        ensure!(stored < account.bytes_total, "the quota was not full: {stored} bytes are stored");
        ensure_no_error(&tab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_window_plays_and_keeps_nothing() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    Scene::play("private window", async |scene| {
        let tab = scene.tab_with(&["--incognito"]).await?;
        tab.open(seeder.link()).await?;
        whole(&tab).await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        ensure_no_error(&tab).await?;
        let again = scene.restart(tab).await?;
        again.open(seeder.link()).await?;
        let found = storage(&again).await?;
        ensure!(found.resumed_bytes == 0, "a private window left something: {found:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_keeps_a_film_sees_it_listed_and_forgets_it() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--list"])?;
    Scene::play("kept film", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        let account = whole(&tab).await?;
        tab.value::<Option<bool>>("document.querySelector('#keep').click() ?? null").await?;
        let is_kept = |stats: &TabStats| stats.storage.as_ref().is_some_and(|storage| storage.is_kept);
        tab.wait_stats("the film to be kept", TIMEOUT, is_kept).await?;
        wait_stored(&tab, account.bytes_total).await?;
        tab.reload().await?;
        tab.wait_stats("the film to be kept still", TIMEOUT, is_kept).await?;
        tab.open(&tracker.http("/")).await?;
        tab.wait_words("on this device", TIMEOUT).await?;
        tab.wait_words("· kept", TIMEOUT).await?;
        tab.value::<Option<bool>>("document.querySelector('#library-list button').click() ?? null").await?;
        tab.wait_for("an empty list", TIMEOUT, "document.querySelector('#library').hidden").await?;
        tab.open(seeder.link()).await?;
        ensure!(storage(&tab).await?.resumed_bytes == 0, "it is not forgotten");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_for_what_is_passed_on_is_shown_remembered_and_kept_to() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    Scene::play("budget", async |scene| {
        let first = scene.tab().await?;
        first.open(seeder.link()).await?;
        whole(&first).await?;
        let choose = "(select => { select.value = '1000000000'; select.dispatchEvent(new Event('change')); })\
                      (document.querySelector('#sharing-month')) ?? null";
        first.value::<Option<bool>>(choose).await?;
        first.wait_words("of 1.00 gb this month", TIMEOUT).await?;
        // As if so much had been sent this month, in other visits.
        let spend = "(now => localStorage.setItem(`sent-${now.getFullYear()}-${now.getMonth() + 1}`, '1000000000'))\
                     (new Date()) ?? null";
        first.value::<Option<bool>>(spend).await?;
        first.reload().await?;
        first.wait_words("sent 0 bytes this visit, 1.00 gb of 1.00 gb this month: that is all", TIMEOUT).await?;
        let second = scene.tab().await?;
        second.open(seeder.link()).await?;
        let account = whole(&second).await?;
        ensure!(account.from_peers == 0, "the first tab passed something on: {account:?}");
        ensure!(first.stats().await?.uploaded == 0, "the first tab sent something");
        Ok(())
    })
    .await
}
