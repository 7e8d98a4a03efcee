//! Links between viewers that play nearly the same, in place of others.

use swarm_core::{PeerId, Timestamp};

use super::{Change, Graph, Kind};

impl Graph {
    /// Links `left` and `right` for their nearness; for it each gives up the neighbour named beside it, and
    /// these two are linked instead. So everybody has as many links as before. `None` if that cannot be.
    pub(crate) fn swap(
        &mut self,
        now: Timestamp,
        (left, left_gives): (PeerId, PeerId),
        (right, right_gives): (PeerId, PeerId),
    ) -> Option<Vec<Change>> {
        let gives = |peer, other| self.kind(peer, other).is_some_and(Kind::is_regular);
        let can_be = gives(left, left_gives)
            && gives(right, right_gives)
            && self.is_free(left, right)
            && self.is_free(left_gives, right_gives)
            && self.is_diverse(left, right)
            && self.is_diverse(left_gives, right_gives);
        if !can_be {
            return None;
        }
        self.link(now, left, right, Kind::Near);
        self.link(now, left_gives, right_gives, Kind::Random);
        self.unlink(left, left_gives);
        self.unlink(right, right_gives);
        Some(self.take_changes())
    }
}
