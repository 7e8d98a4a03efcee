//! Why a tracker refuses, for programs; part of [`tracker_message`](crate::tracker_message).

use serde::{Deserialize, Serialize};

/// Why a tracker refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not a message, or one at the wrong time.
    BadRequest,
    /// The protocol version is not spoken here.
    UnsupportedVersion,
    /// No manifest and no peer of this swarm is known.
    UnknownSwarm,
    /// The peer named is not in the swarm.
    UnknownPeer,
    /// The token is missing or wrong.
    Forbidden,
    /// Too many messages; wait `retry_after_ms`.
    RateLimited,
    /// The swarm or the tracker is full; wait `retry_after_ms`.
    Full,
    /// The tracker is stopping or failed.
    Unavailable,
    /// The tracker connects only viewers whose person agreed to that; ask, then say `consent` in `hello`.
    ConsentRequired,
    /// The tracker connects no viewers. The content comes from mirrors.
    MirrorsOnly,
    /// A code of a later version.
    #[serde(other)]
    Unknown,
}
