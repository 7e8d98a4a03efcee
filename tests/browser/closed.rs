//! A closed tracker in a browser: the link carries the permission, and a viewer without one reads what to do.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tests::Seeder;
use tests::content::film;
use tests::permission::{EXPIRED, PUBLISH_TOKEN, closed_tracker, permission, viewer_key};
use tests::scene::Scene;

const TIMEOUT: Duration = Duration::from_secs(60);

/// All that a page keeps or tells others: addresses that it asked, where it came from, and what it stores.
const TRACES: &str = "[document.referrer, document.cookie, name, JSON.stringify(history.state), \
                      ...Object.values(localStorage), ...Object.values(sessionStorage), \
                      ...performance.getEntriesByType('resource').map(({ name }) => name), \
                      ...[...document.links].map(({ href }) => href)].join('\\n')";

#[tokio::test(flavor = "multi_thread")]
async fn with_a_permission_the_film_plays_and_the_permission_stays_out_of_logs_and_addresses() -> Result<()> {
    let (home, film) = (tempfile::tempdir()?, film()?);
    let key = viewer_key(home.path())?;
    let tracker = closed_tracker(&key, &["--verbose"])?;
    let seeder = Seeder::start(&tracker, &film, home.path(), &["--publish-token", PUBLISH_TOKEN])?;
    let token = permission(&key, seeder.swarm())?;
    Scene::play("a permission", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&format!("{}&token={token}", seeder.link())).await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        // Who reloads the page is let in again.
        tab.value::<Option<()>>("location.reload()").await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;

        let signature = token.rsplit('.').next().unwrap_or_default();
        let traces: String = tab.value(TRACES).await?;
        ensure!(!traces.is_empty() && !traces.contains(signature), "the page tells it: {traces}");
        let console = tab.console().await.join("\n");
        ensure!(!console.contains(signature), "the console has it: {console}");
        let log = tracker.log();
        ensure!(!log.is_empty(), "the tracker logs nothing, so nothing is shown");
        ensure!(log.iter().all(|line| !line.contains(signature)), "the tracker's log has it: {log:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_permission_or_with_an_expired_one_a_sentence_says_what_to_do() -> Result<()> {
    let (home, film) = (tempfile::tempdir()?, film()?);
    let key = viewer_key(home.path())?;
    let tracker = closed_tracker(&key, &[])?;
    let seeder = Seeder::start(&tracker, &film, home.path(), &["--publish-token", PUBLISH_TOKEN])?;
    let other = permission(&key, &"00".repeat(32))?;
    Scene::play("no permission", async |scene| {
        for (token, words) in [
            (None, "ask for the whole link"),
            (Some(EXPIRED), "the permission to watch has expired; ask for a new link where you got this one"),
            (Some(other.as_str()), "permission"),
            (Some("x"), "not one of this tracker; ask for a new link"),
        ] {
            let tab = scene.tab().await?;
            let setting = token.map_or_else(String::new, |token| format!("&token={token}"));
            tab.open(&format!("{}{setting}", seeder.link())).await?;
            tab.wait_words(words, TIMEOUT).await?;
            let shown: bool = tab.value("document.querySelector('#notices .is-fatal') !== null").await?;
            ensure!(shown, "{words} is not shown as what ends the visit: {}", json!(token));
            let said: [String; 2] = tab
                .value("['tracker', 'title'].map((id) => document.getElementById(id).textContent)")
                .await?;
            ensure!(said == ["Stopped", "Not joined"], "it seems to go on: {said:?}");
            let seen = tab.stats().await?;
            ensure!(seen.bytes_verified == 0 && seen.links.is_empty(), "{seen:?}");
        }
        Ok(())
    })
    .await
}
