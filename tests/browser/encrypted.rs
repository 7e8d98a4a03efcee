//! A film over HTTPS that the program speaks by itself.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::film;
use tests::scene::Scene;
use tests::secure::Authority;
use tests::share::Share;

const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_film_plays_over_tls_with_the_page_over_http2() -> Result<()> {
    let film = film()?;
    let folder = tempfile::tempdir()?;
    let issued = Authority::new()?.issue(&["films.example.org"], folder.path())?;
    let (certificate, key) = (issued.certificate.display().to_string(), issued.key.display().to_string());
    let share =
        Share::start(&film, folder.path(), &["--certificate", &certificate, "--certificate-key", &key])?;
    Scene::play("encrypted", async |scene| {
        let trust = format!("--ignore-certificate-errors-spki-list={}", issued.spki);
        let tab = scene.tab_with(&[&trust, "--host-resolver-rules=MAP films.example.org 127.0.0.1"]).await?;
        tab.open(share.link()).await?;
        let shown = |stats: &tests::TabStats| stats.first_frame_ms.is_some();
        let account = tab.wait_stats("the first frame", TIMEOUT, shown).await?;
        eprintln!("figures: {account:?}");
        tab.wait_playing_beyond(1.0, TIMEOUT).await?;
        let protocol: String =
            tab.value("performance.getEntriesByType('navigation')[0].nextHopProtocol").await?;
        ensure!(protocol == "h2", "the page came over {protocol}");
        Ok(())
    })
    .await
}
