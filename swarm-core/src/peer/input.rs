//! The inputs that a driver gives the peer.

use std::sync::Arc;

use bytes::Bytes;

use crate::group_set::GroupSet;
use crate::id::{LinkId, ReaderId, SwarmId};
use crate::manifest::Manifest;
use crate::peer::mirrors::{FetchId, MirrorError};
use crate::peer::outposts::OutpostId;
use crate::peer_message::{DataMessage, PeerDecodeError, PeerMessage};
use crate::publisher::{SecretKey, TrackerName};
use crate::tracker_message::{Role, Signal, TrackerMessage};
use crate::tree::HashTree;

/// How much of the content a peer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appetite {
    /// All of it.
    Everything,
    /// A look-ahead from the playhead on, or as much of it as `budget_bytes` of storage can hold.
    Viewer {
        /// Bytes that may be held at a time.
        budget_bytes: u64,
        /// Whether the person keeps the content: then the look-ahead is no bound, only the budget is.
        is_kept: bool,
    },
}

/// How much a peer may upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadLimit {
    /// As much as the network takes.
    Unlimited,
    /// At most this many bits a second, over all links.
    BitsPerSecond(u64),
    /// Nothing: requests are rejected.
    Off,
}

/// How much of its uplink an initial peer gives. Deadlines of players are met in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Economy {
    /// Beyond 1⅛ copies it leaves background to viewers.
    #[default]
    Thrifty,
    /// All of the uplink.
    Generous,
}

/// Which of the mirrors that a manifest names are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MirrorUse {
    /// None.
    #[default]
    Off,
    /// Those whose addresses are not in a private network: a stranger's manifest must not cause requests there.
    Public,
    /// All.
    All,
}

/// What the person said about connections with other peers, which then see this device's network address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consent {
    /// The person agrees; a tracker that asks for consent is told so.
    #[default]
    Given,
    /// The person has not been asked. Most trackers do not require it.
    Open,
    /// The person refuses: the peer connects to no tracker and uses only mirrors.
    Refused,
}

/// The key with which an initial peer proves its role, and its trackers.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// The key that the manifest names.
    pub key: SecretKey,
    /// The tracker, by the name that this peer calls it by.
    pub tracker: TrackerName,
    /// Further trackers at which the peer serves as well.
    pub outposts: Vec<TrackerName>,
}

/// The configuration of a peer. Fixed for its lifetime.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// The swarm to join.
    pub swarm: SwarmId,
    /// The peer's role in the swarm.
    pub role: Role,
    /// The manifest, if it is known already (always, for an initial peer).
    pub manifest: Option<Arc<Manifest>>,
    /// Proves that the peer is the publisher's; of an initial peer always.
    pub publisher: Option<Publisher>,
    /// Seed of every choice that is made by chance.
    pub seed: u64,
    /// How much of the content is wanted.
    pub appetite: Appetite,
    /// How much may be uploaded.
    pub upload: UploadLimit,
    /// Upload capacity known from an earlier run, bytes a second.
    pub uplink_hint: Option<u64>,
    /// Permission to use a closed tracker.
    pub token: Option<String>,
    /// Of an initial peer, how much it gives beyond injection and deadlines.
    pub economy: Economy,
    /// Which mirrors are used.
    pub mirrors: MirrorUse,
}

impl PeerConfig {
    /// A viewer that wants everything and passes on as much as the network takes. `seed`: a random number.
    pub fn viewer(swarm: SwarmId, seed: u64) -> Self {
        Self {
            swarm,
            role: Role::Viewer,
            manifest: None,
            publisher: None,
            seed,
            appetite: Appetite::Everything,
            upload: UploadLimit::Unlimited,
            uplink_hint: None,
            token: None,
            economy: Economy::default(),
            mirrors: MirrorUse::Off,
        }
    }
}

/// Why a manifest could not be fetched over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// The tracker answered that it has none of this id.
    NotFound,
    /// It never will be: this peer has no right to it. In words that say what to do.
    Refused(String),
    /// Anything else, in words.
    Failed(String),
}

/// Why a manifest was not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishError {
    /// It never will be: the publisher lacks a right, or its manifest is no good. In words that say what to do.
    Refused(String),
    /// It may be published later; in words.
    Failed(String),
}

/// Something that happened at an outpost.
#[derive(Debug, Clone)]
pub enum OutpostInput {
    /// The socket that was asked for is open.
    Open,
    /// The socket closed, or could not be opened; in words.
    Closed(String),
    /// The tracker sent a message.
    Message(TrackerMessage),
    /// Answers `Publish`.
    Published(Result<(), PublishError>),
}

/// Something that happened on the connection of a move.
#[derive(Debug, Clone)]
pub enum MoveInput {
    /// The socket that was asked for is open.
    Open,
    /// The tracker there sent a message.
    Message(TrackerMessage),
    /// The socket closed, could not be opened, or may not be: the address is not to be trusted.
    Closed,
}

/// Something that happened outside.
#[derive(Debug, Clone)]
pub enum Input {
    /// Begin: connect to the tracker and get the manifest. Once, first.
    Start,
    /// Leave the swarm: close links, tell the tracker. Afterwards the driver only carries out the outputs that it polls.
    Stop,

    /// The socket that `ConnectTracker` asked for is open.
    TrackerOpen,
    /// The socket closed, or could not be opened; in words.
    TrackerClosed(String),
    /// The tracker sent a message.
    Tracker(TrackerMessage),
    /// The next socket will be to another tracker than the last one, with this permission. The new tracker sees nothing
    /// that the last one gave.
    TrackerMoved {
        /// Permission to use it, if it is closed.
        token: Option<String>,
    },
    /// Something happened on the way to the tracker that the tracker in use names.
    Move(MoveInput),
    /// Something happened at a tracker of [`Publisher::outposts`].
    Outpost(OutpostId, OutpostInput),
    /// Answers `FetchManifest`.
    ManifestFetched(Result<Bytes, FetchError>),
    /// Answers `PublishManifest`.
    ManifestPublished(Result<(), PublishError>),

    /// The connection of a link produced an offer, an answer or a candidate for the other side.
    LocalSignal(LinkId, Signal),
    /// Both channels of a link are open.
    LinkOpen(LinkId),
    /// A link's connection failed or was closed by the other side; in words.
    LinkClosed(LinkId, String),
    /// A message arrived on a link's control channel.
    Control(LinkId, PeerMessage),
    /// A message arrived on a link's data channel.
    Data(LinkId, DataMessage),
    /// A frame arrived on a link that is no message.
    Malformed(LinkId, PeerDecodeError),
    /// The bytes of a link's data channel that are still buffered, after some left: sent whenever the
    /// amount falls to the low-water mark, and may be sent more often.
    Buffered(LinkId, u64),

    /// The store for the content of `Event::ManifestReady` is open; what it holds already, verified.
    StoreReady {
        /// Groups held.
        held: GroupSet,
        /// The tree as far as it is known: for every group held, its path to the root.
        tree: Box<HashTree>,
    },
    /// Groups that the store lost or cannot read; they are no longer announced. In words.
    StoreFailed(crate::group::GroupRange, String),

    /// Answers `FetchRange`: the bytes of the range, or why they did not come.
    Fetched(FetchId, Result<Bytes, MirrorError>),

    /// A player or program reads from `group` on.
    ReaderAt {
        /// Which reader; a new one opens.
        reader: ReaderId,
        /// Next group that it needs.
        group: u32,
        /// Media that it has buffered beyond what plays, ms: how long it can wait for `group`.
        ahead_ms: u32,
    },
    /// A reader ended.
    ReaderClosed(ReaderId),
    /// The person or program changed how much may be uploaded.
    Upload(UploadLimit),
    /// The person's choice about connections with other peers. Before `Start`: an earlier choice.
    Consent(Consent),
    /// The person began or ceased to keep the content, or the size of the storage has changed.
    Appetite(Appetite),
}

impl Input {
    /// Whether an input comes by the thousand and changes little. Its handler then notes in the agenda which decisions
    /// depend on it.
    pub(in crate::peer) const fn schedules_own_work(&self) -> bool {
        matches!(
            self,
            Self::Data(..)
                | Self::Buffered(..)
                | Self::LocalSignal(..)
                | Self::Control(
                    _,
                    PeerMessage::Have { .. }
                        | PeerMessage::Request { .. }
                        | PeerMessage::Hasten { .. }
                        | PeerMessage::Cancel { .. }
                        | PeerMessage::Ping { .. }
                        | PeerMessage::Pong { .. }
                        | PeerMessage::Status { .. }
                )
        )
    }
}
