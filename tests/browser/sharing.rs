//! What the README begins with: one command, and a browser plays.

use std::time::Duration;

use anyhow::Result;
use tests::content::film;
use tests::scene::Scene;
use tests::share::Share;

const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_film_plays_from_one_command_with_the_page_inside() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let share = Share::start(&film, folder.path(), &[])?;
    Scene::play("sharing", async |scene| {
        let tab = scene.tab().await?;
        tab.open(share.link()).await?;
        let shown = |stats: &tests::TabStats| stats.first_frame_ms.is_some();
        let account = tab.wait_stats("the first frame", TIMEOUT, shown).await?;
        eprintln!("figures: {account:?}");
        tab.wait_playing_beyond(1.0, TIMEOUT).await
    })
    .await
}
