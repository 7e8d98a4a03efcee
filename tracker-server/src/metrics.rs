//! What the tracker counts, in the text form that Prometheus reads.

mod cluster;

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use swarm_core::tracker_message::{ErrorCode, PeerRequestBody};

pub(crate) use self::cluster::ClusterLevels;
use self::cluster::ClusterMetrics;
use crate::decision::CloseReason;

type Label = [(&'static str, &'static str); 1];

/// How much there is of what, at the time of asking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Levels {
    pub(crate) connections: usize,
    pub(crate) peers: usize,
    pub(crate) manifests: usize,
    /// Of all swarms: supply and demand, bits a second, and how many have too little.
    pub(crate) balance: (u64, u64, usize),
    /// Rooms of swarms that are cut, as far as they are decided upon here.
    pub(crate) rooms: usize,
    /// Visits of own peers to further rooms.
    pub(crate) visits: usize,
    pub(crate) cluster: ClusterLevels,
}

/// The counters.
pub(crate) struct Metrics {
    registry: Registry,
    connections: Gauge,
    peers: Gauge,
    manifests: Gauge,
    supply: Gauge,
    demand: Gauge,
    scarce_swarms: Gauge,
    rooms: Gauge,
    visits: Gauge,
    requests: Family<Label, Counter>,
    errors: Family<Label, Counter>,
    closes: Family<Label, Counter>,
    refused_connections: Counter,
    decision_seconds: Histogram,
    cluster: ClusterMetrics,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("tributary_tracker");
        // 1 µs to 0.5 s.
        let decision_seconds = Histogram::new(exponential_buckets(1e-6, 4.0, 10));
        let metrics = Self {
            connections: Gauge::default(),
            peers: Gauge::default(),
            manifests: Gauge::default(),
            supply: Gauge::default(),
            demand: Gauge::default(),
            scarce_swarms: Gauge::default(),
            rooms: Gauge::default(),
            visits: Gauge::default(),
            requests: Family::default(),
            errors: Family::default(),
            closes: Family::default(),
            refused_connections: Counter::default(),
            decision_seconds: decision_seconds.clone(),
            cluster: ClusterMetrics::new(&mut registry),
            registry: Registry::default(),
        };
        registry.register("connections", "Open WebSocket connections", metrics.connections.clone());
        registry.register("peers", "Peers that have greeted", metrics.peers.clone());
        registry.register("manifests", "Manifests kept", metrics.manifests.clone());
        let help = "What the uplinks of all peers carry together, as far as they are known";
        registry.register("supply_bits_per_second", help, metrics.supply.clone());
        let help = "What all players need together";
        registry.register("demand_bits_per_second", help, metrics.demand.clone());
        let help = "Swarms whose supply is below their demand";
        registry.register("scarce_swarms", help, metrics.scarce_swarms.clone());
        let help = "Rooms decided upon here of swarms that are cut into rooms";
        registry.register("rooms", help, metrics.rooms.clone());
        let help = "Visits of own peers to rooms beside their own";
        registry.register("visits", help, metrics.visits.clone());
        registry.register("requests", "Requests of peers by type", metrics.requests.clone());
        registry.register("errors", "Errors answered by code", metrics.errors.clone());
        registry.register("closes", "Connections closed by the tracker by reason", metrics.closes.clone());
        let help = "Connections not accepted for lack of room";
        registry.register("refused_connections", help, metrics.refused_connections.clone());
        let help = "Time to decide upon one request";
        registry.register_with_unit("decision", help, Unit::Seconds, decision_seconds);
        Self { registry, ..metrics }
    }

    pub(crate) fn count_request(&self, body: &PeerRequestBody) {
        let kind = match body {
            PeerRequestBody::Hello { .. } => "hello",
            PeerRequestBody::Join { .. } => "join",
            PeerRequestBody::Have { .. } => "have",
            PeerRequestBody::Want { .. } => "want",
            PeerRequestBody::Signal { .. } => "signal",
            PeerRequestBody::Report { .. } => "report",
            PeerRequestBody::Leave => "leave",
        };
        self.requests.get_or_create(&[("type", kind)]).inc();
    }

    pub(crate) fn count_error(&self, code: ErrorCode) {
        let code = match code {
            ErrorCode::BadRequest => "bad_request",
            ErrorCode::UnsupportedVersion => "unsupported_version",
            ErrorCode::UnknownSwarm => "unknown_swarm",
            ErrorCode::UnknownPeer => "unknown_peer",
            ErrorCode::Forbidden => "forbidden",
            ErrorCode::RateLimited => "rate_limited",
            ErrorCode::Full => "full",
            ErrorCode::Unavailable => "unavailable",
            ErrorCode::ConsentRequired => "consent_required",
            ErrorCode::MirrorsOnly => "mirrors_only",
            ErrorCode::Unknown => "unknown",
        };
        self.errors.get_or_create(&[("code", code)]).inc();
    }

    pub(crate) fn count_close(&self, reason: CloseReason) {
        let reason = match reason {
            CloseReason::Version => "version",
            CloseReason::Forbidden => "forbidden",
            CloseReason::Withheld => "withheld",
            CloseReason::Replaced => "replaced",
            CloseReason::Flooding => "flooding",
            CloseReason::Full => "full",
            CloseReason::TooLong => "too_long",
            CloseReason::SlowReader => "slow_reader",
            CloseReason::NoHello => "no_hello",
            CloseReason::Silent => "silent",
            CloseReason::Stopping => "stopping",
            CloseReason::Unfinished => "unfinished",
            CloseReason::NoMessageRoom => "no_message_room",
            CloseReason::Expired => "expired",
            CloseReason::Moved => "moved",
        };
        self.closes.get_or_create(&[("reason", reason)]).inc();
    }

    pub(crate) fn count_refused_connection(&self) {
        self.refused_connections.inc();
    }

    pub(crate) fn note_decision(&self, took: Duration) {
        self.decision_seconds.observe(took.as_secs_f64());
    }

    /// Everything, as text.
    pub(crate) fn text(&self, levels: Levels) -> Result<String, fmt::Error> {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.connections.set(gauge(levels.connections));
        self.peers.set(gauge(levels.peers));
        self.manifests.set(gauge(levels.manifests));
        let (supply_bps, demand_bps, scarce_swarms) = levels.balance;
        self.supply.set(i64::try_from(supply_bps).unwrap_or(i64::MAX));
        self.demand.set(i64::try_from(demand_bps).unwrap_or(i64::MAX));
        self.scarce_swarms.set(gauge(scarce_swarms));
        self.rooms.set(gauge(levels.rooms));
        self.visits.set(gauge(levels.visits));
        self.cluster.set(levels.cluster);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_was_counted() {
        let metrics = Metrics::new();
        metrics.count_request(&PeerRequestBody::Leave);
        metrics.count_error(ErrorCode::UnknownPeer);
        metrics.count_close(CloseReason::SlowReader);
        metrics.count_refused_connection();
        metrics.note_decision(Duration::from_micros(3));
        let balance = (4_000_000, 6_000_000, 1);
        let cluster = ClusterLevels {
            is_engine_up: true,
            trackers: 3,
            homes: 1,
            members: 4,
            guests: 5,
            unshared: 2,
            is_engine_full: true,
        };
        let text = metrics
            .text(Levels { connections: 3, peers: 2, manifests: 1, balance, rooms: 4, visits: 5, cluster })
            .unwrap();
        for line in [
            "tributary_tracker_connections 3",
            "tributary_tracker_peers 2",
            "tributary_tracker_manifests 1",
            "tributary_tracker_supply_bits_per_second 4000000",
            "tributary_tracker_demand_bits_per_second 6000000",
            "tributary_tracker_scarce_swarms 1",
            "tributary_tracker_requests_total{type=\"leave\"} 1",
            "tributary_tracker_errors_total{code=\"unknown_peer\"} 1",
            "tributary_tracker_closes_total{reason=\"slow_reader\"} 1",
            "tributary_tracker_refused_connections_total 1",
            "tributary_tracker_decision_seconds_count 1",
            "tributary_tracker_engine_up 1",
            "tributary_tracker_engine_full 1",
            "tributary_tracker_unshared_publications 2",
            "tributary_tracker_trackers 3",
            "tributary_tracker_members 4",
            "tributary_tracker_guests 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
    }
}
