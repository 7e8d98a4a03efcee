//! How a run went, second by second.

use serde::Serialize;
use swarm_core::tracker_message::Role;

use crate::world::{Event, World};

/// Between two looks, µs.
const INTERVAL_US: u64 = 1_000_000;

/// The swarm at one moment; shares in per cent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// When, s.
    pub at_s: f64,
    /// Viewers that are there.
    pub viewers: u32,
    /// Of these, how many have everything.
    pub done: u32,
    /// What a viewer holds, mean.
    pub held_pct: f64,
    /// What the poorest viewer holds.
    pub held_pct_min: f64,
    /// What has reached some viewer.
    pub injected_pct: f64,
    /// How busy the viewers' uplinks were since the moment before.
    pub uplink_pct: f64,
    /// How busy the initial peers' uplinks were.
    pub seeder_pct: f64,
}

/// The moments so far.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    moments: Vec<Moment>,
    viewers_busy_us: u64,
    initial_busy_us: u64,
}

impl Timeline {
    pub(crate) fn moments(&self) -> &[Moment] {
        &self.moments
    }
}

impl World {
    /// Notes how things stand, and when to do so again.
    pub(crate) fn sample(&mut self) {
        self.queue.push(self.now + INTERVAL_US, Event::Sample);
        if !self.scenario.has_timeline {
            return;
        }
        let of = |role: Role| self.nodes.iter().filter(move |node| node.role == role);
        let busy = |role: Role| of(role).map(|node| node.interface.busy_us).sum::<u64>();
        let (viewers_busy_us, initial_busy_us) = (busy(Role::Viewer), busy(Role::Initial));
        let viewers: Vec<_> = of(Role::Viewer).filter(|node| node.is_alive).collect();
        let total = f64::from(self.content.manifest.geometry().group_count().max(1));
        let held = viewers.iter().map(|node| node.peer.held().map_or(0, |held| held.count()));
        let held: Vec<f64> = held.map(|count| f64::from(count) * 100.0 / total).collect();
        let share = |busy: u64, before: u64, count: usize| {
            (busy - before) as f64 * 100.0 / (INTERVAL_US * count.max(1) as u64) as f64
        };
        let moment = Moment {
            at_s: self.now as f64 / 1e6,
            viewers: u32::try_from(viewers.len()).unwrap_or(u32::MAX),
            done: u32::try_from(viewers.iter().filter(|node| node.done_at.is_some()).count())
                .unwrap_or(u32::MAX),
            held_pct: held.iter().sum::<f64>() / held.len().max(1) as f64,
            held_pct_min: held.iter().copied().fold(100.0, f64::min),
            injected_pct: f64::from(self.injected.count()) * 100.0 / total,
            uplink_pct: share(viewers_busy_us, self.timeline.viewers_busy_us, viewers.len()),
            seeder_pct: share(initial_busy_us, self.timeline.initial_busy_us, of(Role::Initial).count()),
        };
        self.timeline.moments.push(moment);
        self.timeline.viewers_busy_us = viewers_busy_us;
        self.timeline.initial_busy_us = initial_busy_us;
    }
}
