//! The command line: every bad input is one line that says what failed and what to do.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output};

use crate::content;

/// Runs `seeder` to its end in a directory.
fn seeder(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_seeder")).current_dir(directory).args(arguments).output().unwrap()
}

const TRACKER: &str = "ws://127.0.0.1:9/v1/swarm";

#[test]
fn bad_input_is_one_line_and_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    content::file(directory.path(), "empty", 1, 0);
    content::file(directory.path(), "film", 1, 100);
    let id = "ab".repeat(32);
    let link = format!("http://127.0.0.1:9/#{id}");
    let taken = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let cases: &[(&[&str], &str)] = &[
        (&["seed", "nothing", "--tracker", TRACKER], "nothing does not exist"),
        (&["seed", "empty", "--tracker", TRACKER], "empty is empty"),
        (&["seed", ".", "--tracker", TRACKER], "is not a file"),
        (&["seed", "film", "--tracker", "http://h/"], "not a tracker's address"),
        (&["seed", "film", "--tracker", TRACKER, "--upload-limit", "8 M"], "no upload limit"),
        (&["seed", "film", "--tracker", TRACKER, "--udp-port", &port], "choose another with --udp-port"),
        (&["fetch", "nonsense", "-o", "x"], "is not a link"),
        (&["fetch", "http://127.0.0.1:9/#12", "-o", "x"], "is not a link"),
        (&["fetch", &id, "-o", "x"], "needs --tracker"),
        (&["fetch", &link, "-o", "."], "is a directory"),
        (&["fetch", &link, "-o", "nowhere/x"], "nowhere is not a directory"),
        (&["inspect", "nothing"], "nothing does not exist"),
        (&["inspect", &link], "nothing listens there"),
        (&["inspect", "http://127.0.0.1:9/#12"], "is not a link"),
    ];
    for (arguments, expected) in cases {
        for is_json in [false, true] {
            let mut arguments = arguments.to_vec();
            arguments.extend(is_json.then_some("--json"));
            let output = seeder(directory.path(), &arguments);
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
            assert_eq!(errors.lines().count(), 1, "{arguments:?}: {errors}");
            assert!(errors.starts_with("error: ") && errors.contains(expected), "{arguments:?}: {errors}");
            let stdout = String::from_utf8(output.stdout).unwrap();
            if is_json {
                let event: serde_json::Value = serde_json::from_str(&stdout).unwrap();
                assert_eq!(event["event"], "error");
                assert!(event["text"].as_str().unwrap().contains(expected));
            } else {
                assert_eq!(stdout, "");
            }
        }
    }
}

#[test]
fn inspecting_a_file_shows_what_it_would_be_published_as() {
    let directory = tempfile::tempdir().unwrap();
    content::file(directory.path(), "film.mp4", 1, 200_000);
    let arguments = ["inspect", "film.mp4", "--data-dir", "data"];
    let text = String::from_utf8(seeder(directory.path(), &arguments).stdout).unwrap();
    assert!(text.contains("name      film.mp4") && text.contains("type      video/mp4"), "{text}");
    assert!(text.contains("200000 bytes") && text.contains("segments  3"), "{text}");
    let json = seeder(directory.path(), &["inspect", "film.mp4", "--data-dir", "data", "--json"]);
    let event: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(event["event"], "manifest");
    assert_eq!(event["length_bytes"], 200_000);
    assert_eq!(event["segments"].as_array().unwrap().len(), 3);
    assert!(text.contains(event["swarm"].as_str().unwrap()), "the swarm stays the same");
}
