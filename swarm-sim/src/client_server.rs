//! The baseline: every viewer fetches the whole content from the publisher alone.
//!
//! A fluid model. Every viewer has one connection to the publisher and reads the content in order from the
//! beginning. The viewers that are still fetching share the publisher's uplink max-min fairly: each gets the same
//! rate, except that a viewer with a slower downlink gets its downlink and leaves the rest to the others. Rates
//! change only when a viewer begins or completes, so the model advances from one such event to the next. The players
//! advance at their usual ticks in between.
//!
//! The server is ideal: no slow start, no loss, no headers, no queue. Arrival times, set-up times and players are
//! those of a simulated swarm, so the two reports can be compared field by field. Several initial peers count as
//! one server with the sum of their uplinks. Loss, churn, hostile viewers and outages are not modelled.

use std::time::Duration;

use swarm_core::Geometry;
use swarm_core::player::Player;

use crate::report::{Report, Viewing};
use crate::scenario::{Scenario, micros_of};
use crate::trace::Trace;
use crate::world::PLAYER_TICK_US;

/// Round trips from a viewer's arrival until it can build a connection: tracker, manifest and signalling, as in a
/// simulated swarm.
const SIGNALLING_RTTS: f64 = 5.0;

/// Media that a player needs before it plays, and again after a stall: what a peer asks for beside a rich publisher.
const START_BUFFER: Duration = Duration::from_secs(1);

/// A viewer and what it has received. Times are in µs from the start of the run.
struct Fetch {
    joined_at: u64,
    opens_at: u64,
    /// When the first byte arrives: one round trip after the connection opens.
    first_byte_at: f64,
    down_bytes_per_us: f64,
    /// What it receives at the moment; 0 while it is not fetching.
    bytes_per_us: f64,
    received_bytes: f64,
    /// Whole groups received, from the beginning.
    held: u32,
    done_at: Option<u64>,
    player: Option<Player>,
    next_tick_at: u64,
}

/// Simulates the baseline.
pub(crate) fn run(scenario: &Scenario) -> Report {
    let geometry = Geometry::new(scenario.content_bytes());
    let mut fetches: Vec<Fetch> =
        (0..scenario.peers).map(|viewer| Fetch::new(scenario, geometry, viewer)).collect();
    let end = transfer(scenario, geometry, &mut fetches);
    let viewings: Vec<Viewing> = fetches.iter().map(Fetch::viewing).collect();
    let received: f64 = fetches.iter().map(|fetch| fetch.received_bytes).sum();
    let mut trace = Trace::new();
    fetches.iter().for_each(|fetch| trace.add(fetch.done_at.unwrap_or(u64::MAX)));
    Report {
        finished: fetches.iter().all(|fetch| fetch.done_at.is_some()),
        seeder_copies: received / geometry.length_bytes() as f64,
        trace_hash: trace.digest(),
        ..Report::of_viewings(scenario, &viewings, end as u64)
    }
}

/// Advances all viewers from event to event until all have everything or the limit is reached; returns the time.
fn transfer(scenario: &Scenario, geometry: Geometry, fetches: &mut [Fetch]) -> f64 {
    let length = geometry.length_bytes() as f64;
    let publisher = scenario.publisher_bytes_per_s() as f64 / 1e6;
    let limit = micros_of(scenario.limit_s) as f64;
    // Viewers join in the order of their indices, and set-up takes the same time for all.
    let (mut begun, mut now) = (0, 0.0_f64);
    let mut fetching: Vec<usize> = Vec::new();
    while now < limit {
        while fetches.get(begun).is_some_and(|fetch| fetch.first_byte_at <= now) {
            fetching.push(begun);
            begun += 1;
        }
        share(fetches, &fetching, publisher);
        let next_begin = fetches.get(begun).map_or(f64::INFINITY, |fetch| fetch.first_byte_at);
        let left_us =
            |index: &usize| (length - fetches[*index].received_bytes) / fetches[*index].bytes_per_us;
        let next_end = now + fetching.iter().map(left_us).fold(f64::INFINITY, f64::min);
        let next = next_begin.min(next_end).min(limit);
        if next_begin.is_infinite() && next_end.is_infinite() {
            break;
        }
        for index in &fetching {
            fetches[*index].advance(geometry, now, next);
        }
        // Half a byte absorbs the rounding of the progress.
        fetching.retain(|index| {
            let is_done = fetches[*index].received_bytes >= length - 0.5;
            if is_done {
                fetches[*index].complete(geometry, next);
            }
            !is_done
        });
        now = next;
    }
    now
}

/// Shares the publisher's uplink max-min fairly among those that are fetching.
fn share(fetches: &mut [Fetch], fetching: &[usize], publisher_bytes_per_us: f64) {
    let mut slowest_first = fetching.to_vec();
    slowest_first.sort_by(|a, b| fetches[*a].down_bytes_per_us.total_cmp(&fetches[*b].down_bytes_per_us));
    let mut left = publisher_bytes_per_us;
    for (served, index) in slowest_first.iter().enumerate() {
        let fair = left / (slowest_first.len() - served) as f64;
        let fetch = &mut fetches[*index];
        fetch.bytes_per_us = fair.min(fetch.down_bytes_per_us);
        left -= fetch.bytes_per_us;
    }
}

impl Fetch {
    fn new(scenario: &Scenario, geometry: Geometry, viewer: u32) -> Self {
        let joined_at = scenario.joins_at_us(viewer);
        let set_up_us = scenario.rtt_ms * 1000.0 * (SIGNALLING_RTTS + scenario.connect_rtts);
        let opens_at = joined_at + set_up_us as u64;
        let plays = scenario.media_mbps > 0.0;
        Self {
            joined_at,
            opens_at,
            first_byte_at: opens_at as f64 + scenario.rtt_ms * 1000.0,
            down_bytes_per_us: scenario.peer_down(viewer) as f64 / 1e6,
            bytes_per_us: 0.0,
            received_bytes: 0.0,
            held: 0,
            done_at: None,
            player: plays.then(|| Player::new(geometry, Some(scenario.media_bytes_per_s()))),
            next_tick_at: opens_at,
        }
    }

    /// Receives at its present rate from `now` to `next`. Its player advances at every tick, and at every group while
    /// it waits for media.
    fn advance(&mut self, geometry: Geometry, now: f64, next: f64) {
        while self.held < geometry.group_count() {
            let group_end = geometry.offset(self.held + 1) as f64;
            let group_at = now + (group_end - self.received_bytes) / self.bytes_per_us;
            let tick_at = self.next_tick_at as f64;
            if group_at.min(tick_at) > next {
                break;
            }
            if tick_at <= group_at {
                self.play(tick_at);
                self.next_tick_at += PLAYER_TICK_US;
            } else {
                self.held += 1;
                if self.player.as_ref().is_some_and(|player| !player.is_playing()) {
                    self.play(group_at);
                }
            }
        }
        self.received_bytes += self.bytes_per_us * (next - now);
    }

    fn complete(&mut self, geometry: Geometry, now: f64) {
        self.received_bytes = geometry.length_bytes() as f64;
        self.held = geometry.group_count();
        self.bytes_per_us = 0.0;
        self.done_at = Some(now as u64);
        self.play(now);
    }

    fn play(&mut self, now: f64) {
        let since_join = Duration::from_micros((now as u64).saturating_sub(self.joined_at));
        if let Some(player) = &mut self.player {
            player.advance(since_join, self.held, START_BUFFER);
        }
    }

    fn viewing(&self) -> Viewing {
        Viewing {
            is_original: true,
            has_left: false,
            joined_at: self.joined_at,
            first_link_at: Some(self.opens_at),
            done_at: self.done_at,
            playback: self.player.as_ref().map(Player::playback),
            received_bytes: self.received_bytes as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Distribution;

    /// 10 Mbit/s for media of 2 Mbit/s: five viewers can be served.
    fn scenario(peers: u32) -> Scenario {
        let distribution = Distribution::ClientServer;
        Scenario { peers, mib: 8, media_mbps: 2.0, distribution, ..Scenario::default() }
    }

    fn near(actual: f64, expected: f64) {
        assert!((actual - expected).abs() <= 1.0, "{actual} is not {expected}");
    }

    #[test]
    fn playback_starts_a_round_trip_and_a_second_of_media_after_the_connection_opens() {
        // A second of media is 250,000 bytes; playback waits for the sixteenth group.
        let first_second = 16.0 * 16_384.0;
        let report = run(&scenario(1));
        near(report.start_ms_mean, 50.0 + first_second / 1250.0);
        assert_eq!((report.stalls, report.finished), (0, true));
        let report = run(&scenario(4));
        near(report.start_ms_max, 50.0 + first_second / 312.5);
        near(report.seeder_copies, 4.0);
        near(report.seconds * 1000.0, 450.0 + 50.0 + 4.0 * 8.0 * 1_048_576.0 / 1250.0);
    }

    #[test]
    fn what_a_slow_downlink_leaves_is_shared_by_the_others() {
        // 10 Mbit/s: 2 for the slow one, 4 for each of the others.
        let report = run(&Scenario { peer_down_mbps: vec![2.0, 100.0, 100.0], ..scenario(3) });
        near(report.seconds * 1000.0, 500.0 + 8.0 * 1_048_576.0 / 250.0);
        near(report.start_ms_mean, 50.0 + 262_144.0 * (1.0 / 250.0 + 2.0 / 500.0) / 3.0);
    }

    #[test]
    fn viewers_stall_where_the_publisher_cannot_carry_them() {
        let report = run(&scenario(8));
        assert!(report.stalls > 0 && report.stall_ms_mean > 1000.0, "{report:?}");
        assert_eq!(run(&scenario(4)).stalls, 0);
    }

    #[test]
    fn a_later_viewer_has_the_uplink_to_itself_once_the_first_is_done() {
        let report = run(&Scenario { join_over_s: 60.0, ..scenario(2) });
        near(report.seconds * 1000.0, 30_000.0 + 500.0 + 8.0 * 1_048_576.0 / 1250.0);
    }

    #[test]
    fn a_run_ends_at_the_limit() {
        let report = run(&Scenario { limit_s: 2.0, ..scenario(8) });
        assert_eq!((report.finished, report.seconds), (false, 2.0));
    }

    #[test]
    fn no_run_beats_the_bound() {
        for index in 0..30 {
            let population = crate::Population::draw(11, index, crate::Economy::Generous);
            let ideal = Scenario { rtt_ms: 0.0, limit_s: 1e6, ..population.scenario };
            let report = run(&Scenario { distribution: Distribution::ClientServer, ..ideal });
            assert!(report.t_over_bound > 1.0 - 1e-6, "{index}: {report:?}");
        }
    }

    #[test]
    fn set_up_takes_as_long_as_in_a_swarm() {
        let swarm = Scenario { distribution: Distribution::Swarm, mib: 1, ..scenario(2) };
        near(run(&scenario(2)).set_up_ms_mean, crate::report::run(&swarm).set_up_ms_mean);
    }
}
