//! The report of a run: the figures that describe how it went.

use serde::Serialize;
use swarm_core::player::Playback;
use swarm_core::tracker_message::Role;

use crate::marks::ByMark;
use crate::node::Node;
use crate::scenario::{Distribution, Scenario};
use crate::timeline::Moment;
use crate::world::World;

/// The figures of a run. Start times count from a viewer's first open link. Viewers that lie or corrupt do not count
/// in any figure about viewers. A figure that a model does not have is 0 (client-server: duplicates, proofs, control,
/// tracker messages, uplinks).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Report {
    /// Whether every honest viewer that stayed has everything.
    pub finished: bool,
    /// Viewers that were simulated, replacements included.
    pub peers: u32,
    /// Viewers that have everything, replacements included.
    pub finished_viewers: u32,
    /// Time at which the last original viewer that stayed had everything, s from the start of the run.
    pub seconds: f64,
    /// The least this time can be, s: [`Scenario::bound_s`].
    pub bound_seconds: f64,
    /// The ratio of the two.
    pub t_over_bound: f64,
    /// Upload of all initial peers together, in copies of the content.
    pub seeder_copies: f64,
    /// Upload of the mirror, in copies of the content; 0 without one.
    pub mirror_copies: f64,
    /// Time from the first link to the first frame, ms, mean.
    pub start_ms_mean: f64,
    /// The same, 90th percentile by nearest rank.
    pub start_ms_p90: f64,
    /// The same, longest.
    pub start_ms_max: f64,
    /// Time from the join to the first link, ms, mean.
    pub set_up_ms_mean: f64,
    /// Number of stalls of playback, over all viewers.
    pub stalls: u32,
    /// Time that playback stood still, ms, mean over all viewers.
    pub stall_ms_mean: f64,
    /// The same, of the viewer that had to wait most.
    pub stall_ms_max: f64,
    /// Jain's index of the bytes received by the viewers that joined at time 0 and stayed: (Σx)² / (n·Σx²). 1 if all
    /// received the same, 1/n if one received everything.
    pub fairness: f64,
    /// Least ratio of upload to playback over all moments from the first join to the last:
    /// [`Scenario::supply_over_demand_min`]. Null if nobody plays.
    pub supply_over_demand_min: Option<f64>,
    /// The publisher's uplink over the playback rate of all viewers: [`Scenario::publisher_over_demand`]. Null if
    /// nobody plays.
    pub publisher_over_demand: Option<f64>,
    /// Payload received that was already held, per cent of the payload received.
    pub duplicate_pct: f64,
    /// Bytes of proofs, per cent of the payload received.
    pub proof_pct: f64,
    /// Bytes of control messages, per cent of the payload received.
    pub control_pct: f64,
    /// Messages to and from the tracker.
    pub tracker_messages: u64,
    /// Time that payload waited in the drop-tail queues of the viewers' downlinks, ms: 99th percentile over all quanta
    /// (about a group) that were delivered to honest viewers.
    pub downlink_wait_ms_p99: f64,
    /// Quanta that these queues dropped because they were full, per cent of those that arrived.
    pub dropped_pct: f64,
    /// Share of the run in which the viewers' uplinks were busy, per cent.
    pub uplink_pct: f64,
    /// With an author's rules, when every viewer that stayed had everything marked 7, everything `background`, and
    /// the rest, s; null where some viewer never had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete_seconds: Option<ByMark<Option<f64>>>,
    /// With an author's rules, when the first of them had everything `background`, s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_background_seconds: Option<f64>,
    /// The run second by second; only if asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Moment>,
    /// Digest of everything that happened.
    pub trace_hash: String,
    /// Processor time of the run, s; not reproducible.
    pub cpu_seconds: f64,
}

/// Simulates a scenario. `cpu_seconds` is left 0.
pub fn run(scenario: &Scenario) -> Report {
    match scenario.distribution {
        Distribution::ClientServer => crate::client_server::run(scenario),
        Distribution::Swarm => {
            let mut world = World::new(scenario.clone());
            world.run();
            report(&world)
        }
    }
}

/// The run of one honest viewer, as both models report it. Times are in µs from the start of the run.
#[derive(Debug)]
pub(crate) struct Viewing {
    /// False for a viewer that replaces one that left.
    pub(crate) is_original: bool,
    /// Whether it left without having everything.
    pub(crate) has_left: bool,
    pub(crate) joined_at: u64,
    pub(crate) first_link_at: Option<u64>,
    pub(crate) done_at: Option<u64>,
    /// `None` if nobody plays.
    pub(crate) playback: Option<Playback>,
    pub(crate) received_bytes: u64,
}

impl Viewing {
    fn of(node: &Node) -> Self {
        let stats = node.peer.stats();
        Self {
            is_original: node.is_original,
            has_left: !node.is_alive && node.done_at.is_none(),
            joined_at: node.joined_at,
            first_link_at: node.first_link_at,
            done_at: node.done_at,
            playback: node.player.as_ref().map(|player| player.playback()),
            received_bytes: stats.from_initial + stats.from_peers + stats.from_mirrors,
        }
    }

    fn set_up_ms(&self) -> Option<f64> {
        Some((self.first_link_at? - self.joined_at) as f64 / 1000.0)
    }

    /// Time from the first link to the first frame.
    fn start_ms(&self) -> Option<f64> {
        let start_ms = self.playback?.start_ms?;
        Some((start_ms as f64 - self.set_up_ms()?).max(0.0))
    }
}

impl Report {
    /// The figures that follow from the scenario and its viewers; `now` is the end of the run, µs.
    pub(crate) fn of_viewings(scenario: &Scenario, viewings: &[Viewing], now: u64) -> Self {
        let originals = viewings.iter().filter(|viewing| viewing.is_original);
        // A run that hits its limit ends then, whoever was done before.
        let is_waiting = originals.clone().any(|viewing| viewing.done_at.is_none() && !viewing.has_left);
        let last_done = originals.filter_map(|viewing| viewing.done_at).max().filter(|_| !is_waiting);
        let seconds = seconds_of(last_done.unwrap_or(now));
        let bound_seconds = scenario.bound_s();
        let mut starts: Vec<f64> = viewings.iter().filter_map(Viewing::start_ms).collect();
        starts.sort_by(f64::total_cmp);
        let stalls_ms = || viewings.iter().filter_map(|viewing| Some(viewing.playback?.stall_ms as f64));
        let first_comers = viewings.iter().filter(|viewing| viewing.joined_at == 0 && !viewing.has_left);
        Self {
            peers: count(viewings.len()),
            finished_viewers: count(viewings.iter().filter(|viewing| viewing.done_at.is_some()).count()),
            seconds,
            bound_seconds,
            t_over_bound: seconds / bound_seconds,
            start_ms_mean: mean(starts.iter().copied()),
            start_ms_p90: percentile(&starts, 90.0),
            start_ms_max: starts.last().copied().unwrap_or(0.0),
            set_up_ms_mean: mean(viewings.iter().filter_map(Viewing::set_up_ms)),
            stalls: viewings
                .iter()
                .filter_map(|viewing| viewing.playback)
                .map(|playback| playback.stalls)
                .sum(),
            stall_ms_mean: mean(stalls_ms()),
            stall_ms_max: stalls_ms().fold(0.0, f64::max),
            fairness: jain_index(first_comers.map(|viewing| viewing.received_bytes as f64)),
            supply_over_demand_min: scenario.supply_over_demand_min(),
            publisher_over_demand: scenario.publisher_over_demand(),
            ..Self::default()
        }
    }
}

fn report(world: &World) -> Report {
    let viewers: Vec<&Node> = world.nodes.iter().filter(|node| node.role == Role::Viewer).collect();
    let watching = || viewers.iter().filter(|node| node.is_watching());
    let viewings: Vec<Viewing> = watching().map(|node| Viewing::of(node)).collect();
    let stats: Vec<_> = viewers.iter().map(|node| node.peer.stats()).collect();
    let received: u64 =
        stats.iter().map(|stats| stats.from_initial + stats.from_peers + stats.from_mirrors).sum();
    let pct = |bytes: u64| bytes as f64 * 100.0 / received.max(1) as f64;
    let initial = world.nodes.iter().filter(|node| node.role == Role::Initial);
    let uploaded: u64 = initial.map(|node| node.peer.stats().uploaded).sum();
    let busy: u64 = viewers.iter().map(|node| node.interface.busy_us).sum();
    let present: u64 = viewers.iter().map(|node| world.now.saturating_sub(node.joined_at)).sum();
    let originals = viewers.iter().filter(|node| node.is_original);
    let parts: Vec<ByMark<Option<u64>>> =
        originals.filter_map(|node| Some(node.progress.as_ref()?.done_at())).collect();
    Report {
        finished: world.is_finished(),
        peers: count(viewers.len()),
        seeder_copies: uploaded as f64 / world.scenario.content_bytes() as f64,
        mirror_copies: world.mirror.sent_bytes as f64 / world.scenario.content_bytes() as f64,
        duplicate_pct: pct(stats.iter().map(|stats| stats.duplicate_bytes).sum()),
        proof_pct: pct(stats.iter().map(|stats| stats.proof_bytes).sum()),
        control_pct: pct(world.carried.control),
        tracker_messages: world.carried.tracker_messages,
        downlink_wait_ms_p99: world.passages.wait_ms_percentile(99.0),
        dropped_pct: world.passages.dropped_pct(),
        uplink_pct: busy as f64 * 100.0 / present.max(1) as f64,
        complete_seconds: (!parts.is_empty()).then(|| complete_seconds(&parts)),
        first_background_seconds: parts.iter().filter_map(|parts| parts.background).min().map(seconds_of),
        timeline: world.timeline.moments().to_vec(),
        trace_hash: world.trace.digest(),
        ..Report::of_viewings(&world.scenario, &viewings, world.now)
    }
}

/// When the last of the viewers had each part.
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

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// A percentile of sorted values by nearest rank; 0 if there are none.
pub fn percentile(sorted: &[f64], pct: f64) -> f64 {
    let rank = (sorted.len() as f64 * pct / 100.0).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// Jain's fairness index; 1 if there are no values or nobody has anything.
fn jain_index(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, squares, count) =
        values.fold((0.0, 0.0, 0.0), |(sum, squares, count), x| (sum + x, squares + x * x, count + 1.0));
    if squares > 0.0 { sum * sum / (count * squares) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_value_of_the_nearest_rank() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(percentile(&values, 90.0), 18.0);
        assert_eq!(percentile(&values[..1], 90.0), 1.0);
        assert_eq!(percentile(&[], 90.0), 0.0);
    }

    #[test]
    fn fairness_is_one_where_all_receive_the_same_and_falls_to_one_nth() {
        assert_eq!(jain_index([3.0, 3.0, 3.0].into_iter()), 1.0);
        assert_eq!(jain_index([9.0, 0.0, 0.0].into_iter()), 1.0 / 3.0);
        assert_eq!(jain_index(std::iter::empty()), 1.0);
    }

    #[test]
    fn a_viewer_that_left_is_not_waited_for_and_one_that_is_missing_makes_the_run_last_to_its_end() {
        let viewing = |done_at, has_left| Viewing {
            is_original: true,
            has_left,
            joined_at: 0,
            first_link_at: Some(500_000),
            done_at,
            playback: Some(Playback { start_ms: Some(900), stalls: 1, stall_ms: 40 }),
            received_bytes: 5,
        };
        let report = |viewings: &[Viewing]| Report::of_viewings(&Scenario::default(), viewings, 9_000_000);
        let all = report(&[viewing(Some(4_000_000), false), viewing(None, true)]);
        assert_eq!((all.seconds, all.finished_viewers, all.start_ms_p90), (4.0, 1, 400.0));
        assert_eq!((all.stalls, all.stall_ms_mean, all.stall_ms_max), (2, 40.0, 40.0));
        assert_eq!(report(&[viewing(Some(4_000_000), false), viewing(None, false)]).seconds, 9.0);
    }
}
