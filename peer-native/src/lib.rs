//! The native peer: drives [`swarm_core::Peer`] with sockets, WebRTC connections and files.
//!
//! | module | owns |
//! |---|---|
//! | [`handle`] | a running peer as an application sees it |
//! | `driver` | the thread that feeds the core and does what it asks |
//! | [`link`], `connection` | one WebRTC connection each, its channels and frames |
//! | [`tracker`], [`address`] | the tracker's socket, manifests over HTTP, links that people write |
//! | [`store`] | files that hold a content, wholly or in part |
//! | [`publish`], [`hashing`], [`media`] | from a file to a manifest and a tree, made once |
//!
//! What to ask of whom, when, and whom to serve is in `swarm-core`; nothing here decides that.

pub mod address;
mod connection;
mod driver;
pub mod handle;
pub mod hashing;
pub mod link;
pub mod media;
pub mod publish;
pub mod store;
pub mod tracker;

pub use handle::{Content, DriverOptions, Notice, PeerHandle};
