//! Everything the tracker decides, as pure functions over plain data.
//!
//! ```text
//! (now, connection, request) ─→ Tracker ─→ [(connection, message or close)]
//! ```
//!
//! Nothing in here reads a clock, opens a socket or draws from a randomness of its own: the same calls with
//! the same seed give the same results, so that the simulator and the tests run the very tracker that serves.
//!
//! | module | owns |
//! |---|---|
//! | [`tracker`] | connections, identities, which request is allowed when |
//! | `swarm` | one swarm: wires the next three together |
//! | [`directory`] | who holds and who looks for which segments |
//! | [`graph`] | who is a neighbour of whom |
//! | [`assignment`] | who sends which segment to whom |
//! | `admission`, [`token_bucket`] | limits for each connection and each address |
//! | `pool` | a set of peers to draw from |
//! | `draw` | choices by chance that are the same on every machine |
//! | [`resume`] | resume tokens |
//! | `refusal`, [`outgoing`] | what is said and why |

mod admission;
pub mod assignment;
pub mod directory;
mod draw;
pub mod graph;
pub mod outgoing;
mod pool;
mod refusal;
pub mod resume;
pub mod segment_set;
mod swarm;
pub mod token_bucket;
pub mod tracker;

pub use outgoing::{CloseReason, ConnectionId, Outgoing};
pub use resume::ResumeKey;
pub use tracker::{Tracker, TrackerConfig};
