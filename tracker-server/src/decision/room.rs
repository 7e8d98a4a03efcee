//! Rooms: the parts into which a very large swarm is cut.
//!
//! A room is a swarm of its own to the decisions: it has a directory and a graph of its own, and among several trackers a
//! home of its own. So neither a tracker nor a lock bounds an audience. Room 0 is the whole swarm while that is small.
//!
//! Rooms are joined by peers that take part in several ([`Visits`](super::Visits)): the initial peers in all, and a few
//! viewers of each room in two others, which [`links_of`] names. This module owns the pure choices: which room a newcomer
//! gets, and which rooms are linked.

use std::fmt;

use swarm_core::SwarmId;

/// Rooms of one swarm.
pub const ROOMS_MAX: u32 = 4_096;

/// One in so many places of a room is kept for peers that come back to it.
const KEPT_SHARE: u32 = 50;

/// A room of a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub struct Room {
    /// The swarm.
    pub swarm: SwarmId,
    /// Which of its rooms, from 0.
    pub number: u32,
}

impl Room {
    /// A room by its number.
    pub const fn new(swarm: SwarmId, number: u32) -> Self {
        Self { swarm, number }
    }
}

impl From<SwarmId> for Room {
    /// The first room: all of a swarm that is not cut.
    fn from(swarm: SwarmId) -> Self {
        Self::new(swarm, 0)
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => write!(f, "{}", self.swarm),
            number => write!(f, "{}.{number}", self.swarm),
        }
    }
}

/// The swarm around one of its rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Around {
    /// Rooms of the swarm, this one included.
    pub rooms: u32,
    /// Peers of the other rooms that hold everything.
    pub seeders: u32,
    /// Peers of the other rooms that do not.
    pub leechers: u32,
}

impl Default for Around {
    /// Nothing: the swarm is not cut.
    fn default() -> Self {
        Self { rooms: 1, seeders: 0, leechers: 0 }
    }
}

/// The room for a newcomer: of those with a place left the fullest, so that rooms that empty can close; else the first
/// number that is not in use. `rooms` are numbers and peers, `peers_max` what a room takes. A few places stay free for
/// peers that come back.
pub(crate) fn choose(rooms: &[(u32, u32)], peers_max: u32) -> u32 {
    let newcomers_max = peers_max - peers_max / KEPT_SHARE;
    let open = rooms.iter().filter(|(_, peers)| *peers < newcomers_max);
    let fullest = open.max_by_key(|(number, peers)| (*peers, std::cmp::Reverse(*number)));
    let unused = || (0..ROOMS_MAX).find(|number| rooms.iter().all(|(used, _)| used != number));
    let emptiest = || rooms.iter().min_by_key(|(_, peers)| *peers).map(|(number, _)| *number);
    fullest.map(|(number, _)| *number).or_else(unused).or_else(emptiest).unwrap_or(0)
}

/// The rooms in which viewers of a room take part as well: the next one round the ring, and one by chance, which keeps the
/// way from any room to any other short. `others` are the other rooms in order. The choice by chance stays the same when
/// other rooms open and close.
pub(crate) fn links_of(number: u32, others: &[u32]) -> Vec<u32> {
    let next = others.iter().find(|other| **other > number).or(others.first());
    let Some(next) = next.copied() else { return Vec::new() };
    let far = others.iter().copied().filter(|other| *other != next);
    let far = far.max_by_key(|other| mixed(u64::from(number) << 32 | u64::from(*other)));
    [Some(next), far].into_iter().flatten().collect()
}

/// SplitMix64's last step.
const fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_newcomer_gets_the_fullest_room_with_a_place_left_or_a_new_one() {
        assert_eq!(choose(&[], 4), 0);
        assert_eq!(choose(&[(0, 3)], 4), 0);
        assert_eq!(choose(&[(0, 4)], 4), 1);
        assert_eq!(choose(&[(0, 4), (1, 1), (2, 3)], 4), 2, "the fullest");
        assert_eq!(choose(&[(0, 2), (1, 2)], 4), 0, "the first of equals");
        assert_eq!(choose(&[(0, 4), (2, 4)], 4), 1, "a number that is free again");
        assert_eq!(choose(&[(0, 979)], 1000), 0);
        assert_eq!(choose(&[(0, 980)], 1000), 1, "the rest is for those who come back");
    }

    #[test]
    fn when_all_numbers_are_in_use_the_emptiest_room_takes_more() {
        let rooms: Vec<(u32, u32)> =
            (0..ROOMS_MAX).map(|number| (number, 9 - u32::from(number == 7))).collect();
        assert_eq!(choose(&rooms, 4), 7);
    }

    #[test]
    fn from_each_room_every_other_one_is_reached() {
        for count in 1..=40_u32 {
            let numbers: Vec<u32> = (0..count).map(|number| number * 3).collect();
            let others =
                |room: u32| numbers.iter().copied().filter(|other| *other != room).collect::<Vec<_>>();
            let mut reached = BTreeSet::from([0]);
            let mut steps = 0;
            while reached.len() < numbers.len() {
                reached = reached
                    .iter()
                    .flat_map(|room| links_of(*room, &others(*room)))
                    .chain(reached.iter().copied())
                    .collect();
                steps += 1;
                assert!(steps <= count, "no way: {reached:?}");
            }
            for room in &numbers {
                let links = links_of(*room, &others(*room));
                assert_eq!(links.len(), numbers.len().saturating_sub(1).min(2));
                assert!(!links.contains(room) && (links.len() < 2 || links[0] != links[1]));
            }
        }
    }

    #[test]
    fn the_choice_by_chance_stays_when_another_room_opens() {
        let far = |count: u32| links_of(0, &(1..count).collect::<Vec<_>>())[1];
        let changes = (4..200).filter(|count| far(*count) != far(count + 1)).count();
        assert!(changes < 20, "{changes}");
    }
}
