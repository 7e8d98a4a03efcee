//! A person who leaves a page that plays for another one of the same site.

use std::time::Duration;

use anyhow::Result;
use tests::content::film;
use tests::scene::Scene;
use tests::{Seeder, Tracker};

const TIMEOUT: Duration = Duration::from_secs(60);

/// A browser that crashed when a page was left did so once in ten visits on a busy machine.
const VISITS: u32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_plays_is_left_and_the_next_one_of_the_site_works() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let film = film()?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--list"])?;
    Scene::play("leaving", async |scene| {
        let tab = scene.tab().await?;
        for _ in 0..VISITS {
            tab.open(seeder.link()).await?;
            tab.wait_playing_beyond(0.5, TIMEOUT).await?;
            tab.open("about:blank").await?;
            tab.open(&tracker.http("/")).await?;
            let choice = "!document.getElementById('language-choice').hidden";
            tab.wait_for("the choice of a language", TIMEOUT, choice).await?;
        }
        Ok(())
    })
    .await
}
