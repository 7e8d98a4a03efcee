//! The method of Tributary: segmentation, verification, scheduling and the state of one peer.
//!
//! This crate is pure. It reads no clock, opens no socket, draws no random number and runs nothing
//! asynchronously: a *driver* tells it the time and what happened ([`Input`]) and does what it asks
//! ([`Output`]). The same inputs with the same seed give the same outputs, native and in a browser.
//!
//! Start reading at [`peer`].

#![warn(clippy::iter_over_hash_type)]

pub mod fingerprint;
pub mod group;
pub mod group_set;
pub mod id;
pub mod limits;
pub mod manifest;
pub mod peer;
pub mod peer_message;
pub mod player;
pub mod publisher;
pub mod relays;
pub mod segmentation;
pub mod time;
pub mod token;
mod tracker_error;
pub mod tracker_list;
pub mod tracker_message;
pub mod tree;
pub mod web_address;

pub use group::{Geometry, GroupRange};
pub use group_set::GroupSet;
pub use id::{Challenge, ContentRoot, Fingerprint, LinkId, PeerId, PublisherKey, ReaderId, SwarmId};
pub use manifest::Manifest;
pub use peer::{Event, Input, Output, Peer, PeerConfig};
pub use publisher::SecretKey;
pub use time::Timestamp;
pub use tree::{HashTree, TreeBuilder, Verified};
