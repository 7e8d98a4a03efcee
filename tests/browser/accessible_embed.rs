//! The player inside other sites, the question about other viewers and the page for trying out, for everybody: axe finds nothing, and
//! keys alone do.

use anyhow::{Result, ensure};
use tests::content::described_film;
use tests::scene::Scene;
use tests::{Seeder, Tab, Tracker};

use crate::accessibility::{ENTER, TIMEOUT, axe, emulate, examine, walk};

/// Schemes of colours and widths in which each state is looked at.
const LOOKS: [(&str, u32); 4] = [("light", 1280), ("dark", 1280), ("light", 375), ("dark", 375)];

/// Fails if the page is wider than the screen.
async fn measure(tab: &Tab, state: &str) -> Result<()> {
    let overflow = "document.documentElement.scrollWidth - innerWidth";
    ensure!(tab.value::<i32>(overflow).await? <= 0, "{state}: it scrolls sideways");
    Ok(())
}

/// Forgets what the person answered, and that it was ever asked.
async fn forget(tab: &Tab, tracker: &Tracker) -> Result<()> {
    tab.open(&tracker.http("/icon.svg")).await?;
    tab.value::<Option<bool>>("localStorage.clear() ?? null").await.map(drop)
}

async fn wait_question(tab: &Tab) -> Result<()> {
    let is_asked = "document.getElementById('consent').hidden === false";
    tab.wait_for("the question", TIMEOUT, is_asked).await?;
    let has_focus = "document.activeElement?.id === 'consent-yes'";
    tab.wait_for("the focus at the answer", TIMEOUT, has_focus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_in_the_embed_the_question_and_the_page_for_trying_out() -> Result<()> {
    let axe = axe()?;
    let folder = tempfile::tempdir()?;
    let (film, rules) = described_film(folder.path())?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--consent"])?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--rules", &rules.display().to_string()])?;
    let embed = tracker.http(&format!("/embed#{}", seeder.swarm()));
    Scene::play("axe and the embed", async |scene| {
        let tab = scene.tab().await?;
        tab.run_first(&axe).await?;
        for (scheme, width) in LOOKS {
            emulate(&tab, scheme, width).await?;
            let state = |what: &str| format!("{what}, {scheme}, {width} pixels wide");
            forget(&tab, &tracker).await?;

            tab.open(seeder.link()).await?;
            wait_question(&tab).await?;
            examine(&tab, &state("the question on the page")).await?;
            measure(&tab, &state("the question on the page")).await?;

            tab.open(&tracker.http("/embed#bad")).await?;
            tab.wait_words("bad link", TIMEOUT).await?;
            examine(&tab, &state("an embed with a bad link")).await?;
            tab.open(&embed).await?;
            tab.wait_for("a picture", TIMEOUT, "document.querySelector('#stage img')").await?;
            examine(&tab, &state("an embed before playback")).await?;
            tab.value::<Option<bool>>("document.getElementById('play').click() ?? null").await?;
            wait_question(&tab).await?;
            examine(&tab, &state("the question in the embed")).await?;
            tab.value::<Option<bool>>("document.getElementById('consent-yes').click() ?? null").await?;
            tab.wait_playing_beyond(0.5, TIMEOUT).await?;
            examine(&tab, &state("an embed that plays")).await?;

            tab.open(&tracker.http("/try-embed")).await?;
            tab.wait_words("put the link of a content here", TIMEOUT).await?;
            examine(&tab, &state("trying out without a link")).await?;
            tab.open(&tracker.http(&format!("/try-embed#{}", seeder.swarm()))).await?;
            tab.wait_words("ready", TIMEOUT).await?;
            examine(&tab, &state("trying out")).await?;
            measure(&tab, &state("trying out")).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_alone_answer_the_question_and_play_in_the_embed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (film, rules) = described_film(folder.path())?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--consent"])?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--rules", &rules.display().to_string()])?;
    Scene::play("keys and the embed", async |scene| {
        let tab = scene.tab().await?;
        // The page: the question has the focus, and ENTER agrees.
        tab.open(seeder.link()).await?;
        wait_question(&tab).await?;
        tab.press(ENTER).await?;
        tab.wait_playing_beyond(0.5, TIMEOUT).await?;
        forget(&tab, &tracker).await?;

        tab.open(&tracker.http(&format!("/embed#{}", seeder.swarm()))).await?;
        tab.wait_for("a title", TIMEOUT, "document.getElementById('title').textContent").await?;
        let title: String = tab.value("document.getElementById('title').textContent").await?;
        let stops = walk(&tab).await?;
        ensure!(stops.contains("Play") && stops.contains(&title), "{stops:?}");
        tab.value::<Option<bool>>("document.getElementById('play').focus() ?? null").await?;
        tab.press(ENTER).await?;
        wait_question(&tab).await?;
        tab.press(ENTER).await?;
        tab.wait_playing_beyond(0.5, TIMEOUT).await?;
        // What had the focus is gone; the player has it, and takes keys.
        tab.wait_for("the focus at the player", TIMEOUT, "document.activeElement?.localName === 'video'")
            .await?;
        tab.press(" ").await?;
        tab.wait_for("a pause", TIMEOUT, "document.querySelector('video').paused").await?;

        tab.open(&tracker.http(&format!("/try-embed#{}", seeder.swarm()))).await?;
        tab.wait_words("ready", TIMEOUT).await?;
        let stops = walk(&tab).await?;
        let expected =
            ["Tributary", "Link or swarm id", "Captions", "Other viewers", "getStats()", "ready", "Play"];
        for name in expected {
            ensure!(stops.contains(name), "no stop at “{name}”: {stops:?}");
        }
        Ok(())
    })
    .await
}
