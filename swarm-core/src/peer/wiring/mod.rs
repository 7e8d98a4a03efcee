//! From inputs to components, and from what components return to outputs. No policy is decided here.

mod building;
mod links;
mod manifest;
mod messages;
mod mirrors;
mod moving;
mod outposts;
mod sending;
mod tracker;
