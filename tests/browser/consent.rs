//! A tracker that connects viewers only with their consent, through relays, or not at all.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tests::content::film;
use tests::mirror::Mirror;
use tests::scene::Scene;
use tests::{Seeder, Tab, Tracker};

const TIMEOUT: Duration = Duration::from_secs(90);

async fn click(tab: &Tab, id: &str) -> Result<()> {
    tab.value::<Option<bool>>(&format!("document.getElementById('{id}').click() ?? null")).await.map(drop)
}

async fn wait_question(tab: &Tab) -> Result<()> {
    tab.wait_for("the question", TIMEOUT, "document.getElementById('consent').hidden === false").await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_connected_before_the_person_agrees_and_the_answer_is_remembered() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--consent"])?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    Scene::play("consent", async |scene| {
        let tab = scene.tab().await?;
        tab.run_first(
            "window.connections = 0; const Real = RTCPeerConnection; \
             window.RTCPeerConnection = class extends Real { constructor(...all) { super(...all); connections += 1; } };",
        )
        .await?;
        tab.open(seeder.link()).await?;
        wait_question(&tab).await?;
        tab.wait_words("network address", TIMEOUT).await?;
        let made: u32 = tab.value("connections").await?;
        let account = tab.stats().await?;
        ensure!(made == 0 && account.links.is_empty() && account.bytes_verified == 0, "{made} {account:?}");

        click(&tab, "consent-yes").await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        tab.wait_stats("the seeder", TIMEOUT, |account| account.open_links("initial") == 1).await?;
        tab.reload().await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        tab.wait_stats("the seeder", TIMEOUT, |account| account.open_links("initial") == 1).await?;
        ensure!(tab.value::<bool>("document.getElementById('consent').hidden").await?, "it asks again");

        // It can be taken back, which ends every link.
        click(&tab, "peers-on").await?;
        tab.wait_stats("no links", TIMEOUT, |account| account.links.is_empty()).await?;
        tab.reload().await?;
        tab.wait_words("not connected with other viewers", TIMEOUT).await?;
        ensure!(tab.stats().await?.links.is_empty());
        Ok(())
    })
    .await
}

/// Presses a key as a keyboard does: it goes down, repeats, and goes up.
async fn hold(tab: &Tab, key: &str, text: &str, (repeats, is_fresh): (usize, bool)) -> Result<()> {
    let event = |kind: &str, is_repeat: bool| {
        let code = key.chars().next().map_or(0, u32::from);
        let code = if key == "Enter" { 13 } else { code };
        json!({
            "type": kind, "key": key, "code": if key == " " { "Space" } else { key },
            "text": text, "windowsVirtualKeyCode": code, "autoRepeat": is_repeat,
        })
    };
    if is_fresh {
        tab.command("Input.dispatchKeyEvent", event("keyDown", false)).await?;
    }
    for _ in 0..repeats {
        tab.command("Input.dispatchKeyEvent", event("keyDown", true)).await?;
    }
    tab.command("Input.dispatchKeyEvent", event("keyUp", false)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_held_before_the_question_gives_no_consent() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--consent"])?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    Scene::play("a held key", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        wait_question(&tab).await?;
        let focused = "document.activeElement.id";
        tab.wait_for("the focus", TIMEOUT, "document.activeElement.id === 'consent-yes'").await?;
        for (key, text) in [("Enter", "\r"), (" ", " ")] {
            hold(&tab, key, text, (5, false)).await?;
            let said: Option<String> = tab.value("localStorage.getItem('peers')").await?;
            ensure!(
                said.is_none() && tab.value::<String>(focused).await? == "consent-yes",
                "{key}: {said:?}"
            );
        }
        // One that goes down on the button is an answer.
        hold(&tab, "Enter", "\r", (0, true)).await?;
        tab.wait_for("the answer", TIMEOUT, "localStorage.getItem('peers') !== null").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_and_without_a_mirror_the_page_says_why_nothing_comes() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--consent"])?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    Scene::play("no consent, no mirror", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        wait_question(&tab).await?;
        click(&tab, "consent-no").await?;
        tab.wait_words("this film has no mirror", TIMEOUT).await?;
        let account = tab.stats().await?;
        ensure!(account.links.is_empty() && account.bytes_verified == 0, "{account:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_the_film_plays_from_its_mirror() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--consent"])?;
    let mirror = Mirror::start(&film, folder.path())?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--mirror", &mirror.url()])?;
    Scene::play("no consent", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        wait_question(&tab).await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        click(&tab, "consent-no").await?;
        tab.wait_playing_beyond(2.0, TIMEOUT).await?;
        let account = tab.stats().await?;
        ensure!(
            account.from_mirrors > 0 && account.from_initial == 0 && account.links.is_empty(),
            "{account:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_for_mirrors_alone_connects_nobody() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--mirrors-only"])?;
    let mirror = Mirror::start(&film, folder.path())?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--mirror", &mirror.url()])?;
    Scene::play("mirrors only", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        let account = tab.stats().await?;
        ensure!(
            account.from_mirrors > 0 && account.from_initial == 0 && account.links.is_empty(),
            "{account:?}"
        );
        Ok(())
    })
    .await
}
