//! The page for everybody: axe finds nothing in any state, and keys alone reach and do everything.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::content::described_film;
use tests::places::root;
use tests::scene::Scene;
use tests::{Seeder, Tab, Tracker};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Keys without a letter, as WebDriver names them.
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const RIGHT: &str = "\u{e014}";

/// A screen of 1,280 by 800 pixels with everything twice as large.
pub(crate) const ZOOMED: u32 = 640;

/// Stops of the focus after which a walk through the page is taken for endless.
const STOPS_MAX: usize = 60;

/// The rules of WCAG 2.2 A and AA, and what else its authors advise.
const RULES: &str = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']";

/// The script of axe.
pub(crate) fn axe() -> Result<String> {
    fs::read_to_string(root().join("node_modules/axe-core/axe.min.js"))
        .context("axe is not installed; `cargo xtask page` installs it")
}

/// What axe finds wrong with the page as it is, one line each.
async fn findings(tab: &Tab) -> Result<Vec<String>> {
    let run = format!(
        "axe.run(document, {{ runOnly: {RULES} }}).then(({{ violations, passes }}) => passes.length < 5 \
         ? ['axe looked at nothing'] : violations.flatMap(({{ id, nodes }}) => \
         nodes.map(({{ target, failureSummary }}) => `${{id}}: ${{JSON.stringify(target)}} ${{failureSummary}}`)))"
    );
    tab.value(&run).await
}

/// Fails if axe finds something in this state.
pub(crate) async fn examine(tab: &Tab, state: &str) -> Result<()> {
    let found = findings(tab).await?;
    ensure!(found.is_empty(), "{state}: {}", found.join("\n"));
    Ok(())
}

/// A page that shows a film, its controls included, and stands still.
async fn open_paused(tab: &Tab, link: &str) -> Result<()> {
    tab.open(link).await?;
    tab.wait_for("the controls", TIMEOUT, "document.querySelector('media-time-range')").await?;
    tab.wait_playing_beyond(0.5, TIMEOUT).await?;
    tab.value::<Option<bool>>("document.querySelector('video').pause() ?? null").await?;
    tab.wait_for("a pause", TIMEOUT, "document.querySelector('media-controller[mediapaused]')").await
}

pub(crate) async fn emulate(tab: &Tab, scheme: &str, width: u32) -> Result<()> {
    let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    tab.command("Emulation.setEmulatedMedia", features).await?;
    let height = if width == ZOOMED { 400 } else { 800 };
    let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
    tab.command("Emulation.setDeviceMetricsOverride", screen).await
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_in_any_state_light_and_dark_wide_and_narrow() -> Result<()> {
    let axe = axe()?;
    let folder = tempfile::tempdir()?;
    let (film, rules) = described_film(folder.path())?;
    let empty = Tracker::start()?;
    let tracker = Tracker::start()?;
    let options = ["--list", "--rules", &rules.display().to_string()];
    let seeder = Seeder::start(&tracker, &film, folder.path(), &options)?;
    Scene::play("axe", async |scene| {
        // A second viewer, so that the catalogue marks the film as one that is watched now.
        let viewer = scene.tab().await?;
        open_paused(&viewer, seeder.link()).await?;
        let tab = scene.tab().await?;
        tab.run_first(&axe).await?;
        for (scheme, width) in
            [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390), ("light", ZOOMED)]
        {
            emulate(&tab, scheme, width).await?;
            let state = |what: &str| format!("{what}, {scheme}, {width} pixels wide");

            tab.open(&empty.http("/")).await?;
            tab.wait_words("nothing is published here yet", TIMEOUT).await?;
            examine(&tab, &state("an empty catalogue")).await?;
            tab.open(&tracker.http("/")).await?;
            tab.wait_words("the river", TIMEOUT).await?;
            tab.wait_for("the mark of a watched film", TIMEOUT, "document.querySelector('.live.is-live')")
                .await?;
            examine(&tab, &state("a catalogue with a film that is watched")).await?;
            tab.open(&tracker.http("/#bad")).await?;
            tab.wait_words("bad link", TIMEOUT).await?;
            examine(&tab, &state("an error")).await?;
            tab.open("about:blank").await?;

            open_paused(&tab, seeder.link()).await?;
            examine(&tab, &state("a film")).await?;
            tab.value::<bool>("document.getElementById('proof').open = true").await?;
            tab.wait_for("a chart in words", TIMEOUT, "document.querySelector('.chart[aria-label]')").await?;
            examine(&tab, &state("the open panel")).await?;
            tab.value::<Option<bool>>("document.querySelector('.settings').click() ?? null").await?;
            tab.wait_for("settings", TIMEOUT, "document.querySelector('.settings-panel:not([hidden])')")
                .await?;
            examine(&tab, &state("settings")).await?;
            tab.press(ESCAPE).await?;
            tab.press("?").await?;
            tab.wait_for("the list of keys", TIMEOUT, "document.querySelector('dialog[open]')").await?;
            examine(&tab, &state("the list of keys")).await?;
            let overflow = "document.documentElement.scrollWidth - innerWidth";
            ensure!(tab.value::<i32>(overflow).await? <= 0, "{} scrolls sideways", state("the page"));
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_by_itself_for_those_who_asked_for_less_motion() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (film, rules) = described_film(folder.path())?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &["--rules", &rules.display().to_string()])?;
    Scene::play("less motion", async |scene| {
        let tab = scene.tab().await?;
        open_paused(&tab, seeder.link()).await?;
        let moving = "document.getAnimations().filter(({ playState }) => playState === 'running').length";
        // Otherwise there is something that moves, if only the wheel that tells of waiting.
        tab.wait_for("motion", TIMEOUT, moving).await?;
        let wish = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
        tab.command("Emulation.setEmulatedMedia", wish).await?;
        tab.wait_for("rest", TIMEOUT, &format!("{moving} === 0")).await
    })
    .await
}

/// The element that has the focus, through frames and shadow roots; its name, and whether a person sees that it has it.
const FOCUSED: &str = "(() => { \
    let inner = document.activeElement; \
    const below = (element) => (element?.shadowRoot ?? element?.contentDocument)?.activeElement; \
    while (below(inner)) inner = below(inner); \
    let outer = inner; \
    while (outer?.getRootNode().host?.localName.startsWith('media-')) outer = outer.getRootNode().host; \
    if (!outer || outer === document.body) return null; \
    const look = (element, pseudo) => { const style = getComputedStyle(element, pseudo); \
        return style.outlineStyle !== 'none' || style.boxShadow !== 'none'; }; \
    const seen = [inner, outer, inner.nextElementSibling, inner.getRootNode().getElementById?.('appearance'), \
        inner.getRootNode().getElementById?.('container')].some((element) => element && look(element)); \
    const own = outer.localName.startsWith('media-') && !outer.ariaLabel ? outer.localName : null; \
    const name = own ?? outer.ariaLabel ?? (outer.labels?.[0] ?? outer).textContent.trim().split('\\n')[0]; \
    return [name, seen]; })()";

/// The names of all stops of a walk from the top of the page.
pub(crate) async fn walk(tab: &Tab) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for _ in 0..STOPS_MAX {
        tab.press(TAB).await?;
        let Some((name, is_seen)) = tab.value::<Option<(String, bool)>>(FOCUSED).await? else {
            return Ok(names);
        };
        ensure!(is_seen, "nothing shows that “{name}” has the focus");
        names.insert(name);
    }
    anyhow::bail!("after {STOPS_MAX} stops the walk is not at its end: {names:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_alone_reach_and_do_everything() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (film, rules) = described_film(folder.path())?;
    let tracker = Tracker::start()?;
    let options = ["--list", "--rules", &rules.display().to_string()];
    let seeder = Seeder::start(&tracker, &film, folder.path(), &options)?;
    Scene::play("keys", async |scene| {
        let tab = scene.tab().await?;
        open_paused(&tab, seeder.link()).await?;
        let stops = walk(&tab).await?;
        let expected = [
            "Tributary",
            "play",
            "mute",
            "media-volume-range",
            "media-time-range",
            "Segments, one at a time",
            "Settings",
            "enter fullscreen mode",
            "Theatre mode",
            "? Keyboard shortcuts",
            "Copy link at this time",
            "Save the file",
            "Keep on this device",
            "Pass on what I receive",
            "0:00Spring",
            "0:30Sea",
        ];
        for name in expected {
            ensure!(stops.contains(name), "no stop at “{name}”: {stops:?}");
        }

        // The page's own keys, from anywhere.
        shortcuts(&tab).await?;

        // The panel opens, and closes, with its summary.
        tab.value::<Option<bool>>("document.querySelector('#proof summary').focus() ?? null").await?;
        tab.press(ENTER).await?;
        tab.wait_for("the panel", TIMEOUT, "document.getElementById('proof').open").await?;
        let stops = walk(&tab).await?;
        ensure!(stops.contains("Copy report") && stops.contains("Connections"), "{stops:?}");

        // Settings: opened, a speed chosen by arrow, closed; the focus is back at the button.
        tab.value::<Option<bool>>("document.querySelector('.settings').focus() ?? null").await?;
        tab.press(ENTER).await?;
        tab.wait_for("settings", TIMEOUT, "document.activeElement.name === 'speed'").await?;
        tab.press(RIGHT).await?;
        tab.wait_for("a faster film", TIMEOUT, "document.querySelector('video').playbackRate === 1.25")
            .await?;
        tab.press(ESCAPE).await?;
        let is_back = "document.activeElement === document.querySelector('.settings')";
        tab.wait_for("the focus at the button", TIMEOUT, is_back).await?;
        turned_off(&tab).await
    })
    .await
}

/// Each key does what the list of keys says.
async fn shortcuts(tab: &Tab) -> Result<()> {
    tab.value::<Option<bool>>("document.activeElement.blur() ?? null").await?;
    let video = |what: &str| format!("(video => {what})(document.querySelector('video'))");
    let steps = [
        ("k", "play", "!video.paused"),
        (" ", "pause", "video.paused"),
        ("5", "half of the film", "Math.abs(video.currentTime - 30) < 0.5"),
        ("l", "ten seconds on", "Math.abs(video.currentTime - 40) < 0.5"),
        ("jj", "twenty seconds back", "Math.abs(video.currentTime - 20) < 0.5"),
        (RIGHT, "five seconds on", "Math.abs(video.currentTime - 25) < 0.5"),
        ("m", "no sound", "video.muted"),
        ("m", "sound", "!video.muted"),
        ("\u{e015}\u{e015}", "quieter", "Math.abs(video.volume - 0.9) < 0.01"),
        ("\u{e013}", "louder", "Math.abs(video.volume - 0.95) < 0.01"),
        (">", "faster", "video.playbackRate === 1.25"),
        ("<", "as fast as before", "video.playbackRate === 1"),
        ("c", "captions", "video.textTracks[0].mode === 'showing'"),
        ("c", "no captions", "video.textTracks[0].mode !== 'showing'"),
        ("t", "a theatre", "document.body.classList.contains('is-theatre')"),
        ("t", "no theatre", "!document.body.classList.contains('is-theatre')"),
        ("f", "the full screen", "document.fullscreenElement?.localName === 'media-controller'"),
        ("f", "no full screen", "!document.fullscreenElement"),
        ("?", "the list of keys", "document.querySelector('.help-dialog[open]')"),
        (ESCAPE, "no list", "!document.querySelector('.help-dialog[open]')"),
    ];
    for (keys, what, condition) in steps {
        tab.press(keys).await?;
        tab.wait_for(what, TIMEOUT, &video(condition)).await?;
    }
    Ok(())
}

/// Keys can be turned off, which those need who speak to their computer; the list can still be opened.
async fn turned_off(tab: &Tab) -> Result<()> {
    tab.press("?").await?;
    tab.wait_for("the list of keys", TIMEOUT, "document.querySelector('.help-dialog[open]')").await?;
    tab.value::<Option<bool>>("document.querySelector('.help-dialog input').click() ?? null").await?;
    tab.press(ESCAPE).await?;
    tab.wait_for("no list", TIMEOUT, "!document.querySelector('.help-dialog[open]')").await?;
    tab.press("m?").await?;
    tab.wait_for("the list of keys", TIMEOUT, "document.querySelector('.help-dialog[open]')").await?;
    ensure!(
        !tab.value::<bool>("document.querySelector('video').muted").await?,
        "a key that is off did something"
    );
    Ok(())
}
