//! The native peer: drives [`swarm_core::Peer`] with sockets, WebRTC connections and files.
//!
//! | module | owns |
//! |---|---|
//! | [`handle`] | a running peer as an application sees it |
//! | `driver` | the thread that feeds the core and does what it asks |
//! | [`link`], `connection` | one WebRTC connection each, its channels and frames |
//! | `network`, `mux` | the clock and the sockets of connections; one UDP port for all of them |
//! | [`tracker`], [`publications`], [`address`] | the tracker's socket, manifests over HTTP, links that people write |
//! | [`mirror`], [`mirror_server`], [`sidecar`] | ranges from HTTP servers; being one; the tree file that they serve |
//! | [`store`] | files that hold a content, wholly or in part |
//! | [`publish`], [`hashing`], [`media`] | from a file to a manifest and a tree, made once |
//! | [`rules`], [`subtitles`], `poster`, `storyboard` | what the author says beside the content; pictures that `ffmpeg` makes of it |
//! | [`program`] | the command line |
//! | [`folder`], [`data_dir`], [`key`] | which files to publish; what is kept between starts; the publisher's key |
//!
//! What to ask of whom, when, and whom to serve is in `swarm-core`; nothing here decides that.

pub mod address;
mod connection;
pub mod data_dir;
mod driver;
mod ffmpeg;
pub mod folder;
pub mod handle;
pub mod hashing;
pub mod key;
pub mod link;
pub mod media;
pub mod mirror;
pub mod mirror_server;
mod mux;
mod network;
mod poster;
pub mod program;
pub mod publications;
pub mod publish;
pub mod rules;
pub mod sidecar;
pub mod store;
mod storyboard;
pub mod subtitles;
pub mod tracker;

pub use handle::{Content, DriverOptions, Notice, PeerHandle, Playable};
pub use mux::PortError;
pub use network::{Network, network_addresses};
