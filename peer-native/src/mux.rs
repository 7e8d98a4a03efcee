//! One UDP port for all connections of a process, so that a publisher opens one port in a firewall.
//!
//! ```text
//! connection ── MuxSocket ──┐                        ┌── inbox ── MuxSocket ── connection
//! connection ── MuxSocket ──┼─→ one real socket ─→ table ── inbox ── MuxSocket ── connection
//!                           │    an address family
//! ```
//! The `webrtc` crate binds sockets of its own for each connection; its runtime is where they are exchanged for
//! [`MuxSocket`]s, which keep the local address that the crate knows, so that nothing inside a connection notices.
//! What the other side is told is the port's own number (`network::candidate`).
//!
//! Owns the real sockets and who is told of what. Whether a message is authentic is the connection's to check.

mod inbox;
mod port;
mod socket;
mod stun;
mod table;

pub use port::PortError;
pub(crate) use port::{Membership, SharedPort};
pub(crate) use socket::MuxSocket;
#[cfg(test)]
pub(crate) use stun::tests::message as stun_message;
