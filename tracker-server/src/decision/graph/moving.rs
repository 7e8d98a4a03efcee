//! Links that peers bring along when their swarm changes its home tracker.

use swarm_core::{PeerId, Timestamp};

use super::super::network::Subnet;
use super::{Change, Graph, Kind, Wiring};
use crate::limits::DEGREE_TARGET;

impl Graph {
    /// How viewers come to be neighbours.
    pub(crate) const fn wiring(&self) -> Wiring {
        self.wiring
    }

    /// Enters a peer without giving it links; `places` are those of an initial peer. It may be a viewer of another room.
    pub(crate) fn enter_with_links(
        &mut self,
        now: Timestamp,
        (peer, is_visitor): (PeerId, bool),
        subnet: Subnet,
        places: Option<usize>,
    ) {
        self.enter(now, peer, subnet, places.is_some());
        if is_visitor && places.is_none() {
            self.set_visitor(peer);
        }
        if let Some((node, places)) = self.nodes.get_mut(&peer).zip(places) {
            node.places_max = places;
        }
    }

    /// Makes links of a peer again whose other ends are here. What is beyond the target counts as wanted: it gives way
    /// when others are needed.
    pub(crate) fn restore(&mut self, now: Timestamp, peer: PeerId, links: &[PeerId]) -> Vec<Change> {
        let is_initial = |peer: &PeerId| self.nodes.get(peer).map(|node| node.is_initial);
        let Some(is_own_initial) = is_initial(&peer) else { return Vec::new() };
        let ends = links.iter().filter_map(|other| Some((*other, is_initial(other)?)));
        let ends: Vec<(PeerId, bool)> = ends.filter(|(other, _)| *other != peer).collect();
        for (other, is_other_initial) in ends {
            if self.is_linked(peer, other) || (is_own_initial && is_other_initial) {
                continue;
            }
            let has_room = self.degree(peer) < DEGREE_TARGET && self.degree(other) < DEGREE_TARGET;
            let kind = match (is_own_initial || is_other_initial, has_room) {
                (true, _) => Kind::Initial,
                (false, true) => Kind::Random,
                (false, false) => Kind::Wanted,
            };
            self.link(now, peer, other, kind);
        }
        // The peer may have missed that it was linked.
        let missed = self.neighbours(peer).filter(|other| !links.contains(other));
        let missed: Vec<Change> = missed.map(|other| Change::Linked(peer, other)).collect();
        self.changes.extend(missed);
        self.take_changes()
    }
}
