//! Flags of the seeder from a file.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::random_file;
use tests::permission::{PUBLISH_TOKEN, closed_tracker, permission, viewer_key};
use tests::{Event, Program, seeder};

const TIMEOUT: Duration = Duration::from_secs(60);

fn with_file(home: &Path, command: &str, name: &str, text: &str) -> Result<Command> {
    let path = home.join(name);
    fs::write(&path, text)?;
    let mut program = seeder::command(home)?;
    program.args([command, "--config"]).arg(path);
    Ok(program)
}

#[test]
fn seed_and_fetch_take_their_flags_and_secrets_from_files() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (file, key) = (home.path().join("film.bin"), viewer_key(home.path())?);
    random_file(&file, 300_000, 21)?;
    let tracker = closed_tracker(&key, &[])?;
    let text = format!(
        "# with line ends of other systems\r\ntracker = \"{}\"\r\npublish-token = \"{PUBLISH_TOKEN}\"\r\njson = true\r\n",
        tracker.url()
    );
    let mut command = with_file(home.path(), "seed", "seed.toml", &text)?;
    let seed = Program::start("seeder", command.arg(&file))?;
    let (swarm, link) = seed.wait_stdout("ready", TIMEOUT, |line| match Event::read(line)? {
        Event::Ready { swarm, link } => Some((swarm, link)),
        Event::Progress { .. } | Event::Done(_) | Event::Error { .. } => None,
    })?;

    let copy = home.path().join("copy.bin");
    let good = permission(&key, &swarm)?;
    let flags = |token: &str| format!("output = '{}'\ntoken = '{token}'\n", copy.display());
    // The command line and the environment win.
    for (token, given, environment) in [("wrong", Some(&good), None), ("wrong", None, Some(&good))] {
        let mut command = with_file(home.path(), "fetch", "fetch.toml", &flags(token))?;
        command.arg(&link).args(given.map(|token| format!("--token={token}")));
        command.envs(environment.map(|token| ("TRIBUTARY_TOKEN", token)));
        let ended = Program::start("fetch", &mut command)?.wait_end(TIMEOUT)?;
        ensure!(ended.status.success() && fs::read(&copy)? == fs::read(&file)?, "{ended:?}");
        fs::remove_file(&copy)?;
    }
    let mut command = with_file(home.path(), "fetch", "fetch.toml", &flags(&good))?;
    let ended = Program::start("fetch", command.arg(&link))?.wait_end(TIMEOUT)?;
    ensure!(ended.status.success() && fs::read(&copy)? == fs::read(&file)?, "{ended:?}");
    Ok(())
}

#[test]
fn a_file_that_is_wrong_is_one_line_with_its_place() -> Result<()> {
    let home = tempfile::tempdir()?;
    for (command, text, words) in [
        ("seed", "upload-limit = '8M'\nuplaod = '8M'\n", "flags.toml:2: there is no flag --uplaod"),
        ("seed", "list = 'yes'\n", "flags.toml:1: list must be true or false"),
        ("fetch", "\n\nwhat is this\n", "flags.toml:3: this is no TOML"),
        ("fetch", "output = true\n", "flags.toml:1: output must be a text or a whole number"),
    ] {
        let mut command = with_file(home.path(), command, "flags.toml", text)?;
        let ended = Program::start("seeder", command.arg("film"))?.wait_end(TIMEOUT)?;
        let line = ended.error_line()?;
        ensure!(line.contains(words) && ended.status.code() == Some(1), "{text}: {ended:?}");
    }
    let mut command = seeder::command(home.path())?;
    command.args(["seed", "--config"]).arg(home.path()).arg("film");
    let ended = Program::start("seeder", &mut command)?.wait_end(TIMEOUT)?;
    ensure!(ended.error_line()?.contains("cannot be read"), "{ended:?}");
    Ok(())
}
