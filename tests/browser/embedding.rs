//! The player inside pages of other sites, and other sites' own players.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::content::{FILM_SECONDS, film};
use tests::scene::Scene;
use tests::site::Lot;
use tests::{Seeder, Tab, Tracker};

const TIMEOUT: Duration = Duration::from_secs(90);

/// Puts another frame into the page, which tells the player to play.
const STRANGER: &str = "(() => { \
    const frame = document.createElement('iframe'); \
    frame.srcdoc = '<script>parent.frames[0].postMessage({ tributary: 1, id: 1, method: \"play\", params: [] }, \"*\"); ' \
        + 'parent.hasSpoken = true;<' + '/script>'; \
    document.body.append(frame); \
    return null; })()";

/// A page with the element. What the player says is kept in `said`.
pub(crate) fn page_with_element(tracker: &Tracker, swarm: &str, attributes: &str) -> String {
    format!(
        "<!doctype html><title>A blog</title>\n\
         <script type=\"module\" src=\"{script}\"></script>\n\
         <h1>A blog with a film</h1>\n\
         <tributary-player id=\"film\" src=\"{link}\" {attributes} style=\"width: 640px\"></tributary-player>\n\
         <script>\
           window.said = []; \
           for (const name of ['ready', 'playbackStatusChange', 'volumeChange', 'error']) \
             film.addEventListener(name, ({{ detail }}) => said.push([name, detail ?? null])); \
         </script>",
        script = tracker.http("/embed.js"),
        link = tracker.http(&format!("/#{swarm}")),
    )
}

/// Calls a method of the player in the page.
pub(crate) async fn call(tab: &Tab, method: &str) -> Result<Value> {
    tab.value(&format!("window.film.player.{method}.then((value) => value ?? null)")).await
}

pub(crate) async fn wait_said(tab: &Tab, name: &str, detail: &str) -> Result<()> {
    let expression = format!("window.said.some(([name, detail]) => name === '{name}' && ({detail}))");
    tab.wait_for(&format!("the event {name}"), TIMEOUT, &expression).await
}

pub(crate) async fn wait_position_beyond(tab: &Tab, seconds: f64) -> Result<()> {
    let expression = format!(
        "await window.film.player.getStatus().then(({{ position, playbackState }}) => \
         position > {seconds} && playbackState === 'playing')"
    );
    tab.wait_for(&format!("playback beyond {seconds} s in the frame"), TIMEOUT, &expression).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_player_plays_in_a_page_of_another_site_which_controls_it() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let lot = Lot::new().await?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--embed-origin", &lot.origin()])?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    let site = lot.build(page_with_element(&tracker, seeder.swarm(), "muted subtitle=\"en\""), &[]);
    Scene::play("embedded", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&site.url()).await?;
        wait_said(&tab, "ready", "true").await?;
        let status = call(&tab, "getStatus()").await?;
        ensure!(status["playbackState"] == "unstarted" && status["muted"] == true, "{status}");
        ensure!(call(&tab, "getStats()").await?.is_null(), "it connected before a person wanted to play");

        call(&tab, "play()").await?;
        wait_position_beyond(&tab, 1.0).await?;
        wait_said(&tab, "playbackStatusChange", "detail === 'playing'").await?;
        let stats = call(&tab, "getStats()").await?;
        ensure!(stats["swarm"] == seeder.swarm() && stats["bytes_verified"].as_u64() > Some(0), "{stats}");
        let duration = call(&tab, "getStatus()").await?["duration"].as_f64().unwrap_or(0.0);
        ensure!((duration - FILM_SECONDS).abs() < 1.0, "{duration}");

        call(&tab, "seek(40)").await?;
        wait_position_beyond(&tab, 40.5).await?;
        call(&tab, "setPlaybackRate(1.5)").await?;
        ensure!(call(&tab, "getPlaybackRate()").await? == 1.5);
        call(&tab, "setVolume(0.25)").await?;
        wait_said(&tab, "volumeChange", "detail === 0.25").await?;
        let refused: String =
            tab.value("window.film.player.setVolume(7).catch((error) => error.message)").await?;
        ensure!(refused.contains("from 0 to 1"), "{refused}");
        call(&tab, "pause()").await?;
        wait_said(&tab, "playbackStatusChange", "detail === 'paused'").await?;

        // Only the frame's own messages count here, and only those of the page that holds it count there.
        tab.value::<Option<bool>>(
            "(postMessage({ tributary: 1, event: 'playbackStatusChange', detail: 'forged' }, '*'), null)",
        )
        .await?;
        tab.value::<Option<bool>>(STRANGER).await?;
        tab.wait_for("the stranger's word", TIMEOUT, "window.hasSpoken").await?;
        call(&tab, "seek(10)").await?;
        let status = call(&tab, "getStatus()").await?;
        ensure!(status["playbackState"] == "paused", "a stranger's word counts: {status}");
        ensure!(!tab.value::<bool>("window.said.some(([, detail]) => detail === 'forged')").await?);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_not_listed_cannot_embed_the_player() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let lot = Lot::new().await?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--embed-origin", "https://blog.example"])?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    let site = lot.build(page_with_element(&tracker, seeder.swarm(), "autoplay muted"), &[]);
    Scene::play("not listed", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&site.url()).await?;
        wait_said(&tab, "error", "detail.message.includes('may not allow this page')").await?;
        let console = tab.console().await.join("\n");
        ensure!(console.contains("frame-ancestors"), "the browser refuses for another reason: {console}");
        ensure!(seeder.uploaded() == 0, "something was sent to it");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_builds_its_own_player_on_the_module() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let lot = Lot::new().await?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--allow-origin", &lot.origin()])?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    let page = format!(
        "<!doctype html><title>My player</title><video id=\"film\" muted autoplay></video>\n\
         <script type=\"module\">\
           import {{ watch }} from '{}'; \
           window.failure = null; \
           try {{ window.watching = await watch('{}', {{ video: film, serviceWorker: 'films.js' }}); }} \
           catch (error) {{ window.failure = String(error); }}\
         </script>",
        tracker.http("/tributary.js"),
        seeder.swarm(),
    );
    let worker = format!("importScripts('{}');", tracker.http("/sw.js"));
    let site = lot.build(page, &[("/films.js", worker)]);
    Scene::play("a player of its own", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&site.url()).await?;
        tab.wait_for("an end of loading", TIMEOUT, "window.watching || window.failure").await?;
        let failure: Option<String> = tab.value("window.failure").await?;
        ensure!(failure.is_none(), "{failure:?}");
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        tab.seek(30.0).await?;
        tab.wait_playing_beyond(30.5, TIMEOUT).await?;
        let source: String = tab.value("film.src").await?;
        ensure!(source.starts_with(&format!("{}content/{}/", site.url(), seeder.swarm())), "{source}");
        let sent: u64 = tab.value("watching.stats().from_initial").await?;
        ensure!(sent > 0, "nothing came from the seeder");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_for_trying_out_shows_the_player_and_what_a_site_has_to_write() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--title", "A river at night"])?;
    Scene::play("trying out", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&tracker.http(&format!("/try-embed#{}", seeder.swarm()))).await?;
        tab.wait_words("ready", TIMEOUT).await?;
        tab.value::<Option<bool>>("document.querySelector('[data-call=play]').click() ?? null").await?;
        tab.wait_words("playbackstatuschange: \"playing\"", TIMEOUT).await?;
        let frame: String = tab.value("document.getElementById('as-frame').textContent").await?;
        ensure!(frame.contains(&format!("/embed?api=1#{}", seeder.swarm())), "{frame}");

        // What a reader of links is told.
        let (status, body) = tracker.get(&format!("/watch/{}", seeder.swarm())).await?;
        ensure!(status == 200 && body.contains("A river at night"), "{status} {body}");
        let link = tracker.http(&format!("/%23{}", seeder.swarm())).replace("://", "%3A%2F%2F");
        let (status, body) = tracker.get(&format!("/oembed?url={link}")).await?;
        let answer: Value = serde_json::from_str(&body)?;
        ensure!(status == 200 && answer["title"] == "A river at night", "{status} {body}");
        ensure!(answer["html"].as_str().unwrap_or_default().contains("<iframe src="), "{body}");
        // Of its own browser: one that leaves a playing page for another one of the same site crashes now and then.
        let person = scene.tab().await?;
        person.open(&tracker.http(&format!("/watch/{}", seeder.swarm()))).await?;
        person.wait_playing_beyond(0.5, TIMEOUT).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_kept_from_the_embed_which_says_where_it_is_listed() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--title", "A river at night"])?;
    Scene::play("kept", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&tracker.http(&format!("/embed?autoplay=1#{}", seeder.swarm()))).await?;
        tab.wait_playing_beyond(0.5, TIMEOUT).await?;
        tab.wait_for("the offer", TIMEOUT, "!document.getElementById('keep').hidden").await?;
        tab.value::<Option<bool>>("document.getElementById('keep').click() ?? null").await?;
        let is_kept = "document.getElementById('keep').ariaPressed === 'true'";
        tab.wait_for("a kept film", TIMEOUT, is_kept).await?;
        tab.wait_words("lists it under “on this device”", TIMEOUT).await?;
        tab.open("about:blank").await?;
        tab.open(&tracker.http("/")).await?;
        tab.wait_words("a river at night", TIMEOUT).await?;
        tab.wait_words("· kept", TIMEOUT).await
    })
    .await
}
