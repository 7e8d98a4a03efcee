//! Prints the digests of [`swarm_sim::traces::sample`], with commas between: what other targets are compared with.
//!
//! ```text
//! cargo run --package swarm-sim --example traces
//! ```

fn main() {
    println!("{}", swarm_sim::traces::sample().join(","));
}
