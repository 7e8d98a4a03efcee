//! The tracker's side: its real decisions, reached over connections with a delay, and its outages.

use std::net::{IpAddr, Ipv6Addr};

use swarm_core::peer::{Input, PublishError};
use swarm_core::publisher::TrackerName;
use swarm_core::tracker_message::{PeerRequest, TrackerMessage};
use swarm_core::{Manifest, Timestamp};
use tracker_server::decision::{
    ConnectionId, Outgoing, Privacy, ResumeKey, Tracker, TrackerConfig, Visits, Wish,
};

use crate::world::{Event, World};

/// Connections that one address may have; every node has an address of its own.
const CONNECTIONS_PER_ADDRESS_MAX: u32 = 16;

/// Something that happens between a node and the tracker.
#[derive(Debug)]
pub(crate) enum TrackerEvent {
    /// A connection is made, or not.
    Opens { node: usize, tracker: u64 },
    /// A request reaches the tracker.
    Request { connection: ConnectionId, request: Box<PeerRequest> },
    /// A message reaches a node.
    Message { connection: ConnectionId, message: Box<TrackerMessage> },
    /// A connection closes at the node.
    Closes { node: usize, connection: ConnectionId },
    /// The tracker looks after its rooms.
    Rooms,
}

impl World {
    /// A tracker that knows nothing yet.
    pub(crate) fn start_tracker(&mut self) {
        self.trackers += 1;
        self.tracker = Some(Tracker::new(TrackerConfig {
            seed: self.scenario.seed ^ self.trackers << 32,
            resume_key: ResumeKey::from_secret(b"simulated"),
            ice_servers: Vec::new(),
            token: None,
            connections_per_address_max: CONNECTIONS_PER_ADDRESS_MAX,
            wiring: self.scenario.wiring,
            privacy: Privacy::default(),
        }));
    }

    /// The tracker dies with all its connections.
    pub(crate) fn stop_tracker(&mut self) {
        self.tracker = None;
        self.visits = Visits::default();
        self.rooms_arranged = 0;
        for (connection, node) in std::mem::take(&mut self.connections) {
            self.tracker_later(node, 0.5, TrackerEvent::Closes { node, connection });
        }
    }

    fn tracker_later(&mut self, node: usize, round_trips: f64, event: TrackerEvent) {
        let delay = self.delay_us(node, round_trips);
        self.queue.push(self.now + delay, Event::Tracker(event));
    }

    pub(crate) fn connect_tracker(&mut self, node: usize) {
        // One round trip for TCP, one for the WebSocket.
        self.tracker_later(node, 2.0, TrackerEvent::Opens { node, tracker: self.trackers });
    }

    pub(crate) fn disconnect_tracker(&mut self, node: usize) {
        let Some(connection) = self.nodes[node].tracker.take() else { return };
        self.connections.remove(&connection);
        self.end_visits(connection);
        let now = Timestamp::from_micros(self.now);
        if let Some(tracker) = &mut self.tracker {
            let outgoing = tracker.disconnected(now, connection);
            self.deliver(outgoing);
        }
    }

    pub(crate) fn ask_tracker(&mut self, node: usize, request: PeerRequest) {
        if let Some(connection) = self.nodes[node].tracker {
            self.carried.tracker_messages += 1;
            self.tracker_later(node, 0.5, TrackerEvent::Request { connection, request: Box::new(request) });
        }
    }

    pub(crate) fn publish(&mut self, node: usize) {
        let result = match &mut self.tracker {
            Some(tracker) => {
                let manifest = &self.content.manifest;
                let media_bps = manifest.rate_bytes_per_s().unwrap_or(0) * 8;
                let publisher = self.content.key.public();
                tracker.add_swarm(self.content.swarm, publisher, wishes(manifest), media_bps);
                Ok(())
            }
            None => Err(PublishError::Failed("no tracker".into())),
        };
        self.later(node, 1.0, Input::ManifestPublished(result));
    }

    pub(crate) fn tracker_event(&mut self, event: TrackerEvent) {
        match event {
            TrackerEvent::Opens { node, tracker } => self.tracker_opens(node, tracker),
            TrackerEvent::Request { connection, request } => self.request(connection, *request),
            TrackerEvent::Rooms => self.arrange_again(),
            TrackerEvent::Message { connection, message } => {
                let node = self.connections.get(&connection).copied();
                if let Some(node) = node.filter(|node| self.nodes[*node].tracker == Some(connection)) {
                    self.trace.add(node as u64);
                    self.tell(node, Input::Tracker(*message));
                }
            }
            TrackerEvent::Closes { node, connection } => {
                if self.nodes[node].tracker.take_if(|own| *own == connection).is_some() {
                    self.tell(node, Input::TrackerClosed("connection reset".into()));
                }
            }
        }
    }

    fn tracker_opens(&mut self, node: usize, number: u64) {
        let now = Timestamp::from_micros(self.now);
        if !self.nodes[node].is_alive {
            return;
        }
        let Some(tracker) = self.tracker.as_mut().filter(|_| number == self.trackers) else {
            return self.tell(node, Input::TrackerClosed("connection refused".into()));
        };
        self.opened += 1;
        let connection = ConnectionId(self.opened);
        // Every node has a subnet of its own, as long as there are not more than 65,536, and all are in one network: what the
        // tracker does about crowds from one place and about nearness makes no difference here.
        let node_bits = u128::try_from(node).unwrap_or_default();
        let (subnet, site) = (node_bits & 0xffff, node_bits >> 16);
        let address = IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | subnet << 80 | site << 64 | 1));
        let outgoing = tracker.connected(now, connection, address);
        tracker.called(connection, TrackerName::of(TRACKER));
        self.connections.insert(connection, node);
        self.nodes[node].tracker = Some(connection);
        self.deliver(outgoing);
        self.tell(node, Input::TrackerOpen);
    }

    pub(crate) fn deliver(&mut self, outgoing: Vec<(ConnectionId, Outgoing)>) {
        for (connection, outgoing) in outgoing {
            let Some(connection) = self.hearer(connection, &outgoing) else { continue };
            match outgoing {
                Outgoing::Send(message) => {
                    self.carried.tracker_messages += 1;
                    let Some(node) = self.connections.get(&connection).copied() else { continue };
                    let message = TrackerEvent::Message { connection, message: Box::new(message) };
                    self.tracker_later(node, 0.5, message);
                }
                Outgoing::Close(_) => {
                    if let Some(node) = self.connections.remove(&connection) {
                        self.tracker_later(node, 0.5, TrackerEvent::Closes { node, connection });
                    }
                }
            }
        }
    }
}

/// The tracker's host, as every node calls it.
pub(crate) const TRACKER: &str = "tracker";

/// What the author says about each segment.
fn wishes(manifest: &Manifest) -> impl Iterator<Item = Wish> + '_ {
    manifest.segments.iter().map(|segment| Wish { priority: segment.priority, period: segment.period })
}
