//! A tracker that speaks TLS by itself: with certificates from files, and from an authority that is a process of its own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::content::random_file;
use tests::pebble::Pebble;
use tests::ports::free_address;
use tests::secure::{Answer, Authority, Visitor};
use tests::share::Share;
use tests::wait::until;
use tests::{Program, Tracker};

const TIMEOUT: Duration = Duration::from_secs(60);
const NAME: &str = "films.example.org";

/// Starts a tracker that asks an authority for a certificate.
fn tracker(pebble: &Pebble, listen: SocketAddr, data_dir: &str) -> Result<Program> {
    let (directory, root) = (pebble.directory(), pebble.root_file());
    let root = root.to_str().context("a path that is no text")?;
    Tracker::program_with(
        &listen.to_string(),
        &[
            ["--domain", NAME],
            ["--data-dir", data_dir],
            ["--acme-directory", &directory],
            ["--acme-root", root],
            ["--acme-contact", "operator@example.org"],
        ]
        .concat(),
    )
}

/// Waits until the tracker answers with a certificate that the visitor trusts.
async fn answer(visitor: &Visitor, at: SocketAddr, is_met: impl Fn(&Answer) -> bool) -> Result<Answer> {
    until("an answer with a certificate of the authority", TIMEOUT, async || {
        Ok(visitor.get(at, NAME, "/healthz").await.ok().filter(|answer| is_met(answer)))
    })
    .await
}

#[tokio::test]
async fn a_certificate_comes_from_an_authority_and_is_kept_over_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data_dir = folder.path().to_str().context("a path that is no text")?;
    let at = free_address()?;
    let pebble = Pebble::start(at, Duration::from_secs(90 * 24 * 3600))?;
    let visitor = pebble.visitor().await?;
    let first = tracker(&pebble, at, data_dir)?;
    let shown = answer(&visitor, at, |_| true).await?;
    ensure!(shown.text.starts_with("HTTP/1.1 200 OK"), "{}", shown.text);
    ensure!(visitor.get(at, "other.example.org", "/healthz").await.is_err(), "a certificate for every name");
    let ended = first.stop()?;
    ensure!(ended.status.success(), "{ended:?}");
    // Without the authority there is only what was kept.
    pebble.kill()?;
    let _second = tracker(&pebble, at, data_dir)?;
    let kept = answer(&visitor, at, |_| true).await?;
    ensure!(kept.certificate == shown.certificate, "another certificate after a restart");
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_renewed_before_it_expires_while_the_tracker_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data_dir = folder.path().to_str().context("a path that is no text")?;
    let at = free_address()?;
    // Renewed when two thirds are over, after 12 seconds.
    let pebble = Pebble::start(at, Duration::from_secs(18))?;
    let visitor = pebble.visitor().await?;
    let tracker = tracker(&pebble, at, data_dir)?;
    let first = answer(&visitor, at, |_| true).await?;
    let second = answer(&visitor, at, |answer| answer.certificate != first.certificate).await;
    second.map(drop).with_context(|| format!("{:#?}", tracker.stderr()))
}

#[tokio::test]
async fn an_authority_that_does_not_find_the_tracker_is_quoted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data_dir = folder.path().to_str().context("a path that is no text")?;
    let pebble = Pebble::start(free_address()?, TIMEOUT)?;
    let tracker = tracker(&pebble, free_address()?, data_dir)?;
    tracker.wait_stderr("what the authority said", TIMEOUT, |lines| {
        lines
            .iter()
            .any(|line| line.contains("is it reached there?") && line.contains("Failed to connect"))
            .then_some(())
    })
}

#[tokio::test]
async fn a_film_is_shared_over_tls_and_requests_without_it_are_sent_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 1_000_001, 31)?;
    let authority = Authority::new()?;
    let issued = authority.issue(&[NAME], folder.path())?;
    let (certificate, key) = (issued.certificate.display().to_string(), issued.key.display().to_string());
    let plain = free_address()?;
    let redirect = plain.to_string();
    let options = ["--certificate", &certificate, "--certificate-key", &key, "--redirect-listen", &redirect];
    let share = Share::start(&file, folder.path(), &options)?;
    let link = share.link();
    let port = link.strip_prefix(&format!("https://{NAME}:")).and_then(|rest| rest.split('/').next());
    let port = port.with_context(|| format!("{link} does not name the certificate's host"))?;
    let at: SocketAddr = format!("127.0.0.1:{port}").parse()?;
    let visitor = Visitor::trusting(&authority.root_pem)?;
    let catalogue = visitor.get(at, NAME, "/v1/swarms").await?;
    ensure!(catalogue.text.contains(share.swarm()), "{}", catalogue.text);
    let quiet = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let sent = quiet.get(format!("http://{redirect}/a?b")).send().await?;
    let location = sent.headers().get("location").and_then(|place| place.to_str().ok());
    ensure!(location == Some(&format!("https://{NAME}:{port}/a?b")), "{sent:?}");
    let ended = share.stop()?;
    ensure!(ended.status.success(), "{ended:?}");
    Ok(())
}
