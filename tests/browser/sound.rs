//! Files of sound: controls that stay, keys, the cover, and what the system is told.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tests::content::{SOUND_SECONDS, sound};
use tests::scene::Scene;
use tests::{Seeder, Tab, Tracker};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Formats that browsers play, and whether the file has a cover inside.
const FORMATS: [(&str, bool); 4] = [("mp3", true), ("m4a", true), ("ogg", false), ("flac", false)];

/// What the page shows of a sound.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Look {
    /// Height of the player, CSS pixels.
    height: f64,
    width: f64,
    has_cover: bool,
    /// Pictures that the system is told of.
    artwork: usize,
    title: String,
    label: String,
    /// Buttons that make no sense without a picture.
    screens: usize,
}

const LOOK: &str = "(() => { const { height, width } = document.getElementById('stage').getBoundingClientRect(); \
    const { artwork, title } = navigator.mediaSession.metadata; \
    return { height, width, hasCover: document.querySelector('video').poster !== '', artwork: artwork.length, title, \
        label: document.querySelector('media-controller').ariaLabel, \
        screens: document.querySelectorAll('media-fullscreen-button, media-pip-button, .theatre').length }; })()";

async fn wait_video(tab: &Tab, what: &str, condition: &str) -> Result<()> {
    tab.wait_for(what, TIMEOUT, &format!("(video => {condition})(document.querySelector('video'))")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_has_controls_keys_a_cover_and_no_black_box() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    Scene::play("sound", async |scene| {
        let tab = scene.tab().await?;
        for (format, has_cover) in FORMATS {
            let file = sound(folder.path(), format, has_cover)?;
            let data = folder.path().join(format!("data-{format}"));
            let seeder = Seeder::start(&tracker, &file, &data, &["--title", "A long note"])?;
            tab.open(seeder.link()).await?;
            tab.wait_for("the controls", TIMEOUT, "document.querySelector('media-time-range')").await?;
            wait_video(&tab, "playback", "video.currentTime > 0.5 && !video.paused").await?;
            let stats = tab.stats().await?;
            ensure!(stats.first_frame_ms.is_some(), "{format}: nobody says when it was heard first");
            let look: Look = tab.value(LOOK).await?;
            ensure!(
                look.height < 360.0 && look.width > 2.0 * look.height,
                "{format}: a box like a film's: {look:?}"
            );
            ensure!(
                look.has_cover == has_cover && look.artwork == usize::from(has_cover),
                "{format}: {look:?}"
            );
            ensure!(look.title == "A long note" && look.label == "audio player", "{format}: {look:?}");
            ensure!(look.screens == 0, "{format}: sound fills no screen: {look:?}");
            press_keys(&tab).await.with_context(|| format.to_owned())?;

            // A browser that leaves a playing page for another one of the same site crashes now and then.
            tab.open("about:blank").await?;
            tab.open(&tracker.http(&format!("/embed?autoplay=1#{}", seeder.swarm()))).await?;
            wait_video(&tab, "playback in the embed", "video?.currentTime > 0.5").await?;
            let is_shown: bool = tab
                .value(&format!("document.querySelector('video[poster]') !== null === {has_cover}"))
                .await?;
            ensure!(is_shown, "{format}: the embed's cover");
            tab.open("about:blank").await?;
        }
        Ok(())
    })
    .await
}

/// The keys of the page work without a picture; those for screens do nothing.
async fn press_keys(tab: &Tab) -> Result<()> {
    let half = SOUND_SECONDS / 2.0;
    for (key, what, condition) in [
        ("k", "a pause", "video.paused".to_owned()),
        ("5", "half of it", format!("Math.abs(video.currentTime - {half}) < 0.5")),
        ("l", "ten seconds on", format!("Math.abs(video.currentTime - {half} - 10) < 0.5")),
        ("m", "silence", "video.muted".to_owned()),
        ("m", "sound", "!video.muted".to_owned()),
        (">", "a faster pace", "video.playbackRate === 1.25".to_owned()),
    ] {
        tab.press(key).await?;
        wait_video(tab, what, &condition).await?;
    }
    tab.press("tf").await?;
    let is_large = "document.fullscreenElement !== null || document.body.classList.contains('is-theatre')";
    ensure!(!tab.value::<bool>(is_large).await?, "sound fills the screen");
    Ok(())
}
