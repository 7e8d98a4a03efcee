//! What is shown first is what is fetched first: the moment that a link names, the index wherever it lies.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::content::{film, film_with_index_last};
use tests::scene::Scene;
use tests::{Seeder, Tracker};

const TIMEOUT: Duration = Duration::from_secs(60);

/// The moment that the links name, and how they write it.
const START_SECONDS: f64 = 45.0;
const START: &str = "&t=0:45";

/// How far from that moment the first reported frame may be, seconds: a frame before, rounding; after, what
/// plays until a busy browser gets to report a frame at all.
const START_EARLY: f64 = 0.1;
const START_LATE: f64 = 1.0;

/// Share of the film that may be here when the moment is shown. From the beginning to there it is three
/// quarters; the moment itself takes a few parts in a hundred.
const SHARE_MAX: f64 = 0.4;

#[tokio::test(flavor = "multi_thread")]
async fn a_link_with_a_time_shows_that_moment_before_the_film_up_to_it_is_here() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    // Twice the film's rate: the time to fetch it up to the moment would be seen.
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--upload-limit", "10M"])?;
    Scene::play("a start in the middle", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&format!("{}{START}", seeder.link())).await?;
        let shown = |stats: &tests::TabStats| stats.first_frame_ms.is_some();
        let account = tab.wait_stats("the first frame", TIMEOUT, shown).await?;
        let at = account.first_frame_at_s.context("a frame without a time")?;
        let expected = START_SECONDS - START_EARLY..START_SECONDS + START_LATE;
        ensure!(expected.contains(&at), "the first frame was that at {at} s");
        let share = account.bytes_verified as f64 / account.bytes_total as f64;
        eprintln!("figures: at the first frame {:.1} % were here: {account:?}", share * 100.0);
        ensure!(share < SHARE_MAX, "{:.0} % came before the moment was shown", share * 100.0);
        tab.wait_playing_beyond(START_SECONDS + 1.0, TIMEOUT).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_with_its_index_at_the_end_is_shown_before_what_lies_between_is_here() -> Result<()> {
    let film = film_with_index_last()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--upload-limit", "10M"])?;
    Scene::play("an index at the end", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        let shown = |stats: &tests::TabStats| stats.first_frame_ms.is_some();
        let account = tab.wait_stats("the first frame", TIMEOUT, shown).await?;
        let share = account.bytes_verified as f64 / account.bytes_total as f64;
        eprintln!("figures: at the first frame {:.1} % were here: {account:?}", share * 100.0);
        ensure!(share < SHARE_MAX, "{:.0} % came before the first frame", share * 100.0);
        tab.wait_playing_beyond(1.0, TIMEOUT).await
    })
    .await
}

/// Notes, from the first moment of the page on, where its player is: seconds played, speed, seconds of media ahead.
const NOTES: &str = r"
  window.notes = [];
  setInterval(() => {
    const media = document.querySelector('video');
    if (!media || media.readyState < 2) return;
    const end = media.buffered.length ? media.buffered.end(0) : 0;
    window.notes.push([media.currentTime, media.playbackRate, end - media.currentTime]);
  }, 20);
";

#[tokio::test(flavor = "multi_thread")]
async fn the_first_frame_is_shown_before_the_start_buffer_is_full_and_playback_begins_after() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    // Less than the film's rate: the publisher is not rich, and the buffer fills slowly.
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--upload-limit", "3M"])?;
    Scene::play("the start buffer", async |scene| {
        let tab = scene.tab().await?;
        tab.run_first(NOTES).await?;
        tab.open(seeder.link()).await?;
        let shown = |stats: &tests::TabStats| stats.first_frame_ms.is_some();
        let first = tab.wait_stats("the first frame", TIMEOUT, shown).await?;
        tab.wait_playing_beyond(0.3, TIMEOUT).await?;
        let notes: Vec<(f64, f64, f64)> = tab.value("window.notes").await?;
        let is_waiting = |note: &&(f64, f64, f64)| note.0 == 0.0 && note.1 == 0.0;
        let waited = notes.iter().filter(is_waiting).count();
        let begun = notes.iter().find(|(at, ..)| *at > 0.0).context("it never played")?;
        eprintln!("figures: {waited} notes of a waiting player, then {begun:?}; {first:?}");
        ensure!(waited > 0, "the first frame came with a full buffer, so nothing was tested: {notes:?}");
        // A second is the least; Chromium counts what it reads before it plays.
        ensure!(begun.1 == 1.0 && begun.0 + begun.2 > 0.9, "it played with {begun:?}");
        ensure!(first.start_buffer_ms >= 1000, "{first:?}");
        Ok(())
    })
    .await
}
