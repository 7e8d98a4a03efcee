//! Neighbours by chance, as trackers give them that keep no graph: for comparison with [`regular`](super::regular).
//!
//! Every newcomer is given half the target of others, and later ones are given it: so viewers have about the target
//! on average, some many more and some only half. A viewer that loses neighbours is given others up to that half.

use swarm_core::{PeerId, Timestamp};

use super::{Graph, Kind};
use crate::limits::DEGREE_TARGET;

impl Graph {
    /// Links a viewer with others by chance, until it has half the target.
    pub(super) fn draw_links(&mut self, now: Timestamp, peer: PeerId, rng: &mut fastrand::Rng) {
        while self.degree(peer) < DEGREE_TARGET / 2 {
            let Some(other) = self.viewers.draw_where(rng, |other| self.is_free(peer, other)) else { break };
            self.link(now, peer, other, Kind::Random);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Wiring;
    use super::*;
    use crate::decision::network::Subnet;

    #[test]
    fn neighbours_by_chance_are_the_target_on_average_and_never_below_half_of_it() {
        let (mut graph, mut rng) = (Graph::new(Wiring::ByChance), fastrand::Rng::with_seed(1));
        let subnet = Subnet::of([192, 0, 2, 0].into());
        for peer in 1..=200 {
            graph.join_viewer(Timestamp::ZERO, PeerId(peer), subnet, &mut rng);
        }
        let degrees: Vec<usize> = (1..=200).map(|peer| graph.degree(PeerId(peer))).collect();
        assert!((DEGREE_TARGET - 1..=DEGREE_TARGET).contains(&(degrees.iter().sum::<usize>() / 200)));
        assert!(degrees.iter().any(|degree| *degree > 2 * DEGREE_TARGET), "{degrees:?}");
        for peer in 1..=100 {
            graph.leave(Timestamp::ZERO, PeerId(peer), |_| super::super::Need::default(), &mut rng);
        }
        assert!((101..=200).all(|peer| graph.degree(PeerId(peer)) >= DEGREE_TARGET / 2));
    }
}
