//! One process: its output so far and its exit status. The process ends when its owner drops it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// Maximum time for a process to end after a request. After that it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Number of output lines that are shown when a test fails.
const SHOWN_LINES: usize = 40;

/// An ended process.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// Lines of standard output.
    pub stdout: Vec<String>,
    /// Lines of standard error.
    pub stderr: Vec<String>,
}

/// A running process.
#[derive(Debug)]
pub struct Program {
    name: String,
    pid: Pid,
    watched: Arc<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stdout: Vec<String>,
    stderr: Vec<String>,
    /// Number of streams that have not ended.
    open_streams: u32,
    status: Option<ExitStatus>,
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

impl Program {
    /// Starts a process. Messages call it `name`.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        Self::start_reading(name, command, Stdio::null())
    }

    /// Starts a process with something as its standard input.
    pub fn start_reading(name: &str, command: &mut Command, input: Stdio) -> Result<Self> {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}: {command:?}"))?;
        let pid =
            i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process without an id")?;
        let watched = Arc::new(Watched::default());
        watched.lock().open_streams = 2;
        if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            watched.follow(Stream::Stdout, stdout);
            watched.follow(Stream::Stderr, stderr);
        }
        watched.follow_end(pid, child);
        Ok(Self { name: name.to_owned(), pid, watched })
    }

    /// Waits until `find` returns `Some` for a line of standard output.
    pub fn wait_stdout<T>(
        &self,
        what: &str,
        timeout: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        self.wait(what, timeout, |state| state.stdout.iter().find_map(|line| find(line)))
    }

    /// Like [`Program::wait_stdout`], but skips the first `seen` lines.
    pub fn wait_next_stdout<T>(
        &self,
        what: &str,
        seen: usize,
        timeout: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        self.wait(what, timeout, |state| state.stdout.iter().skip(seen).find_map(|line| find(line)))
    }

    /// Waits until `find` returns `Some` for all lines of standard error so far.
    pub fn wait_stderr<T>(
        &self,
        what: &str,
        timeout: Duration,
        find: impl Fn(&[String]) -> Option<T>,
    ) -> Result<T> {
        self.wait(what, timeout, |state| find(&state.stderr))
    }

    /// Waits until the process ends.
    pub fn wait_end(&self, timeout: Duration) -> Result<Ended> {
        self.wait("its end", timeout, |state| {
            let status = state.status.filter(|_| state.open_streams == 0)?;
            Some(Ended { status, stdout: state.stdout.clone(), stderr: state.stderr.clone() })
        })
    }

    /// Sends SIGTERM to the process, as a service manager does, and waits until it has ended.
    pub fn stop(&self) -> Result<Ended> {
        self.signal(Signal::TERM);
        self.wait_end(STOP_TIMEOUT)
    }

    /// Kills the process and waits until it has ended.
    pub fn kill(&self) -> Result<Ended> {
        self.signal(Signal::KILL);
        self.wait_end(STOP_TIMEOUT)
    }

    /// Maximum resident memory so far, bytes.
    pub fn memory_max_bytes(&self) -> Result<u64> {
        self.status_bytes("VmHWM:")
    }

    /// Resident memory now, bytes.
    pub fn memory_bytes(&self) -> Result<u64> {
        self.status_bytes("VmRSS:")
    }

    /// A size that `/proc/PID/status` states in KiB, as bytes.
    fn status_bytes(&self, key: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid.as_raw_nonzero());
        let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib = kib.with_context(|| format!("no {key} in {path}"))?;
        Ok(kib.trim().parse::<u64>()? * 1024)
    }

    /// Lines of standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        self.watched.lock().stdout.clone()
    }

    /// Lines of standard error so far.
    pub fn stderr(&self) -> Vec<String> {
        self.watched.lock().stderr.clone()
    }

    /// CPU time so far, user and system, s. Linux only.
    pub fn cpu_s(&self) -> Result<f64> {
        let path = format!("/proc/{}/stat", self.pid.as_raw_nonzero());
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        // The name may contain any character, so fields are counted after it: user and system time are the 12th
        // and 13th.
        let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(ticks as f64 / clock_ticks_per_second() as f64)
    }

    fn signal(&self, signal: Signal) {
        // The process is not reaped while the lock is held, so its id is still valid.
        let state = self.watched.lock();
        if state.status.is_none() {
            // An error means that the process has just ended, which is the purpose of the signal.
            let _ = kill_process(self.pid, signal);
        }
    }

    fn wait<T>(&self, what: &str, timeout: Duration, find: impl Fn(&State) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + timeout;
        let mut state = self.watched.lock();
        loop {
            if let Some(found) = find(&state) {
                return Ok(found);
            }
            if let Some(status) = state.status.filter(|_| state.open_streams == 0) {
                bail!("{} ended ({status}) before: {what}\n{}", self.name, state.shown());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let waited_s = timeout.as_secs();
                bail!("{}: waited {waited_s} s in vain for: {what}\n{}", self.name, state.shown());
            }
            state = self.watched.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- {} ---\n{}", self.name, self.watched.lock().shown());
        }
        self.signal(Signal::TERM);
        if self.wait_end(STOP_TIMEOUT).is_err() {
            self.signal(Signal::KILL);
        }
    }
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(self: &Arc<Self>, stream: Stream, source: impl Read + Send + 'static) {
        let watched = Arc::clone(self);
        thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                let mut state = watched.lock();
                match stream {
                    Stream::Stdout => state.stdout.push(line),
                    Stream::Stderr => state.stderr.push(line),
                }
                watched.changed.notify_all();
            }
            watched.lock().open_streams -= 1;
            watched.changed.notify_all();
        });
    }

    fn follow_end(self: &Arc<Self>, pid: Pid, mut child: Child) {
        let watched = Arc::clone(self);
        thread::spawn(move || {
            // This waits without reaping, so that the process keeps its id until the lock is held.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
            let mut state = watched.lock();
            state.status = child.wait().ok();
            watched.changed.notify_all();
        });
    }
}

impl State {
    fn shown(&self) -> String {
        let tail = |lines: &[String]| {
            lines
                .iter()
                .skip(lines.len().saturating_sub(SHOWN_LINES))
                .map(|line| format!("  {line}\n"))
                .collect()
        };
        let (stdout, stderr): (String, String) = (tail(&self.stdout), tail(&self.stderr));
        format!("standard output:\n{stdout}standard error:\n{stderr}")
    }
}

impl Ended {
    /// The message of a process that failed in the expected way: one line that begins with `error:`, and no panic.
    pub fn error_line(&self) -> Result<&str> {
        if self.status.success() {
            bail!("it succeeded: {self:?}");
        }
        if self.status.code().is_none() {
            bail!("it was ended by a signal: {self:?}");
        }
        let has_trace = |line: &String| line.contains("panicked at") || line.contains("backtrace");
        if self.stderr.iter().any(has_trace) {
            bail!("a person is shown the inside of the program: {self:?}");
        }
        let errors: Vec<&String> = self.stderr.iter().filter(|line| line.starts_with("error")).collect();
        match (errors.as_slice(), self.stderr.last()) {
            ([error], Some(last)) if *error == last => Ok(last),
            _ => bail!("not one error line at the end: {self:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Program {
        Program::start("sh", Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn lines_are_waited_for_and_a_missing_one_is_named() {
        let program = shell("echo one; echo two >&2; exec sleep 60");
        assert_eq!(program.wait_stdout("one", SOON, |line| (line == "one").then_some(1)).unwrap(), 1);
        assert!(program.wait_stderr("two", SOON, |lines| (lines == ["two"]).then_some(())).is_ok());
        let error = program.wait_stdout("three", Duration::ZERO, |_| None::<()>).unwrap_err().to_string();
        assert!(error.contains("in vain for: three") && error.contains("  two\n"), "{error}");
        assert_eq!(program.stop().unwrap().status.code(), None);
    }

    #[test]
    fn an_end_before_the_condition_is_told_at_once() {
        let error = shell("echo no >&2; exit 3").wait_stdout("yes", SOON, |_| None::<()>).unwrap_err();
        assert!(error.to_string().starts_with("sh ended (exit status: 3) before: yes"), "{error}");
    }

    #[test]
    fn only_one_line_that_begins_with_error_is_a_good_error() {
        let end = |script| shell(script).wait_end(SOON).unwrap();
        assert_eq!(end("echo note >&2; echo error: no >&2; exit 1").error_line().unwrap(), "error: no");
        for bad in [
            "exit 0",
            "exit 1",
            "echo error: a >&2; echo error: b >&2; exit 1",
            "echo error: a >&2; echo more >&2; exit 1",
            "echo thread panicked at x >&2; echo error: a >&2; exit 1",
            "kill -9 $$",
        ] {
            assert!(end(bad).error_line().is_err(), "{bad}");
        }
    }
}
