//! The native peer against real sockets, files and processes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, with the place")]
#![expect(clippy::wildcard_enum_match_arm, reason = "what a test does not expect fails it, whatever it is")]

mod command;
mod content;
mod liar;
mod link;
mod media;
mod mirror_server;
mod port;
mod publish;
mod store;
mod swarm;
mod tracker;
