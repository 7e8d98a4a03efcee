//! What an operator asks of a swarm so that viewers learn less of one another.
//!
//! A peer sees the network address of every peer that it is connected with. The tracker decides who is introduced to whom,
//! so it can keep viewers apart; what their browsers tell each other once they are connected is not its affair.

use swarm_core::tracker_message::Role;

use super::refusal::Refusal;

/// The rules of one tracker. The default has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Privacy {
    /// Viewers are introduced to peers only if their person agreed.
    pub is_consent_required: bool,
    /// Signals of viewers name no address but that of a relay.
    pub is_relay_required: bool,
    /// Viewers are introduced to nobody.
    pub is_mirrors_only: bool,
    /// Viewers of a swarm with fewer viewers are introduced to initial peers only.
    pub viewers_min: usize,
}

impl Privacy {
    /// Whether a peer with these capabilities may be introduced to others. Who publishes has made its address known.
    pub(super) fn check(self, role: Role, is_consenting: bool) -> Result<(), Refusal> {
        match role {
            Role::Initial => Ok(()),
            Role::Viewer if self.is_mirrors_only => Err(Refusal::mirrors_only()),
            Role::Viewer if self.is_consent_required && !is_consenting => Err(Refusal::consent_required()),
            Role::Viewer => Ok(()),
        }
    }
}
