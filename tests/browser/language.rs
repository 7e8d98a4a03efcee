//! The page in the viewer's language: all that is seen and read out, in every state; and a language that comes late.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tests::content::described_film;
use tests::scene::Scene;
use tests::{Seeder, Tab, Tracker};

const TIMEOUT: Duration = Duration::from_secs(60);

/// A browser of a person in Austria.
const GERMAN: &str = "--accept-lang=de-AT,de,en-US";

/// What the page still says in English: whole texts and names of the page and of its shadow roots that are English messages and
/// have another form in German.
const ENGLISH: &str = "Promise.all([import('./messages/en.js'), import('./messages/de.js')]).then(([{ FIRST, REST }, { MESSAGES, PLAYER }]) => { \
    const other = new Set([...Object.entries({ ...FIRST, ...REST }).filter(([key, text]) => text !== MESSAGES[key]).map(([, text]) => text), \
        ...Object.entries(PLAYER).filter(([text, own]) => text !== own).map(([text]) => text)]); \
    const said = []; \
    const look = (root) => { \
        const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT); \
        while (walk.nextNode()) said.push(walk.currentNode.data.trim()); \
        for (const element of root.querySelectorAll('*')) { \
            for (const name of ['aria-label', 'placeholder', 'title', 'aria-valuetext']) said.push(element.getAttribute(name) ?? ''); \
            if (element.shadowRoot) look(element.shadowRoot); \
        } }; \
    look(document.body); \
    return [said.length, said.filter((text) => other.has(text))]; })";

/// Fails if something of the page is in English, or the page does not say that it is in German.
pub(crate) async fn wait_german(tab: &Tab, state: &str, words: &str) -> Result<()> {
    tab.wait_words(words, TIMEOUT).await?;
    ensure!(
        tab.value::<String>("document.documentElement.lang").await? == "de",
        "{state}: not marked as German"
    );
    let (count, english) = tab.value::<(usize, Vec<String>)>(ENGLISH).await?;
    ensure!(count > 5, "{state}: only {count} texts were looked at");
    ensure!(english.is_empty(), "{state} says in English: {english:?}");
    Ok(())
}

async fn run(tab: &Tab, script: &str) -> Result<()> {
    tab.value::<Option<bool>>(&format!("(({script}), null)")).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_german_viewer_reads_german_everywhere_and_can_choose_otherwise() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (film, rules) = described_film(folder.path())?;
    let empty = Tracker::start()?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--consent"])?;
    let options = ["--list", "--rules", &rules.display().to_string()];
    let seeder = Seeder::start(&tracker, &film, folder.path(), &options)?;
    Scene::play("German", async |scene| {
        let tab = scene.tab_with(&[GERMAN]).await?;
        tab.open(&empty.http("/")).await?;
        wait_german(&tab, "an empty catalogue", "hier ist noch nichts veröffentlicht").await?;
        tab.open(&tracker.http("/#bad")).await?;
        wait_german(&tab, "an error", "ungültiger link").await?;
        tab.open("about:blank").await?;

        tab.open(seeder.link()).await?;
        wait_german(&tab, "the question", "mit anderen zuschauern verbinden?").await?;
        run(&tab, "document.getElementById('consent-yes').click()").await?;
        tab.wait_for("the controls", TIMEOUT, "document.querySelector('media-time-range')").await?;
        tab.wait_playing_beyond(0.5, TIMEOUT).await?;
        wait_german(&tab, "a film", "mit dem tracker verbunden").await?;
        let label: String = tab.value("document.querySelector('media-play-button').ariaLabel").await?;
        ensure!(label == "Pause" || label == "Abspielen", "{label}");
        run(&tab, "document.getElementById('proof').open = true").await?;
        tab.wait_for("a chart in words", TIMEOUT, "document.querySelector('.chart[aria-label]')").await?;
        run(&tab, "document.querySelector('.settings').click()").await?;
        tab.press("?").await?;
        // A comma between whole and part.
        let size: String = tab.value("document.getElementById('facts').textContent").await?;
        ensure!(size.contains("30,9"), "{size}");
        wait_german(&tab, "panel, settings and keys", "leertaste").await?;
        read_from_right_to_left(&tab).await?;

        // A choice holds from visit to visit; the address counts more. A browser that leaves a playing page for another one of
        // the same site crashes now and then.
        tab.open("about:blank").await?;
        tab.open(&tracker.http("/")).await?;
        tab.wait_for("the choice", TIMEOUT, "!document.getElementById('language-choice').hidden").await?;
        let choose = "(choice => { choice.value = 'en'; choice.dispatchEvent(new Event('change')); })(document.getElementById('language'))";
        run(&tab, choose).await?;
        tab.wait_words("published here", TIMEOUT).await?;
        tab.reload().await?;
        tab.wait_words("published here", TIMEOUT).await?;
        tab.open(&tracker.http("/?lang=de")).await?;
        wait_german(&tab, "a catalogue", "hier veröffentlicht").await?;
        tab.open(&tracker.http(&format!("/embed?lang=de#{}", seeder.swarm()))).await?;
        tab.wait_for("a name in German", TIMEOUT, "document.getElementById('play').ariaLabel === 'Abspielen'").await?;
        tab.open(&tracker.http(&format!("/try-embed?lang=de#{}", seeder.swarm()))).await?;
        wait_german(&tab, "trying out", "player ausprobieren").await
    })
    .await
}

/// The page keeps its shape in a language that is written the other way; time does not turn round.
async fn read_from_right_to_left(tab: &Tab) -> Result<()> {
    run(tab, "document.documentElement.dir = 'rtl'").await?;
    let overflow = "document.documentElement.scrollWidth - innerWidth";
    ensure!(tab.value::<i32>(overflow).await? <= 0, "from right to left, the page scrolls sideways");
    let directions: Vec<String> = tab
        .value("['main', '.timeline', '.settings-panel'].map((name) => getComputedStyle(document.querySelector(name)).direction)")
        .await?;
    ensure!(directions == ["rtl", "ltr", "rtl"], "{directions:?}");
    run(tab, "document.documentElement.dir = 'ltr'").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_language_that_comes_late_delays_nothing_and_is_spoken_once_it_is_here() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (film, rules) = described_film(folder.path())?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--rules", &rules.display().to_string()])?;
    Scene::play("late German", async |scene| {
        let tab = scene.tab_with(&[GERMAN]).await?;
        let hold = json!({ "patterns": [{ "urlPattern": "*/messages/de.js" }] });
        tab.command("Fetch.enable", hold).await?;
        tab.open(seeder.link()).await?;
        tab.wait_stats("a first frame", TIMEOUT, |stats| stats.first_frame_ms.is_some()).await?;
        tab.wait_words("tracker connected", TIMEOUT).await?;
        tab.command("Fetch.disable", json!({})).await?;
        wait_german(&tab, "a film", "mit dem tracker verbunden").await?;
        tab.wait_words("woher es kommt", TIMEOUT).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_language_that_cannot_be_loaded_leaves_the_page_in_english() -> Result<()> {
    let tracker = Tracker::start()?;
    Scene::play("no German", async |scene| {
        let tab = scene.tab_with(&[GERMAN]).await?;
        tab.command("Network.enable", json!({})).await?;
        tab.command("Network.setBlockedURLs", json!({ "urls": ["*/messages/de.js"] })).await?;
        tab.open(&tracker.http("/")).await?;
        tab.wait_words("nothing is published here yet", TIMEOUT).await?;
        ensure!(tab.value::<String>("document.documentElement.lang").await? == "en");
        Ok(())
    })
    .await
}
