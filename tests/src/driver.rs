//! The programs that start browsers, and what the browsers log of themselves.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::internet::Host;
use crate::places::system_program;
use crate::program::Program;

/// How long the driver or a browser may take to start.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Lines of the browsers' logs that are shown of a test that failed.
const LOG_LINES_SHOWN: usize = 20;

/// What Chromium logs as an error on every machine without a desktop, a sound card or scaling of the processor's clock.
/// And what it logs of each data channel whose page is closed.
const USUAL_COMPLAINTS: [&str; 4] = ["dbus/", "media/audio/alsa", "cpufreq", "User-Initiated Abort"];

/// The program that starts browsers.
#[derive(Debug)]
pub struct Driver {
    pub(crate) program: Program,
    pub(crate) url: String,
    /// Where Chromium leaves a dump of each of its processes that crashes.
    pub(crate) dumps: Option<TempDir>,
}

impl Driver {
    /// Starts it on a free port.
    pub fn start() -> Result<Self> {
        Self::started(Command::new(system_program(&["chromedriver"])?))
    }

    pub(crate) fn started(command: Command) -> Result<Self> {
        let (program, port, dumps) = Self::program(command)?;
        Ok(Self { program, url: format!("http://127.0.0.1:{port}"), dumps: Some(dumps) })
    }

    /// Starts it on a host of its own; so are its browsers.
    pub fn start_on(host: &Host) -> Result<Self> {
        let (program, port, dumps) = Self::program(host.command(system_program(&["chromedriver"])?))?;
        Ok(Self { program, url: format!("http://{}", host.door(port)?), dumps: Some(dumps) })
    }

    fn program(mut command: Command) -> Result<(Program, u16, TempDir)> {
        let dumps = tempfile::tempdir().context("no folder for crash dumps")?;
        command.args(["--port=0", "--enable-chrome-logs"]).env("BREAKPAD_DUMP_LOCATION", dumps.path());
        let mut start = || {
            let program = Program::start("chromedriver", &mut command)?;
            let port = program.wait_stdout("the port", START_TIMEOUT, |line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse::<u16>().ok()
            })?;
            anyhow::Ok((program, port))
        };
        // chromedriver takes a free port of IPv4 and then the same one of IPv6. Another program may have taken that meanwhile.
        let (program, port) = start().or_else(|_| start())?;
        Ok((program, port, dumps))
    }

    /// The last different errors that its browsers logged of themselves: why a tab crashed, say.
    pub fn complaints(&self) -> Vec<String> {
        let mut lines = self.program.stderr();
        lines.extend(self.program.stdout());
        let mut complaints = complaints(&lines);
        complaints.split_off(complaints.len().saturating_sub(LOG_LINES_SHOWN))
    }

    /// The dumps of the processes of its browsers that crashed.
    pub fn crashes(&self) -> Vec<PathBuf> {
        let folder = self.dumps.iter().flat_map(|dumps| std::fs::read_dir(dumps.path().join("pending")));
        let reports = folder.flatten().flatten().map(|report| report.path());
        reports.filter(|path| path.extension().is_some_and(|kind| kind == "dmp")).collect()
    }
}

/// The errors among lines of Chromium's log, each once, without the time and the process.
fn complaints(lines: &[String]) -> Vec<String> {
    let mut complaints: Vec<String> = Vec::new();
    for line in lines {
        let Some((level, text)) = ["ERROR:", "FATAL:"]
            .iter()
            .find_map(|level| Some((level, line.split_once(&format!(":{level}"))?.1)))
        else {
            continue;
        };
        let complaint = format!("{level} {text}");
        if !USUAL_COMPLAINTS.iter().any(|usual| text.contains(usual)) && !complaints.contains(&complaint) {
            complaints.push(complaint);
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_shown_once_and_without_what_every_machine_logs() {
        let log = [
            "[7:7:1129/115754.7:ERROR:dbus/bus.cc:405] Failed to connect to the bus",
            "[7:8:1129/115755.1:ERROR:gpu/shader.cc:9] no memory",
            "[9:8:1129/115756.2:ERROR:gpu/shader.cc:9] no memory",
            "[9:8:1129/115757.3:INFO:net/socket.cc:1] connected",
        ];
        assert_eq!(complaints(&log.map(str::to_owned)), ["ERROR: gpu/shader.cc:9] no memory"]);
    }
}
