//! What a run comes to.

use serde::Serialize;
use swarm_core::tracker_message::Role;

use crate::marks::ByMark;
use crate::node::Node;
use crate::scenario::Scenario;
use crate::timeline::Moment;
use crate::world::World;

/// What a run comes to. Times of media are in ms from a viewer's first open link; those of viewers that lie or
/// corrupt do not count.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Whether every honest viewer that stayed has everything.
    pub finished: bool,
    /// Viewers that were simulated, replacements included.
    pub peers: u32,
    /// Until the last viewer of the start (or of `--join-over`) that stayed had everything, s.
    pub seconds: f64,
    /// Until then at the physical bound, s: [`Scenario::bound_s`].
    pub bound_seconds: f64,
    /// The ratio of the two.
    pub t_over_bound: f64,
    /// What the initial peers uploaded together, in copies of the content.
    pub seeder_copies: f64,
    /// From the first link to the first frame, mean.
    pub start_ms_mean: f64,
    /// The longest of these.
    pub start_ms_max: f64,
    /// From the join to the first link, mean, ms.
    pub set_up_ms_mean: f64,
    /// How often playback stood still, over all viewers.
    pub stalls: u32,
    /// For how long, mean of all viewers.
    pub stall_ms_mean: f64,
    /// Payload received that was held already, per cent of the payload received.
    pub duplicate_pct: f64,
    /// Proofs, likewise.
    pub proof_pct: f64,
    /// Control messages, likewise.
    pub control_pct: f64,
    /// Messages to and from the tracker.
    pub tracker_messages: u64,
    /// How busy the viewers' uplinks were until the end, per cent.
    pub uplink_pct: f64,
    /// With rules, until every viewer that stayed had all that the author marked 7, all that is `background`, and all
    /// the rest, s; null where one never had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete_seconds: Option<ByMark<Option<f64>>>,
    /// With rules, until the first of them had all that is `background`, s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_background_seconds: Option<f64>,
    /// How it went, second by second; only if asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Moment>,
    /// Digest of everything that happened.
    pub trace_hash: String,
    /// Processor time of the run, s; not part of what is reproducible.
    pub cpu_seconds: f64,
}

/// Simulates a scenario. `cpu_seconds` is left 0.
pub fn run(scenario: &Scenario) -> Report {
    let mut world = World::new(scenario.clone());
    world.run();
    report(&world)
}

fn report(world: &World) -> Report {
    let viewers: Vec<&Node> = world.nodes.iter().filter(|node| node.role == Role::Viewer).collect();
    let stats: Vec<_> = viewers.iter().map(|node| node.peer.stats()).collect();
    let received: u64 = stats.iter().map(|stats| stats.from_initial + stats.from_peers).sum();
    let pct = |bytes: u64| bytes as f64 * 100.0 / received.max(1) as f64;
    let stayed: Vec<&&Node> = viewers.iter().filter(|node| node.is_original).collect();
    let seconds = stayed.iter().filter_map(|node| node.done_at).max().unwrap_or(world.now) as f64 / 1e6;
    let bound_seconds = world.scenario.bound_s();
    let watching = || viewers.iter().filter(|node| node.is_watching());
    let starts: Vec<f64> = watching().filter_map(|node| node.start_ms()).collect();
    let set_ups = viewers.iter().filter_map(|node| Some((node.first_link_at? - node.joined_at) as f64 / 1e3));
    let playbacks = watching().filter_map(|node| node.player.as_ref()).map(|player| player.playback());
    let playbacks: Vec<_> = playbacks.collect();
    let uploaded: u64 = world
        .nodes
        .iter()
        .filter(|node| node.role == Role::Initial)
        .map(|node| node.peer.stats().uploaded)
        .sum();
    let busy: u64 = viewers.iter().map(|node| node.interface.busy_us).sum();
    let present: u64 = viewers.iter().map(|node| world.now.saturating_sub(node.joined_at)).sum();
    let parts: Vec<ByMark<Option<u64>>> =
        stayed.iter().filter_map(|node| Some(node.progress.as_ref()?.done_at())).collect();
    Report {
        finished: world.is_finished(),
        peers: u32::try_from(viewers.len()).unwrap_or(u32::MAX),
        seconds,
        bound_seconds,
        t_over_bound: seconds / bound_seconds,
        seeder_copies: uploaded as f64 / world.scenario.content_bytes() as f64,
        start_ms_mean: mean(starts.iter().copied()),
        start_ms_max: starts.iter().copied().fold(0.0, f64::max),
        set_up_ms_mean: mean(set_ups),
        stalls: playbacks.iter().map(|playback| playback.stalls).sum(),
        stall_ms_mean: mean(playbacks.iter().map(|playback| playback.stall_ms as f64)),
        duplicate_pct: pct(stats.iter().map(|stats| stats.duplicate_bytes).sum()),
        proof_pct: pct(stats.iter().map(|stats| stats.proof_bytes).sum()),
        control_pct: pct(world.carried.control),
        tracker_messages: world.carried.tracker_messages,
        uplink_pct: busy as f64 * 100.0 / present.max(1) as f64,
        complete_seconds: (!parts.is_empty()).then(|| complete_seconds(&parts)),
        first_background_seconds: parts.iter().filter_map(|parts| parts.background).min().map(seconds_of),
        timeline: world.timeline.moments().to_vec(),
        trace_hash: world.trace.digest(),
        cpu_seconds: 0.0,
    }
}

/// Until the last of the viewers had each part.
fn complete_seconds(viewers: &[ByMark<Option<u64>>]) -> ByMark<Option<f64>> {
    let last = |part: fn(&ByMark<Option<u64>>) -> Option<u64>| {
        let all: Option<Vec<u64>> = viewers.iter().map(part).collect();
        all?.into_iter().max().map(seconds_of)
    };
    ByMark {
        marked: last(|parts| parts.marked),
        plain: last(|parts| parts.plain),
        background: last(|parts| parts.background),
    }
}

fn seconds_of(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}
