//! One peer and the machine it runs on: the core, its links' ends, its network interface, its player.

use std::collections::{BTreeMap, VecDeque};

use swarm_core::player::Player;
use swarm_core::tracker_message::Role;
use swarm_core::{LinkId, Peer};
use tracker_server::decision::ConnectionId;

use crate::downlink::Downlink;
use crate::link::End;
use crate::marks::Progress;

/// The behaviour of a node towards others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Follows the protocol.
    Honest,
    /// Flips a bit in everything it sends.
    Corrupts,
    /// Claims to hold everything and sends nothing.
    Lies,
    /// Sends 1 kB/s.
    Drips,
}

/// A node's network interface.
#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) up_bytes_per_s: u64,
    pub(crate) downlink: Downlink,
    pub(crate) is_sending: bool,
    /// Links with something to send, served round-robin.
    pub(crate) turns: VecDeque<LinkId>,
    /// Uplink time of control messages sent since the last quantum; the next quantum is delayed by it, µs.
    pub(crate) debt_us: u64,
    /// Total time in which the uplink was busy, µs.
    pub(crate) busy_us: u64,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) peer: Peer,
    pub(crate) role: Role,
    pub(crate) conduct: Conduct,
    pub(crate) is_alive: bool,
    /// False for a viewer that replaces one that left.
    pub(crate) is_original: bool,
    pub(crate) is_seeking: bool,
    pub(crate) ends: BTreeMap<LinkId, Box<End>>,
    pub(crate) interface: Interface,
    pub(crate) tracker: Option<ConnectionId>,
    /// Time of its pending timer event, µs.
    pub(crate) timer_at: Option<u64>,
    pub(crate) player: Option<Player>,
    pub(crate) joined_at: u64,
    pub(crate) first_link_at: Option<u64>,
    pub(crate) done_at: Option<u64>,
    /// Completion by the author's priorities; only for viewers, and only with an author's rules.
    pub(crate) progress: Option<Progress>,
}

impl Node {
    /// Whether the run waits for it.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_alive && self.is_watching() && self.done_at.is_none()
    }

    /// Whether it is a viewer whose experience counts: one that does not corrupt or lie.
    pub(crate) fn is_watching(&self) -> bool {
        self.role == Role::Viewer && matches!(self.conduct, Conduct::Honest | Conduct::Drips)
    }
}
