//! Greetings: who may come in, under which id, and what it is told.

use std::collections::hash_map::Entry;

use swarm_core::tracker_message::{TRACKER_VERSION, TrackerMessageBody};
use swarm_core::{Challenge, PeerId, Timestamp};

use super::super::outgoing::{ConnectionId, Outgoing};
use super::super::refusal::Refusal;
use super::{Permission, Tracker, is_same_secret};
use crate::limits::REPORT_INTERVAL_MS;

impl Tracker {
    pub(super) fn check_hello(
        &self,
        version: u16,
        token: Option<&str>,
        found: Permission,
    ) -> Result<(), Refusal> {
        if version != TRACKER_VERSION {
            return Err(Refusal::unsupported_version(version));
        }
        match found {
            Permission::All | Permission::Only(..) => return Ok(()),
            Permission::Refused(reason) => return Err(Refusal::not_permitted(reason)),
            Permission::Unknown => {}
        }
        match &self.config.token {
            Some(expected) if !is_same_secret(expected, token.unwrap_or_default()) => {
                Err(Refusal::forbidden())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The id of the peer: its old one if it can show that, which ends an old connection; else a new one. The old connection of
    /// a peer that moves stands until it joins.
    pub(super) fn identify(
        &mut self,
        now: Timestamp,
        (connection, is_moving): (ConnectionId, bool),
        resume: Option<&str>,
        outgoing: &mut Vec<(ConnectionId, Outgoing)>,
    ) -> PeerId {
        if let Some(peer) = resume.and_then(|token| self.config.resume_key.peer(token)) {
            if !is_moving {
                self.replace(now, peer, outgoing);
            }
            self.connections.entry(peer).or_insert(connection);
            return peer;
        }
        loop {
            let peer = PeerId(self.rng.u64(..));
            if let Entry::Vacant(free) = self.connections.entry(peer) {
                free.insert(connection);
                return peer;
            }
        }
    }

    /// Ends the connection that a peer has, since it came back on another.
    pub(super) fn replace(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        outgoing: &mut Vec<(ConnectionId, Outgoing)>,
    ) {
        if let Some(old) = self.connections.get(&peer).copied() {
            outgoing.extend(self.refuse_known(now, old, None, Refusal::replaced()));
        }
    }

    pub(super) fn welcome(&self, peer: PeerId, challenge: Challenge) -> TrackerMessageBody {
        TrackerMessageBody::Welcome {
            version: TRACKER_VERSION,
            peer,
            resume: self.config.resume_key.token(peer),
            challenge,
            ice_servers: self.config.ice_servers.clone(),
            report_interval_ms: REPORT_INTERVAL_MS,
        }
    }
}
