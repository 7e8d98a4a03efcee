//! How much there is of what: for the catalogue and the metrics.

use super::super::balance::Balance;
use super::super::swarm::Swarm;
use super::Tracker;

impl Tracker {
    /// Seeders and leechers of a swarm, in all rooms that are decided upon here.
    #[cfg(test)]
    pub(crate) fn counts(&self, swarm: swarm_core::SwarmId) -> (u32, u32) {
        let add =
            |sum: (u32, u32), room: (u32, u32)| (sum.0.saturating_add(room.0), sum.1.saturating_add(room.1));
        self.rooms(swarm).map(|(_, counts)| counts).fold((0, 0), add)
    }

    /// What the peers of all swarms can send together and what their players need, bits a second; and how many swarms have
    /// less than they need.
    pub(crate) fn balance(&self) -> (u64, u64, usize) {
        let balances = || self.swarms.iter().map(Swarm::balance);
        let supply_bps = balances().map(Balance::supply_bps).fold(0, u64::saturating_add);
        let demand_bps = balances().map(Balance::demand_bps).fold(0, u64::saturating_add);
        (supply_bps, demand_bps, balances().filter(|balance| balance.scarcity().is_some()).count())
    }

    /// Number of peers that have greeted.
    pub fn peer_count(&self) -> usize {
        self.connections.len()
    }
}
