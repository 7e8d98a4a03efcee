//! Native peers: `seeder seed` and `seeder fetch` processes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::events::{Done, Event};
use crate::places::binary;
use crate::program::{Ended, Program};
use crate::tracker::Tracker;

/// How long it may take to hash a file and publish it.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// A command that runs `seeder`; where it keeps things between starts is inside `home`.
pub fn command(home: &Path) -> Result<Command> {
    Ok(command_of(&binary("seeder")?, home))
}

fn command_of(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    // A trace for a person would be found by the tests of bad input: they ask for one on purpose.
    command.env("RUST_BACKTRACE", "1").env("HOME", home).env("XDG_DATA_HOME", home).env_remove("RUST_LOG");
    command
}

/// What `seeder inspect` says of a file or a link, as JSON.
pub fn inspected(home: &Path, content: &Path, options: &[&str]) -> Result<serde_json::Value> {
    let mut command = command(home)?;
    command.arg("inspect").arg(content).arg("--json").args(options);
    let ended = Program::start("inspect", &mut command)?.wait_end(READY_TIMEOUT)?;
    let line = ended.stdout.first().filter(|_| ended.status.success());
    let line = line.with_context(|| format!("it failed: {ended:?}"))?;
    serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))
}

/// A publisher: the initial peer of one content.
#[derive(Debug)]
pub struct Seeder {
    program: Program,
    link: String,
    swarm: String,
}

impl Seeder {
    /// Publishes a file and waits until the tracker knows it. `options` are further arguments.
    pub fn start(tracker: &Tracker, file: &Path, home: &Path, options: &[&str]) -> Result<Self> {
        Self::start_program(&binary("seeder")?, tracker, file, home, options)
    }

    /// The same with a program that was built elsewhere.
    pub fn start_program(
        program: &Path,
        tracker: &Tracker,
        file: &Path,
        home: &Path,
        options: &[&str],
    ) -> Result<Self> {
        let mut command = command_of(program, home);
        command.arg("seed").arg(file).args(["--json", "--tracker", &tracker.url()]).args(options);
        let program = Program::start("seeder", &mut command)?;
        let (swarm, link) = program.wait_stdout("ready", READY_TIMEOUT, |line| match Event::read(line)? {
            Event::Ready { swarm, link } => Some((swarm, link)),
            Event::Progress { .. } | Event::Done(_) | Event::Error { .. } => None,
        })?;
        Ok(Self { program, link, swarm })
    }

    /// What to open in a browser or to give to `fetch`.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// The swarm's id.
    pub fn swarm(&self) -> &str {
        &self.swarm
    }

    /// Bytes that it sent so far, as of its last progress event.
    pub fn uploaded(&self) -> u64 {
        let events = self.program.stdout();
        let sent = events.iter().rev().find_map(|line| match Event::read(line)? {
            Event::Progress { uploaded, .. } => Some(uploaded),
            Event::Ready { .. } | Event::Done(_) | Event::Error { .. } => None,
        });
        sent.unwrap_or(0)
    }

    /// The process, for whatever else is to be known of it.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Seconds of processor time that it took so far.
    pub fn cpu_s(&self) -> Result<f64> {
        self.program.cpu_s()
    }

    /// Asks it to stop.
    pub fn stop(&self) -> Result<Ended> {
        self.program.stop()
    }

    /// Ends it as a crash would.
    pub fn kill(&self) -> Result<Ended> {
        self.program.kill()
    }
}

/// A headless peer that fetches a content.
#[derive(Debug)]
pub struct Fetch {
    program: Program,
    /// Where the content goes.
    pub output: PathBuf,
}

impl Fetch {
    /// Starts fetching a link into a file. `options` are further arguments.
    pub fn start(link: &str, output: &Path, options: &[&str]) -> Result<Self> {
        let home = output.parent().context("an output without a folder")?;
        let mut command = command(home)?;
        command.args(["fetch", link, "--json", "-o"]).arg(output).args(options);
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self {
            program: Program::start(&format!("fetch {name}"), &mut command)?,
            output: output.to_owned(),
        })
    }

    /// Waits until at least this many bytes are held and verified; how many there are then.
    pub fn wait_verified(&self, bytes: u64, timeout: Duration) -> Result<u64> {
        self.program.wait_stdout(&format!("{bytes} verified bytes"), timeout, |line| {
            match Event::read(line)? {
                Event::Progress { bytes_verified, .. } if bytes_verified >= bytes => Some(bytes_verified),
                Event::Progress { .. } | Event::Ready { .. } | Event::Done(_) | Event::Error { .. } => None,
            }
        })
    }

    /// Waits until the content is complete and verified.
    pub fn wait_done(&self, timeout: Duration) -> Result<Done> {
        self.program.wait_stdout("done", timeout, |line| match Event::read(line)? {
            Event::Done(done) => Some(done),
            Event::Ready { .. } | Event::Progress { .. } | Event::Error { .. } => None,
        })
    }

    /// The process, for whatever else is to be known of it.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Ends it as a crash would.
    pub fn kill(&self) -> Result<Ended> {
        self.program.kill()
    }
}
