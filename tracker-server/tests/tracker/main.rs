//! The tracker over real sockets: one server on a free port for each test, peers played by hand.

mod attacks;
mod binary;
mod closed;
mod document;
mod embedding;
mod encrypted;
mod harness;
mod homing;
mod hostile;
mod http;
mod proxies;
mod publisher;
mod rooms;
mod session;
mod several;
mod siblings;
mod slow;
mod stopping;
mod unfinished;
