//! The native peer against real sockets, files and processes.

mod command;
mod content;
mod link;
mod publish;
mod store;
mod swarm;
mod tracker;
