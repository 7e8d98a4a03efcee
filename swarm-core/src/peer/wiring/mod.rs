//! Passes inputs to components, and turns the actions that components return into outputs. No policy is decided here.

mod building;
mod links;
mod manifest;
mod messages;
mod mirrors;
mod moving;
mod outposts;
mod sending;
mod store;
mod tracker;
