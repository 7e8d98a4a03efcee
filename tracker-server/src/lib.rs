//! tracker
pub mod decision;
pub mod limits;
