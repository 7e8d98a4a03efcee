//! One peer of one swarm as a state machine without I/O.
//!
//! # Contract
//!
//! ```text
//! socket, channel, timer, player ─→ driver ─Input→ Peer ─Output→ driver ─→ socket, channel, store, player
//! ```
//!
//! * [`Peer::handle_input`] takes what happened; [`Peer::handle_timeout`] says that time has passed.
//! * After either, the driver drains [`Peer::poll_output`] until `None` and does each thing in order.
//! * [`Peer::poll_timeout`] then says when to call `handle_timeout` at the latest.
//! * `now` never goes back. The first input is [`Input::Start`].
//!
//! Nothing in here blocks, and no input can make it panic.

mod input;
mod output;
mod stats;

pub use input::{Appetite, FetchError, Input, PeerConfig, UploadLimit};
pub use output::{Event, Output};
pub use stats::{LinkState, LinkStats, Stats};

use crate::time::Timestamp;
use crate::tree::HashTree;

/// One peer of one swarm. See the [module](self) for how to drive it.
#[derive(Debug)]
pub struct Peer {
    config: PeerConfig,
}

impl Peer {
    /// A peer that has not started.
    pub fn new(config: PeerConfig) -> Self {
        Self { config }
    }

    /// Takes one thing that happened.
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {
        let _ = (now, input, &self.config);
    }

    /// Takes notice that time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let _ = now;
    }

    /// The next thing to do; `None` when all is done for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When to call [`Peer::handle_timeout`], at the latest.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// Totals and links as of `now`.
    pub fn stats(&self, now: Timestamp) -> Stats {
        let _ = now;
        unimplemented!()
    }

    /// The tree of the content as far as it is known; `None` until the store is ready. For stores that
    /// want to resume: see [`HashTree::export`].
    pub fn tree(&self) -> Option<&HashTree> {
        None
    }
}
