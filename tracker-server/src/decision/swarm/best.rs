//! Who connects a swarm with the peers of another tracker.

use std::cmp::Reverse;

use swarm_core::limits::RUNS_MAX;
use swarm_core::tracker_message::Role;

use super::super::outgoing::ConnectionId;
use super::super::tracker::Standing;
use super::Swarm;

impl Swarm {
    /// Initial peers, then those with the largest uplinks.
    pub(in super::super) fn best(
        &self,
        count: usize,
        eligible: impl Fn(ConnectionId) -> bool,
    ) -> Vec<(ConnectionId, Standing)> {
        let eligible =
            self.directory.iter().filter(|(_, record)| !record.is_visitor && eligible(record.connection));
        let mut found: Vec<_> = eligible.collect();
        found.sort_unstable_by_key(|(peer, record)| {
            (Reverse(record.role == Role::Initial), Reverse(record.uplink_bps), *peer)
        });
        let standing = |record: &super::super::directory::Record| Standing {
            have: record.have.runs(RUNS_MAX),
            uplink_bps: record.uplink_bps,
            playhead: record.playhead,
        };
        found.into_iter().take(count).map(|(_, record)| (record.connection, standing(record))).collect()
    }
}
