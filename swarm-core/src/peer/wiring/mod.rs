//! From inputs to components, and from what components return to outputs. No policy is decided here.

mod links;
mod manifest;
mod messages;
mod sending;
mod tracker;
