//! Tabs of a film that is served at two trackers.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::{digest, film};
use tests::scene::Scene;
use tests::{Seeder, Tracker};

const TIMEOUT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_goes_on_at_the_other_tracker_and_meets_there_who_comes_later() -> Result<()> {
    let film = film()?;
    let original = digest(&film)?;
    let folder = tempfile::tempdir()?;
    let first = Tracker::start()?;
    let page = format!("http://{}", first.address());
    let second = Tracker::start_with("127.0.0.1:0", &["--allow-origin", &page])?;
    let options = ["--upload-limit", "10M", "--tracker", &second.url()];
    let seeder = Seeder::start(&first, &film, folder.path(), &options)?;
    Scene::play("two trackers", async |scene| {
        let moving = scene.tab().await?;
        moving.open(seeder.link()).await?;
        moving.wait_playing_beyond(1.0, TIMEOUT).await?;
        first.kill()?;
        // A tab that comes later, at the other tracker, can be met there only.
        let later = scene.tab().await?;
        later.open(&format!("http://{}/#{}", second.address(), seeder.swarm())).await?;
        for tab in [&moving, &later] {
            tab.wait_stats("a link to the other tab", TIMEOUT, |stats| stats.open_links("viewer") == 1)
                .await?;
            tab.wait_stats("one link to the seeder", TIMEOUT, |stats| stats.open_links("initial") == 1)
                .await?;
        }
        for tab in [&moving, &later] {
            tab.wait_stats("the whole film", TIMEOUT, |stats| stats.is_complete()).await?;
            ensure!(tab.digest().await?.as_deref() == Some(&original), "{} holds other bytes", tab.name());
        }
        Ok(())
    })
    .await
}
