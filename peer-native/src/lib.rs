//! x
mod connection;
pub mod link;
