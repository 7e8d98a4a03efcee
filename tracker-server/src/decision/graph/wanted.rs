//! Links beside the regular graph, because one peer holds what another wants.
//!
//! They come on top, at most [`WANTED_MAX`] a viewer, so that the regular graph stays as it is. When there is no
//! room the oldest gives way, but not before it had time to be of use: many that want the same must not take
//! its few holders from one another.

use std::time::Duration;

use swarm_core::{PeerId, Timestamp};

use super::{Change, Graph, Kind};
use crate::limits::{INITIAL_WANTED_MAX, WANTED_HOLD_MS, WANTED_MAX};

/// How one more wanted link can be had.
enum Way {
    OnTop,
    /// For the link with this peer.
    Instead(PeerId),
}

impl Graph {
    /// Links a viewer with a peer that holds what it wants. `None` if they are linked already, if either has
    /// no room, if it is an initial peer that wants, or if there are too few viewers for links among them.
    pub(crate) fn link_wanted(
        &mut self,
        now: Timestamp,
        taker: PeerId,
        provider: PeerId,
    ) -> Option<Vec<Change>> {
        let is_initial = self.nodes.get(&provider)?.is_initial;
        if !is_initial && !self.is_crowd() {
            return None;
        }
        if taker == provider || self.nodes.get(&taker)?.is_initial || self.is_linked(taker, provider) {
            return None;
        }
        if is_initial && self.has_place(provider, taker) {
            self.link(now, taker, provider, Kind::Initial);
            return Some(self.take_changes());
        }
        let provider_max = if is_initial { self.initial_wanted_max() } else { WANTED_MAX };
        let ways =
            [(taker, self.way(now, taker, WANTED_MAX)?), (provider, self.way(now, provider, provider_max)?)];
        self.link(now, taker, provider, Kind::Wanted);
        for (peer, way) in ways {
            match way {
                Way::Instead(other) if self.is_linked(peer, other) => self.unlink(peer, other),
                Way::Instead(_) | Way::OnTop => {}
            }
        }
        Some(self.take_changes())
    }

    /// From now on initial peers share their links on top among so many rooms.
    pub(crate) fn set_rooms(&mut self, rooms: u32) {
        self.rooms = usize::try_from(rooms).unwrap_or(usize::MAX);
    }

    fn initial_wanted_max(&self) -> usize {
        (INITIAL_WANTED_MAX / self.rooms.max(1)).max(1)
    }

    fn way(&self, now: Timestamp, peer: PeerId, max: usize) -> Option<Way> {
        let wanted: Vec<_> = self.links(peer).filter(|link| link.kind == Kind::Wanted).collect();
        if wanted.len() < max {
            return Some(Way::OnTop);
        }
        let oldest = wanted.into_iter().min_by_key(|link| link.since)?;
        let hold = Duration::from_millis(u64::from(WANTED_HOLD_MS));
        (oldest.since + hold <= now).then_some(Way::Instead(oldest.peer))
    }
}
