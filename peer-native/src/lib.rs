//! The native peer of Tributary: seeds files and fetches contents over WebRTC data channels.
//!
//! It drives [`swarm_core::Peer`] with sockets, connections and files. What to request from whom, when, and whom to serve is decided
//! there.
//!
//! | to do this | use |
//! |---|---|
//! | start a peer, watch it and stop it | [`PeerHandle`], with [`DriverOptions`] |
//! | share one UDP port among all connections, or name addresses of a router | [`Network`] |
//! | read a link that people pass on | [`address`] |
//! | make something of a file that can be seeded | [`publish`], with what the author says ([`rules`]) and the publisher's [`key`] |
//! | hash a file once, and keep its link between starts | [`data_dir`] |
//! | fetch, publish or remove a manifest at a tracker | [`publications`] |
//! | serve files over HTTP to viewers who reach no peer | [`mirror_server`] |
//! | have the command line of `seeder` in a program of your own | `program`, with the feature of this name, which is on by default |
//!
//! # Fetch a content
//!
//! ```no_run
//! use peer_native::address::ContentAddress;
//! use peer_native::{Content, DriverOptions, Network, Notice, PeerHandle};
//! use swarm_core::PeerConfig;
//!
//! # async fn fetch() -> Result<(), Box<dyn std::error::Error>> {
//! let address: ContentAddress = "http://127.0.0.1:8080/#54fc…".parse()?;
//! let seed = 1; // Of the peer's choices. Take another one each time.
//! let (peer, mut notices) = PeerHandle::start(DriverOptions {
//!     peer: PeerConfig::viewer(address.swarm, seed),
//!     tracker: address.tracker.ok_or("the link names no tracker")?,
//!     outposts: Vec::new(),
//!     content: Content::Fetch("film.mp4".into()),
//!     network: Network::own_ports(),
//!     is_listed: false,
//!     publish_token: None,
//! })?;
//! while !matches!(notices.recv().await?, Notice::Finished) {}
//! peer.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Seed a file
//!
//! ```no_run
//! use peer_native::address::TrackerAddress;
//! use peer_native::data_dir::DataDir;
//! use peer_native::publish::publish;
//! use peer_native::rules::Statement;
//! use peer_native::{Content, DriverOptions, Network, PeerHandle, key};
//! use swarm_core::PeerConfig;
//! use swarm_core::peer::Publisher;
//! use swarm_core::tracker_message::Role;
//!
//! # async fn seed() -> Result<(), Box<dyn std::error::Error>> {
//! let tracker: TrackerAddress = "ws://127.0.0.1:8080/v1/swarm".parse()?;
//! let data_dir = DataDir::of_platform().ok_or("there is no home directory")?;
//! let (key, _) = key::read_or_make(&data_dir.key_path())?;
//! let statement = Statement::default().served_at(vec![tracker.to_string()]);
//! // It hashes the file, which takes a while: an application calls it on a thread that may block.
//! let publication = publish("film.mp4".as_ref(), &statement, &key, Some(&data_dir), |_hashed_bytes| ())?;
//! println!("{}", tracker.link(publication.swarm));
//!
//! let seed = 1; // Of the peer's choices. Take another one each time.
//! let (peer, notices) = PeerHandle::start(DriverOptions {
//!     peer: PeerConfig {
//!         role: Role::Initial,
//!         manifest: Some(publication.manifest),
//!         publisher: Some(Publisher { key, tracker: tracker.name(), outposts: Vec::new() }),
//!         ..PeerConfig::viewer(publication.swarm, seed)
//!     },
//!     tracker,
//!     outposts: Vec::new(),
//!     content: Content::Full { file: publication.file, tree: Box::new(publication.tree) },
//!     network: Network::own_ports(),
//!     is_listed: false,
//!     publish_token: None,
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! # Inside
//!
//! | module | owns |
//! |---|---|
//! | [`handle`] | a running peer as an application sees it |
//! | `driver` | the thread that feeds the core and does what it asks |
//! | `link`, `connection` | one WebRTC connection each, its channels and frames |
//! | `network`, `mux` | the clock and the sockets of connections; one UDP port for all of them |
//! | `tracker`, [`publications`], [`address`] | the tracker's socket, manifests over HTTP, links that people write |
//! | `mirror`, [`mirror_server`], `sidecar` | ranges from HTTP servers; being one; the tree file that they serve |
//! | `store` | files that hold a content, wholly or in part |
//! | [`publish`], `hashing`, `media` | from a file to a manifest and a tree, made once |
//! | [`rules`], `subtitles`, `poster`, `storyboard` | what the author says beside the content; pictures that `ffmpeg` makes of it |
//! | `program` | the command line |
//! | `folder`, [`data_dir`], [`key`] | which files to publish; what is kept between starts; the publisher's key |

#![cfg_attr(
    not(feature = "program"),
    allow(dead_code, reason = "the command line uses more of the driver than the interface shows")
)]

pub mod address;
mod connection;
pub mod data_dir;
mod driver;
mod ffmpeg;
mod folder;
pub mod handle;
mod hashing;
pub mod key;
mod link;
mod media;
mod mirror;
pub mod mirror_server;
mod mux;
mod network;
mod poster;
#[cfg(feature = "program")]
pub mod program;
pub mod publications;
pub mod publish;
pub mod rules;
mod sidecar;
mod store;
mod storyboard;
mod subtitles;
mod tracker;

pub use handle::{Content, DriverOptions, Notice, PeerHandle, Playable};
pub use mux::PortError;
pub use network::{Network, network_addresses};
pub use store::FullFile;

/// What the tests and the fuzz targets of this repository reach into. Not a part of the interface: it changes with any version.
#[doc(hidden)]
pub mod inside {
    pub use crate::link::{Link, LinkEvent, LinkOptions};
    pub use crate::media::{Remark, examine};
    pub use crate::store::{Opened, PartFile, Store, StoreError};
    pub use crate::tracker::{Tracker, TrackerEvent};
}
