//! Why a request is refused, in the words a peer and its person read.

use swarm_core::publisher::TrackerName;
use swarm_core::tracker_message::{ErrorCode, TRACKER_VERSION, TrackerDecodeError};
use swarm_core::{PeerId, SwarmId};

use super::outgoing::CloseReason;
use crate::limits::{
    BUSY_RECEIVER_RETRY_MS, FULL_RETRY_MS, REMOVED_RETRY_MS, UNAVAILABLE_RETRY_MS, UNKNOWN_SWARM_RETRY_MS,
};

/// What a viewer hears whose permission is over.
pub(crate) const EXPIRED: &str =
    "the permission to watch has expired; ask for a new link where you got this one";

/// What a publisher hears who calls this tracker by a name that it does not know as its own.
pub(crate) const UNNAMED: &str = "this tracker does not know the name that you call it by, so that it cannot tell whether a signature was meant \
    for it; its operator gives it the name with --public-host";

/// A request that is not met. Becomes an `error` message, and the end of the connection where `close` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) text: String,
    pub(super) retry_after_ms: Option<u32>,
    pub(super) close: Option<CloseReason>,
}

impl Refusal {
    fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), retry_after_ms: None, close: None }
    }

    fn retry(self, after_ms: u32) -> Self {
        Self { retry_after_ms: Some(after_ms), ..self }
    }

    fn close(self, reason: CloseReason) -> Self {
        Self { close: Some(reason), ..self }
    }

    pub(super) fn bad_request(text: &str) -> Self {
        Self::new(ErrorCode::BadRequest, text)
    }

    /// A frame that is no request. One that breaks the size limit ends the connection.
    pub(super) fn undecodable(error: &TrackerDecodeError) -> Self {
        let refusal = Self::new(ErrorCode::BadRequest, error.to_string());
        if let TrackerDecodeError::TooLong(_) = error { refusal.close(CloseReason::TooLong) } else { refusal }
    }

    pub(super) fn unsupported_version(version: u16) -> Self {
        let text =
            format!("this tracker speaks protocol version {TRACKER_VERSION}; the peer speaks {version}");
        Self::new(ErrorCode::UnsupportedVersion, text).close(CloseReason::Version)
    }

    /// A permission that is missing, over, or for something else.
    pub(super) fn not_permitted(text: &str) -> Self {
        Self::new(ErrorCode::Forbidden, text).close(CloseReason::Forbidden)
    }

    /// A permission that is over, for a peer that was let in with it.
    pub(super) fn expired() -> Self {
        Self::new(ErrorCode::Forbidden, EXPIRED).close(CloseReason::Expired)
    }

    pub(super) fn forbidden() -> Self {
        Self::new(ErrorCode::Forbidden, CloseReason::Forbidden.text()).close(CloseReason::Forbidden)
    }

    /// A viewer whose person has to be asked first.
    pub(super) fn consent_required() -> Self {
        let text =
            "this tracker connects only viewers who agreed that other viewers see their network address";
        Self::new(ErrorCode::ConsentRequired, text).close(CloseReason::Withheld)
    }

    /// A viewer of a tracker that connects none.
    pub(super) fn mirrors_only() -> Self {
        let text = "this tracker connects no viewers; what it lists comes from mirrors";
        Self::new(ErrorCode::MirrorsOnly, text).close(CloseReason::Withheld)
    }

    /// A role that was not proven, to a tracker that is called so.
    pub(super) fn unproven(tracker: TrackerName) -> Self {
        if tracker == TrackerName::UNKNOWN {
            return Self::new(ErrorCode::Forbidden, UNNAMED).close(CloseReason::Forbidden);
        }
        let text = "joining as an initial peer takes a signature by the publisher's key, made for this connection \
                    and for the name that this tracker has; seed with the key that published this (--key)";
        Self::new(ErrorCode::Forbidden, text).close(CloseReason::Forbidden)
    }

    /// A swarm whose publisher took it off this tracker.
    pub(super) fn removed(swarm: SwarmId) -> Self {
        let text = format!("the publisher took {swarm} off this tracker");
        Self::new(ErrorCode::UnknownSwarm, text).retry(REMOVED_RETRY_MS)
    }

    pub(super) fn replaced() -> Self {
        Self::new(ErrorCode::Forbidden, CloseReason::Replaced.text()).close(CloseReason::Replaced)
    }

    pub(super) fn unknown_swarm(swarm: SwarmId) -> Self {
        let text = format!("no content {swarm} is published here; its publisher may not be running");
        Self::new(ErrorCode::UnknownSwarm, text).retry(UNKNOWN_SWARM_RETRY_MS)
    }

    pub(super) fn unknown_peer(peer: PeerId) -> Self {
        Self::new(ErrorCode::UnknownPeer, format!("no peer {peer} is in this swarm"))
    }

    /// A signal to a peer that the tracker did not introduce, or no longer.
    pub(super) fn no_link(peer: PeerId) -> Self {
        let text = format!("signals go to neighbours only: this tracker made no link with {peer}");
        Self::new(ErrorCode::UnknownPeer, text)
    }

    /// A signal beyond the budget of its link.
    pub(super) fn signal_overrun(peer: PeerId, retry_after_ms: u32, is_flooding: bool) -> Self {
        let text = format!("too many bytes of signals for {peer}; a connection takes a tenth of this");
        let refusal = Self::new(ErrorCode::RateLimited, text).retry(retry_after_ms);
        if is_flooding { refusal.close(CloseReason::Flooding) } else { refusal }
    }

    /// A signal to a neighbour for which too much waits already.
    pub(super) fn busy_receiver(peer: PeerId) -> Self {
        let text = format!("{peer} does not read its messages fast enough; the signal was not passed on");
        Self::new(ErrorCode::RateLimited, text).retry(BUSY_RECEIVER_RETRY_MS)
    }

    pub(super) fn swarm_full(is_initial: bool) -> Self {
        let text = if is_initial { "the swarm has enough initial peers" } else { "the swarm is full" };
        Self::new(ErrorCode::Full, text).retry(FULL_RETRY_MS)
    }

    /// Something that works again soon.
    pub(super) fn unavailable(text: &str) -> Self {
        Self::new(ErrorCode::Unavailable, text).retry(UNAVAILABLE_RETRY_MS)
    }

    pub(super) fn crowded() -> Self {
        let text = "your address or network has enough peers in this swarm";
        Self::new(ErrorCode::Full, text).retry(FULL_RETRY_MS)
    }

    pub(super) fn address_full() -> Self {
        let text = "too many connections from one address";
        Self::new(ErrorCode::Full, text).retry(FULL_RETRY_MS).close(CloseReason::Full)
    }

    pub(super) fn rate_limited(retry_after_ms: u32, is_flooding: bool) -> Self {
        let refusal = Self::new(ErrorCode::RateLimited, "too many messages").retry(retry_after_ms);
        if is_flooding { refusal.close(CloseReason::Flooding) } else { refusal }
    }
}
