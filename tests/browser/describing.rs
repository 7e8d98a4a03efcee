//! What an author says of a content, as a person sees it before the first byte of media is here.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use swarm_core::manifest::{
    Attachment, AttachmentKind, Chapter, Mirrors, Period, Seal, Segment, SegmentKind,
};
use swarm_core::publisher::{Action, Statement, TrackerName};
use swarm_core::{ContentRoot, Manifest, SecretKey};
use tests::scene::Scene;
use tests::{Tab, Tracker};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A picture of one pixel.
const POSTER: &[u8] =
    b"\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x00\x01\x00\x00\
    \x00\x01\x08\x02\x00\x00\x00\x90\x77\x53\xde\x00\x00\x00\x0c\x49\x44\x41\x54\x78\xda\x63\
    \xe0\x2e\x6a\x05\x00\x01\x8e\x01\x03\xc5\x1e\x5c\xca\x00\x00\x00\x00\x49\x45\x4e\x44\xae\
    \x42\x60\x82";

const SUBTITLES: &str = "WEBVTT\n\n00:01.000 --> 00:04.000\nThe river rises.\n";

/// A film of one minute: headers, then six segments of ten seconds, the last two of them set apart.
fn manifest() -> Manifest {
    let segment = |kind, group_count, priority, period, time_ms: Option<u64>| Segment {
        group_count,
        kind,
        priority,
        period,
        time_ms,
        duration_ms: time_ms.map(|_| 10_000),
    };
    let media = |index: u64, priority, period| {
        segment(SegmentKind::Media, 100, priority, period, Some(index * 10_000))
    };
    let mut segments = vec![segment(SegmentKind::Header, 4, 7, Period::Start, None)];
    segments.extend((0..4).map(|index| media(index, 3, Period::Playback)));
    segments.extend([media(4, 6, Period::Playback), media(5, 1, Period::Background)]);
    let attachment = |kind, media_type: &str, language: Option<&str>, bytes: &[u8]| Attachment {
        kind,
        media_type: media_type.to_owned(),
        language: language.map(str::to_owned),
        label: None,
        bytes: bytes.to_vec().into(),
    };
    Manifest {
        seal: Seal::default(),
        name: "river.mp4".to_owned(),
        title: Some("The <b>River</b>".to_owned()),
        media_type: "video/mp4".to_owned(),
        length_bytes: 604 * 16 * 1024,
        root: ContentRoot([7; 32]),
        segments,
        duration_ms: Some(60_000),
        chapters: vec![
            Chapter { time_ms: 0, name: "Spring".to_owned() },
            Chapter { time_ms: 30_000, name: String::new() },
        ],
        author: Some("a hydrologist".to_owned()),
        created_s: 1,
        trackers: vec![],
        attachments: vec![
            attachment(AttachmentKind::Poster, "image/png", None, POSTER),
            attachment(AttachmentKind::Subtitles, "text/vtt", Some("fr"), SUBTITLES.as_bytes()),
        ],
        mirrors: Mirrors::default(),
    }
}

/// Publishes a manifest of which nobody has the content; its link.
async fn publish(tracker: &Tracker, manifest: &Manifest) -> Result<String> {
    let key = SecretKey::from_bytes(&[7; 32]);
    let manifest = manifest.clone().signed_by(&key)?;
    let swarm = manifest.swarm_id()?;
    let challenge = tracker.get("/v1/challenge").await?.1.trim().parse()?;
    let (action, name) = (Action::List, TrackerName::of(tracker.address()));
    let signature = key.sign(&Statement::Publication { action, swarm, tracker: name, challenge });
    let url = tracker.http(&format!("/v1/manifests/{swarm}?list=true"));
    let request =
        reqwest::Client::new().put(&url).header("tributary-proof", format!("{challenge}.{signature}"));
    let answer = request.body(manifest.to_bytes()?).send().await?;
    answer.error_for_status().context("the tracker refuses the manifest")?;
    Ok(tracker.http(&format!("/#{swarm}")))
}

/// What there is to read in an element.
async fn text(tab: &Tab, id: &str) -> Result<String> {
    tab.value(&format!("document.getElementById('{id}').innerText")).await
}

#[derive(Debug, Deserialize)]
struct Track {
    language: String,
    label: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn title_poster_subtitles_chapters_and_segments_are_shown() -> Result<()> {
    let tracker = Tracker::start()?;
    let link = publish(&tracker, &manifest()).await?;
    Scene::play("a description", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&link).await?;
        tab.wait_for("the player", TIMEOUT, "document.querySelector('video')").await?;

        // A title is text, whatever is in it.
        let title = text(&tab, "title").await?;
        ensure!(title == "The <b>River</b>", "{title}");
        let facts = text(&tab, "facts").await?;
        ensure!(facts == "by a hydrologist · 1:00 · 9.90 MB · video/mp4 · river.mp4", "{facts}");

        // The poster is loaded under the page's own security policy, as the player loads it.
        let width = "new Promise((resolve, reject) => { const image = new Image(); \
                     image.onload = () => resolve(image.naturalWidth); image.onerror = reject; \
                     image.src = document.querySelector('video').poster; })";
        ensure!(tab.value::<u32>(width).await? == 1);

        // The subtitles are offered, not forced, and can be read.
        let subtitles = "Array.from(document.querySelector('video').textTracks) \
                         .filter(({ kind }) => kind === 'subtitles')";
        let tracks = &format!("{subtitles}.map(({{ language, label }}) => ({{ language, label }}))");
        let tracks: Vec<Track> = tab.value(tracks).await?;
        ensure!(matches!(&tracks[..], [track] if track.language == "fr" && track.label == "French"), "{tracks:?}");
        let modes: Vec<String> =
            tab.value(&format!("{subtitles}.map(({{ mode }}) => mode)")).await?;
        ensure!(modes == ["disabled"], "{modes:?}");
        let cue = "((track) => { track.mode = 'hidden'; return track.cues?.[0]?.text === 'The river rises.'; }) \
                   (document.querySelector('video').textTracks[0])";
        tab.wait_for("the first subtitle", TIMEOUT, cue).await?;

        // What comes after the first frame comes without one, too, if there is none for long.
        tab.wait_for("the list of chapters", TIMEOUT, "document.getElementById('chapters-list')").await?;
        let chapters = text(&tab, "chapters-list").await?;
        ensure!(chapters.split_whitespace().eq(["0:00", "Spring", "0:30", "Chapter", "2"]), "{chapters}");
        tab.value::<bool>("document.getElementById('proof').open = true").await?;
        tab.wait_words("7 segments · 0% here", TIMEOUT).await?;
        let legend = text(&tab, "bar-legend").await?;
        for words in ["Not here yet", "Spare capacity only", "Gap: chapter", "Taller"] {
            ensure!(legend.contains(words), "no `{words}` in the legend: {legend}");
        }
        inspect_with_keys(&tab).await
    })
    .await
}

/// The bar tells about each segment in words, with keys alone.
async fn inspect_with_keys(tab: &Tab) -> Result<()> {
    let press = |key: &str| {
        format!(
            "document.getElementById('bar-picture').dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}' }}))"
        )
    };
    tab.value::<bool>(&press("End")).await?;
    let last = text(tab, "bar-words").await?;
    let expected =
        "Segment 7 of 7: media · 0:50–1:00 · 1.64 MB · priority 1, with spare capacity only · 0% here";
    ensure!(last == expected, "{last}");
    tab.value::<bool>(&press("ArrowLeft")).await?;
    let before = text(tab, "bar-words").await?;
    ensure!(before.starts_with("Segment 6 of 7: media · 0:40–0:50"), "{before}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_whose_name_is_a_folder_is_played_by_the_embed() -> Result<()> {
    let tracker = Tracker::start()?;
    let link = publish(&tracker, &Manifest { name: "..".to_owned(), ..manifest() }).await?;
    let (site, swarm) = link.split_once('#').context("a link names its swarm")?;
    Scene::play("a name that is a folder", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&format!("{site}embed?autoplay=1&muted=1#{swarm}")).await?;
        let expression = "document.querySelector('video')?.src.includes('/content/')";
        tab.wait_for("an address to play", TIMEOUT, expression).await?;
        let address: String = tab.value("document.querySelector('video').src").await?;
        ensure!(address.starts_with(&format!("{site}content/{swarm}/film")), "{address}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_shows_the_title_and_the_poster_where_there_is_one() -> Result<()> {
    let tracker = Tracker::start()?;
    let plain = Manifest { attachments: vec![], title: Some("The <b>river</b>".to_owned()), ..manifest() };
    let link = publish(&tracker, &plain).await?;
    Scene::play("a catalogue", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&tracker.http("/")).await?;
        tab.wait_words("the <b>river</b>", TIMEOUT).await?;
        let entries: Vec<String> = tab
            .value("Array.from(document.querySelectorAll('#catalogue-list a'), ({ href, innerText }) => href + ' ' + innerText)")
            .await?;
        let [entry] = &entries[..] else { anyhow::bail!("not one entry: {entries:?}") };
        ensure!(entry.starts_with(&link) && entry.contains("1:00") && entry.contains("9.90 MB"), "{entry}");
        ensure!(tab.value::<u32>("document.querySelectorAll('#catalogue-list img').length").await? == 0);
        let pictured = publish(&tracker, &manifest()).await?;
        let shown = format!(
            "document.querySelector('#catalogue-list a[href$=\"{}\"] img')?.naturalWidth === 1",
            pictured.strip_prefix(&tracker.http("")).unwrap_or(&pictured)
        );
        tab.wait_for("the poster", TIMEOUT, &shown).await?;
        ensure!(tab.value::<u32>("document.querySelectorAll('#catalogue-list img').length").await? == 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_against_uploading_is_kept_for_the_next_visit() -> Result<()> {
    let tracker = Tracker::start()?;
    let link = publish(&tracker, &manifest()).await?;
    Scene::play("no uploading", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&link).await?;
        tab.wait_for("the page", TIMEOUT, "window.tributary").await?;
        let choose = "(() => { const cap = document.getElementById('sharing-cap'); cap.value = '2000000'; \
                      cap.dispatchEvent(new Event('change')); \
                      document.getElementById('sharing-on').click(); })()";
        tab.value::<Option<bool>>(choose).await?;
        tab.open("about:blank").await?;
        tab.open(&link).await?;
        tab.wait_for("the page", TIMEOUT, "window.tributary").await?;
        ensure!(!tab.value::<bool>("document.getElementById('sharing-on').checked").await?);
        ensure!(tab.value::<String>("document.getElementById('sharing-cap').value").await? == "2000000");
        ensure!(tab.value::<bool>("document.getElementById('sharing-cap').disabled").await?);
        Ok(())
    })
    .await
}
