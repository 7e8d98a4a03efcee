//! The swarms that a tracker knows, their rooms, whose they are, and who may join them as what.

use std::collections::BTreeMap;

use swarm_core::publisher::{Signature, Statement, TrackerName};
use swarm_core::{Challenge, PublisherKey, SwarmId};

use super::super::refusal::Refusal;
use super::super::room::{ROOMS_MAX, Room};
use super::super::swarm::Swarm;

/// One swarm.
#[derive(Debug)]
struct Known {
    /// The first one is always there; the others are while they have peers.
    rooms: BTreeMap<u32, Swarm>,
    publisher: PublisherKey,
    /// Nobody may join it any more: it is forgotten when its peers have left.
    is_retired: bool,
}

impl Known {
    fn has_peers(&self) -> bool {
        self.rooms.values().any(|room| !room.is_empty())
    }

    /// A room, which is made if it is not there.
    fn opened(&mut self, number: u32) -> Option<&mut Swarm> {
        if number < ROOMS_MAX && !self.rooms.contains_key(&number) {
            let room = self.rooms.get(&0)?.emptied();
            self.rooms.insert(number, room);
        }
        self.rooms.get_mut(&number)
    }
}

/// All swarms.
#[derive(Debug, Default)]
pub(super) struct Swarms(BTreeMap<SwarmId, Known>);

impl Swarms {
    /// Makes a swarm known; one that was retired can be joined again.
    pub(super) fn add(&mut self, id: SwarmId, publisher: PublisherKey, swarm: impl FnOnce() -> Swarm) {
        let known = self.0.entry(id).or_insert_with(|| Known {
            rooms: BTreeMap::from([(0, swarm())]),
            publisher,
            is_retired: false,
        });
        known.is_retired = false;
    }

    /// Forgets a swarm that has no peers. Whether it was forgotten.
    pub(super) fn remove(&mut self, id: SwarmId) -> bool {
        !self.has_peers(id) && self.0.remove(&id).is_some()
    }

    /// Lets nobody join a swarm any more.
    pub(super) fn retire(&mut self, id: SwarmId) {
        if !self.remove(id)
            && let Some(known) = self.0.get_mut(&id)
        {
            known.is_retired = true;
        }
    }

    /// Closes a room that has no peers any more, and forgets the swarm if it is retired and was left by its last peer.
    pub(super) fn left(&mut self, room: Room) {
        let Some(known) = self.0.get_mut(&room.swarm) else { return };
        if room.number > 0 && known.rooms.get(&room.number).is_some_and(Swarm::is_empty) {
            known.rooms.remove(&room.number);
        }
        if known.is_retired {
            self.remove(room.swarm);
        }
    }

    /// Whether a swarm can be joined.
    pub(super) fn is_joinable(&self, id: SwarmId) -> bool {
        self.0.get(&id).is_some_and(|known| !known.is_retired)
    }

    pub(super) fn has_peers(&self, id: SwarmId) -> bool {
        self.0.get(&id).is_some_and(Known::has_peers)
    }

    /// The rooms that have peers, in order.
    pub(super) fn occupied(&self) -> Vec<Room> {
        let of_swarm = |(swarm, known): (&SwarmId, &Known)| {
            let occupied = known.rooms.iter().filter(|(_, room)| !room.is_empty());
            occupied.map(|(number, _)| Room::new(*swarm, *number)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_swarm).collect()
    }

    /// The rooms of a swarm, in order.
    pub(super) fn rooms(&self, id: SwarmId) -> impl Iterator<Item = (u32, &Swarm)> {
        let rooms = self.0.get(&id).into_iter().flat_map(|known| known.rooms.iter());
        rooms.map(|(number, room)| (*number, room))
    }

    pub(super) fn get(&self, room: Room) -> Option<&Swarm> {
        self.0.get(&room.swarm)?.rooms.get(&room.number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Swarm> {
        self.0.values().flat_map(|known| known.rooms.values())
    }

    pub(super) fn room_mut(&mut self, room: Room) -> Option<&mut Swarm> {
        self.0.get_mut(&room.swarm)?.rooms.get_mut(&room.number)
    }

    /// A room of a swarm that is known, retired or not.
    pub(super) fn opened(&mut self, room: Room) -> Option<&mut Swarm> {
        self.0.get_mut(&room.swarm)?.opened(room.number)
    }

    /// Takes the state of a room and leaves it without peers.
    pub(super) fn emptied(&mut self, room: Room) -> Option<Swarm> {
        let known = self.0.get_mut(&room.swarm)?;
        if room.number > 0 {
            return known.rooms.remove(&room.number);
        }
        let first = known.rooms.get_mut(&0)?;
        let emptied = first.emptied();
        Some(std::mem::replace(first, emptied))
    }

    /// The room, for a peer that wants to join it.
    pub(super) fn joinable(&mut self, room: Room) -> Result<&mut Swarm, Refusal> {
        let unknown = || Refusal::unknown_swarm(room.swarm);
        let known = self.0.get_mut(&room.swarm).ok_or_else(unknown)?;
        if known.is_retired {
            return Err(Refusal::removed(room.swarm));
        }
        known.opened(room.number).ok_or_else(unknown)
    }

    /// Anybody may be a viewer; an initial peer shows that the publisher's key is its own.
    pub(super) fn check_initial(
        &self,
        swarm: SwarmId,
        tracker: TrackerName,
        challenge: Challenge,
        proof: Option<Signature>,
    ) -> Result<(), Refusal> {
        let known = self.0.get(&swarm).ok_or_else(|| Refusal::unknown_swarm(swarm))?;
        let statement = Statement::Join { swarm, tracker, challenge };
        let is_proven = proof.is_some_and(|proof| known.publisher.has_signed(&statement, &proof));
        if is_proven { Ok(()) } else { Err(Refusal::unproven(tracker)) }
    }
}
