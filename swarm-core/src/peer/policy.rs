//! The method, or the method without one of its parts: what the simulator compares.
//!
//! Real peers follow [`Policy::default`]. Every other value exists to show what a part is worth
//! (docs/method.md, ablations), so that no claim about the method rests on belief.

use super::unit::Unit;

/// In which order groups that are not urgent are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Window, then the author's order, then the rarest of a sample.
    #[default]
    Method,
    /// Any.
    Random,
    /// The rarest of all that is lacking.
    Rarest,
    /// The first that is lacking.
    Sequential,
}

/// Which parts of the method a peer follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Whether an initial peer injects.
    pub has_injection: bool,
    /// The order of background requests.
    pub order: Order,
    /// What must be held together before any of it is announced: the unit of forwarding.
    pub forward: Unit,
    /// Whether anything is urgent.
    pub has_urgent: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { has_injection: true, order: Order::Method, forward: Unit::GROUP, has_urgent: true }
    }
}
