//! One peer and the machine it runs on: the core, its links' ends, its network interface, its player.

use std::collections::{BTreeMap, VecDeque};

use swarm_core::player::Player;
use swarm_core::tracker_message::Role;
use swarm_core::{LinkId, Peer};
use tracker_server::decision::ConnectionId;

use crate::downlink::Downlink;
use crate::link::End;
use crate::marks::Progress;

/// How a node treats others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// As it should.
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
    /// Links with something to send, in turn.
    pub(crate) turns: VecDeque<LinkId>,
    /// Time that control messages took from the uplink and data has yet to give, µs.
    pub(crate) debt_us: u64,
    /// Time that the uplink was busy, µs.
    pub(crate) busy_us: u64,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) peer: Peer,
    pub(crate) role: Role,
    pub(crate) conduct: Conduct,
    pub(crate) is_alive: bool,
    /// Whether it was there, or was to come, when the run began.
    pub(crate) is_original: bool,
    pub(crate) is_seeking: bool,
    pub(crate) ends: BTreeMap<LinkId, End>,
    pub(crate) interface: Interface,
    pub(crate) tracker: Option<ConnectionId>,
    /// When its timer is set to, µs.
    pub(crate) timer_at: Option<u64>,
    pub(crate) player: Option<Player>,
    pub(crate) joined_at: u64,
    pub(crate) first_link_at: Option<u64>,
    pub(crate) done_at: Option<u64>,
    /// Of a viewer, where the author said something.
    pub(crate) progress: Option<Progress>,
}

impl Node {
    /// Whether the run waits for it.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_alive && self.is_watching() && self.done_at.is_none()
    }

    /// Whether it is a viewer that means no harm: how those that do fare is no measure of anything.
    pub(crate) fn is_watching(&self) -> bool {
        self.role == Role::Viewer && matches!(self.conduct, Conduct::Honest | Conduct::Drips)
    }
}
