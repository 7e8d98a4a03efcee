//! Signals on their way from one peer to another.
//!
//! They pass along links that the tracker made, within a budget for each link. What a peer sends beyond it, or to a
//! neighbour that does not read, is refused; the receiver never pays for it.

use swarm_core::tracker_message::{PeerRequestBody, Role, Signal, TrackerMessageBody};
use swarm_core::{PeerId, Timestamp};

use super::super::admission::Admission;
use super::super::graph::SignalVerdict;
use super::super::network::Subnet;
use super::super::outgoing::{ConnectionId, Outgoing};
use super::super::refusal::Refusal;
use super::super::swarm::Swarm;
use super::stage::Stage;
use super::{Met, Tracker};

/// Whom a signal is for, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receiver {
    /// The neighbour.
    pub peer: PeerId,
    /// Its connection.
    pub connection: ConnectionId,
    /// The network of the sender.
    pub sender: Subnet,
}

impl Tracker {
    /// Whether the connections of a peer that joined must go through relays: a viewer's, if the operator asks for that.
    pub(crate) fn is_relay_required(&self, connection: ConnectionId) -> bool {
        let Some(Stage::Joined { known, room }) = self.stages.get(&connection) else { return false };
        let role = self.swarms.get(*room).and_then(|swarm| swarm.role(known.peer));
        self.config.privacy.is_relay_required && role == Some(Role::Viewer)
    }

    /// What a request would be passed on to: a neighbour which is sent a signal.
    pub(crate) fn receiver(&self, connection: ConnectionId, body: &PeerRequestBody) -> Option<Receiver> {
        let (PeerRequestBody::Signal { to, .. }, Some(Stage::Joined { known, room })) =
            (body, self.stages.get(&connection))
        else {
            return None;
        };
        let receiver = self.swarms.get(*room)?.neighbour(known.peer, *to)?;
        Some(Receiver { peer: *to, connection: receiver, sender: known.site.subnet() })
    }

    /// A connection sent a signal for `to`, which is so far behind with reading that it is not passed on.
    pub(crate) fn handle_busy_receiver(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        id: u32,
        to: PeerId,
    ) -> Vec<(ConnectionId, Outgoing)> {
        if !self.stages.contains_key(&connection) {
            return Vec::new();
        }
        let refusal = match self.admission.admit(now, connection, 1) {
            Err(refusal) => refusal,
            Ok(()) => Refusal::busy_receiver(to),
        };
        self.refuse_known(now, connection, Some(id), refusal)
    }
}

/// Passes a signal on along a link that the tracker made, within the budget of that link. If links are to be relayed, a
/// viewer's signals lose every address but that of a relay.
pub(super) fn relay(
    swarm: &mut Swarm,
    admission: &mut Admission,
    now: Timestamp,
    (connection, from): (ConnectionId, PeerId),
    (to, signal, is_relayed): (PeerId, Signal, bool),
) -> Met {
    let receiver = swarm.connection(to).ok_or_else(|| Refusal::unknown_peer(to))?;
    match swarm.admit_signal(now, from, to, signal.len_bytes()) {
        SignalVerdict::Pass => {
            let is_hidden = is_relayed && swarm.role(from) == Some(Role::Viewer);
            let signal = if is_hidden { signal.relayed() } else { Some(signal) };
            let passed_on = signal.map(|signal| (receiver, TrackerMessageBody::Signal { from, signal }));
            Ok((TrackerMessageBody::Ok, passed_on.into_iter().collect()))
        }
        SignalVerdict::NoLink => Err(Refusal::no_link(to)),
        SignalVerdict::Overrun(retry_after_ms) => {
            Err(Refusal::signal_overrun(to, retry_after_ms, admission.note_overrun(connection)))
        }
    }
}
