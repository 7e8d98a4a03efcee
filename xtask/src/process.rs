//! Runs other programs. Each command is printed before it runs, and its exit status is checked.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Runs a program to its end. Its output goes where ours goes. An error if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a program, prints each line of its output and passes it to `see`. Returns whether it succeeded. An error if it prints
/// nothing for longer than `silence`: it is then ended, with all that it started.
pub(crate) fn run_watched(
    command: &mut Command,
    silence: Duration,
    mut see: impl FnMut(&str),
) -> Result<bool> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let Some(stdout) = child.stdout.take() else { bail!("`{shown}` has no output") };
    let (sender, lines) = mpsc::channel();
    // It ends with the program's output, or when nobody listens any more.
    thread::spawn(move || BufReader::new(stdout).split(b'\n').try_for_each(|line| sender.send(line)));
    loop {
        match lines.recv_timeout(silence) {
            Ok(line) => {
                let line = line.with_context(|| format!("cannot read what `{shown}` prints"))?;
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                see(&line);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(child.wait()?.success()),
            Err(RecvTimeoutError::Timeout) => {
                end_all(child.id());
                child.wait()?;
                bail!("`{shown}` was ended: it printed nothing for {} s", silence.as_secs());
            }
        }
    }
}

/// Ends a program and those that it started, and those that these started. Where the system does not list them (it is a
/// feature of Linux), it ends the program alone.
fn end_all(id: u32) {
    let started = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // One that has ended by itself needs no more.
        _ = kill_process(pid, Signal::KILL);
    }
    started.split_whitespace().filter_map(|id| id.parse().ok()).for_each(end_all);
}

/// Runs a program to its end and returns its output. An error if it fails.
pub(crate) fn captured(command: &mut Command) -> Result<String> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed ({})", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The output of a program, trimmed; `None` if it is missing or fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The first of these programs that the search path has.
pub(crate) fn find(programs: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    programs
        .iter()
        .flat_map(|program| folders.iter().map(move |folder| folder.join(program)))
        .find(|candidate| candidate.is_file())
}

fn show(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), value?.to_string_lossy())));
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| word.to_string_lossy().into_owned());
    variables.filter(|text| !text.starts_with("PATH=")).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_failing_program_is_named_with_its_arguments() {
        let error = run(Command::new("false").arg("--really")).unwrap_err();
        assert!(error.to_string().starts_with("`false --really` failed"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert!(error.to_string().contains("cannot start `no-such-program-anywhere`"), "{error}");
        assert_eq!(output(&mut Command::new("no-such-program-anywhere")), None);
    }

    #[test]
    fn captured_output_is_returned_and_a_failure_is_an_error() {
        assert_eq!(captured(Command::new("printf").arg("one\\ntwo\\n")).unwrap(), "one\ntwo\n");
        assert!(captured(&mut Command::new("false")).is_err());
    }

    #[test]
    fn watched_output_is_seen_line_by_line() {
        let mut lines = Vec::new();
        let mut command = Command::new("printf");
        let see = |line: &str| lines.push(line.to_owned());
        assert!(run_watched(command.arg("one\\ntwo\\n"), Duration::from_secs(60), see).unwrap());
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn a_program_that_is_silent_is_ended_with_what_it_started() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]);
        let mut started = 0;
        let see = |line: &str| started = line.parse().unwrap();
        let error = run_watched(&mut command, Duration::from_millis(500), see).unwrap_err();
        assert!(error.to_string().ends_with("it printed nothing for 0 s"), "{error}");
        // The system needs a moment to end it. A zombie (`Z`) runs no more; only its parent has not asked for its end.
        let state = || fs::read_to_string(format!("/proc/{started}/stat")).unwrap_or_default();
        let runs = |state: &String| !state.is_empty() && !state.contains(") Z ");
        let deadline = Instant::now() + Duration::from_secs(10);
        while runs(&state()) {
            assert!(Instant::now() < deadline, "{}", state());
            thread::sleep(Duration::from_millis(10));
        }
    }
}
