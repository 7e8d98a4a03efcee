//! One process of a bench: what it says, the CPU time it took, and that it ends with its owner.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Lines of its log that are shown of a process that ended when it should not have.
const SHOWN_LINES: usize = 5;

/// Who in the swarm a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    /// The tracker.
    Tracker,
    /// The initial peer.
    Seeder,
    /// One who fetches, counted from 0.
    Leecher(usize),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tracker => f.write_str("tracker"),
            Self::Seeder => f.write_str("seeder"),
            Self::Leecher(number) => write!(f, "leecher-{number}"),
        }
    }
}

/// A line of a process's standard output.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Whose.
    pub(crate) who: Who,
    /// When it came.
    pub(crate) at: Instant,
    /// The line.
    pub(crate) line: String,
}

/// What peers say of themselves, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// It is in the swarm.
    Ready {
        /// What others are given to join it.
        link: String,
    },
    /// How it stands.
    Progress(Progress),
    /// It holds everything.
    Done(Done),
    /// Something failed.
    Error {
        /// In words.
        text: String,
    },
}

/// How a peer stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Progress {
    /// Bytes held.
    pub(crate) bytes_verified: u64,
    /// Payload sent to others.
    pub(crate) uploaded: u64,
}

/// How a fetch went. What a system does not know of itself is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Done {
    /// Bytes that came though they were held.
    pub(crate) duplicate_bytes: Option<u64>,
    /// Bytes of proofs.
    pub(crate) proof_bytes: Option<u64>,
    /// With `--play`: from the program's start to the first frame, ms.
    pub(crate) start_ms: Option<u64>,
    /// With `--play`: how often playback stood still.
    #[serde(default)]
    pub(crate) stalls: u64,
    /// With `--play`: for how long, ms.
    #[serde(default)]
    pub(crate) stall_ms: u64,
}

impl Event {
    /// Reads a line; `None` if it is no event.
    pub(crate) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

/// A running process; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Program {
    who: Who,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a process whose lines are told to `tell` and whose log goes to a file in `logs`.
    pub(crate) fn start(who: Who, command: &mut Command, logs: &Path, tell: &Sender<Heard>) -> Result<Self> {
        let log = logs.join(format!("{who}.log"));
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start the {who}"))?;
        if let Some(stdout) = child.stdout.take() {
            let tell = tell.clone();
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    // Nobody listens any more once the run is over.
                    let _ = tell.send(Heard { who, at: Instant::now(), line });
                }
            });
        }
        Ok(Self { who, child, log })
    }

    /// CPU time it took so far, user and system, seconds; `None` once it has ended.
    pub(crate) fn cpu_s(&self) -> Option<f64> {
        cpu_ticks(&fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?)
            .map(|ticks| ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Whether it has ended by itself, and how.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot look at the {}", self.who))
    }

    /// The end of what it wrote to standard error, in one line.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default().join(" | ")
    }

    /// Ends it without a chance to say goodbye.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It may have ended already, which is what this is for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

/// User and system time in the text of `/proc/PID/stat`: fields 14 and 15, counted from behind the name, which
/// may hold anything (proc(5)).
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn cpu_time_is_read_behind_whatever_name_a_process_has() {
        let stat = "17 (a) R 1 (b) S 1 17 17 0 -1 4194304 500 0 0 0 123 45 0 0 20 0 3 0 100 1000 10";
        assert_eq!(cpu_ticks(stat), Some(168));
        assert_eq!(cpu_ticks("17 (a) S 1"), None);
    }

    #[test]
    fn events_are_read_and_other_lines_are_not() {
        let line = r#"{"event":"progress","swarm":"ab","bytes_verified":3,"bytes_total":9,"uploaded":5}"#;
        assert_eq!(Event::read(line), Some(Event::Progress(Progress { bytes_verified: 3, uploaded: 5 })));
        let line =
            r#"{"event":"done","seconds":1.5,"proof_bytes":7,"start_ms":null,"stalls":2,"stall_ms":30}"#;
        let done = Done { proof_bytes: Some(7), stalls: 2, stall_ms: 30, ..Done::default() };
        assert_eq!(Event::read(line), Some(Event::Done(done)));
        assert_eq!(Event::read("listening: http://10.0.0.1:8080/"), None);
    }

    #[test]
    fn what_a_process_says_is_heard_and_its_end_is_seen() {
        let folder = std::env::temp_dir().join(format!("bench-program-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (tell, heard) = channel();
        let script = "echo one; echo 'error: no' >&2; exec sleep 60";
        let mut command = Command::new("sh");
        let mut program = Program::start(Who::Seeder, command.args(["-c", script]), &folder, &tell).unwrap();
        let one = heard.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!((one.who, one.line.as_str()), (Who::Seeder, "one"));
        assert!(program.ended().unwrap().is_none() && program.cpu_s().is_some());
        while program.last_words().is_empty() {
            thread::yield_now();
        }
        assert_eq!(program.last_words(), "error: no");
        let id = program.child.id();
        program.kill();
        assert!(!Path::new(&format!("/proc/{id}")).exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
