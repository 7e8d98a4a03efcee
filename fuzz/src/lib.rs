//! Random input for everything that reads what strangers send, and for what strangers can do to a peer and a tracker.
//!
//! A [`Target`] takes bytes and checks what must hold whatever they are. The [engine] changes known inputs at
//! random and keeps those that made the target do something new: it cannot see which code ran, so targets note what came
//! out ([`Seen`]). Inputs that are worth keeping, all that ever failed among them, are in `corpus/TARGET/`; the tests run
//! each of them again, and a short run of each target. `cargo xtask fuzz --minutes N [TARGET]` runs longer.
//!
//! | module | targets |
//! |---|---|
//! | [`decoders`] | messages of both protocols, manifests, proofs, ranges, session descriptions, addresses |
//! | [`files`] | MP4, Matroska, rules |
//! | [`peer`] | a peer past its greeting, both roles |
//! | [`tracker`] | the tracker's decisions with several connections |

pub mod content;
pub mod decoders;
pub mod engine;
pub mod files;
pub mod peer;
pub mod seeds;
pub mod source;
pub mod tracker;

pub use engine::{Seen, Target};

/// All targets, by their names.
pub const TARGETS: [Target; 13] = [
    Target { name: "tracker-request", check: decoders::tracker_request, seeds: seeds::tracker_request },
    Target { name: "tracker-message", check: decoders::tracker_message, seeds: seeds::tracker_message },
    Target { name: "peer-message", check: decoders::peer_message, seeds: seeds::peer_message },
    Target { name: "data-message", check: decoders::data_message, seeds: seeds::data_message },
    Target { name: "manifest", check: decoders::manifest, seeds: seeds::manifest },
    Target { name: "proof", check: decoders::proof, seeds: seeds::proof },
    Target { name: "ranges", check: decoders::ranges, seeds: seeds::ranges },
    Target { name: "text", check: decoders::text, seeds: seeds::text },
    Target { name: "mp4", check: files::mp4, seeds: files::mp4_seeds },
    Target { name: "matroska", check: files::matroska, seeds: files::matroska_seeds },
    Target { name: "rules", check: files::rules, seeds: files::rules_seeds },
    Target { name: "peer", check: peer::check, seeds: seeds::peer },
    Target { name: "tracker", check: tracker::check, seeds: seeds::tracker },
];

#[cfg(test)]
mod tests;
