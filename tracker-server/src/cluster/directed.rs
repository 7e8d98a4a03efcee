//! Newcomers that this tracker has lately sent to rooms which are decided upon elsewhere, and rooms that have lately opened.
//!
//! Counts of other trackers are as old as their last beat. Adding what was sent there since keeps a room from filling beyond
//! its limit by more than what the other trackers send in that time.

use std::collections::BTreeMap;

use swarm_core::SwarmId;

use crate::decision::Room;

/// Newcomers since the last beat, and between that and the one before: the counts of others may not know of those yet.
#[derive(Debug, Default)]
pub(crate) struct Directed {
    now: BTreeMap<Room, u32>,
    before: BTreeMap<Room, u32>,
}

impl Directed {
    /// A newcomer was sent to a room.
    pub(crate) fn note(&mut self, room: Room) {
        *self.now.entry(room).or_default() += 1;
    }

    /// A room has opened, as another tracker says.
    pub(crate) fn opened(&mut self, room: Room) {
        self.now.entry(room).or_default();
    }

    /// A beat passed.
    pub(super) fn turn(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// The rooms of a swarm with those that were sent to each; a room may come twice.
    pub(crate) fn of(&self, swarm: SwarmId) -> impl Iterator<Item = (u32, u32)> + '_ {
        let range = Room::new(swarm, 0)..=Room::new(swarm, u32::MAX);
        let both = self.now.range(range.clone()).chain(self.before.range(range));
        both.map(|(room, count)| (room.number, *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newcomers_count_for_two_beats() {
        let (swarm, other) = (SwarmId([1; 32]), SwarmId([2; 32]));
        let mut directed = Directed::default();
        let sum = |directed: &Directed| directed.of(swarm).map(|(_, count)| count).sum::<u32>();
        directed.note(Room::new(swarm, 3));
        directed.note(Room::new(swarm, 3));
        directed.note(Room::new(other, 3));
        directed.turn();
        directed.note(Room::new(swarm, 3));
        directed.opened(Room::new(swarm, 4));
        assert_eq!(directed.of(swarm).collect::<Vec<_>>(), [(3, 1), (4, 0), (3, 2)]);
        directed.turn();
        assert_eq!(sum(&directed), 1);
        directed.turn();
        assert_eq!(directed.of(swarm).count(), 0);
    }
}
