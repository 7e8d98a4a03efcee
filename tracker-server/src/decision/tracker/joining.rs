//! How a peer comes into a swarm: as a newcomer, or on another connection than the one on which it is there.

use swarm_core::publisher::Signature;
use swarm_core::tracker_message::{Role, TrackerMessageBody};
use swarm_core::{SwarmId, Timestamp};

use super::super::directory::Newcomer;
use super::super::outgoing::{CloseReason, ConnectionId, Outgoing};
use super::super::refusal::Refusal;
use super::super::room::Room;
use super::permits::check_permission;
use super::stage::{Known, Stage};
use super::{Met, Notices, Tracker};

impl Tracker {
    pub(super) fn let_in(
        &mut self,
        now: Timestamp,
        (swarm, newcomer): (SwarmId, Newcomer),
        (known, proof): (Known, Option<Signature>),
        outgoing: &mut Vec<(ConnectionId, Outgoing)>,
    ) -> Met {
        let Newcomer { peer, connection, role, is_visitor, .. } = newcomer;
        check_permission(now, known.permission, swarm, role)?;
        self.config.privacy.check(role, known.abilities.is_consenting)?;
        let room = Room::new(swarm, known.room);
        if known.abilities.is_moving {
            if let Some(body) = self.take_over(now, room, (known, &newcomer), outgoing) {
                return Ok((body, Notices::new()));
            }
            if self.connections.get(&peer) != Some(&connection) {
                self.replace(now, peer, outgoing);
            }
            self.connections.insert(peer, connection);
        }
        outgoing.extend(self.make_way(now, room, (peer, connection, is_visitor))?);
        self.join(now, room, newcomer, (known, proof))
    }

    /// The room that a viewer which moves here is in, on its other connection.
    pub(crate) fn room_of_moving(&self, connection: ConnectionId, swarm: SwarmId) -> Option<Room> {
        let Some(Stage::Greeted(known)) = self.stages.get(&connection) else { return None };
        let old = self.connections.get(&known.peer).filter(|_| known.abilities.is_moving)?;
        self.joined_room(*old).filter(|room| room.swarm == swarm)
    }

    /// A viewer that is in the room comes on another connection. It keeps its place and its links, and nobody is told. None if it is
    /// not in the room.
    fn take_over(
        &mut self,
        now: Timestamp,
        room: Room,
        (known, newcomer): (Known, &Newcomer),
        outgoing: &mut Vec<(ConnectionId, Outgoing)>,
    ) -> Option<TrackerMessageBody> {
        let Newcomer { peer, connection, role, .. } = *newcomer;
        let old = self.connections.get(&peer).copied().filter(|old| *old != connection)?;
        let swarm = self.swarms.room_mut(room)?;
        let is_there = swarm.connection(peer) == Some(old) && !swarm.is_visitor(peer);
        if !is_there || role != Role::Viewer || swarm.role(peer) != Some(Role::Viewer) {
            return None;
        }
        swarm.reconnect(peer, connection, &newcomer.have);
        let body = swarm.state(now, peer);
        self.admission.disconnect(now, old);
        self.stages.remove(&old);
        self.stages.insert(connection, Stage::Joined { known, room });
        self.connections.insert(peer, connection);
        outgoing.push((old, Outgoing::Close(CloseReason::Moved)));
        Some(body)
    }

    fn join(
        &mut self,
        now: Timestamp,
        room: Room,
        newcomer: Newcomer,
        (known, proof): (Known, Option<Signature>),
    ) -> Met {
        let Newcomer { peer, connection, role, site, .. } = newcomer;
        if role == Role::Initial {
            self.swarms.check_initial(room.swarm, known.name, known.challenge, proof)?;
        }
        let swarm = self.swarms.joinable(room)?;
        if !swarm.has_room(role) {
            return Err(Refusal::swarm_full(role == Role::Initial));
        }
        if !swarm.has_room_for(site) {
            return Err(Refusal::crowded());
        }
        if role == Role::Initial {
            self.admission.widen(now, connection);
        }
        let notices = swarm.join(now, newcomer, &mut self.rng);
        self.stages.insert(connection, Stage::Joined { known, room });
        Ok((swarm.state(now, peer), notices))
    }
}
