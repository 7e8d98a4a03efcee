//! The configurations of `deploy/`: each proxy takes TLS off, at the root and below a path.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use swarm_core::tracker_message::TRACKER_VERSION;
use tests::places::root;
use tests::proxy::{Certificate, Kind, Proxy};
use tests::scene::Scene;
use tests::{Seeder, Tab, Tracker};

/// Four browsers share the machine.
const TIMEOUT: Duration = Duration::from_secs(90);

/// Longer than the 60 s for which proxies keep idle connections, as they come.
const IDLE: Duration = Duration::from_secs(70);

/// Where playback goes on after that.
const SEEK_TO_SECONDS: f64 = 20.0;

/// All four at a time: the idle time is then spent once.
#[tokio::test(flavor = "multi_thread")]
async fn a_film_plays_through_each_proxy_at_the_root_and_below_a_path_and_idle_sockets_live() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--behind-proxy", "--open"])?;
    let seeder = Seeder::start(&tracker, &root().join("sample/river.mp4"), folder.path(), &["--list"])?;
    let certificate = Certificate::new()?;
    let proxies = try_join_all(Kind::ALL.map(|kind| Proxy::start(kind, &tracker, &certificate))).await?;
    Scene::play("proxies", async |scene| {
        let flags = certificate.flags();
        let flags = flags.each_ref().map(String::as_str);
        let mut tabs = Vec::new();
        for _ in &proxies {
            tabs.push(scene.tab_with(&flags).await?);
        }
        let visits = tabs.iter().zip(&proxies).map(async |(tab, proxy)| {
            visit(tab, proxy, seeder.swarm()).await.with_context(|| format!("through {:?}", proxy.kind))
        });
        try_join_all(visits).await.map(drop)
    })
    .await
}

/// Nothing answers above the path, so every address of the page, its workers and the peer has to be below it.
#[tokio::test(flavor = "multi_thread")]
async fn a_film_plays_below_a_base_path_where_nothing_else_is_served() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--base-path", "/films"])?;
    let seeder = Seeder::start(&tracker, &root().join("sample/river.mp4"), folder.path(), &["--list"])?;
    ensure!(seeder.link() == tracker.http(&format!("/#{}", seeder.swarm())), "the link is {}", seeder.link());
    ensure!(seeder.link().contains("/films/#"), "the link is {}", seeder.link());
    Scene::play("base path", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&tracker.http("/")).await?;
        let link = format!("document.querySelector('a[href$=\"#{}\"]')", seeder.swarm());
        tab.wait_for("a link to the film", TIMEOUT, &link).await?;
        tab.value::<Option<bool>>(&format!("{link}.click() ?? null")).await?;
        tab.wait_playing_beyond(0.5, TIMEOUT).await?;
        served_from(&tab, &tracker.http("/"), seeder.swarm()).await?;
        // The second socket is the peer's own doing; the first was opened by the page.
        let address = tracker.address().split('/').next().unwrap_or_default().to_owned();
        tracker.kill()?;
        tab.wait_for("word that the tracker is away", TIMEOUT, "tributary.stats().tracker === 'down'")
            .await?;
        let _tracker = Tracker::start_with(&address, &["--base-path", "/films"])?;
        tab.wait_for("the tracker again", TIMEOUT, "tributary.stats().tracker === 'up'").await
    })
    .await
}

async fn visit(tab: &Tab, proxy: &Proxy, swarm: &str) -> Result<()> {
    tab.open(&proxy.url(&format!("/#{swarm}"))).await?;
    tab.wait_playing_beyond(0.5, TIMEOUT).await?;
    served_from(tab, &proxy.url("/"), swarm).await?;

    // The path without its slash leads to the catalogue, and the catalogue to the film. The service worker of the
    // root controls this page at first.
    tab.open(&proxy.url("/films")).await?;
    let link = format!("document.querySelector('a[href$=\"#{swarm}\"]')");
    tab.wait_for("a link to the film", TIMEOUT, &link).await?;
    tab.value::<Option<bool>>(&format!("{link}.click() ?? null")).await?;
    tab.wait_playing_beyond(0.5, TIMEOUT).await?;
    let page = proxy.url("/films/");
    served_from(tab, &page, swarm).await?;

    let address: String = tab.value("location.href").await?;
    ensure!(address == format!("{page}#{swarm}"), "the page is at {address}");
    tab.value::<Option<bool>>("document.querySelector('video').pause() ?? null").await?;
    let answer: String = tab.value(&idle_socket(&page.replacen("https", "wss", 1))).await?;
    ensure!(answer.contains("\"id\":2"), "after {IDLE:?} the tracker says {answer}");
    tab.wait_for("the page's own socket", Duration::ZERO, "tributary.stats().tracker === 'up'").await?;
    tab.seek(SEEK_TO_SECONDS).await?;
    tab.value::<Option<bool>>("document.querySelector('video').play().then(() => null)").await?;
    tab.wait_playing_beyond(SEEK_TO_SECONDS + 0.5, TIMEOUT).await
}

/// Checks that the film and its service worker are those of the page at this address.
async fn served_from(tab: &Tab, page: &str, swarm: &str) -> Result<()> {
    let film: String = tab.value("document.querySelector('video').src").await?;
    ensure!(film.starts_with(&format!("{page}content/{swarm}/")), "the film is at {film}");
    let worker: String = tab.value("navigator.serviceWorker.controller.scriptURL").await?;
    ensure!(worker == format!("{page}sw.js"), "the service worker is {worker}");
    Ok(())
}

/// An expression that greets the tracker, is silent, asks something and gives the answer. A socket that closes gives its code.
fn idle_socket(page: &str) -> String {
    let idle_ms = IDLE.as_millis();
    format!(
        "new Promise(resolve => {{ \
           const socket = new WebSocket('{page}v1/swarm'); \
           socket.onclose = ({{ code }}) => resolve(`closed with ${{code}}`); \
           socket.onopen = () => socket.send(JSON.stringify({{ \
             id: 1, type: 'hello', version: {TRACKER_VERSION}, capabilities: [], uplink_bps: 0 }})); \
           socket.onmessage = ({{ data }}) => {{ \
             if (JSON.parse(data).id === 2) return resolve(data); \
             setTimeout(() => socket.send(JSON.stringify({{ id: 2, type: 'leave' }})), {idle_ms}); \
           }}; \
         }})"
    )
}
