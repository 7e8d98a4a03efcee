//! The picture of a moment above the timeline: which tile it is, and that nothing is fetched or decoded for it beforehand.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::json;
use tests::content::{film_at_rate, sound};
use tests::scene::Scene;
use tests::{Seeder, Tab, Tracker};

const TIMEOUT: Duration = Duration::from_secs(60);

/// A machine without a mouse has a browser that shows no previews: it is told that there is one.
const MOUSE: &str =
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4";

/// Bits a second and seconds of a film that is quickly decoded. It has a keyframe every two seconds.
const FILM: (u64, u64) = (800_000, 40);

/// The element with the picture of the moment, its inner picture, and the slider around it.
const PARTS: &str = "const range = document.querySelector('media-time-range'); \
    const thumbnail = document.querySelector('media-preview-thumbnail'); \
    const picture = thumbnail?.shadowRoot.querySelector('img');";

/// The part of the picture that is seen, in tiles.
const CROP: &str = "const [frame, whole] = [thumbnail, picture].map((shown) => shown.getBoundingClientRect()); \
    const crop = { column: (frame.left - whole.left) / frame.width, row: (frame.top - whole.top) / frame.height, \
        columns: whole.width / frame.width, width: frame.width, height: frame.height };";

#[derive(Debug, Deserialize)]
struct Crop {
    columns: f64,
    width: f64,
    height: f64,
}

async fn wait_controls(tab: &Tab) -> Result<()> {
    tab.wait_for("the controls", TIMEOUT, "document.querySelector('media-time-range')?.shadowRoot").await
}

/// Moves the mouse to this part of the timeline.
async fn hover(tab: &Tab, place: f64) -> Result<()> {
    let (x, y): (f64, f64) = tab
        .value(&format!(
            "(() => {{ {PARTS} const {{ left, top, width, height }} = range.getBoundingClientRect(); \
             return [left + width * {place}, top + height * 0.6]; }})()"
        ))
        .await?;
    // The slider notices a pointer that enters, and then its moves.
    for x in [x - 2.0, x] {
        let event = json!({ "type": "mouseMoved", "x": x, "y": y, "pointerType": "mouse" });
        tab.command("Input.dispatchMouseEvent", event).await?;
    }
    Ok(())
}

/// Waits until the tile of this part of the film is seen, and whole.
async fn wait_tile(tab: &Tab, place: f64) -> Result<()> {
    // A busy machine makes fewer.
    let count: u32 = tab
        .value("[...document.querySelector('video').textTracks].find(({ label }) => label === 'thumbnails').cues.length")
        .await?;
    ensure!([20, 10, 5].contains(&count), "{count} tiles");
    let (columns, tile) = (f64::from(count).sqrt().ceil() as u32, (place * f64::from(count)).floor() as u32);
    let (column, row) = (tile % columns, tile / columns);
    let condition = format!(
        "(() => {{ {PARTS} if (!picture?.naturalWidth) return false; {CROP} \
         return getComputedStyle(thumbnail).visibility === 'visible' \
             && Math.abs(crop.column - {column}) < 0.02 && Math.abs(crop.row - {row}) < 0.02; }})()"
    );
    tab.wait_for(&format!("the tile in column {column} of row {row}"), TIMEOUT, &condition).await?;
    let crop: Crop = tab.value(&format!("(() => {{ {PARTS} {CROP} return crop; }})()")).await?;
    ensure!((crop.columns - f64::from(columns)).abs() < 0.02, "{crop:?}");
    ensure!(crop.width >= 100.0 && (crop.width / crop.height - 16.0 / 9.0).abs() < 0.05, "{crop:?}");
    Ok(())
}

/// Addresses that were fetched so far, without the film itself.
async fn fetched(tab: &Tab) -> Result<Vec<String>> {
    tab.value(
        "performance.getEntriesByType('resource').map(({ name }) => name) \
         .filter((name) => name.startsWith('http') && !name.includes('/content/'))",
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pointer_over_the_timeline_shows_the_tile_of_that_moment() -> Result<()> {
    let film = film_at_rate(FILM.0, FILM.1)?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    let note = sound(folder.path(), "ogg", false)?;
    let silent = Seeder::start(&tracker, &note, &folder.path().join("note"), &[])?;
    Scene::play("a storyboard", async |scene| {
        let tab = scene.tab_with(&[MOUSE]).await?;
        tab.open(seeder.link()).await?;
        wait_controls(&tab).await?;
        tab.wait_playing_beyond(0.5, TIMEOUT).await?;
        let source = format!("(() => {{ {PARTS} return picture.getAttribute('src'); }})()");
        ensure!(tab.value::<Option<String>>(&source).await?.is_none(), "it is decoded before it is seen");
        let before = fetched(&tab).await?;

        for place in [0.504, 0.11, 0.93] {
            hover(&tab, place).await?;
            wait_tile(&tab, place).await?;
        }
        let source = tab.value::<Option<String>>(&source).await?.unwrap_or_default();
        ensure!(source.starts_with("blob:"), "{source}");
        let after = fetched(&tab).await?;
        ensure!(after == before, "fetched for it: {:?}", &after[before.len().min(after.len())..]);
        let refused: Vec<String> =
            tab.console().await.into_iter().filter(|line| line.contains("Content Security Policy")).collect();
        ensure!(refused.is_empty(), "{refused:?}");
        // The track of the tiles is no captions.
        ensure!(tab.value::<u32>("document.querySelectorAll('media-captions-button').length").await? == 0);

        // Without a storyboard there is no empty frame.
        tab.open("about:blank").await?;
        tab.open(silent.link()).await?;
        wait_controls(&tab).await?;
        ensure!(tab.value::<u32>("document.querySelectorAll('media-preview-thumbnail').length").await? == 0);
        Ok(())
    })
    .await
}
