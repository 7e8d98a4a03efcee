//! The description of a run: the swarm, its network and its failures. Units are in the names.

use serde::Serialize;
use tracker_server::decision::Wiring;

use crate::bound::{Crowd, Viewer};

/// A span of simulated time, seconds from the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Span {
    /// When it begins.
    pub from_s: f64,
    /// When it ends.
    pub to_s: f64,
}

impl Span {
    /// Whether a time in µs lies in the span.
    pub fn has(self, micros: u64) -> bool {
        micros >= micros_of(self.from_s) && micros < micros_of(self.to_s)
    }
}

/// How the content reaches the viewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Distribution {
    /// Viewers serve one another.
    #[default]
    Swarm,
    /// Every viewer fetches from the publisher alone: the baseline.
    ClientServer,
}

/// How freely a publisher gives what viewers could send one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Economy {
    /// About one copy, and what viewers need soon
    #[default]
    Thrifty,
    /// Whatever its uplink carries
    Generous,
}

impl Economy {
    /// The same, as the core knows it.
    pub(crate) const fn of_core(self) -> swarm_core::peer::Economy {
        match self {
            Self::Thrifty => swarm_core::peer::Economy::Thrifty,
            Self::Generous => swarm_core::peer::Economy::Generous,
        }
    }

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Thrifty => "thrifty",
            Self::Generous => "generous",
        }
    }
}

/// Everything that determines a run. The same scenario gives the same run on every target.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Viewers that want the whole content.
    pub peers: u32,
    /// Initial peers that hold it all.
    pub initial_peers: u32,
    /// Length of the content, MiB.
    pub mib: u32,
    /// Uplink of each initial peer, Mbit/s of payload and messages (goodput: no packet headers).
    pub seeder_up_mbps: f64,
    /// Uplinks of the viewers, Mbit/s; viewer i has the entry i modulo the length.
    pub peer_up_mbps: Vec<f64>,
    /// Downlinks of the viewers, Mbit/s; viewer i has the entry i modulo the length.
    pub peer_down_mbps: Vec<f64>,
    /// Round-trip time between any two, ms.
    pub rtt_ms: f64,
    /// Largest extra delay in each direction, ms; uniformly distributed from 0.
    pub jitter_ms: f64,
    /// Packets of 1,200 bytes lost, per cent; each costs a retransmission and a round trip.
    pub loss_pct: f64,
    /// Rate of the media, Mbit/s; 0 if nobody plays.
    pub media_mbps: f64,
    /// Viewers join evenly spread over this time, s; 0 if all join at once.
    pub join_over_s: f64,
    /// Viewers that leave each minute without notice and are replaced by new ones, per cent.
    pub churn_pct: f64,
    /// Share of viewers that flip a bit in everything they send, per cent.
    pub corrupt_pct: f64,
    /// Share of viewers that claim to hold everything and send nothing, per cent.
    pub liars_pct: f64,
    /// Share of viewers that send 1 kB/s, per cent.
    pub drip_pct: f64,
    /// Share of players that jump to a random place every 10 s, per cent.
    pub seek_pct: f64,
    /// Time in which no tracker answers.
    pub tracker_outage: Option<Span>,
    /// Time in which the two halves of the nodes cannot reach each other; initial peers belong to the first.
    pub partition: Option<Span>,
    /// Viewers that die together: how many, per cent, and when, s.
    pub kill: Option<(f64, f64)>,
    /// Whether the initial peers die as soon as the viewers together hold everything.
    pub is_seeder_killed: bool,
    /// Whether viewers leave as soon as they hold everything.
    pub leaves_after_done: bool,
    /// Window of each connection: most bytes in flight, KiB. By default the receive buffer of the `webrtc` crate; that of
    /// Chromium is five times as large.
    pub window_kib: u32,
    /// Length of the drop-tail queue in front of each viewer's downlink, ms of transfer at the downlink's rate.
    pub buffer_ms: f64,
    /// Uplink of a mirror, Mbit/s; 0: there is none.
    pub mirror_mbps: f64,
    /// Round trips from the end of signalling until a connection is open.
    pub connect_rtts: f64,
    /// Whether the author marks 40 to 50 % of the content with priority 7 and everything beyond 60 % with period
    /// `background`.
    pub has_author_rules: bool,
    /// How the content reaches the viewers.
    pub distribution: Distribution,
    /// How freely the initial peers give.
    pub economy: Economy,
    /// The tracker's way of choosing neighbours.
    pub wiring: Wiring,
    /// Rooms into which the tracker cuts the swarm; viewer i is in room i modulo this.
    pub rooms: u32,
    /// Whether the report has a timeline, one entry a second.
    pub has_timeline: bool,
    /// Simulated time at which the run ends if it has not finished, s.
    pub limit_s: f64,
    /// Seed of everything random in the run.
    pub seed: u64,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            peers: 30,
            initial_peers: 1,
            mib: 64,
            seeder_up_mbps: 10.0,
            peer_up_mbps: vec![10.0],
            peer_down_mbps: vec![100.0],
            rtt_ms: 50.0,
            jitter_ms: 0.0,
            loss_pct: 0.0,
            media_mbps: 2.0,
            join_over_s: 0.0,
            churn_pct: 0.0,
            corrupt_pct: 0.0,
            liars_pct: 0.0,
            drip_pct: 0.0,
            seek_pct: 0.0,
            tracker_outage: None,
            partition: None,
            kill: None,
            is_seeder_killed: false,
            leaves_after_done: false,
            window_kib: 1024,
            buffer_ms: 250.0,
            mirror_mbps: 0.0,
            connect_rtts: 4.0,
            has_author_rules: false,
            distribution: Distribution::default(),
            economy: Economy::default(),
            wiring: Wiring::default(),
            rooms: 1,
            has_timeline: false,
            limit_s: 3600.0,
            seed: 1,
        }
    }
}

impl Scenario {
    /// Length of the content, bytes.
    pub const fn content_bytes(&self) -> u64 {
        self.mib as u64 * 1024 * 1024
    }

    /// Uplink of a viewer, bytes a second.
    pub fn peer_up(&self, viewer: u32) -> u64 {
        bytes_per_s(cycled(&self.peer_up_mbps, viewer))
    }

    /// Downlink of a viewer, bytes a second.
    pub fn peer_down(&self, viewer: u32) -> u64 {
        bytes_per_s(cycled(&self.peer_down_mbps, viewer))
    }

    /// Uplinks of all initial peers together, bytes a second.
    pub fn publisher_bytes_per_s(&self) -> u64 {
        bytes_per_s(self.seeder_up_mbps) * u64::from(self.initial_peers)
    }

    /// When a viewer arrives, µs from the start.
    pub fn joins_at_us(&self, viewer: u32) -> u64 {
        micros_of(self.join_over_s) * u64::from(viewer) / u64::from(self.peers.max(1))
    }

    /// Lower bound on the time at which all viewers can have everything, s from the start of the run. It takes arrival
    /// times into account, but not churn and other failures. The module `bound` derives it.
    pub fn bound_s(&self) -> f64 {
        let viewer = |viewer| Viewer {
            joins_at_s: self.joins_at_us(viewer) as f64 / 1e6,
            up_mbps: cycled(&self.peer_up_mbps, viewer),
            down_mbps: cycled(&self.peer_down_mbps, viewer),
        };
        let crowd = Crowd {
            content_mbit: self.content_bytes() as f64 * 8.0 / 1e6,
            publisher_mbps: self.publisher_mbps(),
            viewers: (0..self.peers).map(viewer).collect(),
        };
        crowd.bound_s()
    }

    /// The least ratio of upload to playback, over time from the first join to the last: (us + Σ uplinks of the
    /// viewers present) / (media × viewers present). At 1 there is just enough for everybody to play without a stall.
    /// `None` if nobody plays.
    pub fn supply_over_demand_min(&self) -> Option<f64> {
        let joins = (0..self.peers).map(|viewer| self.joins_at_us(viewer));
        // The ratio changes only at joins. Of viewers that join together the last one counts.
        let next_joins = joins.clone().skip(1).map(Some).chain([None]);
        let mut supply = self.publisher_mbps();
        let ratios = joins.zip(next_joins).zip(0..self.peers).filter_map(|((at, next), viewer)| {
            supply += cycled(&self.peer_up_mbps, viewer);
            (next != Some(at)).then(|| supply / (self.media_mbps * f64::from(viewer + 1)))
        });
        ratios.reduce(f64::min).filter(|_| self.media_mbps > 0.0)
    }

    /// The publisher's uplink over the playback rate of all viewers: above 1 it could serve them alone. `None` if
    /// nobody plays.
    pub fn publisher_over_demand(&self) -> Option<f64> {
        let demand = self.media_mbps * f64::from(self.peers);
        (demand > 0.0).then(|| self.publisher_mbps() / demand)
    }

    /// Uplinks of all initial peers together, Mbit/s.
    fn publisher_mbps(&self) -> f64 {
        self.seeder_up_mbps * f64::from(self.initial_peers)
    }

    /// Rate of the media, bytes a second.
    pub fn media_bytes_per_s(&self) -> u64 {
        bytes_per_s(self.media_mbps)
    }
}

fn cycled(list: &[f64], viewer: u32) -> f64 {
    list.get(viewer as usize % list.len().max(1)).copied().unwrap_or(1.0)
}

/// Bytes a second of a rate in Mbit/s; at least 1.
pub(crate) fn bytes_per_s(mbps: f64) -> u64 {
    ((mbps * 125_000.0) as u64).max(1)
}

/// Microseconds of a time in seconds.
pub(crate) fn micros_of(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supply_is_compared_with_demand_at_the_worst_moment() {
        let late = Scenario {
            peers: 4,
            seeder_up_mbps: 2.0,
            peer_up_mbps: vec![0.5, 0.5, 5.0, 5.0],
            media_mbps: 2.0,
            join_over_s: 8.0,
            ..Scenario::default()
        };
        // One viewer: 2.5 of 2; two: 3 of 4; three: 8 of 6; four: 13 of 8.
        assert_eq!(late.supply_over_demand_min(), Some(0.75));
        let at_once = Scenario { join_over_s: 0.0, ..late.clone() };
        assert_eq!(at_once.supply_over_demand_min(), Some(13.0 / 8.0));
        assert_eq!(late.publisher_over_demand(), Some(0.25));
        let silent = Scenario { media_mbps: 0.0, ..late };
        assert_eq!((silent.supply_over_demand_min(), silent.publisher_over_demand()), (None, None));
    }

    #[test]
    fn the_bound_is_the_tightest_of_the_three() {
        let scenario = |seeder_up_mbps, peer_up_mbps, peer_down_mbps| Scenario {
            seeder_up_mbps,
            peer_up_mbps,
            peer_down_mbps,
            ..Scenario::default()
        };
        let bits = 64.0 * 1.048_576 * 8.0;
        let near =
            |actual: f64, expected: f64| assert!((actual - expected).abs() < 1e-6, "{actual} {expected}");
        near(scenario(1.0, vec![10.0], vec![100.0]).bound_s(), bits);
        near(scenario(1000.0, vec![10.0], vec![100.0, 5.0]).bound_s(), bits / 5.0);
        near(scenario(10.0, vec![2.0, 4.0], vec![100.0]).bound_s(), 30.0 * bits / (10.0 + 90.0));
    }
}
