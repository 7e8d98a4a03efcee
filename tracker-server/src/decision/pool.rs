//! A set of peers to draw from by chance: adding, removing and drawing take logarithmic time.

use std::collections::BTreeMap;

use swarm_core::PeerId;

use super::draw;

/// Draws in vain before [`Pool::draw_where`] looks at everybody.
const DRAWS_MAX: usize = 8;

/// A set of peers.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// In no order that means anything, but the same for the same calls.
    members: Vec<PeerId>,
    positions: BTreeMap<PeerId, usize>,
}

impl Pool {
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn members(&self) -> &[PeerId] {
        &self.members
    }

    /// Adds or takes out, so that `peer` is in the set if `is_member`.
    pub(super) fn set(&mut self, peer: PeerId, is_member: bool) {
        if is_member {
            if !self.positions.contains_key(&peer) {
                self.positions.insert(peer, self.members.len());
                self.members.push(peer);
            }
        } else if let Some(position) = self.positions.remove(&peer) {
            self.members.swap_remove(position);
            if let Some(moved) = self.members.get(position) {
                self.positions.insert(*moved, position);
            }
        }
    }

    /// A member by chance.
    pub(super) fn draw(&self, rng: &mut fastrand::Rng) -> Option<PeerId> {
        draw::one(rng, &self.members)
    }

    /// A member by chance that `is_meant`; found if there is one.
    pub(super) fn draw_where(
        &self,
        rng: &mut fastrand::Rng,
        is_meant: impl Fn(PeerId) -> bool,
    ) -> Option<PeerId> {
        let drawn = (0..DRAWS_MAX).filter_map(|_| self.draw(rng)).find(|peer| is_meant(*peer));
        drawn.or_else(|| self.round(rng).find(|peer| is_meant(*peer)))
    }

    /// Every member once, beginning somewhere.
    pub(super) fn round(&self, rng: &mut fastrand::Rng) -> impl Iterator<Item = PeerId> + '_ {
        let (before, behind) = self.members.split_at(draw::index(rng, self.members.len()).unwrap_or(0));
        behind.iter().chain(before).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_draws_what_was_added_and_not_taken_out() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut pool = Pool::default();
        let mut model = BTreeSet::new();
        for _ in 0..2000 {
            let (peer, is_member) = (PeerId(rng.u64(..50)), rng.bool());
            pool.set(peer, is_member);
            if is_member {
                model.insert(peer)
            } else {
                model.remove(&peer)
            };
            assert_eq!(pool.len(), model.len());
            assert_eq!(pool.draw(&mut rng).is_none(), model.is_empty());
            assert!(pool.draw(&mut rng).is_none_or(|peer| model.contains(&peer)));
        }
        assert_eq!(pool.round(&mut rng).collect::<BTreeSet<_>>(), model);
    }

    #[test]
    fn the_only_one_that_is_meant_is_found() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut pool = Pool::default();
        (0..1000).for_each(|peer| pool.set(PeerId(peer), true));
        assert_eq!(pool.draw_where(&mut rng, |peer| peer == PeerId(7)), Some(PeerId(7)));
        assert_eq!(pool.draw_where(&mut rng, |_| false), None);
    }
}
