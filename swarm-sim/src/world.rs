//! The main loop: takes events in order of time, feeds them to cores and tracker, and carries out their outputs.
//!
//! Owns time, the nodes and their connections. `network` owns the transport of bytes, `tracking` the tracker's side,
//! `misfortune` joins and failures, `report` the figures.

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_core::peer::{Event as PeerEvent, FetchError, Input, Output};
use swarm_core::peer_message::{DataHead, PeerMessage};
use swarm_core::player::{Player, Reading};
use swarm_core::tracker_message::Role;
use swarm_core::{GroupSet, HashTree, LinkId, ReaderId, Timestamp};
use tracker_server::decision::{ConnectionId, Tracker, Visits};

use crate::chance::Chance;
use crate::content::Content;
use crate::downlink::Passages;
use crate::link::Quantum;
use crate::mirror::{Mirror, MirrorEvent};
use crate::misfortune::Misfortune;
use crate::node::{Conduct, Node};
use crate::queue::Queue;
use crate::scenario::{Scenario, bytes_per_s, micros_of};
use crate::timeline::Timeline;
use crate::trace::Trace;

/// Interval at which a player plays on and reports its position, µs.
pub(crate) const PLAYER_TICK_US: u64 = 50_000;

/// Interval between two seeks of a viewer that seeks, µs.
const SEEK_INTERVAL_US: u64 = 10_000_000;

/// An event of the simulation.
#[derive(Debug)]
pub(crate) enum Event {
    Start(usize),
    Timer(usize),
    Told(usize, Box<Input>),
    Sent(usize),
    Arrives { to: usize, link: LinkId, from: usize, from_link: LinkId, quantum: Quantum },
    Dropped { node: usize, link: LinkId, quantum: Quantum },
    Delivered { to: usize, link: LinkId, from: usize, head: Box<DataHead> },
    Acknowledged { node: usize, link: LinkId, bytes: u64 },
    Control { to: usize, link: LinkId, message: Box<PeerMessage> },
    Opens { node: usize, link: LinkId },
    Tracker(crate::tracking::TrackerEvent),
    Mirror(MirrorEvent),
    Plays(usize),
    Seeks(usize),
    Misfortune(Misfortune),
    Sample,
}

/// Traffic of the whole run, by kind.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    pub(crate) data: u64,
    pub(crate) control: u64,
    pub(crate) tracker_messages: u64,
}

pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) now: u64,
    pub(crate) queue: Queue<Event>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) content: Content,
    pub(crate) chance: Chance,
    pub(crate) tracker: Option<Tracker>,
    pub(crate) trackers: u64,
    /// Connections to trackers so far.
    pub(crate) opened: u64,
    pub(crate) connections: BTreeMap<ConnectionId, usize>,
    pub(crate) visits: Visits,
    /// Rooms when they were last looked after because one opened.
    pub(crate) rooms_arranged: usize,
    pub(crate) carried: Carried,
    pub(crate) passages: Passages,
    pub(crate) mirror: Mirror,
    pub(crate) trace: Trace,
    /// Number of honest viewers that are alive and lack something: the run ends when it is 0.
    awaited: usize,
    /// Groups that at least one viewer has held.
    pub(crate) injected: GroupSet,
    pub(crate) timeline: Timeline,
}

impl World {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let content = Content::new(&scenario);
        let injected = GroupSet::empty(content.manifest.geometry().group_count());
        let mut world = Self {
            now: 0,
            queue: Queue::new(),
            nodes: Vec::new(),
            mirror: Mirror::new(bytes_per_s(scenario.mirror_mbps), &content),
            content,
            chance: Chance::new(scenario.seed),
            tracker: None,
            trackers: 0,
            opened: 0,
            connections: BTreeMap::new(),
            visits: Visits::default(),
            rooms_arranged: 0,
            carried: Carried::default(),
            passages: Passages::default(),
            trace: Trace::new(),
            awaited: 0,
            injected,
            timeline: Timeline::default(),
            scenario,
        };
        world.start_tracker();
        (0..world.scenario.initial_peers).for_each(|_| world.add_initial_peer());
        for viewer in 0..world.scenario.peers {
            let at = world.scenario.joins_at_us(viewer);
            world.add_viewer(viewer, at, true);
        }
        world.plan_misfortunes();
        if world.scenario.rooms > 1 {
            world.arrange_again();
        }
        world.queue.push(0, Event::Sample);
        world
    }

    /// Runs until every honest viewer has everything, or until the limit.
    pub(crate) fn run(&mut self) {
        let limit = micros_of(self.scenario.limit_s);
        while self.awaited > 0 {
            let Some((at, event)) = self.queue.pop() else { return };
            if at > limit {
                return;
            }
            self.now = at;
            self.trace.add(at);
            self.happen(event);
        }
    }

    /// Whether every honest viewer that is alive has everything.
    pub(crate) fn is_finished(&self) -> bool {
        self.awaited == 0
    }

    pub(crate) fn join(&mut self, node: Node, at: u64) -> usize {
        let index = self.nodes.len();
        self.awaited += usize::from(node.is_awaited());
        self.nodes.push(node);
        self.queue.push(at, Event::Start(index));
        index
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Start(node) => self.start(node),
            Event::Timer(node) => self.timer(node),
            Event::Told(node, input) => self.tell(node, *input),
            Event::Sent(node) => {
                self.nodes[node].interface.is_sending = false;
                self.send_next(node);
            }
            Event::Arrives { to, link, from, from_link, quantum } => {
                self.arrives((to, link), (from, from_link), quantum);
            }
            Event::Dropped { node, link, quantum } => self.dropped(node, link, quantum),
            Event::Delivered { to, link, from, head } => self.delivered(to, link, from, *head),
            Event::Acknowledged { node, link, bytes } => self.acknowledged(node, link, bytes),
            Event::Control { to, link, message } => {
                self.trace.add(to as u64);
                self.tell(to, Input::Control(link, *message));
            }
            Event::Opens { node, link } => self.opens(node, link),
            Event::Tracker(event) => self.tracker_event(event),
            Event::Mirror(event) => self.mirror_event(event),
            Event::Plays(node) => self.plays(node),
            Event::Seeks(node) => self.seeks(node),
            Event::Misfortune(misfortune) => self.strike(misfortune),
            Event::Sample => self.sample(),
        }
    }

    fn start(&mut self, node: usize) {
        if !self.nodes[node].is_alive {
            return;
        }
        self.nodes[node].joined_at = self.now;
        self.tell(node, Input::Start);
        if self.nodes[node].role == Role::Viewer && self.scenario.media_mbps > 0.0 {
            let geometry = self.content.manifest.geometry();
            self.nodes[node].player = Some(Player::new(geometry, Some(self.scenario.media_bytes_per_s())));
            if self.nodes[node].is_seeking {
                self.queue.push(self.now + SEEK_INTERVAL_US, Event::Seeks(node));
            }
        }
    }

    /// Hands an input to a core and carries out its outputs.
    pub(crate) fn tell(&mut self, node: usize, input: Input) {
        if !self.nodes[node].is_alive {
            return;
        }
        let now = Timestamp::from_micros(self.now);
        self.nodes[node].peer.handle_input(now, input);
        self.drain(node);
    }

    fn timer(&mut self, node: usize) {
        let now = Timestamp::from_micros(self.now);
        let at = &mut self.nodes[node];
        if !at.is_alive || at.timer_at != Some(self.now) {
            return;
        }
        at.timer_at = None;
        if at.peer.poll_timeout().is_some_and(|due| due <= now) {
            at.peer.handle_timeout(now);
        }
        self.drain(node);
    }

    fn drain(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].peer.poll_output() {
            self.carry_out(node, output);
        }
        let at = &mut self.nodes[node];
        if let Some(due) = at.peer.poll_timeout().map(Timestamp::as_micros) {
            let due = due.max(self.now + 1);
            if at.timer_at.is_none_or(|set| due < set) {
                at.timer_at = Some(due);
                self.queue.push(due, Event::Timer(node));
            }
        }
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::ConnectTracker => self.connect_tracker(node),
            Output::DisconnectTracker => self.disconnect_tracker(node),
            Output::Tracker(request) => self.ask_tracker(node, request),
            Output::FetchManifest => {
                let result = match self.tracker {
                    Some(_) => Ok(self.content.manifest_bytes.clone()),
                    None => Err(FetchError::Failed("no tracker".into())),
                };
                self.later(node, 1.5, Input::ManifestFetched(result));
            }
            Output::PublishManifest(_) => self.publish(node),
            // Simulated publishers serve at one tracker, which sends nobody to another one.
            Output::Outpost(..) | Output::Move(_) => {}
            Output::Connect { link, is_offerer, .. } => self.connect(node, link, is_offerer),
            Output::RemoteSignal(link, signal) => self.signalled(node, link, &signal),
            Output::CloseLink(link, _) => self.close(node, link),
            Output::Control(link, message) => self.send_control(node, link, message),
            Output::Data(link, head) => self.send_data(node, link, head),
            Output::LowWater(link, bytes) => {
                if let Some(end) = self.nodes[node].ends.get_mut(&link) {
                    end.low_water_bytes = bytes;
                }
            }
            Output::Store(verified) => self.stored(node, verified.range()),
            Output::Evict(_) => {}
            Output::FetchRange(fetch) => self.fetch_range(node, fetch),
            Output::AbortFetch(fetch) => self.abort_fetch(node, fetch),
            Output::Event(event) => self.event(node, &event),
        }
    }

    /// Hands an input to a core after this many round trips.
    pub(crate) fn later(&mut self, node: usize, round_trips: f64, input: Input) {
        let delay = self.delay_us(node, round_trips);
        self.queue.push(self.now + delay, Event::Told(node, Box::new(input)));
    }

    /// Duration of this many round trips of a node, µs. At time 0 it is 0 for initial peers, because a run begins
    /// after they have published and joined.
    pub(crate) fn delay_us(&self, node: usize, round_trips: f64) -> u64 {
        if self.now == 0 && self.nodes[node].role == Role::Initial {
            return 0;
        }
        (self.scenario.rtt_ms * 1000.0 * round_trips) as u64
    }

    fn event(&mut self, node: usize, event: &PeerEvent) {
        match event {
            PeerEvent::ManifestReady(_) => self.open_store(node),
            PeerEvent::Complete => {
                if self.nodes[node].is_awaited() {
                    self.awaited -= 1;
                }
                self.nodes[node].done_at = Some(self.now);
                if self.scenario.leaves_after_done && self.nodes[node].role == Role::Viewer {
                    self.queue.push(self.now + 1, Event::Misfortune(Misfortune::Leaves(node)));
                }
            }
            PeerEvent::TrackerUp
            | PeerEvent::TrackerDown { .. }
            | PeerEvent::UnknownSwarm
            | PeerEvent::Waiting { .. }
            | PeerEvent::PeersWithheld { .. }
            | PeerEvent::Scarcity(_)
            | PeerEvent::Outpost { .. }
            | PeerEvent::Banned { .. }
            | PeerEvent::MirrorLost { .. }
            | PeerEvent::Dismissed { .. }
            | PeerEvent::Failed(_) => {}
        }
    }

    fn open_store(&mut self, node: usize) {
        let geometry = self.content.manifest.geometry();
        let (held, tree) = match self.nodes[node].role {
            Role::Initial => (GroupSet::full(geometry.group_count()), self.content.tree.clone()),
            Role::Viewer => (
                GroupSet::empty(geometry.group_count()),
                HashTree::unknown(geometry, self.content.tree.root()),
            ),
        };
        self.later(node, 0.0, Input::StoreReady { held, tree: Box::new(tree) });
        if self.nodes[node].player.is_some() {
            self.queue.push(self.now + 1, Event::Plays(node));
        }
    }

    fn stored(&mut self, node: usize, range: swarm_core::GroupRange) {
        self.injected.insert(range);
        let at = &mut self.nodes[node];
        if let Some(progress) = &mut at.progress {
            progress.stored(self.now, range);
        }
        // A player that waits for media resumes at once, not at its next tick.
        if at.player.as_ref().is_some_and(|player| !player.is_playing()) {
            self.advance(node);
        }
    }

    /// Marks a node as dead; the run no longer waits for it.
    pub(crate) fn give_up(&mut self, node: usize) {
        self.awaited -= usize::from(self.nodes[node].is_awaited());
        self.nodes[node].is_alive = false;
    }

    /// Advances a node's player to the present.
    fn advance(&mut self, node: usize) -> Option<Reading> {
        let at = &mut self.nodes[node];
        let (player, held) = (at.player.as_mut()?, at.peer.held()?);
        let missing = held.next_missing(player.group()).unwrap_or(held.capacity());
        let since_join = Duration::from_micros(self.now - at.joined_at);
        Some(player.advance(since_join, missing, at.peer.start_buffer()))
    }

    fn plays(&mut self, node: usize) {
        let at = &self.nodes[node];
        let has_started = at.player.as_ref().is_some_and(|player| player.playback().start_ms.is_some());
        if !at.is_alive || at.done_at.is_some() && has_started {
            return;
        }
        let Some(reading) = self.advance(node) else { return };
        let reader = ReaderId(1);
        let input = Input::ReaderAt { reader, group: reading.group, ahead_ms: reading.ahead_ms };
        self.tell(node, input);
        self.queue.push(self.now + PLAYER_TICK_US, Event::Plays(node));
    }

    fn seeks(&mut self, node: usize) {
        let count = self.content.manifest.geometry().group_count();
        let group = self.chance.below(count);
        let at = &mut self.nodes[node];
        if let Some(player) = at.player.as_mut().filter(|_| at.is_alive && at.done_at.is_none()) {
            player.seek(group);
            self.queue.push(self.now + SEEK_INTERVAL_US, Event::Seeks(node));
        }
    }
}

/// The conduct of a viewer, from a draw between 0 and 100 and the shares of the scenario.
pub(crate) fn conduct(scenario: &Scenario, draw_pct: f64) -> Conduct {
    let mut below = 0.0;
    for (share, conduct) in [
        (scenario.corrupt_pct, Conduct::Corrupts),
        (scenario.liars_pct, Conduct::Lies),
        (scenario.drip_pct, Conduct::Drips),
    ] {
        below += share;
        if draw_pct < below {
            return conduct;
        }
    }
    Conduct::Honest
}
