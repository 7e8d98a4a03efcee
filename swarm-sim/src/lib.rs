//! A deterministic discrete-event simulator of whole swarms.
//!
//! What decides is real: every peer is a [`swarm_core::Peer`], the tracker is
//! [`tracker_server::decision::Tracker`], every group is hashed and proved. What is simulated is what lies
//! between them: clocks, uplinks and downlinks, delay, jitter, loss, connections being built, and people who
//! come, leave, stall and lie. The same [`Scenario`] gives the same [`Report::trace_hash`], native and as
//! WebAssembly.
//!
//! | module | owns |
//! |---|---|
//! | `scenario` | what is simulated |
//! | `bound` | the least time in which it can be done |
//! | `world` | time, nodes, who is connected to whom |
//! | `client_server` | the baseline: everybody fetches from the publisher alone |
//! | `connecting` | how connections are built |
//! | `network`, `link`, `downlink` | how bytes travel |
//! | `tracking` | the tracker and the way to it |
//! | `marks` | what the author said, and who had it when |
//! | `population` | random scenarios |
//! | `misfortune` | who joins and what goes wrong |
//! | `traces` | digests by which targets are compared |
//! | `targets` | what a change must not lose |
//! | `report`, `timeline` | what it comes to, and how it went |

mod bound;
mod chance;
mod client_server;
mod connecting;
mod content;
mod downlink;
mod link;
mod marks;
mod misfortune;
mod network;
mod node;
mod population;
mod queue;
mod report;
mod scenario;
#[cfg(test)]
mod targets;
mod timeline;
mod trace;
pub mod traces;
mod tracking;
mod world;

pub use marks::ByMark;
pub use population::Population;
pub use report::{Report, percentile, run};
pub use scenario::{Distribution, Economy, Scenario, Span};
pub use timeline::Moment;
