//! The catalogue: searched, sorted, empty, and out of reach.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::film;
use tests::scene::Scene;
use tests::{Seeder, Tab, Tracker};

const TIMEOUT: Duration = Duration::from_secs(60);

/// What is listed, in its order.
async fn wait_titles(tab: &Tab, titles: &[&str]) -> Result<()> {
    let shown = "JSON.stringify([...document.querySelectorAll('#catalogue-list strong')].map((title) => title.textContent))";
    let expected = serde_json::to_string(&titles)?;
    tab.wait_for(&format!("the titles {titles:?}"), TIMEOUT, &format!("{shown} === '{expected}'")).await
}

async fn search(tab: &Tab, words: &str) -> Result<()> {
    let expression = format!(
        "(() => {{ const search = document.getElementById('catalogue-search'); search.value = '{words}'; \
           search.dispatchEvent(new Event('input')); return null; }})()"
    );
    tab.value::<Option<bool>>(&expression).await.map(drop)
}

async fn sort(tab: &Tab, order: &str) -> Result<()> {
    let expression = format!(
        "(() => {{ const sort = document.getElementById('catalogue-sort'); sort.value = '{order}'; \
           sort.dispatchEvent(new Event('change')); return null; }})()"
    );
    tab.value::<Option<bool>>(&expression).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn titles_are_found_by_their_words_and_in_the_order_of_the_reader() -> Result<()> {
    let film = film()?;
    let tracker = Tracker::start()?;
    Scene::play("the catalogue", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&tracker.http("/")).await?;
        tab.wait_words("nothing is published here yet", TIMEOUT).await?;

        let mut seeders = Vec::new();
        let mut homes = Vec::new();
        for title in ["Walk by the sea", "A river at night", "River, by day"] {
            let home = tempfile::tempdir()?;
            seeders.push(Seeder::start(&tracker, &film, home.path(), &["--list", "--title", title])?);
            homes.push(home);
        }
        wait_titles(&tab, &["River, by day", "A river at night", "Walk by the sea"]).await?;
        sort(&tab, "name").await?;
        wait_titles(&tab, &["A river at night", "River, by day", "Walk by the sea"]).await?;
        search(&tab, "NIGHT river").await?;
        wait_titles(&tab, &["A river at night"]).await?;
        ensure!(tab.value::<String>("location.search").await? == "?q=NIGHT%20river");
        search(&tab, "mountain").await?;
        tab.wait_words("nothing here is called “mountain”", TIMEOUT).await?;
        tab.value::<Option<bool>>("document.getElementById('catalogue-clear').click() ?? null").await?;
        wait_titles(&tab, &["A river at night", "River, by day", "Walk by the sea"]).await?;

        // A viewer counts at once, and the most watched is first.
        let viewer = scene.tab().await?;
        viewer.open(seeders[0].link()).await?;
        viewer.wait_playing_beyond(0.5, TIMEOUT).await?;
        tab.wait_words("1 watching", TIMEOUT).await?;
        sort(&tab, "peers").await?;
        wait_titles(&tab, &["Walk by the sea", "River, by day", "A river at night"]).await?;

        tracker.kill()?;
        tab.wait_words("the tracker's list cannot be had just now", TIMEOUT).await
    })
    .await
}
