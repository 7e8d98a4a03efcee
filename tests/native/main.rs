//! Native tier: tracker and seeder processes, without browsers.

mod bad_input;
mod publishing;
mod swarm;
mod tracker;
