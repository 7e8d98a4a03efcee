//! Whole swarms: processes of the binary that meet at a tracker.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use crate::content::{self, DEADLINE, wait_until};
use crate::port::free_port;
use crate::tracker::{Manner, TestTracker};

/// A running `seeder` with the lines it writes. Killed when dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    events: Receiver<Value>,
    notes: Receiver<String>,
}

impl Process {
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seeder"));
        Self::run(command.current_dir(directory).args(arguments).arg("--json"))
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (event_sender, events) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = event_sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let (note_sender, notes) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = note_sender.send(line);
            }
        });
        Self { child, events, notes }
    }

    /// The next event of a kind.
    pub(crate) fn event(&self, kind: &str) -> Value {
        loop {
            let event = self.events.recv_timeout(DEADLINE);
            let event = event.unwrap_or_else(|_| panic!("no `{kind}`: {:?}", self.said()));
            if event["event"] == kind {
                return event;
            }
        }
    }

    /// Everything on stderr so far.
    fn said(&self) -> Vec<String> {
        self.notes.try_iter().collect()
    }

    /// Waits until the process ended and its stderr is read to the end: the exit code and what was on it.
    fn end(&mut self) -> (Option<i32>, Vec<String>) {
        // The thread that reads stderr may still be behind the process when that has ended.
        (self.exit().code(), self.notes.iter().collect())
    }

    fn note_with(&self, text: &str) -> String {
        loop {
            let note = self.notes.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("not said: {text}"));
            if note.contains(text) {
                return note;
            }
        }
    }

    fn terminate(&self) {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn exit(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the process to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A tracker, a seeded file and its link.
pub(crate) struct Scene {
    pub(crate) directory: TempDir,
    pub(crate) bytes: Vec<u8>,
    pub(crate) tracker: TestTracker,
    pub(crate) seeder: Process,
    pub(crate) link: String,
}

impl Scene {
    pub(crate) async fn new(length: usize, manner: Manner, options: &[&str]) -> Self {
        let tracker = TestTracker::start(manner).await;
        let directory = tempfile::tempdir().unwrap();
        content::file(directory.path(), "film", 1, length);
        let url = tracker.address.to_string();
        let mut arguments = vec!["seed", "film", "--tracker", &url, "--data-dir", "data"];
        arguments.extend(options);
        let seeder = Process::start(directory.path(), &arguments);
        let link = seeder.event("ready")["link"].as_str().unwrap().to_owned();
        Self { directory, bytes: content::bytes(1, length), tracker, seeder, link }
    }

    pub(crate) fn fetch(&self, output: &str, options: &[&str]) -> Process {
        let mut arguments = vec!["fetch", self.link.as_str(), "-o", output];
        arguments.extend(options);
        Process::start(self.directory.path(), &arguments)
    }

    pub(crate) fn check(&self, output: &str) {
        assert!(std::fs::read(self.directory.path().join(output)).unwrap() == self.bytes, "{output} differs");
        assert!(!self.directory.path().join(format!("{output}.part")).exists());
        assert!(!self.directory.path().join(format!("{output}.part.tree")).exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_fetch_at_once_and_serve_one_another() {
    let scene = Scene::new(8 * 1024 * 1024, Manner::Proper, &["--upload-limit", "40M"]).await;
    let names = ["a", "b", "c"];
    let mut fetches: Vec<Process> = names.iter().map(|name| scene.fetch(name, &["--play"])).collect();
    let mut from_peers = 0;
    for (fetch, name) in fetches.iter_mut().zip(names) {
        let ready = fetch.event("ready");
        assert_eq!(ready["link"], scene.link.as_str());
        let done = fetch.event("done");
        assert_eq!(done["bytes"], scene.bytes.len());
        let initial = done["from_initial"].as_u64().unwrap();
        from_peers += done["from_peers"].as_u64().unwrap();
        assert_eq!(initial + done["from_peers"].as_u64().unwrap(), scene.bytes.len() as u64);
        assert!(done["start_ms"].as_u64().is_some() && done["stalls"].is_u64() && done["stall_ms"].is_u64());
        assert!(fetch.exit().success());
        scene.check(name);
    }
    assert!(from_peers > 0);
    let progress = scene.seeder.event("progress");
    assert_eq!(progress["bytes_verified"], scene.bytes.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_that_was_killed_goes_on_where_it_stopped() {
    let scene = Scene::new(8 * 1024 * 1024, Manner::Proper, &["--upload-limit", "16M"]).await;
    let mut fetch = scene.fetch("film2", &[]);
    let sidecar = scene.directory.path().join("film2.part.tree");
    wait_until("a saved tree", || sidecar.metadata().is_ok_and(|metadata| metadata.len() > 1000));
    fetch.child.kill().unwrap();
    fetch.exit();
    let mut fetch = scene.fetch("film2", &[]);
    let done = fetch.event("done");
    assert!(done["from_initial"].as_u64().unwrap() < scene.bytes.len() as u64);
    assert!(fetch.exit().success());
    fetch.note_with("going on from");
    scene.check("film2");
    // What is complete is not fetched again.
    let mut fetch = scene.fetch("film2", &[]);
    assert_eq!(fetch.event("done")["from_initial"], 0);
    assert!(fetch.exit().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_fetch_says_what_it_leaves_and_a_stopped_seeder_leaves_the_swarm() {
    let mut scene = Scene::new(8 * 1024 * 1024, Manner::Proper, &["--upload-limit", "8M"]).await;
    let mut fetch = scene.fetch("film2", &["--upload-limit", "off"]);
    while fetch.event("progress")["bytes_verified"].as_u64().unwrap() == 0 {}
    fetch.terminate();
    assert_eq!(fetch.exit().code(), Some(130));
    assert!(fetch.event("error")["text"].as_str().unwrap().contains("film2.part"));
    let sidecar = scene.directory.path().join("film2.part.tree");
    assert!(sidecar.metadata().unwrap().len() > 1000, "the tree was not saved");
    wait_until("the fetch to have left", || scene.tracker.member_count() == 1);
    scene.seeder.terminate();
    assert!(scene.seeder.exit().success());
    wait_until("the seeder to have left", || scene.tracker.member_count() == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stays_serves_without_the_publisher() {
    let mut scene = Scene::new(2 * 1024 * 1024, Manner::Proper, &[]).await;
    let mut stayer = scene.fetch("a", &["--stay"]);
    stayer.event("done");
    scene.seeder.terminate();
    assert!(scene.seeder.exit().success());
    let mut fetch = scene.fetch("b", &[]);
    assert_eq!(fetch.event("done")["from_peers"], scene.bytes.len());
    assert!(fetch.exit().success());
    scene.check("b");
    stayer.terminate();
    assert!(stayer.exit().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_reuses_the_tree_and_prints_the_same_link() {
    let mut scene = Scene::new(100_000, Manner::Proper, &[]).await;
    scene.seeder.terminate();
    assert!(scene.seeder.exit().success());
    let url = scene.tracker.address.to_string();
    let arguments = ["seed", "film", "--tracker", &url, "--data-dir", "data"];
    let again = Process::start(scene.directory.path(), &arguments);
    assert_eq!(again.event("ready")["link"], scene.link.as_str());
    again.note_with("hash tree saved earlier");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_that_is_not_there_yet_is_waited_for() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let directory = tempfile::tempdir().unwrap();
    content::file(directory.path(), "film", 1, 100_000);
    let url = format!("ws://{address}/v1/swarm");
    let arguments = ["seed", "film", "--tracker", &url, "--data-dir", "data"];
    let seeder = Process::start(directory.path(), &arguments);
    let note = seeder.note_with("cannot be reached");
    assert!(note.contains(&url) && note.contains("trying again"), "{note}");
    let _tracker = TestTracker::listen(address, Manner::Proper).await;
    seeder.event("ready");
    assert!(seeder.note_with("is reached").contains(&url));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swarm_that_nobody_knows_is_given_up_on() {
    let tracker = TestTracker::start(Manner::Proper).await;
    let directory = tempfile::tempdir().unwrap();
    let (id, url) = ("cd".repeat(32), tracker.address.to_string());
    let started = Instant::now();
    let mut fetch = Process::start(directory.path(), &["fetch", &id, "--tracker", &url, "-o", "x"]);
    fetch.note_with("does not know this swarm yet");
    let text = fetch.event("error")["text"].as_str().unwrap().to_owned();
    assert!(text.contains(&id) && text.contains("check the link"), "{text}");
    assert_eq!(fetch.exit().code(), Some(1));
    assert!(started.elapsed() < DEADLINE / 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trackers_that_cannot_be_dealt_with_end_the_program_in_words() {
    let scene = Scene::new(100_000, Manner::OtherManifest, &[]).await;
    let mut fetch = scene.fetch("x", &[]);
    let text = fetch.event("error")["text"].as_str().unwrap().to_owned();
    assert!(text.contains("manifest") && text.contains("hashes to"), "{text}");
    assert_eq!(fetch.exit().code(), Some(1));

    let tracker = TestTracker::start(Manner::OtherVersion).await;
    let url = tracker.address.to_string();
    let arguments = ["seed", "film", "--tracker", &url, "--data-dir", "data"];
    let mut seeder = Process::start(scene.directory.path(), &arguments);
    let text = seeder.event("error")["text"].as_str().unwrap().to_owned();
    assert!(text.contains("version 9 is spoken here"), "{text}");
    assert_eq!(seeder.exit().code(), Some(1));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_ends_a_fetch_in_one_line() {
    let scene = Scene::new(2 * 1024 * 1024, Manner::Proper, &[]).await;
    // Files may grow to 512 KiB here.
    let script = r#"trap '' XFSZ; ulimit -f 1024; exec "$0" "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_seeder"), "fetch", &scene.link, "-o", "x", "--json"]);
    let mut fetch = Process::run(command.current_dir(scene.directory.path()));
    let text = fetch.event("error")["text"].as_str().unwrap().to_owned();
    assert!(text.contains("no space left") && text.contains("x.part"), "{text}");
    let (code, lines) = fetch.end();
    assert_eq!(code, Some(1));
    assert_eq!(lines.iter().filter(|line| line.starts_with("error: ")).count(), 1, "{lines:?}");
}
