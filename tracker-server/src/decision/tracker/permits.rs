//! What the token of a connection lets it do, and until when.

use swarm_core::tracker_message::Role;
use swarm_core::{SwarmId, Timestamp};

use super::super::outgoing::{ConnectionId, Outgoing};
use super::super::refusal::Refusal;
use super::Tracker;
use super::stage::{Permission, Stage};

impl Tracker {
    /// What the token of a connection that has not greeted yet lets it do.
    pub fn permit(&mut self, connection: ConnectionId, found: Permission) {
        if let Some(Stage::Open { permission, .. }) = self.stages.get_mut(&connection) {
            *permission = found;
        }
    }

    /// Until when a connection may stay with the permission that it showed; none if that has no end.
    pub(crate) fn permitted_until(&self, connection: ConnectionId) -> Option<Timestamp> {
        self.stages.get(&connection)?.permitted_until()
    }

    /// Closes a connection whose permission is over, and tells it.
    pub(crate) fn expire(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
    ) -> Vec<(ConnectionId, Outgoing)> {
        match self.permitted_until(connection) {
            Some(until) if now >= until => self.refuse_known(now, connection, None, Refusal::expired()),
            Some(_) | None => Vec::new(),
        }
    }
}

/// A permission may be for one swarm and role.
pub(super) fn check_permission(
    now: Timestamp,
    permission: Permission,
    swarm: SwarmId,
    role: Role,
) -> Result<(), Refusal> {
    match permission {
        Permission::Only(own, as_what, _) if (own, as_what) != (swarm, role) => {
            Err(Refusal::not_permitted("this permission is for another content or another role"))
        }
        Permission::Only(_, _, until) if now >= until => Err(Refusal::expired()),
        Permission::Only(..) | Permission::Unknown | Permission::All | Permission::Refused(_) => Ok(()),
    }
}
