//! `tributary share` processes: tracker, page and seeder in one.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::events::Event;
use crate::places::binary;
use crate::program::{Ended, Program};
use crate::seeder::command_of;

/// Maximum time to hash a file and publish it.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// The program with everything in it.
const PROGRAM: &str = "tributary";

/// A publisher with one content.
#[derive(Debug)]
pub struct Share {
    program: Program,
    swarm: String,
    link: String,
}

impl Share {
    /// A command that runs `tributary`. The program keeps its data inside `home`.
    pub fn command(home: &Path) -> Result<Command> {
        Ok(command_of(&binary(PROGRAM)?, home))
    }

    /// Shares a file at a free port and waits until it can be watched. `options` are more command line arguments.
    pub fn start(file: &Path, home: &Path, options: &[&str]) -> Result<Self> {
        let mut command = Self::command(home)?;
        command.arg("share").arg(file).args(["--listen", "127.0.0.1:0", "--json"]).args(options);
        let program = Program::start("share", &mut command)?;
        let (swarm, link) = program.wait_stdout("ready", READY_TIMEOUT, |line| match Event::read(line)? {
            Event::Ready { swarm, link } => Some((swarm, link)),
            Event::Progress { .. } | Event::Done(_) | Event::Error { .. } => None,
        })?;
        Ok(Self { program, swarm, link })
    }

    /// The link for this machine.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// The swarm's id.
    pub fn swarm(&self) -> &str {
        &self.swarm
    }

    /// A file of the page, or an answer of the tracker.
    pub fn http(&self, path: &str) -> Result<String> {
        let (origin, _) = self.link.split_once("/#").context("a link without a swarm")?;
        Ok(format!("{origin}{path}"))
    }

    /// The process.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Asks it to stop.
    pub fn stop(&self) -> Result<Ended> {
        self.program.stop()
    }
}
