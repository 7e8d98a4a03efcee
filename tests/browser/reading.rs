//! The service worker as whatever reads through it sees it: exact answers to `Range` requests.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::json;
use tests::content::random_file;
use tests::scene::Scene;
use tests::{Seeder, Tab, Tracker};

const TIMEOUT: Duration = Duration::from_secs(60);
const FILE_BYTES: usize = 1_000_003;

#[derive(Debug, Deserialize)]
struct Answer {
    status: u16,
    content_range: Option<String>,
    content_length: Option<String>,
    bytes: Vec<u8>,
}

/// Reads the content through the service worker; the first and last 64 bytes of what came.
async fn read(tab: &Tab, swarm: &str, range: &str) -> Result<Answer> {
    let url = format!("/content/{swarm}/film.bin");
    let expression = format!(
        "fetch({}, {{ headers: {{ Range: {} }} }}).then(async (response) => {{ \
           const bytes = new Uint8Array(await response.arrayBuffer()); \
           const ends = bytes.length > 128 ? [...bytes.slice(0, 64), ...bytes.slice(-64)] : [...bytes]; \
           return {{ status: response.status, content_range: response.headers.get('content-range'), \
                     content_length: response.headers.get('content-length'), bytes: ends }}; }})",
        json!(url),
        json!(range)
    );
    tab.value(&expression).await
}

fn ends(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() > 128 { [&bytes[..64], &bytes[bytes.len() - 64..]].concat() } else { bytes.to_vec() }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_answered_exactly() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, FILE_BYTES as u64, 10)?;
    let original = fs::read(&file)?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &file, folder.path(), &[])?;
    Scene::play("ranges", async |scene| {
        let tab = scene.tab().await?;
        tab.open(seeder.link()).await?;
        tab.wait_stats("the whole file", TIMEOUT, |stats| stats.is_complete()).await?;
        tab.wait_for("a service worker in control", TIMEOUT, "navigator.serviceWorker.controller").await?;
        let last = FILE_BYTES - 1;
        for (range, from, to) in [
            ("bytes=0-1".to_owned(), 0, 2),
            ("bytes=16383-16384".to_owned(), 16383, 16385),
            ("bytes=70000-".to_owned(), 70_000, FILE_BYTES),
            ("bytes=-5".to_owned(), FILE_BYTES - 5, FILE_BYTES),
            (format!("bytes={last}-{}", last + 1000), last, FILE_BYTES),
            ("bytes=0-".to_owned(), 0, FILE_BYTES),
        ] {
            let answer = read(&tab, seeder.swarm(), &range).await?;
            let expected = &original[from..to];
            ensure!(answer.status == 206, "{range}: {answer:?}");
            let content_range = format!("bytes {from}-{}/{FILE_BYTES}", to - 1);
            ensure!(answer.content_range.as_deref() == Some(&content_range), "{range}: {answer:?}");
            ensure!(answer.content_length == Some((to - from).to_string()), "{range}: {answer:?}");
            ensure!(answer.bytes == ends(expected), "{range}: other bytes came");
        }
        let beyond = read(&tab, seeder.swarm(), &format!("bytes={FILE_BYTES}-")).await?;
        ensure!(beyond.status == 416, "{beyond:?}");
        ensure!(beyond.content_range == Some(format!("bytes */{FILE_BYTES}")), "{beyond:?}");
        Ok(())
    })
    .await
}
