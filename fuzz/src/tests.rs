//! The corpus and a short run of each target; that the engine finds, keeps and repeats a fault.

use std::path::Path;

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

#[test]
fn the_same_seed_tries_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let tally = |seed| {
        let mut run = Run::new(TARGETS[0], folder.path(), seed).unwrap();
        run.go(Budget::Inputs(500)).unwrap()
    };
    assert_eq!(tally(7), tally(7));
    assert_ne!(tally(7), tally(8));
}
