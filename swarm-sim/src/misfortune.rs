//! Joins and failures: new nodes, deaths, replacements, outages of the tracker.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use swarm_core::Peer;
use swarm_core::peer::{Appetite, MirrorUse, PeerConfig, Publisher, UploadLimit};
use swarm_core::publisher::TrackerName;
use swarm_core::tracker_message::Role;

use crate::downlink::Downlink;
use crate::marks::Progress;
use crate::node::{Conduct, Interface, Node};
use crate::scenario::{bytes_per_s, micros_of};
use crate::tracking::TRACKER;
use crate::world::{Event, World, conduct};

/// Interval at which churn draws who leaves, µs.
const CHURN_TICK_US: u64 = 100_000;

/// Interval at which we check whether viewers together hold everything, µs.
const WATCH_US: u64 = 50_000;

/// Downlink of an initial peer, bytes a second. It receives only messages, so any large value will do.
const INITIAL_DOWN: u64 = 125_000_000;

/// Upload of a node that drips, bytes a second.
const DRIP: u64 = 1000;

/// Round trips until the other ends of a dead node's links notice: 10 s at 50 ms, the time after which native peers
/// consider a path failed.
const DEATH_RTTS: f64 = 200.0;

/// A failure, or a check whether one is due.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Misfortune {
    /// Draw which viewers leave; each is replaced by a new one.
    Churn,
    /// The tracker dies.
    TrackerStops,
    /// A tracker without state takes its place.
    TrackerStarts,
    /// This share of the viewers dies, per cent.
    Kill(f64),
    /// Kill the initial peers if viewers together hold everything; otherwise check again later.
    KillSeederWhenInjected,
    /// A node leaves without a word.
    Leaves(usize),
}

impl World {
    pub(crate) fn add_initial_peer(&mut self) {
        let up = bytes_per_s(self.scenario.seeder_up_mbps);
        let node = self.node(Role::Initial, Conduct::Honest, up, INITIAL_DOWN, true);
        self.join(node, 0);
    }

    /// Adds a viewer that joins at `at`. `viewer` is its index among all viewers, replacements included; the index
    /// selects its uplink and downlink.
    pub(crate) fn add_viewer(&mut self, viewer: u32, at: u64, is_original: bool) {
        let conduct = conduct(&self.scenario, spread_pct(viewer, self.scenario.seed));
        let up = if conduct == Conduct::Drips { DRIP } else { self.scenario.peer_up(viewer) };
        let mut node = self.node(Role::Viewer, conduct, up, self.scenario.peer_down(viewer), is_original);
        node.is_seeking = self.chance.unit() * 100.0 < self.scenario.seek_pct;
        self.join(node, at);
    }

    fn node(&mut self, role: Role, conduct: Conduct, up: u64, down: u64, is_original: bool) -> Node {
        let config = PeerConfig {
            swarm: self.content.swarm,
            role,
            manifest: (role == Role::Initial).then(|| Arc::clone(&self.content.manifest)),
            publisher: (role == Role::Initial).then(|| Publisher {
                key: self.content.key.clone(),
                tracker: TrackerName::of(TRACKER),
                outposts: Vec::new(),
            }),
            seed: self.chance.draw(),
            appetite: Appetite::Everything,
            upload: UploadLimit::Unlimited,
            token: None,
            // A publisher knows its uplink from earlier, viewers do not.
            uplink_hint: (role == Role::Initial).then_some(up),
            economy: self.scenario.economy.of_core(),
            mirrors: MirrorUse::All,
        };
        let marks = self.content.marks.as_ref().filter(|_| role == Role::Viewer);
        Node {
            peer: Peer::new(config),
            role,
            conduct,
            is_alive: true,
            is_original,
            is_seeking: false,
            ends: BTreeMap::new(),
            interface: Interface {
                up_bytes_per_s: up,
                downlink: Downlink::new(down, (self.scenario.buffer_ms * 1000.0) as u64),
                is_sending: false,
                turns: VecDeque::new(),
                debt_us: 0,
                busy_us: 0,
            },
            tracker: None,
            timer_at: None,
            player: None,
            joined_at: 0,
            first_link_at: None,
            done_at: None,
            progress: marks.map(Progress::new),
        }
    }

    /// Schedules the failures of the scenario.
    pub(crate) fn plan_misfortunes(&mut self) {
        let mut plan = |at: u64, misfortune| {
            self.queue.push(at, Event::Misfortune(misfortune));
        };
        if self.scenario.churn_pct > 0.0 {
            plan(CHURN_TICK_US, Misfortune::Churn);
        }
        if let Some(span) = self.scenario.tracker_outage {
            plan(micros_of(span.from_s), Misfortune::TrackerStops);
            plan(micros_of(span.to_s), Misfortune::TrackerStarts);
        }
        if let Some((share_pct, at_s)) = self.scenario.kill {
            plan(micros_of(at_s), Misfortune::Kill(share_pct));
        }
        if self.scenario.is_seeder_killed {
            plan(WATCH_US, Misfortune::KillSeederWhenInjected);
        }
    }

    pub(crate) fn strike(&mut self, misfortune: Misfortune) {
        match misfortune {
            Misfortune::Churn => self.churn(),
            Misfortune::TrackerStops => self.stop_tracker(),
            Misfortune::TrackerStarts => self.start_tracker(),
            Misfortune::Kill(share_pct) => {
                for node in self.living_viewers() {
                    if self.chance.unit() * 100.0 < share_pct {
                        self.kill(node);
                    }
                }
            }
            Misfortune::KillSeederWhenInjected => self.kill_seeder_when_injected(),
            Misfortune::Leaves(node) => self.kill(node),
        }
    }

    fn living_viewers(&self) -> Vec<usize> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter(|(_, node)| node.is_alive && node.role == Role::Viewer).map(|(index, _)| index).collect()
    }

    /// Leaving is a Poisson process: in each tick every viewer leaves with the same small probability.
    fn churn(&mut self) {
        let is_original_awaited = self.nodes.iter().any(|node| node.is_original && node.is_awaited());
        if !is_original_awaited {
            return;
        }
        let probability = self.scenario.churn_pct / 100.0 * CHURN_TICK_US as f64 / 60e6;
        for node in self.living_viewers() {
            if self.chance.unit() < probability {
                self.kill(node);
                let viewer = u32::try_from(self.nodes.len()).unwrap_or(0);
                self.add_viewer(viewer, self.now, false);
            }
        }
        self.queue.push(self.now + CHURN_TICK_US, Event::Misfortune(Misfortune::Churn));
    }

    fn kill_seeder_when_injected(&mut self) {
        if !self.injected.is_full() {
            let again = Event::Misfortune(Misfortune::KillSeederWhenInjected);
            return self.queue.push(self.now + WATCH_US, again);
        }
        let nodes = self.nodes.iter().enumerate();
        let initial: Vec<usize> =
            nodes.filter(|(_, node)| node.role == Role::Initial).map(|(index, _)| index).collect();
        initial.into_iter().for_each(|node| self.kill(node));
    }

    /// Kills a node. The tracker's socket closes at once; the other ends of its links notice much later.
    pub(crate) fn kill(&mut self, node: usize) {
        if !self.nodes[node].is_alive {
            return;
        }
        self.disconnect_tracker(node);
        self.give_up(node);
        let ends = std::mem::take(&mut self.nodes[node].ends);
        for (other, theirs) in ends.into_values().filter_map(|end| end.remote) {
            self.lose_end_silently(other, theirs);
        }
    }

    fn lose_end_silently(&mut self, node: usize, link: swarm_core::LinkId) {
        if self.nodes[node].ends.contains_key(&link) {
            let reason = "the other side is gone".into();
            self.later(node, DEATH_RTTS, swarm_core::peer::Input::LinkClosed(link, reason));
        }
    }
}

/// A number between 0 and 100 for each viewer, from Weyl's sequence: among any consecutive viewers, the number of those
/// below p is p per cent to within one.
fn spread_pct(viewer: u32, seed: u64) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let place = (f64::from(viewer) + (seed % 1000) as f64) * GOLDEN;
    place.fract() * 100.0
}
