//! The capabilities of a `hello`.

use swarm_core::tracker_message::{CONSENT, MOVE, MOVING};

/// What a `hello` says that its peer can do, or may be done with it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Abilities {
    /// Whether its person agreed to connections with other peers.
    pub(super) is_consenting: bool,
    /// Whether it goes to another tracker when it is told to.
    pub(super) can_move: bool,
    /// Whether it does so now: it keeps its links, and its other connection until it is in the swarm on this one.
    pub(super) is_moving: bool,
}

impl Abilities {
    pub(super) fn of(capabilities: &[String]) -> Self {
        let has = |name| capabilities.iter().any(|capability| capability == name);
        Self { is_consenting: has(CONSENT), can_move: has(MOVE), is_moving: has(MOVING) }
    }

    /// Of a peer whose socket is at another tracker, which looked after all this.
    pub(super) const fn elsewhere() -> Self {
        Self { is_consenting: true, can_move: false, is_moving: false }
    }
}
