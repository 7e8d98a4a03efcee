//! Native tier: tracker and seeder processes, without browsers.

mod bad_input;
mod catalogue;
mod claims;
mod closed;
mod crowd;
mod doctor;
mod encrypted;
mod engine;
mod flag_file;
mod homing;
mod hostile;
mod media;
mod mirrors;
mod publishing;
mod relays;
mod rooms;
mod service;
mod several;
mod share;
mod siblings;
mod storyboards;
mod swarm;
mod tracker;
mod trackers;
