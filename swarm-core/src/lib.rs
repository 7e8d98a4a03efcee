//! The method of Tributary: segmentation, verification, scheduling and the state of one peer.
//!
//! The peers of a *swarm* share one content, for example a film, over WebRTC data channels. A *tracker* introduces them to
//! each other. This crate decides what a peer requests from which neighbour, what it sends to whom, and when; and it
//! verifies all bytes that arrive.
//!
//! It is pure. It reads no clock, opens no socket, draws no random number and runs nothing asynchronously: a *driver* tells
//! it the time and what happened ([`Input`]) and does what it asks for ([`Output`]). The same inputs with the same seed give
//! the same outputs, native and in a browser.
//!
//! | to do this | use |
//! |---|---|
//! | run a peer on connections of your own | [`Peer`]; [`peer`] describes what a driver does |
//! | run a native peer over WebRTC | the crate `peer-native`, which is such a driver |
//! | describe a content and sign the description | [`TreeBuilder`], [`segmentation`], [`Manifest`], [`SecretKey`] |
//! | verify parts of a content, or prove them to others | [`HashTree`], [`tree`] |
//! | talk to a tracker, or write one | [`tracker_message`], [`relays`], [`tracker_list`] |
//! | read what peers say to each other | [`peer_message`] |
//! | measure what a viewer would experience | [`player`] |
//!
//! # Drive a peer
//!
//! A driver hands over an input, then does everything that the peer asks for, in order. `examples/by_hand.rs` is a whole
//! driver without sockets.
//!
//! ```
//! use swarm_core::tracker_message::PeerRequestBody;
//! use swarm_core::{Input, Output, Peer, PeerConfig, SwarmId, Timestamp};
//!
//! let mut peer = Peer::new(PeerConfig::viewer(SwarmId([7; 32]), 1));
//! peer.handle_input(Timestamp::ZERO, Input::Start);
//! let asked: Vec<Output> = std::iter::from_fn(|| peer.poll_output()).collect();
//! assert!(asked.iter().any(|output| matches!(output, Output::ConnectTracker)));
//!
//! // The driver opens a socket to the tracker. 20 ms later it is open, and the peer has something to say.
//! peer.handle_input(Timestamp::from_millis(20), Input::TrackerOpen);
//! let Some(Output::Tracker(request)) = peer.poll_output() else { panic!("no request") };
//! assert!(matches!(request.body, PeerRequestBody::Hello { .. }));
//!
//! // At this time at the latest, the driver calls `handle_timeout`.
//! assert!(peer.poll_timeout() > Some(Timestamp::from_millis(20)));
//! ```
//!
//! # Verify a part of a content
//!
//! A content is cut into *groups* of 16 KiB. Who knows the root of its tree can verify any range of them, without the others.
//!
//! ```
//! use swarm_core::limits::GROUP_BYTES;
//! use swarm_core::{Geometry, GroupRange, HashTree, TreeBuilder};
//!
//! let content = vec![7; 100_000];
//! let mut builder = TreeBuilder::new();
//! for start in (0..content.len()).step_by(GROUP_BYTES as usize) {
//!     let end = content.len().min(start + GROUP_BYTES as usize);
//!     builder.push(&content[start..end]);
//! }
//! let whole = builder.finish().expect("the content is not empty");
//!
//! // What one peer sends: groups 2 and 3, and the proof that they belong there.
//! let range = GroupRange::new(2, 4);
//! let proof = whole.prove(range, |_| false).expect("the tree is whole");
//! let span = whole.geometry().bytes(range);
//! let bytes = content[span.start as usize..span.end as usize].to_vec();
//!
//! // What another peer does with it.
//! let mut tree = HashTree::unknown(Geometry::new(content.len() as u64), whole.root());
//! let verified = tree.verify(range, &proof, bytes.into()).expect("these are the right bytes");
//! assert_eq!(verified.range(), range);
//! assert!(tree.verify(range, &proof, vec![8; 32_768].into()).is_err());
//! ```

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
