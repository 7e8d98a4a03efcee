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
    std::fs::create_dir(directory.path().join("folder")).unwrap();
    std::fs::write(directory.path().join("bad.toml"), "[[rule]]\ntime = \"0:0-1\"\n").unwrap();
    let id = "ab".repeat(32);
    let link = format!("http://127.0.0.1:9/#{id}");
    let taken = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let cases: &[(&[&str], &str)] = &[
        (&["seed", "nothing", "--tracker", TRACKER], "nothing does not exist"),
        (&["seed", "empty", "--tracker", TRACKER], "empty is empty"),
        (&["seed", "folder", "--tracker", TRACKER], "no files to share"),
        (&["seed", "film"], "--tracker is missing"),
        (&["seed", "film", "--tracker", TRACKER, "--rules", "bad.toml"], "bad.toml:2:8: "),
        (&["seed", "film", "--tracker", TRACKER, "--rules", "none.toml"], "none.toml: cannot be read"),
        (&["seed", "film", "--tracker", TRACKER, "--priority", "0:00-1"], "such as 0:00-0:30=7"),
        (&["seed", "film", "bad.toml", "--tracker", TRACKER, "--title", "T"], "are for one file"),
        (&["seed", "--data-dir", "none"], "nothing was seeded from here"),
        (&["remove", "film", "--data-dir", "none"], "is not in the list"),
        (&["inspect", "film", "--priority", "0:00-0:01=7"], "nothing is known of times"),
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

/// The output of `inspect --json` for the sample clip, with further arguments.
fn inspected(directory: &Path, arguments: &[&str]) -> serde_json::Value {
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample/river.mp4");
    let mut all = vec!["inspect", clip.to_str().unwrap(), "--json", "--data-dir", "data"];
    all.extend(arguments);
    let output = seeder(directory, &all);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn inspecting_the_sample_clip_shows_its_header_and_gops() {
    let directory = tempfile::tempdir().unwrap();
    let event = inspected(directory.path(), &[]);
    assert_eq!(event["duration_ms"], 30_000);
    let segments = event["segments"].as_array().unwrap();
    let expected = serde_json::json!({
        "offset": 0, "length": 32_768, "kind": "header", "priority": 7, "period": "start",
        "time_ms": null, "duration_ms": null
    });
    assert_eq!(segments[0], expected);
    let first = &segments[1];
    assert_eq!(
        (&first["kind"], &first["priority"], &first["time_ms"]),
        (&"media".into(), &6.into(), &0.into())
    );
    let end = segments.iter().fold(0, |offset, segment| {
        assert_eq!(segment["offset"], offset);
        offset + segment["length"].as_u64().unwrap()
    });
    assert_eq!(end, event["length_bytes"].as_u64().unwrap());
    let played: u64 = segments.iter().filter_map(|segment| segment["duration_ms"].as_u64()).sum();
    assert_eq!(played, 30_000);
}

#[test]
fn the_example_rules_do_what_they_say() {
    let directory = tempfile::tempdir().unwrap();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample/rules.toml");
    let event = inspected(directory.path(), &["--rules", rules.to_str().unwrap()]);
    assert_eq!(event["title"], "The river");
    assert_eq!(event["chapters"].as_array().unwrap().len(), 3);
    let at = |time_ms: u64| {
        let segments = event["segments"].as_array().unwrap().iter();
        let is_earlier = |segment: &&serde_json::Value| {
            segment["time_ms"].as_u64().is_some_and(|start_ms| start_ms <= time_ms)
        };
        let segment = segments.rev().find(is_earlier).unwrap();
        (segment["priority"].as_u64().unwrap(), segment["period"].as_str().unwrap().to_owned())
    };
    assert_eq!(at(0), (5, "start".to_owned()));
    assert_eq!(at(9_000), (3, "playback".to_owned()));
    assert_eq!(at(11_000), (7, "playback".to_owned()));
    assert_eq!(at(23_000), (7, "playback".to_owned()));
    assert_eq!(at(25_000), (5, "playback".to_owned()));
    assert_eq!(at(29_000), (0, "background".to_owned()));
}

#[test]
fn inspecting_draws_a_bar_with_its_legend() {
    let directory = tempfile::tempdir().unwrap();
    content::file(directory.path(), "film", 1, 500_000);
    let arguments = ["inspect", "film", "--priority", "0-1=7"];
    assert!(!seeder(directory.path(), &arguments).status.success(), "times where there are none");
    let text = String::from_utf8(seeder(directory.path(), &["inspect", "film"]).stdout).unwrap();
    let bar = "▄".repeat(80);
    assert!(text.contains(&format!("\n{bar}\n{}\n{}\n", "d".repeat(80), "p".repeat(80))), "{text}");
    assert!(text.contains("height: priority"), "{text}");
}
