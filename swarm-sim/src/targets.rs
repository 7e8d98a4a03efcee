//! What a change must not lose: the targets of the method, each with one seed and a little air.
//!
//! The figures themselves, over several seeds, are made by `cargo xtask sim-table`. A run is deterministic: if one
//! of these fails, a decision has changed.

use crate::report::{Report, run};
use crate::scenario::{Economy, Scenario};

fn check(scenario: &Scenario, ratio_max: f64, copies_max: f64, start_ms_max: f64) -> Report {
    let report = run(scenario);
    assert!(report.finished, "{report:?}");
    assert!(report.t_over_bound <= ratio_max, "{report:?}");
    assert!(report.seeder_copies <= copies_max, "{report:?}");
    assert!(report.start_ms_mean <= start_ms_max, "{report:?}");
    assert_eq!(report.stalls, 0, "{report:?}");
    assert!(report.duplicate_pct <= 1.0 && report.proof_pct <= 1.0, "{report:?}");
    report
}

#[test]
fn thirty_viewers_at_once_end_near_the_bound_for_one_copy() {
    check(&Scenario::default(), 1.04, 1.05, 800.0);
}

#[test]
fn slow_and_fast_uplinks_together_end_near_the_bound() {
    let scenario = Scenario { peer_up_mbps: vec![2.0, 10.0, 50.0], ..Scenario::default() };
    check(&scenario, 1.06, 1.05, 1000.0);
}

#[test]
fn a_swarm_in_rooms_ends_nearly_as_soon_as_in_one() {
    let whole = Scenario { peers: 45, mib: 8, ..Scenario::default() };
    let cut = Scenario { rooms: 3, ..whole.clone() };
    let (whole, cut) = (run(&whole), run(&cut));
    assert!(whole.finished && cut.finished);
    assert!(cut.t_over_bound <= 1.05 * whole.t_over_bound, "{} and {}", cut.t_over_bound, whole.t_over_bound);
    assert!(
        cut.seeder_copies <= 1.1 * whole.seeder_copies,
        "{} and {}",
        cut.seeder_copies,
        whole.seeder_copies
    );
}

#[test]
fn who_comes_later_starts_at_once() {
    let scenario =
        Scenario { peers: 12, mib: 8, join_over_s: 24.0, peer_up_mbps: vec![3.0], ..Scenario::default() };
    check(&scenario, f64::INFINITY, 4.0, 450.0);
}

#[test]
fn a_publisher_slower_than_its_viewers_uses_all_of_its_uplink() {
    let scenario = Scenario { peers: 8, mib: 8, seeder_up_mbps: 2.0, media_mbps: 1.0, ..Scenario::default() };
    check(&scenario, 1.08, 1.05, 1500.0);
}

#[test]
fn a_strong_viewer_among_weak_ones_is_fed_first() {
    let scenario = Scenario {
        peers: 6,
        mib: 12,
        peer_up_mbps: vec![2.0, 2.0, 2.0, 50.0, 2.0, 2.0],
        peer_down_mbps: vec![50.0],
        rtt_ms: 30.0,
        economy: Economy::Generous,
        ..Scenario::default()
    };
    // When weak viewers were pushed what the strong one had no room for, it took 1.9 times the bound and 1.9 copies.
    check(&scenario, 1.15, 1.1, 1200.0);
}

#[test]
fn viewers_whose_uplinks_are_unknown_are_injected_to_alike() {
    let scenario = Scenario { peers: 4, mib: 16, has_author_rules: true, ..Scenario::default() };
    check(&scenario, 1.1, 1.05, 1000.0);
}

#[test]
fn a_publisher_that_injected_everything_helps_for_an_eighth_of_a_copy() {
    let scenario = Scenario {
        peers: 8,
        mib: 16,
        seeder_up_mbps: 8.0,
        peer_up_mbps: vec![4.0],
        media_mbps: 0.0,
        ..Scenario::default()
    };
    let report = check(&scenario, 1.13, 1.15, 0.0);
    assert!(report.seeder_copies >= 1.1, "it was asked: {report:?}");
}

#[test]
fn what_crosses_a_push_is_taken_back_before_it_comes_twice() {
    // Over seeds 1 to 5 the publisher sends 1.87 to 2.17 copies, 2.10 on average.
    let scenario = Scenario { mib: 8, peer_up_mbps: vec![4.0], ..Scenario::default() };
    check(&scenario, 1.15, 2.3, 1500.0);
}

#[test]
fn who_claims_everything_and_sends_nothing_delays_nobodys_start() {
    let scenario = Scenario { mib: 16, liars_pct: 10.0, ..Scenario::default() };
    check(&scenario, 1.2, 1.05, 1200.0);
}

#[test]
fn who_drips_holds_up_nobodys_film() {
    let scenario =
        Scenario { peers: 20, mib: 12, peer_up_mbps: vec![4.0], drip_pct: 20.0, ..Scenario::default() };
    let report = run(&scenario);
    assert!(report.finished && report.stalls == 0, "{report:?}");
}
