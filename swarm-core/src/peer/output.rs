//! The outputs of a peer, which its driver carries out.

use std::sync::Arc;

use bytes::Bytes;

use crate::group::GroupRange;
use crate::id::LinkId;
use crate::manifest::Manifest;
use crate::peer::mirrors::{FetchId, RangeFetch};
use crate::peer::outposts::OutpostId;
use crate::peer_message::{DataHead, PeerMessage};
use crate::tracker_message::{IceServer, PeerRequest, Scarcity, Signal};
use crate::tree::Verified;

/// Something the driver is to do at an outpost.
#[derive(Debug)]
pub enum OutpostOutput {
    /// Open a WebSocket; answer `Open` or `Closed`.
    Connect,
    /// Close the WebSocket if it is open. No answer is expected.
    Disconnect,
    /// Send this on the open WebSocket. If it is not open, drop it.
    Request(PeerRequest),
    /// Put the manifest's canonical bytes to the tracker over HTTP; answer `Published`.
    Publish(Bytes),
}

/// Something the driver is to do to move to another tracker, which the tracker in use names.
#[derive(Debug)]
pub enum MoveOutput {
    /// Open a WebSocket to this address beside the one in use; answer `Open` or `Closed`. Trust it as far as
    /// [`is_usable`](crate::tracker_list::is_usable) does, or answer `Closed`. What the tracker in use is shown may be shown there.
    Connect(String),
    /// Send this on it.
    Request(PeerRequest),
    /// Close it. No answer is expected.
    Abandon,
    /// It is the one in use from now on. Of the other one, only notices are told further, as those of a tracker.
    Switch,
    /// Close the one that was in use before.
    Leave,
}

/// Something the driver is to do, in the order polled.
#[derive(Debug)]
pub enum Output {
    /// Open a WebSocket to the tracker; answer `TrackerOpen` or `TrackerClosed`.
    ConnectTracker,
    /// Close the WebSocket if it is open. No answer is expected. If one is opened beside it for a move, that one is in use from now
    /// on, as it is if the tracker closes the WebSocket.
    DisconnectTracker,
    /// Send this on the open WebSocket. If it is not open, drop it.
    Tracker(PeerRequest),
    /// Get the manifest from the tracker over HTTP; answer `ManifestFetched`.
    FetchManifest,
    /// Put the manifest's canonical bytes to the tracker over HTTP; answer `ManifestPublished`.
    PublishManifest(Bytes),
    /// Do this to move to another tracker.
    Move(MoveOutput),
    /// Do this at a tracker of [`Publisher::outposts`](crate::peer::Publisher::outposts).
    Outpost(OutpostId, OutpostOutput),

    /// Create a connection for this link. The offerer creates both channels and the offer.
    Connect {
        /// The link.
        link: LinkId,
        /// Whether this side offers.
        is_offerer: bool,
        /// Servers for connection building.
        ice_servers: Arc<[IceServer]>,
    },
    /// Hand a signal of the other side to the link's connection.
    RemoteSignal(LinkId, Signal),
    /// Close the link's connection. No answer is expected. The reason is for the log.
    CloseLink(LinkId, String),
    /// Send on the link's control channel.
    Control(LinkId, PeerMessage),
    /// Read the groups of `head.range` from the store, append them to the head, and send both on the data channel.
    Data(LinkId, DataHead),
    /// Set the low-water mark of the link's data channel, in bytes, at which `Buffered` is told.
    LowWater(LinkId, u64),

    /// Get a range of a file from a mirror over HTTP, without following redirects; answer `Fetched`.
    FetchRange(RangeFetch),
    /// End a fetch. No answer is expected.
    AbortFetch(FetchId),

    /// Put these bytes into the store. Until it is full or fails this precedes any `Data` that reads them.
    Store(Verified),
    /// Forget these groups.
    Evict(GroupRange),
    /// Tell the application.
    Event(Event),
}

/// Something the application may want to know. Drivers show it; none needs an answer but `ManifestReady`.
#[derive(Debug, Clone)]
pub enum Event {
    /// The manifest is here: open a store and answer `StoreReady`.
    ManifestReady(Arc<Manifest>),
    /// The tracker's socket is open and it knows us.
    TrackerUp,
    /// The tracker cannot be reached; the peer tries again.
    TrackerDown {
        /// Why, in words.
        reason: String,
        /// Until the next attempt, ms.
        retry_ms: u64,
    },
    /// An initial peer serves at a further tracker, or does not for this reason, in words.
    Outpost {
        /// Which tracker.
        outpost: OutpostId,
        /// Why it does not.
        reason: Option<String>,
    },
    /// Neither the tracker nor a neighbour has a manifest of this swarm; the peer tries again.
    UnknownSwarm,
    /// The tracker or the manifest cannot be used just now; the peer tries again.
    Waiting {
        /// For what, in words.
        reason: String,
    },
    /// The tracker connects this viewer with no peer. Mirrors are used in any case.
    PeersWithheld {
        /// Whether it would connect the viewer if the person agreed: answer with `Input::Consent`.
        is_consent_required: bool,
        /// Why, in words.
        reason: String,
    },
    /// The tracker let a viewer in and now refuses it, for example because its permission has ended. Its links stay and go on
    /// sending, but no new ones come.
    Dismissed {
        /// Why, in words.
        reason: String,
    },
    /// Everything wanted is held and verified.
    Complete,
    /// The swarm can send less than its players need, by these numbers. `None`: it can send enough again.
    Scarcity(Option<Scarcity>),
    /// A neighbour broke the rules and lost its link. Groups that it corrupted were not stored.
    Banned {
        /// The link.
        link: LinkId,
        /// What it did, in words.
        reason: String,
    },
    /// A mirror sent wrong bytes, which were not stored; it is not asked again.
    MirrorLost {
        /// Its host.
        host: String,
    },
    /// This peer cannot go on; in words that say what to do.
    Failed(String),
}
