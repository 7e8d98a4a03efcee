//! A deterministic discrete-event simulator of whole swarms.
//!
//! All decisions are real: every peer is a [`swarm_core::Peer`], the tracker is
//! [`tracker_server::decision::Tracker`], every group is hashed and proved. The rest is simulated: clocks, uplinks and
//! downlinks, delay, jitter, loss, the set-up of connections, and viewers that join, leave, stall and lie. The same
//! [`Scenario`] gives the same [`Report::trace_hash`], native and as WebAssembly.
//!
//! | module | owns |
//! |---|---|
//! | `scenario` | the description of a run |
//! | `bound` | the least time that any schedule needs |
//! | `world` | the main loop: time, nodes, connections |
//! | `client_server` | the baseline: every viewer fetches from the publisher alone |
//! | `connecting` | the set-up of connections |
//! | `network`, `link`, `downlink` | the transport of bytes |
//! | `tracking` | the tracker and the connections to it |
//! | `marks` | the author's priorities, and when viewers had each part |
//! | `mirror` | a mirror and its uplink |
//! | `population` | random scenarios |
//! | `misfortune` | joins and failures |
//! | `traces` | digests of small runs, compared between compilation targets |
//! | `targets` | tests of the method's targets |
//! | `report`, `timeline` | the figures of a run, at its end and second by second |

mod bound;
mod chance;
mod client_server;
mod connecting;
mod content;
mod downlink;
mod link;
mod marks;
mod mirror;
mod misfortune;
mod network;
mod node;
mod population;
mod queue;
mod report;
mod rooms;
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
