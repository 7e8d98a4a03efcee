//! Relays (TURN, RFC 8656): what the `webrtc` crate sends them and hears from them, corrected on the way.
//!
//! ```text
//! connection ── PatientSocket ── RelaySocket ──┬── socket of the connection, or its part of a shared port
//!                                              └── on a shared port: a socket of its own for relays
//! ```
//! The crate has three faults here, each of which costs the whole path:
//!
//! * **A stale nonce** (error 438). The server sends a new nonce and expects the request again. The crate keeps the
//!   nonce and drops the request. For a binding of a channel it then takes another channel number, which the server
//!   refuses as long as the first is bound. [`requests`] signs the request again with the new nonce and sends it;
//!   the crate sees only the last answer. RFC 8489, section 9.2.5.
//! * **Addresses that a relay cannot reach.** The crate asks for a permission for every candidate of the other side,
//!   the private ones included. coturn closes an allocation when its kernel refuses to send one datagram of it, so one
//!   such address ends all paths through the relay. [`reach`] says which addresses are not asked for.
//! * **Shared ports.** A relay knows an allocation by the address that asked for it, so connections that share a port
//!   would share one allocation. [`socket`] gives each its own socket for relays.
//!
//! TURN over TCP and TLS is not here: the crate skips such servers.

mod message;
mod reach;
mod requests;
mod socket;

pub(super) use socket::RelaySocket;

use std::fmt;

use swarm_core::tracker_message::IceServer;

/// A user of a relay.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    /// The name; requests carry it.
    pub(crate) username: String,
    /// What requests are signed with, together with the name and the server's realm.
    pub(crate) password: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The users of the relays among these servers.
pub(crate) fn credentials(servers: &[IceServer]) -> Vec<Credential> {
    let relays = servers.iter().filter(|server| server.urls.iter().any(|url| url.starts_with("turn")));
    let users = relays.filter_map(|server| {
        Some(Credential { username: server.username.clone()?, password: server.credential.clone()? })
    });
    users.collect()
}
