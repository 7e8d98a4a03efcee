//! What trackers know of one another: the list of trackers, and of the swarms that each is the home of.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use swarm_core::SwarmId;

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

/// A swarm and how many are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Homed {
    pub(crate) swarm: SwarmId,
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
    pub(crate) swarms: Vec<Homed>,
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
pub(crate) struct Records(BTreeMap<TrackerId, Record>);

impl Records {
    /// Takes over what a beat found; a record that cannot be read belongs to a tracker of another version.
    pub(super) fn replace(&mut self, found: &[(TrackerId, Bytes)]) {
        let read = |(tracker, bytes): &(TrackerId, Bytes)| Some((*tracker, Record::decode(bytes)?));
        self.0 = found.iter().filter_map(read).collect();
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn contains(&self, tracker: TrackerId) -> bool {
        self.0.contains_key(&tracker)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (TrackerId, &Record)> {
        self.0.iter().map(|(tracker, record)| (*tracker, record))
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

    /// How many are in a swarm whose home is a tracker other than `me`.
    pub(crate) fn counts(&self, me: TrackerId, swarm: SwarmId) -> Option<(u32, u32)> {
        let others = self.iter().filter(|(id, _)| *id != me);
        let mut homed = others.flat_map(|(_, record)| record.swarms.iter());
        homed.find(|homed| homed.swarm == swarm).map(|homed| (homed.seeders, homed.leechers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(connections: u32, state: State) -> Record {
        let swarms = vec![Homed { swarm: SwarmId([1; 32]), seeders: 1, leechers: connections }];
        Record { name: "127.0.0.1:1".into(), url: None, state, connections, guests: 0, members: 0, swarms }
    }

    #[test]
    fn the_least_loaded_of_the_others_that_serve_is_chosen() {
        let mut records = Records::default();
        let found =
            [(1, record(1, State::Serving)), (2, record(9, State::Serving)), (3, record(5, State::Serving))];
        let found = found.into_iter().chain([(4, record(0, State::Draining))]);
        let found: Vec<_> = found.map(|(id, record)| (TrackerId(id), record.encode())).collect();
        records.replace(&found);
        assert_eq!(records.least_loaded(TrackerId(1)), Some(TrackerId(3)));
        assert_eq!(records.counts(TrackerId(1), SwarmId([1; 32])), Some((1, 9)));
        assert_eq!(records.counts(TrackerId(1), SwarmId([2; 32])), None);
        records.replace(&[(TrackerId(1), found[0].1.clone()), (TrackerId(2), Bytes::from_static(b"\xff"))]);
        assert_eq!(records.least_loaded(TrackerId(1)), None, "what cannot be read is left out");
    }
}
