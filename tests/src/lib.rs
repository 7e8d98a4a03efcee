//! The harness of the end-to-end tests: real tracker and seeder processes, real browsers, false trackers.
//!
//! Each test starts what it needs and owns it; whatever it owns ends with it, also when it fails. Nothing
//! here knows how the programs work inside: they are told what a person would tell them and watched at the
//! same places. Waiting is always for a condition, with a deadline that names it.
//!
//! The programs come from `TRIBUTARY_BIN_DIR`, the page from `TRIBUTARY_PAGE_DIR`; `cargo xtask test` builds
//! both and sets them.

pub mod balancer;
pub mod browser;
pub mod clip;
pub mod content;
pub mod crowd;
pub mod disk;
pub mod driver;
pub mod events;
pub mod false_tracker;
pub mod firefox;
pub mod gate;
pub mod internet;
pub mod memory;
pub mod mirror;
pub mod pebble;
pub mod permission;
pub mod places;
pub mod ports;
pub mod program;
pub mod proxy;
pub mod redis;
pub mod scene;
pub mod screen;
pub mod secure;
pub mod seeder;
pub mod share;
pub mod site;
pub mod tracker;
pub mod wait;

pub use browser::{Tab, TabStats};
pub use events::{Done, Event};
pub use mirror::Mirror;
pub use program::{Ended, Program};
pub use seeder::{Fetch, Seeder};
pub use tracker::Tracker;
