//! Mirrors: plain HTTP servers that bring a film when nobody else does, and what bad ones cost.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::{digest, random_file};
use tests::mirror::{Manner, Mirror};
use tests::ports::free_address;
use tests::{Fetch, Seeder, Tracker, seeder};

const TIMEOUT: Duration = Duration::from_secs(120);
const FILE_BYTES: u64 = 3 * 1024 * 1024;

struct Place {
    folder: tempfile::TempDir,
    film: std::path::PathBuf,
    tracker: Tracker,
}

impl Place {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let film = folder.path().join("film.bin");
        random_file(&film, FILE_BYTES, 7)?;
        Ok(Self { film, folder, tracker: Tracker::start()? })
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    fn seed(&self, mirrors: &[&Mirror], policy: &str) -> Result<Seeder> {
        let urls: Vec<String> = mirrors.iter().map(|mirror| mirror.url()).collect();
        let flags = urls.iter().flat_map(|url| ["--mirror", url.as_str()]);
        let flags: Vec<&str> = flags.chain(["--mirror-policy", policy]).collect();
        Seeder::start(&self.tracker, &self.film, self.home(), &flags)
    }
}

#[test]
fn a_film_comes_whole_from_a_mirror_while_its_seeder_is_off() -> Result<()> {
    let place = Place::new()?;
    let mirror = Mirror::start(&place.film, place.home())?;
    let seeder = place.seed(&[&mirror], "full")?;
    let before = mirror.sent_bytes();
    seeder.kill()?;
    let output = place.home().join("copy");
    let done = Fetch::start(seeder.link(), &output, &[])?.wait_done(TIMEOUT)?;
    ensure!(
        done.from_mirrors == FILE_BYTES && done.from_initial == 0 && done.duplicate_bytes == 0,
        "{done:?}"
    );
    ensure!(digest(&output)? == digest(&place.film)?, "other bytes");
    let sent = mirror.sent_bytes() - before;
    ensure!(sent < FILE_BYTES * 1005 / 1000, "the tree is 0.3 % of the film: {sent}");
    Ok(())
}

#[test]
fn a_player_without_peers_plays_by_its_deadlines_from_a_mirror() -> Result<()> {
    let place = Place::new()?;
    let mirror = Mirror::start(&place.film, place.home())?;
    let seeder = place.seed(&[&mirror], "assist")?;
    seeder.kill()?;
    let output = place.home().join("copy");
    let done = Fetch::start(seeder.link(), &output, &["--play"])?.wait_done(TIMEOUT)?;
    ensure!(done.from_mirrors == FILE_BYTES && done.stalls == 0, "{done:?}");
    Ok(())
}

#[test]
fn with_the_seeder_there_a_download_takes_nothing_from_a_mirror() -> Result<()> {
    let place = Place::new()?;
    let mirror = Mirror::start(&place.film, place.home())?;
    let seeder = place.seed(&[&mirror], "full")?;
    let before = mirror.sent_bytes();
    let done = Fetch::start(seeder.link(), &place.home().join("copy"), &[])?.wait_done(TIMEOUT)?;
    ensure!(done.from_mirrors == 0 && mirror.sent_bytes() == before, "{done:?}");
    let off = Fetch::start(seeder.link(), &place.home().join("other"), &["--no-mirrors", "--play"])?;
    let done = off.wait_done(TIMEOUT)?;
    ensure!(done.from_mirrors == 0 && mirror.sent_bytes() == before, "{done:?}");
    Ok(())
}

#[test]
fn what_a_bad_mirror_sends_is_not_kept_and_another_one_goes_on() -> Result<()> {
    for manner in
        [Manner::FlipsABit, Manner::Truncates, Manner::Stalls, Manner::Redirects, Manner::Whole, Manner::Page]
    {
        let place = Place::new()?;
        let bad = Mirror::start(&place.film, place.home())?;
        let good = Mirror::start(&place.film, place.home())?;
        let seeder = place.seed(&[&bad, &good], "full")?;
        seeder.kill()?;
        bad.behave(manner);
        let output = place.home().join("copy");
        let done = Fetch::start(seeder.link(), &output, &["--play"])?.wait_done(TIMEOUT)?;
        ensure!(done.from_mirrors == FILE_BYTES, "{manner:?}: {done:?}");
        ensure!(digest(&output)? == digest(&place.film)?, "{manner:?}: other bytes");
    }
    Ok(())
}

#[test]
fn a_mirror_is_named_only_if_it_has_the_film_and_its_tree() -> Result<()> {
    let place = Place::new()?;
    let mirror = Mirror::start(&place.film, place.home())?;
    let said = |manner: Manner, url: &str| -> Result<String> {
        mirror.behave(manner);
        let mut command = seeder::command(place.home())?;
        command.arg("seed").arg(&place.film).args(["--tracker", &place.tracker.url(), "--mirror", url]);
        let ended = tests::Program::start("seed", &mut command)?.wait_end(TIMEOUT)?;
        ensure!(!ended.status.success(), "{manner:?}: it was named");
        let errors: Vec<&String> = ended.stderr.iter().filter(|line| line.starts_with("error: ")).collect();
        ensure!(errors.len() == 1, "{manner:?}: {ended:?}");
        Ok(errors.into_iter().cloned().collect())
    };
    let url = mirror.url();
    for (manner, word) in [
        (Manner::FlipsABit, "bytes that are not those of the content"),
        (Manner::Truncates, " of "),
        (Manner::Redirects, "redirects"),
        (Manner::Whole, "answers 200"),
        (Manner::Page, "web page"),
    ] {
        let said = said(manner, &url)?;
        ensure!(said.contains(word) && said.contains(&url) && said.contains("upload"), "{manner:?}: {said}");
    }
    let elsewhere = said(Manner::Good, &url.replace("film", "other"))?;
    ensure!(elsewhere.contains("404"), "{elsewhere}");
    mirror.kill();
    let dead = said(Manner::Good, &url)?;
    ensure!(dead.contains("cannot be reached"), "{dead}");
    Ok(())
}

#[test]
fn a_seeder_is_a_mirror_itself_and_is_named_in_the_manifest() -> Result<()> {
    let place = Place::new()?;
    let port = free_address()?.port();
    let (listen, url) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    // It uploads nothing to peers, so that all comes over HTTP.
    let flags = ["--http", &listen, "--http-url", &url, "--mirror-policy", "full", "--upload-limit", "off"];
    let seeder = Seeder::start(&place.tracker, &place.film, place.home(), &flags)?;
    let manifest = seeder::inspected(place.home(), Path::new(seeder.link()), &[])?;
    let named = manifest["mirrors"]["servers"][0]["url"].as_str().unwrap_or_default();
    ensure!(named.starts_with(&url), "{manifest}");
    let output = place.home().join("copy");
    let done = Fetch::start(seeder.link(), &output, &["--play"])?.wait_done(TIMEOUT)?;
    ensure!(done.from_mirrors == FILE_BYTES, "{done:?}");
    ensure!(digest(&output)? == digest(&place.film)?, "other bytes");
    Ok(())
}
