//! Viewers of other rooms in the graph of a room that they visit: they have regular links, and nothing else.

use swarm_core::{PeerId, Timestamp};

use super::super::network::Subnet;
use super::{Change, Graph, Wiring};

impl Graph {
    /// Enters a viewer of another room: its place among the viewers is all that it gets.
    pub(crate) fn join_visitor(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        subnet: Subnet,
        rng: &mut fastrand::Rng,
    ) -> Vec<Change> {
        let waiting = self.below.len();
        self.enter(now, peer, subnet, false);
        self.set_visitor(peer);
        self.link_viewers(now, peer, waiting, rng);
        self.take_changes()
    }

    pub(super) fn link_viewers(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        waiting: usize,
        rng: &mut fastrand::Rng,
    ) {
        match self.wiring {
            _ if !self.is_crowd() => {}
            Wiring::Regular => self.place(now, peer, waiting, rng),
            Wiring::ByChance => self.draw_links(now, peer, rng),
        }
    }

    /// Notes that a viewer is one of another room.
    pub(super) fn set_visitor(&mut self, peer: PeerId) {
        self.nodes.get_mut(&peer).into_iter().for_each(|node| node.is_visitor = true);
        self.note(peer);
    }
}
