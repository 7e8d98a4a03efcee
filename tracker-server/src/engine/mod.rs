//! What several trackers share, behind a narrow trait: who is alive, which tracker is the home of which room of a swarm, frames from
//! tracker to tracker, and the list of what is published.
//!
//! | engine | for |
//! |---|---|
//! | none | one tracker; everything is in its memory. The default |
//! | [`memory`] | several trackers in one process: tests, and programs that embed trackers |
//! | [`redis`] | several trackers anywhere, around one Redis or Valkey |
//!
//! An engine decides nothing about peers. Its one decision is who is the home of a room, and that is a *lease*: each
//! tracker has one lease, which it renews by [`Engine::beat`]; the homes it was given are its own for as long as the lease
//! stands. A home has an *epoch* that grows with each change, so that frames of an earlier home are told apart.

pub mod memory;
pub mod redis;
pub(crate) mod running;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use swarm_core::SwarmId;

use crate::decision::Room;

/// Names one life of one tracker. Drawn at random at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct TrackerId(pub u64);

impl fmt::Display for TrackerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for TrackerId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// Which tracker is the home of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// The tracker.
    pub tracker: TrackerId,
    /// Grows with each change of the home.
    pub epoch: u64,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// This is the home: the one that was, or the one that was named.
    Home(Home),
    /// The lease of the tracker that was named is over: it is to beat first.
    NoLease,
}

/// What a beat found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Whether the lease was over, or there was none yet. Others may have claimed the homes of this tracker.
    pub has_lapsed: bool,
    /// Records of the trackers whose lease stands, this one included.
    pub trackers: Vec<(TrackerId, Bytes)>,
    /// Which life of the engine this is: another one has forgotten everything.
    pub life: u64,
    /// Number of the latest change in the list of publications.
    pub revision: u64,
}

/// A change in the list of publications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its number.
    pub revision: u64,
    /// What changed.
    pub swarm: SwarmId,
    /// What the engine holds of it now.
    pub news: News,
}

/// What an engine holds of a swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A publication.
    Published {
        /// What is published. Empty where only the time was asked for.
        bytes: Bytes,
        /// When the engine forgets it if it is not refreshed.
        life: Duration,
    },
    /// The record that its publisher removed it.
    Removed {
        /// Whose it was.
        owner: Bytes,
        /// When the engine forgets that.
        life: Duration,
    },
    /// Nothing: it was never there, its time is over, it was let go for another title of its publisher, or the engine
    /// lacked memory. That is no removal.
    Absent,
}

/// What a tracker publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// What is published.
    pub bytes: Bytes,
    /// How long the engine holds it if it is not refreshed.
    pub life: Duration,
    /// Publications that the engine gives up for it.
    pub let_go: Vec<SwarmId>,
    /// Whether its publisher brings it back: then the record of a removal goes. Otherwise the removal stands, also one that
    /// the tracker which publishes has not read yet.
    pub is_brought_back: bool,
}

/// An engine does not answer, or not as it should. The operation may have been done or not; try again later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The engine is away.
    #[error("the engine is away: {0}")]
    Away(String),
    /// The engine does not answer in time.
    #[error("the engine does not answer within {} s", .0.as_secs())]
    Slow(Duration),
    /// The engine has no memory for more publications. Everything else goes on.
    #[error("{0}")]
    Full(String),
    /// The address is none. Show it.
    #[error("{0}")]
    Address(String),
    /// The engine answers something else than was asked.
    #[error("the engine answers something unexpected; is something else using the same database? {0}")]
    Strange(String),
}

/// Frames that arrive in the inbox of a tracker, in the order in which each sender sent them. Ends when the way is broken;
/// what was sent before the next subscription is lost.
pub type Inbox = BoxStream<'static, Bytes>;

/// The state that several trackers share.
pub trait Engine: Send + Sync + 'static {
    /// Whether all trackers have the secret that `check` is a digest of. Without others, this tracker's is the one.
    fn agree(&self, check: Bytes) -> impl Future<Output = Result<bool, EngineError>> + Send;

    /// Renews the lease of a tracker for this long, with what others are to know of it.
    fn beat(
        &self,
        me: TrackerId,
        record: Bytes,
        lease: Duration,
    ) -> impl Future<Output = Result<Beat, EngineError>> + Send;

    /// Ends the lease of a tracker that stops.
    fn retire(&self, me: TrackerId) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Finds the home of each of these rooms. One without a home whose lease stands gets the tracker that is named with it.
    fn claim(
        &self,
        rooms: &[(Room, TrackerId)],
    ) -> impl Future<Output = Result<Vec<Claim>, EngineError>> + Send;

    /// Gives the homes that `me` has to another tracker. Returns the new homes of those that were its own.
    fn hand_over(
        &self,
        me: TrackerId,
        to: TrackerId,
        rooms: &[Room],
    ) -> impl Future<Output = Result<Vec<(Room, Home)>, EngineError>> + Send;

    /// Gives up the homes that `me` has of rooms without peers.
    fn release(&self, me: TrackerId, rooms: &[Room]) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Sends frames to inboxes. Returns for each whether a tracker was subscribed to it.
    fn send(
        &self,
        frames: &[(TrackerId, Bytes)],
    ) -> impl Future<Output = Result<Vec<bool>, EngineError>> + Send;

    /// Subscribes to one's own inbox.
    fn subscribe(&self, me: TrackerId) -> impl Future<Output = Result<Inbox, EngineError>> + Send;

    /// Publishes what a swarm is about, in place of what was published before. `false` if its publisher removed it, and
    /// that stands: then nothing changes.
    fn publish(
        &self,
        swarm: SwarmId,
        publication: &Publication,
    ) -> impl Future<Output = Result<bool, EngineError>> + Send;

    /// Removes a publication, and keeps a record of that.
    fn remove(&self, swarm: SwarmId, owner: Bytes) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Forgets that a publication was removed.
    fn forget(&self, swarm: SwarmId) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// What the engine holds of each of these swarms, without the bytes. A publication with a time is held for so long from
    /// now on.
    fn refresh(
        &self,
        swarms: &[(SwarmId, Option<Duration>)],
    ) -> impl Future<Output = Result<Vec<News>, EngineError>> + Send;

    /// What is published about a swarm.
    fn publication(&self, swarm: SwarmId) -> impl Future<Output = Result<Option<Bytes>, EngineError>> + Send;

    /// The first changes after a revision, in order; none if there are no more.
    fn changes(&self, after: u64) -> impl Future<Output = Result<Vec<Change>, EngineError>> + Send;
}

/// Which engine a tracker is to use.
#[derive(Debug, Clone, Default)]
pub enum Choice {
    /// None: it is alone.
    #[default]
    Alone,
    /// The memory of this process, shared with other trackers in it.
    Memory(memory::MemoryEngine),
    /// Redis or Valkey at an address.
    Redis(redis::RedisAddress),
}
