//! The same scenario gives the same run: again, and as WebAssembly.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use swarm_sim::traces::sample;

#[test]
fn the_same_scenario_gives_the_same_trace_again() {
    assert_eq!(sample(), sample());
}

#[test]
fn every_scenario_has_a_trace_of_its_own() {
    let mut traces = sample();
    traces.sort();
    traces.dedup();
    assert_eq!(traces.len(), 4);
}

/// The tier `wasm` runs the example of the same name natively and says here what it printed.
#[cfg(target_arch = "wasm32")]
#[test]
fn a_run_is_the_same_natively_and_as_webassembly() {
    let native = option_env!("TRIBUTARY_TRACES").expect("run this with `cargo xtask test --tier wasm`");
    assert_eq!(sample().join(","), native.trim());
}
