//! Native tier: tracker and seeder processes, without browsers.

mod bad_input;
mod hostile;
mod publishing;
mod swarm;
mod tracker;
