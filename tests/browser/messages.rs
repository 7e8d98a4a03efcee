//! What a person reads when something is wrong.

use std::time::Duration;

use anyhow::Result;
use tests::Tracker;
use tests::scene::Scene;

const TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn bad_links_and_unknown_swarms_are_said() -> Result<()> {
    let tracker = Tracker::start()?;
    Scene::play("bad links", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&tracker.http("/#nonsense")).await?;
        tab.wait_words("bad link", TIMEOUT).await?;
        let other = scene.tab().await?;
        other.open(&tracker.http(&format!("/#{}", "ab".repeat(32)))).await?;
        other.wait_words("nobody here knows this content", TIMEOUT).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_is_none_is_said_and_the_rest_goes_on() -> Result<()> {
    let tracker = Tracker::start()?;
    Scene::play("bad time", async |scene| {
        let tab = scene.tab().await?;
        tab.open(&tracker.http(&format!("/#{}&t=soon", "ab".repeat(32)))).await?;
        tab.wait_words("the link's time is not understood", TIMEOUT).await?;
        tab.wait_words("nobody here knows this content", TIMEOUT).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_webrtc_is_told_so() -> Result<()> {
    let tracker = Tracker::start()?;
    Scene::play("no WebRTC", async |scene| {
        let tab = scene.tab().await?;
        tab.run_first("delete window.RTCPeerConnection; delete window.webkitRTCPeerConnection;").await?;
        tab.open(&tracker.http(&format!("/#{}", "ab".repeat(32)))).await?;
        tab.wait_words("no webrtc", TIMEOUT).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_webassembly_is_told_so() -> Result<()> {
    let tracker = Tracker::start()?;
    Scene::play("no WebAssembly", async |scene| {
        let tab = scene.tab().await?;
        tab.run_first("delete window.WebAssembly;").await?;
        tab.open(&tracker.http(&format!("/#{}", "ab".repeat(32)))).await?;
        tab.wait_words("no webassembly", TIMEOUT).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_service_workers_is_told_what_it_takes() -> Result<()> {
    let tracker = Tracker::start()?;
    Scene::play("no service workers", async |scene| {
        // Plain HTTP from another name than localhost is no secure context.
        let tab = scene.tab_with(&["--host-resolver-rules=MAP tracker.test 127.0.0.1"]).await?;
        let address = tracker.address().replace("127.0.0.1", "tracker.test");
        tab.open(&format!("http://{address}/#{}", "ab".repeat(32))).await?;
        tab.wait_for("an insecure context", TIMEOUT, "!window.isSecureContext").await?;
        tab.wait_words("https", TIMEOUT).await
    })
    .await
}
