//! A tracker that its operator closed: who may publish, who may watch, and what the others are told.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::random_file;
use tests::permission::{EXPIRED, PUBLISH_TOKEN, closed_tracker, permission, viewer_key};
use tests::{Ended, Fetch, Program, Seeder, Tracker, seeder};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Seeds, with more options, until the process ends by itself.
fn refused_seed(tracker: &Tracker, file: &Path, home: &Path, options: &[&str]) -> Result<Ended> {
    let mut command = seeder::command(home)?;
    command.arg("seed").arg(file).args(["--tracker", &tracker.url()]).args(options);
    Program::start("seeder", &mut command)?.wait_end(TIMEOUT)
}

/// That a process ended with exit code 1 and one line that has these words.
fn is_refused(ended: &Ended, words: &str) -> Result<()> {
    ensure!(ended.status.code() == Some(1), "{ended:?}");
    let line = ended.error_line()?;
    ensure!(line.contains(words), "{line} does not say: {words}");
    Ok(())
}

#[test]
fn a_publisher_without_the_token_hears_so_in_one_line_and_ends() -> Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("film.bin");
    random_file(&file, 100_000, 1)?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--publish-token", PUBLISH_TOKEN])?;
    for options in [&[][..], &["--publish-token", "another"]] {
        is_refused(&refused_seed(&tracker, &file, home.path(), options)?, "--publish-token")?;
    }
    Ok(())
}

#[test]
fn no_log_has_the_token_of_a_publisher_however_much_is_logged() -> Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("film.bin");
    random_file(&file, 100_000, 1)?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--publish-token", "another"])?;
    let mut command = seeder::command(home.path())?;
    command.env("RUST_LOG", "trace").arg("seed").arg(&file).args(["--tracker", &tracker.url()]);
    let ended =
        Program::start("seeder", command.args(["--publish-token", PUBLISH_TOKEN]))?.wait_end(TIMEOUT)?;
    ensure!(ended.stderr.iter().any(|line| line.contains("ureq")), "requests are not logged: {ended:?}");
    // A dump breaks it into lines of 16 bytes and shows their digits beside them.
    for part in ["only-for", "-publishers", "6f 6e 6c 79"] {
        let line = ended.stderr.iter().find(|line| line.contains(part));
        ensure!(line.is_none(), "the log has it: {line:?}");
    }
    Ok(())
}

#[test]
fn on_a_tracker_that_is_closed_to_viewers_too_a_publisher_hears_a_publishers_words() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (file, key) = (home.path().join("film.bin"), viewer_key(home.path())?);
    random_file(&file, 100_000, 3)?;
    let tracker = closed_tracker(&key, &[])?;
    for options in [&[][..], &["--publish-token", "another"], &["--token", EXPIRED]] {
        is_refused(&refused_seed(&tracker, &file, home.path(), options)?, "publishing here takes")?;
    }
    Ok(())
}

#[test]
fn who_has_a_permission_fetches_and_the_others_hear_what_to_do() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (file, key) = (home.path().join("film.bin"), viewer_key(home.path())?);
    random_file(&file, 1_000_000, 2)?;
    let tracker = closed_tracker(&key, &[])?;
    let seeder = Seeder::start(&tracker, &file, home.path(), &["--publish-token", PUBLISH_TOKEN])?;

    let good = permission(&key, seeder.swarm())?;
    let copy = home.path().join("copy.bin");
    Fetch::start(seeder.link(), &copy, &["--token", &good])?.wait_done(TIMEOUT)?;
    ensure!(fs::read(&copy)? == fs::read(&file)?, "the copy differs");

    let other = permission(&key, &"00".repeat(32))?;
    for (options, words) in [
        (&[][..], "takes a permission"),
        (&["--token", EXPIRED], "has expired"),
        (&["--token", "x"], "not one of this tracker"),
        (&["--token", &other], "permission"),
    ] {
        let mut command = seeder::command(home.path())?;
        command.args(["fetch", seeder.link(), "-o"]).arg(home.path().join("none.bin")).args(options);
        is_refused(&Program::start("fetch", &mut command)?.wait_end(TIMEOUT)?, words)?;
    }
    Ok(())
}

#[test]
fn one_token_for_all_is_enough_to_seed_and_to_fetch() -> Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("film.bin");
    random_file(&file, 300_000, 4)?;
    let tracker = Tracker::start_with("127.0.0.1:0", &["--token", "among friends"])?;
    is_refused(&refused_seed(&tracker, &file, home.path(), &[])?, "or its token for all (--token)")?;
    let seeder = Seeder::start(&tracker, &file, home.path(), &["--token", "among friends"])?;
    let copy = home.path().join("copy.bin");
    Fetch::start(seeder.link(), &copy, &["--token", "among friends"])?.wait_done(TIMEOUT)?;
    ensure!(fs::read(&copy)? == fs::read(&file)?, "the copy differs");
    Ok(())
}
