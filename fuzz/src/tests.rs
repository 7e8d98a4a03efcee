//! The corpus and a short run of each target; that the engine finds, keeps and repeats a fault.

use std::path::Path;
use std::sync::Mutex;

use super::engine::{Budget, Run};
use super::*;

/// Inputs of a short run.
const SHORT: u64 = 2000;

fn corpus() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn everything_that_was_kept_passes_and_so_does_a_short_run_of_each_target() {
    for target in TARGETS {
        let mut run = Run::new(target, &corpus(), 1).unwrap();
        let tally = run.go(Budget::Inputs(SHORT)).unwrap();
        assert!(tally.features > 1, "{} tells nothing of what it does", target.name);
    }
}

/// Fails for a word that only one who keeps what is new comes upon soon.
fn planted(input: &[u8], seen: &mut Seen) {
    let known = input.iter().zip(b"bug!").take_while(|(byte, wanted)| byte == wanted).count();
    seen.note("x".repeat(known));
    assert!(known < 4, "found");
}

fn planted_seeds() -> Vec<Vec<u8>> {
    vec![b"b".to_vec()]
}

#[test]
fn a_fault_is_found_kept_and_found_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target { name: "planted", check: planted, seeds: planted_seeds };
    let error =
        Run::new(target, folder.path(), 1).unwrap().go(Budget::Inputs(2_000_000)).unwrap_err().to_string();
    assert!(error.starts_with("planted panicked on an input") && error.contains("failed-"), "{error}");
    let error = Run::new(target, folder.path(), 2).unwrap_err().to_string();
    assert!(error.starts_with("planted panicked"), "{error}");
}

/// Fails unless the file holds what is being tried.
fn written(input: &[u8], seen: &mut Seen) {
    let path = std::env::temp_dir().join(format!("fuzz-{}", std::process::id())).join("written/last");
    // The first inputs are the seeds, which are not written.
    if let Ok(last) = std::fs::read(path) {
        seen.note("read");
        assert_eq!(last, input);
    }
}

#[test]
fn what_would_end_the_process_is_in_a_file_while_it_is_tried() {
    let folder = std::env::temp_dir().join(format!("fuzz-{}", std::process::id()));
    let target =
        Target { name: "written", check: written, seeds: || vec![b"long enough to become shorter".to_vec()] };
    let mut run = Run::new(target, &folder, 1).unwrap();
    let tally = run.go(Budget::Time(std::time::Duration::from_millis(100)));
    run.keep().unwrap();
    let is_left = folder.join("written/last").exists();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(tally.unwrap().features == 1 && !is_left);
}

static TRIED: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

fn noted(input: &[u8], _seen: &mut Seen) {
    TRIED.lock().unwrap().push(input.to_vec());
}

#[test]
fn the_same_seed_tries_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target { name: "noted", check: noted, seeds: planted_seeds };
    let tried = |seed| {
        Run::new(target, folder.path(), seed).unwrap().go(Budget::Inputs(500)).unwrap();
        std::mem::take(&mut *TRIED.lock().unwrap())
    };
    assert_eq!(tried(7), tried(7));
    assert_ne!(tried(7), tried(8));
}
