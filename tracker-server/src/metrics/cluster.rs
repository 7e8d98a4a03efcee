//! What a tracker among several counts.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;

/// The part of a tracker among several.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClusterLevels {
    pub(crate) is_engine_up: bool,
    /// Trackers whose lease stands, this one included.
    pub(crate) trackers: usize,
    /// Rooms that this one is the home of.
    pub(crate) homes: usize,
    /// Own peers that another tracker decides for.
    pub(crate) members: usize,
    /// Peers of other trackers that this one decides for.
    pub(crate) guests: usize,
    /// Publications kept here that the engine does not have.
    pub(crate) unshared: usize,
    /// Whether the engine has no memory for them.
    pub(crate) is_engine_full: bool,
}

/// The counters.
pub(super) struct ClusterMetrics {
    engine_up: Gauge,
    engine_full: Gauge,
    unshared: Gauge,
    trackers: Gauge,
    homes: Gauge,
    members: Gauge,
    guests: Gauge,
    passed_on: Counter,
    frames_sent: Counter,
    frame_bytes_sent: Counter,
    frames_received: Counter,
    messages_received: Counter,
    bad_frames: Counter,
    lost_frames: Counter,
    mended: Counter,
    late: Counter,
    moves: Counter,
    sent_home: Counter,
    moved_here: Counter,
    engine_failures: Counter,
    engine_operations: Counter,
    send_seconds: Histogram,
}

impl ClusterMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let mut gauge = |name: &str, help: &str| {
            let gauge: Gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let engine_up = gauge("engine_up", "1 while the engine of several trackers answers");
        let engine_full = gauge("engine_full", "1 while the engine has no memory for publications");
        let help = "Publications kept here that the engine does not have";
        let unshared = gauge("unshared_publications", help);
        let trackers = gauge("trackers", "Trackers that act as one, this one included");
        let homes = gauge("homes", "Rooms of swarms that this tracker decides upon for all trackers");
        let members = gauge("members", "Own peers that another tracker decides for");
        let guests = gauge("guests", "Peers of other trackers that this one decides for");
        let mut counter = |name: &str, help: &str| {
            let counter: Counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let passed_on = counter("passed_on", "Requests of peers passed on to another tracker");
        let frames_sent = counter("frames_sent", "Frames sent to other trackers");
        let frame_bytes_sent = counter("frame_bytes_sent", "Bytes of frames sent to other trackers");
        let frames_received = counter("frames_received", "Frames that arrived from other trackers");
        let messages_received = counter("messages_received", "Messages in these frames");
        let bad_frames = counter("bad_frames", "Frames dropped for a wrong digest or form");
        let lost_frames = counter("lost_frames", "Frames that nobody received");
        let mended = counter("mended", "Times that two trackers told one another again what they know");
        let late = counter("late_messages", "Messages of an earlier home, or answers given twice, dropped");
        let moves = counter("moves", "Times that a swarm got another place");
        let sent_home = counter("sent_home", "Times that a viewer was told to move to the home of its room");
        let moved_here = counter("moved_here", "Viewers that moved here, to the home of their room");
        let engine_failures = counter("engine_failures", "Operations that the engine did not answer");
        let engine_operations = counter("engine_operations", "Operations that the engine was asked for");
        // 10 µs to 2.6 s.
        let send_seconds = Histogram::new(exponential_buckets(1e-5, 4.0, 10));
        let help = "Time for the engine to take frames";
        registry.register_with_unit("send", help, Unit::Seconds, send_seconds.clone());
        Self {
            engine_up,
            engine_full,
            unshared,
            trackers,
            homes,
            members,
            guests,
            passed_on,
            frames_sent,
            frame_bytes_sent,
            frames_received,
            messages_received,
            bad_frames,
            lost_frames,
            mended,
            late,
            moves,
            sent_home,
            moved_here,
            engine_failures,
            engine_operations,
            send_seconds,
        }
    }

    pub(super) fn set(&self, levels: ClusterLevels) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.engine_up.set(levels.is_engine_up.into());
        self.engine_full.set(levels.is_engine_full.into());
        self.unshared.set(gauge(levels.unshared));
        self.trackers.set(gauge(levels.trackers));
        self.homes.set(gauge(levels.homes));
        self.members.set(gauge(levels.members));
        self.guests.set(gauge(levels.guests));
    }
}

impl Metrics {
    pub(crate) fn count_passed_on(&self) {
        self.cluster.passed_on.inc();
    }

    /// Frames went out; `operations` of the engine took this long.
    pub(crate) fn note_sent(&self, frames: usize, bytes: usize, took: Duration) {
        self.cluster.frames_sent.inc_by(frames as u64);
        self.cluster.frame_bytes_sent.inc_by(bytes as u64);
        self.cluster.send_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn count_frame_received(&self, messages: usize) {
        self.cluster.frames_received.inc();
        self.cluster.messages_received.inc_by(messages as u64);
    }

    pub(crate) fn count_bad_frame(&self) {
        self.cluster.bad_frames.inc();
    }

    pub(crate) fn count_lost_frame(&self) {
        self.cluster.lost_frames.inc();
    }

    pub(crate) fn count_mended(&self, ways: usize) {
        self.cluster.mended.inc_by(ways as u64);
    }

    pub(crate) fn count_late(&self) {
        self.cluster.late.inc();
    }

    pub(crate) fn count_move(&self) {
        self.cluster.moves.inc();
    }

    pub(crate) fn count_sent_home(&self, viewers: usize) {
        self.cluster.sent_home.inc_by(viewers as u64);
    }

    pub(crate) fn count_moved(&self) {
        self.cluster.moved_here.inc();
    }

    pub(crate) fn count_engine_failure(&self) {
        self.cluster.engine_failures.inc();
    }

    pub(crate) fn count_engine_operations(&self, operations: usize) {
        self.cluster.engine_operations.inc_by(operations as u64);
    }
}
