//! Chance of the network and of the crowd, from the scenario's seed.

use swarm_core::peer;

/// Draws, the same on every target: integers only, and divisions by powers of two.
#[derive(Debug)]
pub(crate) struct Chance(peer::Chance);

impl Chance {
    /// Another sequence than that of a peer with the same seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(peer::Chance::new(seed ^ 0x5bf0_3635_dcb5_a6e1))
    }

    /// Any number.
    pub(crate) const fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    /// From 0 to below 1.
    pub(crate) const fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0.below(bound)
    }
}
