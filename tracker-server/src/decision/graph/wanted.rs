//! Links beside the regular graph, because one peer holds what another wants.
//!
//! They come on top, at most [`WANTED_MAX`] a viewer, so that the regular graph stays as it is. When there is no
//! room the oldest gives way, but not before it had time to be of use: many that want the same must not take
//! its few holders from one another.

use std::time::Duration;

use swarm_core::{PeerId, Timestamp};

use super::{Change, Graph, Kind};
use crate::limits::{INITIAL_WANTED_MAX, WANTED_HOLD_MS, WANTED_MAX};

/// Room for one more wanted link.
enum Room {
    Free,
    /// After this link was given up.
    Instead(PeerId),
}

impl Graph {
    /// Links a viewer with a peer that holds what it wants. `None` if they are linked already, if either has
    /// no room, or if it is an initial peer that wants.
    pub fn link_wanted(&mut self, now: Timestamp, taker: PeerId, provider: PeerId) -> Option<Vec<Change>> {
        let is_initial = self.nodes.get(&provider)?.is_initial;
        if taker == provider || self.nodes.get(&taker)?.is_initial || self.is_linked(taker, provider) {
            return None;
        }
        if is_initial && self.has_place(provider, taker) {
            self.link(now, taker, provider, Kind::Initial);
            return Some(self.take_changes());
        }
        let provider_max = if is_initial { INITIAL_WANTED_MAX } else { WANTED_MAX };
        let rooms = [
            (taker, self.room(now, taker, WANTED_MAX)?),
            (provider, self.room(now, provider, provider_max)?),
        ];
        self.link(now, taker, provider, Kind::Wanted);
        for (peer, room) in rooms {
            match room {
                Room::Instead(other) if self.is_linked(peer, other) => self.unlink(peer, other),
                Room::Instead(_) | Room::Free => {}
            }
        }
        Some(self.take_changes())
    }

    fn room(&self, now: Timestamp, peer: PeerId, max: usize) -> Option<Room> {
        let wanted: Vec<_> = self.links(peer).filter(|link| link.kind == Kind::Wanted).collect();
        if wanted.len() < max {
            return Some(Room::Free);
        }
        let oldest = wanted.into_iter().min_by_key(|link| link.since)?;
        let hold = Duration::from_millis(u64::from(WANTED_HOLD_MS));
        (oldest.since + hold <= now).then_some(Room::Instead(oldest.peer))
    }
}
