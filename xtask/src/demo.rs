//! The whole chain on this machine: a tracker with the page, a seeder with the sample clip.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::build;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// How long a program may take to say that it is ready; the seeder hashes the sample first.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a program may take to stop when asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How often signals and programs are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Installs, builds and runs until Ctrl-C.
pub(crate) fn run(workspace: &Workspace, listen: SocketAddr) -> Result<()> {
    setup::install(workspace, &Need::PAGE)?;
    build::binaries(workspace, true)?;
    build::page(workspace)?;
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot wait for signals")?;
    let mut parts = Vec::new();
    let result = start(workspace, listen, &mut parts).and_then(|()| wait(&mut signals, &mut parts));
    // In reverse, so that the seeder can still take leave of the tracker.
    while let Some(part) = parts.pop() {
        part.stop();
    }
    result
}

fn start(workspace: &Workspace, listen: SocketAddr, parts: &mut Vec<Part>) -> Result<()> {
    let mut tracker = Command::new(workspace.release_dir().join("tracker-server"));
    tracker.arg("--listen").arg(listen.to_string()).arg("--www").arg(workspace.dist_dir());
    let (part, page) = Part::start("the tracker", &mut tracker, "http://")?;
    parts.push(part);

    let clips = clips(&workspace.root().join("sample"))?;
    let address = page.trim_start_matches("http://").trim_end_matches('/');
    let mut seeder = Command::new(workspace.release_dir().join("seeder"));
    seeder.arg("seed").args(&clips).arg("--tracker").arg(format!("ws://{address}/v1/swarm"));
    seeder.arg("--list").arg("--data-dir").arg(workspace.root().join("data/demo"));
    let (part, link) = Part::start("the seeder", &mut seeder, "http://")?;
    parts.push(part);

    println!("\nEverything that is published:  {page}");
    println!("The sample clip:               {link}");
    println!("Open the clip in a browser, then in a second one: they will serve each other. Ctrl-C stops.\n");
    Ok(())
}

/// Until a signal comes; an error if a part ends before.
fn wait(signals: &mut Signals, parts: &mut [Part]) -> Result<()> {
    loop {
        if signals.pending().next().is_some() {
            eprintln!("demo: stopping");
            return Ok(());
        }
        for part in &mut *parts {
            if let Some(status) = part.child.try_wait()? {
                bail!("{} ended ({status})", part.name);
            }
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// The sample clips, in order.
fn clips(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut clips: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "mp4"))
        .collect();
    clips.sort();
    if clips.is_empty() {
        bail!("no clip in {}", folder.display());
    }
    Ok(clips)
}

/// A program of ours that runs until it is stopped.
struct Part {
    name: &'static str,
    child: Child,
}

impl Part {
    /// Starts a program, repeats what it prints, and waits for the first word that starts with `ready`.
    fn start(name: &'static str, command: &mut Command, ready: &'static str) -> Result<(Self, String)> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdout = child.stdout.take().context("no output to read")?;
        let (tell, told) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                println!("{name}: {line}");
                if let Some(word) = line.split_whitespace().find(|word| word.starts_with(ready)) {
                    // Only the first is waited for.
                    let _ = tell.send(word.to_owned());
                }
            }
        });
        let mut part = Self { name, child };
        match part.wait_ready(&told) {
            Ok(word) => Ok((part, word)),
            Err(error) => {
                part.stop();
                Err(error)
            }
        }
    }

    fn wait_ready(&mut self, told: &Receiver<String>) -> Result<String> {
        match told.recv_timeout(READY_TIMEOUT) {
            Ok(word) => Ok(word),
            Err(RecvTimeoutError::Timeout) => bail!("{} does not become ready", self.name),
            Err(RecvTimeoutError::Disconnected) => bail!("{} ended ({})", self.name, self.child.wait()?),
        }
    }

    /// Asks the program to stop, and makes it.
    fn stop(mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let is_running = matches!(self.child.try_wait(), Ok(None));
        if let Some(pid) = pid.filter(|_| is_running) {
            // It may end by itself between the question and the signal: then there is nothing to stop.
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                eprintln!("demo: {} does not stop; killing it", self.name);
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_part_is_ready_when_it_prints_its_address_and_stops_when_asked() {
        let script = "echo starting; echo listening on http://127.0.0.1:1/; exec sleep 60";
        let (mut part, word) = Part::start("it", &mut shell(script), "http://").unwrap();
        assert_eq!(word, "http://127.0.0.1:1/");
        assert!(part.child.try_wait().unwrap().is_none());
        let start = Instant::now();
        part.stop();
        assert!(start.elapsed() < STOP_TIMEOUT);
    }

    #[test]
    fn a_part_that_ends_before_it_is_ready_is_named() {
        let error = Part::start("the tracker", &mut shell("echo no; exit 3"), "http://").err().unwrap();
        assert!(error.to_string().starts_with("the tracker ended"), "{error}");
    }
}
