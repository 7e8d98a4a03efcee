//! Rooms of swarms: which one a connection is to join, how many peers each has, and visits from one to another.

use std::collections::BTreeMap;

use swarm_core::{PeerId, SwarmId, Timestamp};

use super::super::network::Site;
use super::super::outgoing::{ConnectionId, Outgoing};
use super::super::refusal::Refusal;
use super::super::room::{Around, Room};
use super::super::swarm::Swarm;
use super::abilities::Abilities;
use super::stage::{Known, Permission, Stage};
use super::{Passport, Said, Tracker};

impl Tracker {
    /// Sends a connection that has greeted to a room of whichever swarm it joins. Without this it joins the first.
    pub fn direct(&mut self, connection: ConnectionId, number: u32) {
        if let Some(Stage::Greeted(known)) = self.stages.get_mut(&connection) {
            known.room = number;
        }
    }

    /// Which room a connection was sent to, or is in.
    pub(crate) fn room_number(&self, connection: ConnectionId) -> u32 {
        match self.stages.get(&connection) {
            Some(Stage::Greeted(known)) => known.room,
            Some(Stage::Joined { room, .. }) => room.number,
            Some(Stage::Open { .. } | Stage::Left { .. }) | None => 0,
        }
    }

    /// Whether the peer of a connection goes to another tracker when it is told to.
    pub(crate) fn can_move(&self, connection: ConnectionId) -> bool {
        let Some(Stage::Greeted(known) | Stage::Joined { known, .. }) = self.stages.get(&connection) else {
            return false;
        };
        known.abilities.can_move
    }

    /// The peer that a connection stands for, once it has greeted.
    pub(crate) fn greeted_peer(&self, connection: ConnectionId) -> Option<PeerId> {
        self.stages.get(&connection)?.peer()
    }

    /// The room that a connection has joined.
    pub fn joined_room(&self, connection: ConnectionId) -> Option<Room> {
        match self.stages.get(&connection)? {
            Stage::Joined { room, .. } => Some(*room),
            Stage::Open { .. } | Stage::Greeted(_) | Stage::Left { .. } => None,
        }
    }

    /// Rooms of a swarm that are decided upon here, with how many there are of seeders and leechers, visitors left out.
    pub fn rooms(&self, swarm: SwarmId) -> impl Iterator<Item = (u32, (u32, u32))> + '_ {
        self.swarms.rooms(swarm).map(|(number, swarm)| (number, swarm.counts()))
    }

    /// Seeders and leechers of a room.
    pub(crate) fn room_counts(&self, room: Room) -> (u32, u32) {
        self.swarms.get(room).map_or((0, 0), Swarm::counts)
    }

    /// Whether a room has peers, visitors included.
    pub(crate) fn is_occupied(&self, room: Room) -> bool {
        self.swarms.get(room).is_some_and(|swarm| !swarm.is_empty())
    }

    /// Tells the rooms of a swarm that are decided upon here of all its rooms, given by number with seeders and leechers.
    /// Returns which rooms their peers are to visit: initial peers all, some viewers one. Everybody is named that visits any,
    /// and once those that are to visit none any more.
    pub fn arrange(
        &mut self,
        now: Timestamp,
        swarm: SwarmId,
        rooms: &BTreeMap<u32, (u32, u32)>,
    ) -> Vec<(ConnectionId, Vec<Room>)> {
        let mut named = Vec::new();
        for (number, own) in rooms {
            let Some(room) = self.swarms.room_mut(Room::new(swarm, *number)) else { continue };
            room.set_around(around(rooms, *own));
            let others: Vec<u32> = rooms.keys().copied().filter(|other| other != number).collect();
            for (connection, numbers) in room.visitors(now, *number, &others) {
                let rooms = numbers.into_iter().map(|number| Room::new(swarm, number));
                named.push((connection, rooms.collect()));
            }
        }
        named
    }

    /// Whether more peers of a room are to visit others, as soon as there are any.
    pub fn is_lacking_visitors(&self, room: Room) -> bool {
        self.swarms.get(room).is_some_and(Swarm::is_lacking_visitors)
    }

    /// Whether the room of a connection links its peer with another.
    pub fn is_linked(&self, connection: ConnectionId, peer: PeerId) -> bool {
        let Some(Stage::Joined { known, room }) = self.stages.get(&connection) else { return false };
        self.swarms.get(*room).is_some_and(|swarm| swarm.is_linked(known.peer, peer))
    }

    /// Who a peer is and what it has said, for a visit to another room.
    pub fn introduction(&self, connection: ConnectionId) -> Option<(Passport, Said)> {
        let Some(Stage::Joined { known, room }) = self.stages.get(&connection) else { return None };
        let said = self.swarms.get(*room)?.said_by(known.peer)?;
        Some((known.passport(), said.visiting()))
    }

    /// A peer is about to enter a room in which it may be already, under another connection: that of a visit whose peer has
    /// come back elsewhere, which its tracker has not heard yet. A visit never takes the place of the peer itself.
    pub(super) fn make_way(
        &mut self,
        now: Timestamp,
        room: Room,
        (peer, connection, is_visitor): (PeerId, ConnectionId, bool),
    ) -> Result<Vec<(ConnectionId, Outgoing)>, Refusal> {
        let Some(swarm) = self.swarms.get(room) else { return Ok(Vec::new()) };
        let Some(old) = swarm.connection(peer).filter(|old| *old != connection) else {
            return Ok(Vec::new());
        };
        if is_visitor && !swarm.is_visitor(peer) {
            return Err(Refusal::replaced());
        }
        Ok(self.refuse_known(now, old, None, Refusal::replaced()))
    }

    /// Makes a connection known that stands for a peer's visit to another room. Nothing is taken of what its address may
    /// have, since the peer's own connection counts. [`rejoin`](Self::rejoin) lets it in.
    pub fn adopt_visitor(&mut self, now: Timestamp, connection: ConnectionId, passport: Passport) {
        let Passport { peer, address, uplink_bps, name, challenge } = passport;
        self.admission.connect_through_another(now, connection);
        let (site, permission, abilities) = (Site::of(address), Permission::All, Abilities::elsewhere());
        let known = Known { peer, site, uplink_bps, name, permission, abilities, challenge, room: 0 };
        self.stages.insert(connection, Stage::Greeted(known));
    }
}

/// The swarm around a room with these peers.
fn around(rooms: &BTreeMap<u32, (u32, u32)>, own: (u32, u32)) -> Around {
    let sum = |of: fn(&(u32, u32)) -> u32| rooms.values().map(of).fold(0, u32::saturating_add);
    Around {
        rooms: u32::try_from(rooms.len()).unwrap_or(u32::MAX),
        seeders: sum(|counts| counts.0).saturating_sub(own.0),
        leechers: sum(|counts| counts.1).saturating_sub(own.1),
    }
}
