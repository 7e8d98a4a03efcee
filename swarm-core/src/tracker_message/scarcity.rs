//! A shortage, as the tracker tells it.

use serde::{Deserialize, Serialize};

/// A swarm whose peers together can send less than its players need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scarcity {
    /// What the uplinks of those who are present carry together, bits a second.
    pub supply_bps: u64,
    /// What the players need together, bits a second.
    pub demand_bps: u64,
}

impl Scarcity {
    /// Whether the other numbers say something else: one differs by more than a quarter.
    pub(crate) fn is_unlike(self, other: Self) -> bool {
        let is_far = |one: u64, other: u64| one.abs_diff(other) > one / 4;
        is_far(self.supply_bps, other.supply_bps) || is_far(self.demand_bps, other.demand_bps)
    }
}
