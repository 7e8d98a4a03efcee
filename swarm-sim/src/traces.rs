//! Digests of a few small runs that between them use everything: the same on every target, or the core is not
//! deterministic.

use crate::report::run;
use crate::scenario::{Scenario, Span};

/// The trace hashes of a quiet swarm, one on a bad network, one full of misfortune, and one with several initial peers
/// and an author's rules.
pub fn sample() -> Vec<String> {
    let small = |seed| Scenario { peers: 6, mib: 2, seed, ..Scenario::default() };
    let scenarios = [
        small(1),
        Scenario { loss_pct: 2.0, jitter_ms: 20.0, peer_up_mbps: vec![2.0, 10.0, 50.0], ..small(2) },
        Scenario {
            peers: 10,
            churn_pct: 60.0,
            corrupt_pct: 10.0,
            liars_pct: 10.0,
            seek_pct: 50.0,
            join_over_s: 3.0,
            tracker_outage: Some(Span { from_s: 1.0, to_s: 3.0 }),
            limit_s: 60.0,
            ..small(3)
        },
        Scenario { initial_peers: 2, has_author_rules: true, ..small(4) },
    ];
    scenarios.iter().map(|scenario| run(scenario).trace_hash).collect()
}
