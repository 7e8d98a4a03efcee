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
//! | `tracker` | connections, identities, which request is allowed when |
//! | `swarm` | one swarm: wires the next three rows together |
//! | `directory`, `rarity` | who holds and who looks for which segments; which are at risk |
//! | `balance` | what the peers of a swarm can send, and what its players need |
//! | `graph`, `nearness` | who is a neighbour of whom |
//! | `crowd` | how many peers of a swarm are of one address or subnet |
//! | `assignment`, `success`, `network` | who sends which segment to whom |
//! | `admission`, `token_bucket` | limits for each connection and each address |
//! | `privacy` | what viewers may learn of one another |
//! | `places` | how many connections may be open, and from where |
//! | `paces` | how often one address may publish, ask or shake hands |
//! | `pool` | a set of peers to draw from |
//! | `draw` | choices by chance that are the same on every machine |
//! | `room`, `visits` | the rooms into which a very large swarm is cut; peers that take part in several |
//! | `resume` | resume tokens |
//! | `refusal`, `outgoing` | what is said and why |

mod admission;
mod assignment;
mod balance;
mod crowd;
mod directory;
mod draw;
mod graph;
mod nearness;
pub(crate) mod network;
mod outgoing;
pub(crate) mod paces;
pub(crate) mod places;
mod pool;
mod privacy;
mod rarity;
mod refusal;
mod resume;
pub(crate) mod room;
pub(crate) mod segment_set;
mod success;
mod swarm;
pub(crate) mod token_bucket;
pub(crate) mod tracker;
pub(crate) mod visits;

pub use graph::Wiring;
pub use outgoing::{CloseReason, ConnectionId, Outgoing};
pub use privacy::Privacy;
pub use rarity::Wish;
pub use resume::ResumeKey;
pub use room::{ROOMS_MAX, Room};
pub use token_bucket::Rate;
pub use tracker::{LinkNote, Passport, Permission, Said, Tracker, TrackerConfig};
pub use visits::{Itinerary, Visits};

pub(crate) use refusal::{EXPIRED, UNNAMED};
pub(crate) use tracker::Receiver;
