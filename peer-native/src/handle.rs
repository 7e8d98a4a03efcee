//! The application's end of a running peer: what it is made of, what it tells, what it can be told.
//!
//! The other end is the driver, on a thread of its own.

use std::path::PathBuf;
use std::time::Duration;

use swarm_core::peer::{Event, Input, PeerConfig, Stats};
use swarm_core::{HashTree, ReaderId};
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::address::TrackerAddress;
use crate::driver::Driver;
use crate::network::Network;
use crate::store::FullFile;

/// Commands of the application that may wait for the driver.
const COMMANDS_MAX: usize = 64;

/// Notices that a slow subscriber may fall behind before it misses some.
const NOTICES_MAX: usize = 256;

/// Where the content is or goes.
#[derive(Debug)]
pub enum Content {
    /// All of it is in a file that is seeded.
    Full {
        /// The file.
        file: FullFile,
        /// Its whole tree.
        tree: Box<HashTree>,
    },
    /// It is fetched into this file.
    Fetch(PathBuf),
}

/// What a driver needs to run a peer.
#[derive(Debug)]
pub struct DriverOptions {
    /// What the peer is.
    pub peer: PeerConfig,
    /// Where its tracker is.
    pub tracker: TrackerAddress,
    /// Further trackers, at which an initial peer serves as well: those that its publisher names as outposts, in that order.
    pub outposts: Vec<TrackerAddress>,
    /// Where its content is.
    pub content: Content,
    /// How it reaches the network.
    pub network: Network,
    /// Whether the tracker's catalogue is to show what this peer publishes.
    pub is_listed: bool,
    /// Lets this peer publish on a tracker that asks for it.
    pub publish_token: Option<String>,
}

/// What a player may play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Playable {
    /// The first group from the player on that is not held; one past the last group if all are held.
    pub missing: u32,
    /// Media that it needs before it plays, and again after a stall.
    pub start_buffer: Duration,
}

/// Something the application may want to know.
#[derive(Debug, Clone)]
pub enum Notice {
    /// The core says so.
    Peer(Event),
    /// The next connection goes to the tracker at this address, which the manifest lists.
    Moved(String),
    /// The tracker has the manifest and took the peer into the swarm.
    Joined,
    /// The store is open and holds this many bytes already.
    StoreReady {
        /// Bytes held, all verified.
        held_bytes: u64,
    },
    /// The whole content is in its file.
    Finished,
    /// The store cannot go on; in words that say what to do. The peer is to be stopped.
    StoreFailed(String),
}

/// What the application asks of the driver.
pub(crate) enum Command {
    /// To be handed to the core.
    Input(Input),
    /// Totals and links.
    Stats(oneshot::Sender<Stats>),
    /// The first group from this one on that is not held.
    Playable(u32, oneshot::Sender<Option<Playable>>),
    /// Leave and end.
    Stop,
}

/// The driver has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer has stopped")]
pub struct Stopped;

/// The application's end of a running peer. Dropping the last one stops it.
#[derive(Debug, Clone)]
pub struct PeerHandle {
    commands: mpsc::Sender<Command>,
    notices: broadcast::Sender<Notice>,
    /// Closed when the driver has ended.
    ended: watch::Receiver<()>,
}

impl PeerHandle {
    /// Starts a peer; its sockets and connections run on the runtime this is called in.
    ///
    /// The receiver misses nothing that happens from the start on, if it keeps up.
    pub fn start(options: DriverOptions) -> std::io::Result<(Self, broadcast::Receiver<Notice>)> {
        let (command_sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (notices, receiver) = broadcast::channel(NOTICES_MAX);
        let (alive, ended) = watch::channel(());
        let runtime = Handle::current();
        let own = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let handle = Self { commands: command_sender, notices: notices.clone(), ended };
        std::thread::Builder::new().name("peer".into()).spawn(move || {
            let _alive = alive;
            let (driver, queues) = Driver::new(options, runtime, notices);
            own.block_on(driver.run(commands, queues));
        })?;
        Ok((handle, receiver))
    }

    /// Another receiver of notices, from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Totals and links as of now.
    pub async fn stats(&self) -> Result<Stats, Stopped> {
        let (sender, receiver) = oneshot::channel();
        self.command(Command::Stats(sender)).await?;
        receiver.await.map_err(|_| Stopped)
    }

    /// What a player at `group` may play; `None` before the store is ready.
    pub async fn playable(&self, group: u32) -> Result<Option<Playable>, Stopped> {
        let (sender, receiver) = oneshot::channel();
        self.command(Command::Playable(group, sender)).await?;
        receiver.await.map_err(|_| Stopped)
    }

    /// A reader needs `group` in `ahead_ms`.
    pub async fn reader_at(&self, reader: ReaderId, group: u32, ahead_ms: u32) -> Result<(), Stopped> {
        self.command(Command::Input(Input::ReaderAt { reader, group, ahead_ms })).await
    }

    /// A reader ended.
    pub async fn reader_closed(&self, reader: ReaderId) -> Result<(), Stopped> {
        self.command(Command::Input(Input::ReaderClosed(reader))).await
    }

    /// Leaves the swarm, saves what is to be saved, and returns when that is done.
    pub async fn stop(&self) {
        // Errors mean that it has ended; nothing is ever sent but the end.
        let _ = self.command(Command::Stop).await;
        let _ = self.ended.clone().changed().await;
    }

    async fn command(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)
    }
}
