//! More links for strong viewers, where uplinks differ.
//!
//! In a regular graph a viewer whose neighbours happen to be weak receives less than the others, and a strong viewer's
//! uplink idles when its twelve neighbours have what it holds. So
//!
//! * a viewer is *strong* if its uplink is at least [`STRONG_PERCENT`] of the mean. It is to have as many links as its uplink
//!   is larger, [`STRONG_DEGREE_MAX`] at most;
//! * the *supply* of a viewer is the sum of its neighbours' uplinks, each divided by that neighbour's links. One whose supply
//!   is below [`UNDERSUPPLIED_PERCENT`] of the mean uplink is linked with strong viewers that have room, with its next reports.
//!
//! These links come on top of the regular graph. Where all uplinks are alike nobody is strong, and there are none.

use swarm_core::{PeerId, Timestamp};

use super::{Change, Graph, Kind, Wiring};
use crate::limits::{
    DEGREE_TARGET, STRONG_DEGREE_MAX, STRONG_GIVEN_MAX, STRONG_PERCENT, UNDERSUPPLIED_PERCENT,
};

impl Graph {
    /// Looks after the links of a viewer by what uplinks carry, bits a second: its own, those of others, and the mean over
    /// all viewers.
    pub(crate) fn balance(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        uplink_bps: impl Fn(PeerId) -> u64,
        mean_bps: u64,
        rng: &mut fastrand::Rng,
    ) -> Vec<Change> {
        if self.wiring != Wiring::Regular || mean_bps == 0 || !self.is_crowd() {
            return Vec::new();
        }
        self.set_strength(peer, uplink_bps(peer), mean_bps);
        for _ in 0..STRONG_GIVEN_MAX {
            if self.strong.len() == 0 || !self.is_undersupplied(peer, &uplink_bps, mean_bps) {
                break;
            }
            let is_new =
                |other| other != peer && !self.is_linked(peer, other) && self.is_diverse(peer, other);
            let Some(strong) = self.strong.draw_where(rng, is_new) else { break };
            self.link(now, peer, strong, Kind::Strong);
        }
        self.take_changes()
    }

    /// Notes how many links a viewer is to have; one that turned out weaker gives up those that it was given most lately.
    fn set_strength(&mut self, peer: PeerId, uplink_bps: u64, mean_bps: u64) {
        let is_strong = uplink_bps.saturating_mul(100) >= mean_bps.saturating_mul(STRONG_PERCENT);
        let degree = (DEGREE_TARGET as u64).saturating_mul(uplink_bps) / mean_bps;
        let degree = usize::try_from(degree).unwrap_or(usize::MAX).min(STRONG_DEGREE_MAX);
        let Some(node) = self.nodes.get_mut(&peer).filter(|node| !node.is_initial) else { return };
        node.strong_degree = if is_strong { degree } else { 0 };
        self.note(peer);
    }

    fn is_undersupplied(&self, peer: PeerId, uplink_bps: impl Fn(PeerId) -> u64, mean_bps: u64) -> bool {
        let among = |peer| self.links(peer).filter(|link| link.kind.is_among_viewers());
        if among(peer).count() >= STRONG_DEGREE_MAX {
            return false;
        }
        let shares = among(peer).map(|link| uplink_bps(link.peer) / among(link.peer).count().max(1) as u64);
        let supply = shares.fold(0, u64::saturating_add);
        supply.saturating_mul(100) < mean_bps.saturating_mul(UNDERSUPPLIED_PERCENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::network::Subnet;

    const STRONG: u64 = 50_000_000;
    const WEAK: u64 = 2_000_000;

    /// A grown graph in which every third viewer is strong, after some reports of everybody.
    fn balanced(count: u64, uplink_bps: impl Fn(PeerId) -> u64) -> Graph {
        let (mut graph, mut rng) = (Graph::default(), fastrand::Rng::with_seed(1));
        let now = Timestamp::ZERO;
        for peer in 1..=count {
            let subnet = Subnet::of([10, 0, u8::try_from(peer).unwrap(), 0].into());
            graph.join_viewer(now, PeerId(peer), subnet, &mut rng);
        }
        let mean = (1..=count).map(|peer| uplink_bps(PeerId(peer))).sum::<u64>() / count;
        for _ in 0..12 {
            for peer in 1..=count {
                graph.balance(now, PeerId(peer), &uplink_bps, mean, &mut rng);
            }
        }
        graph
    }

    fn mixed(peer: PeerId) -> u64 {
        if peer.0.is_multiple_of(3) { STRONG } else { WEAK }
    }

    #[test]
    fn where_all_are_alike_the_graph_stays_as_it_is() {
        let graph = balanced(60, |_| STRONG);
        assert!((1..=60).all(|peer| graph.links(PeerId(peer)).all(|link| link.kind.is_regular())));
    }

    #[test]
    fn strong_viewers_get_more_links_and_nobody_is_left_with_weak_neighbours() {
        let graph = balanced(60, mixed);
        let mean = (STRONG + 2 * WEAK) / 3;
        for peer in (1..=60).map(PeerId) {
            let links = graph.links(peer).count();
            assert!(links <= STRONG_DEGREE_MAX, "{links}");
            assert!(
                links == STRONG_DEGREE_MAX || !graph.is_undersupplied(peer, mixed, mean),
                "{peer}: {links}"
            );
        }
        let links = |is_meant: fn(PeerId) -> bool| -> usize {
            (1..=60).map(PeerId).filter(|peer| is_meant(*peer)).map(|peer| graph.links(peer).count()).sum()
        };
        let (strong, weak) =
            (links(|peer| mixed(peer) == STRONG) / 20, links(|peer| mixed(peer) == WEAK) / 40);
        assert!(strong > weak + 2, "{strong} links of a strong viewer, {weak} of a weak one");
    }
}
