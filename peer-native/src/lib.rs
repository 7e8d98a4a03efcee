//! x
pub mod address;
mod connection;
pub mod link;
pub mod tracker;
