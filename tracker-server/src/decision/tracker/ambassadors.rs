//! Peers of one tracker that take part in a swarm at another one as well, which shares nothing else with it.

use swarm_core::SwarmId;
use swarm_core::tracker_message::SegmentRun;

use super::super::outgoing::ConnectionId;
use super::stage::Stage;
use super::{Passport, Tracker};

/// How a peer stands, as a viewer: another tracker is shown no proof that it is more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Segments that it holds.
    pub have: Vec<SegmentRun>,
    /// Its upload capacity, bits a second; 0 if not known.
    pub uplink_bps: u64,
    /// Segment that it plays.
    pub playhead: Option<u32>,
}

/// A peer that can be sent to another tracker: who it is, and how it stands.
pub(crate) type Candidate = (ConnectionId, Passport, Standing);

impl Tracker {
    /// The peers of a swarm's first room that connect two groups of peers best: initial peers, then those with the largest uplinks. At most
    /// `count` of those that are `eligible`.
    pub(crate) fn ambassadors(
        &self,
        swarm_id: SwarmId,
        count: usize,
        eligible: impl Fn(ConnectionId) -> bool,
    ) -> Vec<Candidate> {
        let Some(swarm) = self.swarms.get(swarm_id.into()) else { return Vec::new() };
        let best = swarm.best(count, eligible).into_iter();
        best.filter_map(|(connection, standing)| match self.stages.get(&connection)? {
            Stage::Joined { known, .. } => Some((connection, known.passport(), standing)),
            Stage::Open { .. } | Stage::Greeted(_) | Stage::Left { .. } => None,
        })
        .collect()
    }
}
