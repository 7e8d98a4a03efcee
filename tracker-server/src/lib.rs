//! The tracker of Tributary: introduces peers, keeps the directory of who has which segment, coordinates
//! transfers, and serves manifests and the page.
//!
//! ```text
//! socket ─frame→ hub ─request→ decision::Tracker ─[(connection, message)]→ hub ─→ outbox ─→ socket
//! ```
//!
//! * [`decision`] is pure: what the tracker decides, without clock, socket or lock. The simulator runs it too.
//! * [`serve`] is everything else: the accept loop, HTTP, WebSockets, deadlines and the way to stop.
//! * [`limits`] bounds what the outside may ask.
//!
//! Both protocols are written down in `docs/protocol.md`.

pub mod config;
pub mod decision;
mod http;
mod hub;
pub mod limits;
pub mod manifests;
mod metrics;
mod outbox;
mod page;
mod server;
mod socket;

pub use config::{Deadlines, ServerConfig};
pub use decision::{Tracker, TrackerConfig};
pub use server::serve;
