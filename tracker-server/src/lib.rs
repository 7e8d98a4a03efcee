//! The tracker of Tributary: introduces peers, keeps the directory of who has which segment, coordinates
//! transfers, and serves manifests and the page.
//!
//! ```text
//! socket ─frame→ hub ─request→ decision::Tracker ─[(connection, message)]→ hub ─→ outbox ─→ socket
//! ```
//!
//! * [`decision`] is pure: what the tracker decides, without clock, socket or lock. The simulator runs it too.
//! * `serve` is everything else: the accept loop, HTTP, WebSockets, deadlines and the way to stop. It comes with
//!   the feature `server`, which is on by default. `program` is its command line.
//! * [`engine`] is what several trackers share when they act as one; `cluster` is the state of one among them, as pure as the
//!   decisions.
//! * [`siblings`] are trackers that share nothing but links of their peers.
//! * `limits` bounds what the outside may ask. Those that the simulator and tests compare with are constants of this page.
//!
//! Both protocols are written down in `docs/protocol.md`.

#![cfg_attr(
    not(feature = "server"),
    allow(dead_code, reason = "the simulator needs a part of the decisions; the server needs all of them")
)]

#[cfg(feature = "server")]
pub mod access;
#[cfg(feature = "server")]
mod account;
#[cfg(feature = "server")]
mod archive;
#[cfg(feature = "server")]
mod base_path;
#[cfg(feature = "server")]
mod catalogue;
#[cfg(feature = "server")]
mod cluster;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
mod conversation;
pub mod decision;
#[cfg(feature = "server")]
mod embedding;
#[cfg(feature = "server")]
pub mod engine;
#[cfg(feature = "server")]
mod http;
#[cfg(feature = "server")]
mod hub;
mod limits;
#[cfg(feature = "server")]
mod manifests;
#[cfg(feature = "server")]
mod metrics;
#[cfg(feature = "server")]
#[cfg(feature = "server")]
mod outbox;
#[cfg(feature = "server")]
pub mod page;
#[cfg(feature = "server")]
mod place;
#[cfg(feature = "server")]
pub mod program;
#[cfg(feature = "server")]
mod proof;
#[cfg(feature = "server")]
pub mod proxies;
#[cfg(feature = "server")]
mod publishing;
#[cfg(feature = "server")]
mod redirect;
#[cfg(feature = "server")]
pub mod relays;
#[cfg(feature = "server")]
mod removed;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod shares;
#[cfg(feature = "server")]
pub mod siblings;
#[cfg(feature = "server")]
mod socket;
#[cfg(feature = "server")]
mod stream;
#[cfg(feature = "server")]
pub mod tls;
#[cfg(feature = "server")]
mod token_signatures;
#[cfg(feature = "server")]
mod turns;
#[cfg(feature = "server")]
pub mod viewer_tokens;

#[cfg(feature = "server")]
pub use archive::ArchiveError;
#[cfg(feature = "server")]
pub use base_path::{BasePath, BasePathError};
#[cfg(feature = "server")]
pub use config::{Deadlines, ServerConfig};
pub use decision::{Tracker, TrackerConfig};
pub use limits::{
    CATALOGUE_LOOKS_PER_REQUEST, MANIFESTS_PER_ADDRESS_MAX, PUBLICATIONS_PER_SUBNET_MAX, REFUSAL_PAUSE,
    ROOM_INTERVAL, SIBLING_PROOF_TIMEOUT, SIBLINGS_MAX, SIBLINGS_PER_ADDRESS_MAX,
    UNFINISHED_BYTES_PER_ADDRESS_MAX,
};
#[cfg(feature = "server")]
pub use page::Page;
#[cfg(feature = "server")]
pub use server::{Listeners, ServeError, serve};
#[cfg(feature = "server")]
pub use tls::Tls;
