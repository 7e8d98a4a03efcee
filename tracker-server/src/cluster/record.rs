//! What trackers know of one another: the list of trackers, and of the rooms that each is the home of.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use swarm_core::SwarmId;

use crate::decision::Room;
use crate::engine::TrackerId;

/// Whether a tracker takes new swarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It does.
    Serving,
    /// It is about to stop.
    Draining,
}

/// A room and how many are in it, visitors left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Homed {
    pub(crate) room: Room,
    pub(crate) seeders: u32,
    pub(crate) leechers: u32,
}

/// What a tracker says of itself with each beat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Where it listens, for operators.
    pub(crate) name: String,
    /// Where peers reach it and no other tracker, if there is such an address.
    pub(crate) url: Option<String>,
    pub(crate) state: State,
    /// Open WebSockets.
    pub(crate) connections: u32,
    /// Peers of other trackers that this one decides for.
    pub(crate) guests: u32,
    /// Own peers that another tracker decides for.
    pub(crate) members: u32,
    pub(crate) rooms: Vec<Homed>,
}

impl Record {
    pub(crate) fn encode(&self) -> Bytes {
        // These types have no form that postcard cannot write.
        postcard::to_stdvec(self).unwrap_or_default().into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }

    /// What it carries, for choosing the one that carries least.
    fn load(&self) -> u64 {
        u64::from(self.connections) + u64::from(self.guests)
    }
}

/// The trackers whose lease stands.
#[derive(Debug, Default)]
pub(crate) struct Records {
    records: BTreeMap<TrackerId, Record>,
    /// The rooms that others are the homes of.
    homed: BTreeMap<Room, (TrackerId, (u32, u32))>,
}

impl Records {
    /// Takes over what a beat found; a record that cannot be read belongs to a tracker of another version.
    pub(super) fn replace(&mut self, me: TrackerId, found: &[(TrackerId, Bytes)]) {
        let read = |(tracker, bytes): &(TrackerId, Bytes)| Some((*tracker, Record::decode(bytes)?));
        self.records = found.iter().filter_map(read).collect();
        let others = self.records.iter().filter(|(tracker, _)| **tracker != me);
        let homed = others.flat_map(|(tracker, record)| record.rooms.iter().map(|homed| (*tracker, homed)));
        self.homed =
            homed.map(|(tracker, homed)| (homed.room, (tracker, (homed.seeders, homed.leechers)))).collect();
    }

    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.homed.clear();
    }

    pub(super) fn contains(&self, tracker: TrackerId) -> bool {
        self.records.contains_key(&tracker)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (TrackerId, &Record)> {
        self.records.iter().map(|(tracker, record)| (*tracker, record))
    }

    /// The serving tracker with the least load, other than `me`.
    pub(crate) fn least_loaded(&self, me: TrackerId) -> Option<TrackerId> {
        self.least_loaded_record(me).map(|(id, _)| id)
    }

    /// The same with what it says of itself.
    pub(crate) fn least_loaded_record(&self, me: TrackerId) -> Option<(TrackerId, &Record)> {
        let serving = self.iter().filter(|(id, record)| *id != me && record.state == State::Serving);
        serving.min_by_key(|(id, record)| (record.load(), *id))
    }

    /// The rooms of a swarm that others are the homes of: who, and how many are in it.
    pub(crate) fn rooms(&self, swarm: SwarmId) -> impl Iterator<Item = (u32, (TrackerId, (u32, u32)))> + '_ {
        let rooms = self.homed.range(Room::new(swarm, 0)..=Room::new(swarm, u32::MAX));
        rooms.map(|(room, homed)| (room.number, *homed))
    }

    /// The serving tracker that is to be the home of a room: the one that has fewest rooms of the swarm, as `has` says, then
    /// the one with the least load. Some rooms of a swarm at each tracker carry a large audience together.
    pub(crate) fn home_for(&self, has: impl Fn(TrackerId) -> usize) -> Option<TrackerId> {
        let serving = self.iter().filter(|(_, record)| record.state == State::Serving);
        serving.min_by_key(|(id, record)| (has(*id), record.load(), *id)).map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(connections: u32, state: State) -> Record {
        let room = Room::new(SwarmId([1; 32]), connections);
        let rooms = vec![Homed { room, seeders: 1, leechers: connections }];
        Record { name: "127.0.0.1:1".into(), url: None, state, connections, guests: 0, members: 0, rooms }
    }

    #[test]
    fn the_least_loaded_of_the_others_that_serve_is_chosen() {
        let mut records = Records::default();
        let found =
            [(1, record(1, State::Serving)), (2, record(9, State::Serving)), (3, record(5, State::Serving))];
        let found = found.into_iter().chain([(4, record(0, State::Draining))]);
        let found: Vec<_> = found.map(|(id, record)| (TrackerId(id), record.encode())).collect();
        records.replace(TrackerId(1), &found);
        assert_eq!(records.least_loaded(TrackerId(1)), Some(TrackerId(3)));
        let rooms: Vec<_> = records.rooms(SwarmId([1; 32])).collect();
        let [zero, five, nine] =
            [(4, 0), (3, 5), (2, 9)].map(|(id, count)| (count, (TrackerId(id), (1, count))));
        assert_eq!(rooms, [zero, five, nine], "without its own");
        assert_eq!(records.rooms(SwarmId([2; 32])).count(), 0);
        assert_eq!(records.home_for(|_| 0), Some(TrackerId(1)), "the least load");
        assert_eq!(records.home_for(|tracker| usize::from(tracker != TrackerId(2))), Some(TrackerId(2)));
        records.replace(
            TrackerId(1),
            &[(TrackerId(1), found[0].1.clone()), (TrackerId(2), Bytes::from_static(b"\xff"))],
        );
        assert_eq!(records.least_loaded(TrackerId(1)), None, "what cannot be read is left out");
    }
}
