//! What a peer can say about itself: the numbers that the page, `--json` and the tests show.

use serde::Serialize;

use super::sorted::ByLink;
use crate::id::{LinkId, PeerId, SwarmId};
use crate::tracker_message::{Role, Scarcity};

/// Totals and links of one peer. All byte counts are payload since the start.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// The swarm.
    pub swarm: SwarmId,
    /// Length of the content; 0 until the manifest is known.
    pub bytes_total: u64,
    /// Bytes held, all verified.
    pub bytes_verified: u64,
    /// Verified bytes that came from an initial peer.
    pub from_initial: u64,
    /// Verified bytes that came from other peers.
    pub from_peers: u64,
    /// Verified bytes that came from mirrors.
    pub from_mirrors: u64,
    /// Bytes handed to links.
    pub uploaded: u64,
    /// Bytes that came though they were held already.
    pub duplicate_bytes: u64,
    /// Bytes of proofs received.
    pub proof_bytes: u64,
    /// Whether the tracker's socket is open and it knows us.
    pub is_tracker_up: bool,
    /// Supply and demand of the swarm, if the demand is greater.
    pub scarcity: Option<Scarcity>,
    /// The measured uplink, bytes a second; 0 if not known.
    pub uplink: u64,
    /// Media that a player needs before it plays, and again after a stall, ms.
    pub start_buffer_ms: u32,
    /// Links that are open or being built.
    pub links: Vec<LinkStats>,
    /// Mirrors that are used.
    pub mirrors: Vec<MirrorStats>,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkStats {
    /// Which link of ours it is.
    pub link: LinkId,
    /// The other side.
    pub peer: PeerId,
    /// Its role.
    pub kind: Role,
    /// Estimated rate at which it sends to us, bytes a second; 0 while not known.
    pub rate: u64,
    /// Round-trip time, ms; `None` while not measured.
    pub rtt_ms: Option<u32>,
    /// The state of the link.
    pub state: LinkState,
    /// Verified payload bytes it sent to us.
    pub received: u64,
    /// Payload bytes we sent to it.
    pub sent: u64,
}

/// One mirror.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MirrorStats {
    /// The host that serves the file.
    pub host: String,
    /// The state of the mirror.
    pub state: MirrorState,
    /// Verified bytes that it sent.
    pub received: u64,
    /// Measured rate at which it sends, bytes a second; 0 while not known.
    pub rate: u64,
    /// Its last failure, if it has sent nothing since.
    pub word: Option<String>,
}

/// The state of a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MirrorState {
    /// No fetch is in progress.
    Idle,
    /// A fetch is in progress.
    Fetching,
    /// It failed, and is asked again after a while.
    Failing,
    /// It is not asked again.
    Lost,
}

/// The state of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// The connection is being built.
    Connecting,
    /// Channels are open; the other side's `Hello` is awaited.
    Greeting,
    /// Both know each other.
    Open,
}

/// Payload bytes that came on one link.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Verified, and not held before.
    pub(super) received: u64,
    /// Of these, reported to the tracker.
    pub(super) reported: u64,
}

/// Byte counts since the start.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) from_initial: u64,
    pub(super) from_peers: u64,
    pub(super) from_mirrors: u64,
    pub(super) uploaded: u64,
    pub(super) duplicate_bytes: u64,
    pub(super) proof_bytes: u64,
    pub(super) links: ByLink<Tally>,
}

impl Totals {
    /// New verified bytes came on a link.
    pub(super) fn received(&mut self, link: LinkId, role: Role, bytes: u64) {
        self.links.entry(link, Tally::default).received += bytes;
        match role {
            Role::Initial => self.from_initial += bytes,
            Role::Viewer => self.from_peers += bytes,
        }
    }

    /// Bytes that came on a link since the last report.
    pub(super) fn take_unreported(&mut self, link: LinkId) -> u64 {
        self.links
            .value_mut(link)
            .map_or(0, |tally| tally.received - std::mem::replace(&mut tally.reported, tally.received))
    }
}
