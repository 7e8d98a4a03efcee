//! Native peers: `seeder seed` and `seeder fetch` processes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::events::{Done, Event};
use crate::internet::Host;
use crate::places::binary;
use crate::program::{Ended, Program};
use crate::tracker::Tracker;

/// Maximum time to hash a file and publish it.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// A seeder that has said nothing for this long has nothing new to say: its accounts come once a second.
const ACCOUNT_TIMEOUT: Duration = Duration::from_secs(3);

/// A command that runs `seeder`. The program keeps its data inside `home`.
pub fn command(home: &Path) -> Result<Command> {
    Ok(command_of(&binary("seeder")?, home))
}

/// A command that runs one of our programs. It keeps its data inside `home`.
pub(crate) fn command_of(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    // Backtraces are on, so that the tests of bad input notice a program that shows a person a backtrace.
    command.env("RUST_BACKTRACE", "1").env("HOME", home).env("XDG_DATA_HOME", home).env_remove("RUST_LOG");
    command
}

fn seed_command(program: &Path, tracker: &Tracker, file: &Path, home: &Path, options: &[&str]) -> Command {
    seed_command_at(program, &tracker.url(), file, home, options)
}

fn seed_command_at(program: &Path, url: &str, file: &Path, home: &Path, options: &[&str]) -> Command {
    let mut command = command_of(program, home);
    command.arg("seed").arg(file).args(["--json", "--tracker", url]).args(options);
    command
}

/// The JSON that `seeder inspect` prints for a file or a link.
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
    /// Publishes a file and waits until the tracker knows it. `options` are more command line arguments.
    pub fn start(tracker: &Tracker, file: &Path, home: &Path, options: &[&str]) -> Result<Self> {
        Self::start_program(&binary("seeder")?, tracker, file, home, options)
    }

    /// Like [`Seeder::start`], at an address through which trackers are reached, `HOST:PORT`.
    pub fn start_at(address: &str, file: &Path, home: &Path, options: &[&str]) -> Result<Self> {
        let url = format!("ws://{address}/v1/swarm");
        let mut command = seed_command_at(&binary("seeder")?, &url, file, home, options);
        Self::started(Program::start("seeder", &mut command)?)
    }

    /// Like [`Seeder::start`], with another program file.
    pub fn start_program(
        program: &Path,
        tracker: &Tracker,
        file: &Path,
        home: &Path,
        options: &[&str],
    ) -> Result<Self> {
        Self::started(Program::start("seeder", &mut seed_command(program, tracker, file, home, options))?)
    }

    /// Like [`Seeder::start`], on a host of its own.
    pub fn start_on(
        host: &Host,
        tracker: &Tracker,
        file: &Path,
        home: &Path,
        options: &[&str],
    ) -> Result<Self> {
        let command = seed_command(&binary("seeder")?, tracker, file, home, options);
        Self::started(Program::start("seeder", &mut host.run(&command))?)
    }

    fn started(program: Program) -> Result<Self> {
        let (swarm, link) = program.wait_stdout("ready", READY_TIMEOUT, |line| match Event::read(line)? {
            Event::Ready { swarm, link } => Some((swarm, link)),
            Event::Progress { .. } | Event::Done(_) | Event::Error { .. } => None,
        })?;
        Ok(Self { program, link, swarm })
    }

    /// The link that browsers open and `fetch` takes.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// The swarm's id.
    pub fn swarm(&self) -> &str {
        &self.swarm
    }

    /// Bytes that it has sent, as of its last progress event.
    pub fn uploaded(&self) -> u64 {
        let events = self.program.stdout();
        let sent = events.iter().rev().find_map(|line| match Event::read(line)? {
            Event::Progress { uploaded, .. } => Some(uploaded),
            Event::Ready { .. } | Event::Done(_) | Event::Error { .. } => None,
        });
        sent.unwrap_or(0)
    }

    /// Bytes that it sent to others, as of the next account after this call. It gives one a second if something changed: where
    /// none comes for 3 s, the last one holds.
    pub fn next_uploaded(&self) -> u64 {
        let seen = self.program.stdout().len();
        let next =
            self.program.wait_next_stdout(
                "the next account",
                seen,
                ACCOUNT_TIMEOUT,
                |line| match Event::read(line)? {
                    Event::Progress { uploaded, .. } => Some(uploaded),
                    Event::Ready { .. } | Event::Done(_) | Event::Error { .. } => None,
                },
            );
        next.unwrap_or_else(|_| self.uploaded())
    }

    /// The process.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// CPU time so far, s.
    pub fn cpu_s(&self) -> Result<f64> {
        self.program.cpu_s()
    }

    /// Asks the process to stop and waits for its end.
    pub fn stop(&self) -> Result<Ended> {
        self.program.stop()
    }

    /// Kills the process, like a crash.
    pub fn kill(&self) -> Result<Ended> {
        self.program.kill()
    }
}

/// A headless peer that fetches a content.
#[derive(Debug)]
pub struct Fetch {
    program: Program,
    /// The file to which the content is written.
    pub output: PathBuf,
}

impl Fetch {
    /// Starts to fetch a link into a file. `options` are more command line arguments.
    pub fn start(link: &str, output: &Path, options: &[&str]) -> Result<Self> {
        Self::run(&mut Self::command(link, output, options)?, output)
    }

    /// Like [`Fetch::start`], on a host of its own.
    pub fn start_on(host: &Host, link: &str, output: &Path, options: &[&str]) -> Result<Self> {
        Self::run(&mut host.run(&Self::command(link, output, options)?), output)
    }

    fn command(link: &str, output: &Path, options: &[&str]) -> Result<Command> {
        let mut command = command(output.parent().context("an output without a folder")?)?;
        command.args(["fetch", link, "--json", "-o"]).arg(output).args(options);
        Ok(command)
    }

    /// Runs a command that fetches into `output`.
    pub fn run(command: &mut Command, output: &Path) -> Result<Self> {
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        let program = Program::start(&format!("fetch {name}"), command)?;
        Ok(Self { program, output: output.to_owned() })
    }

    /// Waits until at least `bytes` are verified, and returns the number of verified bytes.
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

    /// The process.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Kills the process, like a crash.
    pub fn kill(&self) -> Result<Ended> {
        self.program.kill()
    }
}
