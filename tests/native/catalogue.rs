//! Several files, folders, and what is remembered of them between starts.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::content::random_file;
use tests::{Event, Fetch, Program, Tracker, seeder, wait};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs `seeder` to its end; the JSON that it wrote.
fn said(home: &Path, arguments: &[&str]) -> Result<Vec<Value>> {
    let mut command = seeder::command(home)?;
    let ended = Program::start("seeder", command.args(arguments).arg("--json"))?.wait_end(TIMEOUT)?;
    ensure!(ended.status.success(), "{ended:?}");
    ended.stdout.iter().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Seeds until `count` contents are announced; the process and the links.
fn seeding(home: &Path, arguments: &[&str], count: usize) -> Result<(Program, BTreeSet<String>)> {
    let mut command = seeder::command(home)?;
    let program = Program::start("seeder", command.arg("seed").args(arguments).arg("--json"))?;
    let seen = RefCell::new(BTreeSet::new());
    let links = program.wait_stdout(&format!("{count} links"), TIMEOUT, |line| {
        if let Some(Event::Ready { link, .. }) = Event::read(line) {
            seen.borrow_mut().insert(link);
        }
        (seen.borrow().len() == count).then(|| seen.borrow().clone())
    })?;
    Ok((program, links))
}

#[test]
fn a_folder_is_seeded_again_without_being_named_until_it_is_removed() -> Result<()> {
    let home = tempfile::tempdir()?;
    let folder = home.path().join("films");
    fs::create_dir_all(folder.join("more"))?;
    random_file(&folder.join("one.bin"), 100_000, 1)?;
    random_file(&folder.join("more/two.bin"), 200_000, 2)?;
    fs::write(folder.join(".hidden"), "not for others")?;
    let tracker = Tracker::start()?;
    let folder_name = folder.to_str().context("a folder without a name")?;
    let (program, links) = seeding(home.path(), &[folder_name, "--tracker", &tracker.url()], 2)?;
    ensure!(links.len() == 2, "{links:?}");
    program.stop()?;

    let listed = said(home.path(), &["list"])?;
    let listed_links: BTreeSet<String> =
        listed.iter().filter_map(|entry| entry["link"].as_str()).map(str::to_owned).collect();
    ensure!(listed_links == links, "{listed:?}");
    ensure!(listed.iter().all(|entry| entry["state"] == "unchanged"), "{listed:?}");

    let (program, again) = seeding(home.path(), &[], 2)?;
    ensure!(again == links, "{again:?} instead of {links:?}");
    let fetch = Fetch::start(again.first().context("no link")?, &home.path().join("copy"), &[])?;
    fetch.wait_done(TIMEOUT)?;
    program.stop()?;

    let removed = folder.join("one.bin").display().to_string();
    said(home.path(), &["remove", &removed])?;
    random_file(&folder.join("more/two.bin"), 200_000, 3)?;
    let listed = said(home.path(), &["list"])?;
    ensure!(listed.len() == 1 && listed[0]["state"] == "changed", "{listed:?}");
    let (program, changed) = seeding(home.path(), &[], 1)?;
    ensure!(
        changed.len() == 1 && changed.is_disjoint(&links),
        "a changed file must have another link: {changed:?}"
    );
    program.stop()?;
    fs::remove_dir_all(&folder)?;
    ensure!(said(home.path(), &["list"])?[0]["state"] == "missing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_is_taken_off_its_tracker_too() -> Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("film.bin");
    random_file(&file, 100_000, 1)?;
    let tracker = Tracker::start()?;
    let name = file.display().to_string();
    let (program, links) = seeding(home.path(), &[&name, "--tracker", &tracker.url(), "--list"], 1)?;
    program.stop()?;
    let swarm = links.first().and_then(|link| link.rsplit_once('#')).context("no link")?.1;
    let manifest = format!("/v1/manifests/{swarm}");
    ensure!(tracker.get(&manifest).await?.0 == 200);
    let stranger = home.path().join("stranger.key").display().to_string();
    said(home.path(), &["key", "new", "--key", &stranger])?;
    ensure!(
        said(home.path(), &["remove", &name, "--key", &stranger]).is_err(),
        "another's key removes nothing"
    );
    ensure!(
        said(home.path(), &["list"])?.len() == 1 && tracker.get(&manifest).await?.0 == 200,
        "nothing is lost"
    );
    said(home.path(), &["remove", &name])?;
    ensure!(tracker.get(&manifest).await?.0 == 404, "the tracker still gives it");
    let (program, again) = seeding(home.path(), &[&name, "--tracker", &tracker.url()], 1)?;
    ensure!(again == links, "its publisher brings it back under the same link");
    program.stop()?;
    drop(tracker);
    ensure!(said(home.path(), &["remove", &name]).is_err(), "the tracker is away");
    said(home.path(), &["remove", &name, "--local"])?;
    ensure!(said(home.path(), &["list"])?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_whose_file_was_changed_is_removed_by_its_old_link() -> Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("film.bin");
    let tracker = Tracker::start()?;
    let (name, url) = (file.display().to_string(), tracker.url());
    let mut links = Vec::new();
    for seed in 1..=3 {
        random_file(&file, 100_000, seed)?;
        let (program, link) = seeding(home.path(), &[&name, "--tracker", &url], 1)?;
        program.stop()?;
        links.extend(link);
    }
    let is_there = async |link: &String| -> Result<bool> {
        let swarm = link.rsplit_once('#').context("no link")?.1;
        Ok(tracker.get(&format!("/v1/manifests/{swarm}")).await?.0 == 200)
    };
    for link in &links {
        ensure!(is_there(link).await?, "{link}");
    }
    let removed = said(home.path(), &["remove", &links[0]])?;
    ensure!(removed.len() == 1, "{removed:?}");
    ensure!(!is_there(&links[0]).await? && is_there(&links[1]).await? && is_there(&links[2]).await?);
    ensure!(said(home.path(), &["list"])?.len() == 1, "the file is seeded on");
    // The file's name means all that it was seeded as.
    said(home.path(), &["remove", &name])?;
    ensure!(!is_there(&links[1]).await? && !is_there(&links[2]).await?);
    // A link needs no list: another machine with the key removes it as well.
    let (program, _) = seeding(home.path(), &[&name, "--tracker", &url], 1)?;
    program.stop()?;

    let key = found(home.path(), "publisher.key")?;
    let elsewhere = tempfile::tempdir()?;
    let key = key.display().to_string();
    said(elsewhere.path(), &["remove", &links[2], "--key", &key])?;
    ensure!(!is_there(&links[2]).await?);
    Ok(())
}

/// A file of this name somewhere below a folder.
fn found(folder: &Path, name: &str) -> Result<std::path::PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|found| found == name) {
                return Ok(path);
            }
        }
    }
    anyhow::bail!("no {name}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_there_or_was_replaced_is_said_and_no_key_is_made_by_a_typo() -> Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("film.bin");
    random_file(&file, 100_000, 1)?;
    let tracker = Tracker::start()?;
    let (name, url) = (file.display().to_string(), tracker.url());
    let typo = home.path().join("typo.key").display().to_string();
    for arguments in [
        &["seed", &name, "--tracker", &url, "--key", &typo][..],
        &["inspect", &name, "--key", &typo],
        &["key", "show", "--key", &typo],
    ] {
        let ended =
            Program::start("seeder", seeder::command(home.path())?.args(arguments))?.wait_end(TIMEOUT)?;
        ensure!(ended.error_line()?.contains("`key new --key FILE` makes one"), "{arguments:?}: {ended:?}");
        ensure!(!Path::new(&typo).exists(), "{arguments:?} made a key");
    }
    let (program, links) = seeding(home.path(), &[&name, "--tracker", &url], 1)?;
    program.stop()?;
    let link = links.first().context("no link")?;
    let stranger = home.path().join("stranger.key").display().to_string();
    said(home.path(), &["key", "new", "--key", &stranger])?;
    for (key, words) in [(&stranger, "published with another key"), (&typo, "there is no key at")] {
        let mut command = seeder::command(home.path())?;
        let ended =
            Program::start("seeder", command.args(["remove", link, "--key", key]))?.wait_end(TIMEOUT)?;
        ensure!(ended.error_line()?.contains(words), "{ended:?}");
    }
    // The key of the data directory is replaced: the same file has another link, and a line says why.
    let key = found(home.path(), "publisher.key")?;
    fs::copy(&stranger, &key)?;
    let (program, again) = seeding(home.path(), &[&name, "--tracker", &url], 1)?;
    ensure!(again.is_disjoint(&links));
    program.wait_stderr("a line about the key", TIMEOUT, |lines| {
        lines.iter().any(|line| line.contains("another key before") && line.contains(link)).then_some(())
    })?;
    program.stop()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_fails_does_not_stop_the_others() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (one, two) = (home.path().join("one.bin"), home.path().join("two.bin"));
    random_file(&one, 100_000, 1)?;
    random_file(&two, 100_000, 2)?;
    let tracker = Tracker::start()?;
    let names = [one.display().to_string(), two.display().to_string()];
    let (program, links) = seeding(home.path(), &[&names[0], &names[1], "--tracker", &tracker.url()], 2)?;
    // Written to while it is seeded: noticed at the next read, before it is served wrongly.
    random_file(&one, 100_000, 3)?;
    let fetches = links
        .iter()
        .enumerate()
        .map(|(index, link)| Fetch::start(link, &home.path().join(format!("copy{index}")), &["--stay"]));
    let fetches: Vec<Fetch> = fetches.collect::<Result<_>>()?;
    program.wait_stderr("the changed file's name", TIMEOUT, |lines| {
        lines.iter().find(|line| line.contains("one.bin has changed")).map(drop)
    })?;
    let whole = fs::read(&two)?;
    wait::until("the other file is fetched", TIMEOUT, async || {
        Ok(fetches.iter().any(|fetch| fs::read(&fetch.output).is_ok_and(|copy| copy == whole)).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_that_is_removed_while_its_seed_runs_does_not_come_back_by_itself() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (file, kept) = (home.path().join("film.bin"), home.path().join("tracker"));
    random_file(&file, 100_000, 1)?;
    let options = ["--data-dir", kept.to_str().context("a folder without a name")?];
    let tracker = Tracker::start_with("127.0.0.1:0", &options)?;
    let name = file.display().to_string();
    let (program, links) = seeding(home.path(), &[&name, "--tracker", &tracker.url(), "--list"], 1)?;
    let swarm = links.first().and_then(|link| link.rsplit_once('#')).context("no link")?.1;
    let manifest = format!("/v1/manifests/{swarm}");
    said(home.path(), &["remove", &name])?;
    ensure!(tracker.get(&manifest).await?.0 == 404);
    // The seeder loses its connection and comes again.
    let address = tracker.address().split('/').next().unwrap_or_default().to_owned();
    tracker.stop()?;
    let tracker = Tracker::start_with(&address, &options)?;
    program.wait_stderr("why it is not served any more", TIMEOUT, |lines| {
        lines.iter().any(|line| line.contains("start `seed` again to bring it back")).then_some(())
    })?;
    ensure!(tracker.get(&manifest).await?.0 == 404, "it came back");
    _ = program.kill()?;
    let (program, again) = seeding(home.path(), &[&name, "--tracker", &tracker.url()], 1)?;
    ensure!(again == links && tracker.get(&manifest).await?.0 == 200, "a new start brings it back");
    program.stop()?;
    Ok(())
}
