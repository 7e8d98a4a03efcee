//! How far a connection has come.

use swarm_core::publisher::TrackerName;
use swarm_core::tracker_message::Role;
use swarm_core::{Challenge, PeerId, SwarmId, Timestamp};

use super::super::network::Site;
use super::super::room::Room;
use super::abilities::Abilities;

/// What the token of a connection lets it do, as the edge of the tracker found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Nothing was found out: [`TrackerConfig::token`](super::TrackerConfig::token) decides.
    Unknown,
    /// Everything.
    All,
    /// Joining this swarm as that, until then.
    Only(SwarmId, Role, Timestamp),
    /// Nothing, for this reason.
    Refused(&'static str),
}

/// A peer that is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) peer: PeerId,
    pub(super) site: Site,
    pub(super) uplink_bps: u64,
    /// What the peer calls the tracker by.
    pub(super) name: TrackerName,
    pub(super) permission: Permission,
    pub(super) abilities: Abilities,
    /// What an initial peer signs.
    pub(super) challenge: Challenge,
    /// Number of the room to which it was sent.
    pub(super) room: u32,
}

/// How far a connection has come. `name` is what the peer calls the tracker by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    /// Open; `hello` is awaited.
    Open { site: Site, name: TrackerName, permission: Permission },
    /// The peer is known; it may join a swarm.
    Greeted(Known),
    /// The peer is in a swarm.
    Joined { known: Known, room: Room },
    /// The peer was in a swarm.
    Left { peer: PeerId },
}

impl Stage {
    /// Until when the connection may stay; none if that has no end.
    pub(super) const fn permitted_until(self) -> Option<Timestamp> {
        match self {
            Self::Greeted(Known { permission: Permission::Only(_, _, until), .. })
            | Self::Joined { known: Known { permission: Permission::Only(_, _, until), .. }, .. } => {
                Some(until)
            }
            Self::Open { .. } | Self::Greeted(_) | Self::Joined { .. } | Self::Left { .. } => None,
        }
    }

    pub(super) const fn peer(self) -> Option<PeerId> {
        match self {
            Self::Open { .. } => None,
            Self::Greeted(known) | Self::Joined { known, .. } => Some(known.peer),
            Self::Left { peer } => Some(peer),
        }
    }
}
