//! Measures the decisions alone, without a socket: how long a crowd takes to join, to report and to leave.
//!
//! ```text
//! cargo run --release -p tracker-server --no-default-features --example crowd -- 10000
//! ```
//!
//! Prints for each step the time all in all and for one peer, and how many messages one peer's step made.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use swarm_core::manifest::Period;
use swarm_core::publisher::{Statement, TrackerName};
use swarm_core::tracker_message::{PeerRequest, PeerRequestBody, Role, SegmentRun, TRACKER_VERSION, Want};
use swarm_core::{SecretKey, SwarmId, Timestamp};
use tracker_server::decision::{
    ConnectionId, Outgoing, Privacy, ResumeKey, Tracker, TrackerConfig, Wiring, Wish,
};

const SWARM: SwarmId = SwarmId([1; 32]);
const SEGMENTS: u32 = 250;

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(10_000u64);
    let mut tracker = Tracker::new(TrackerConfig {
        seed: 1,
        resume_key: ResumeKey::from_secret(b"crowd"),
        ice_servers: Vec::new(),
        token: None,
        connections_per_address_max: u32::MAX,
        wiring: Wiring::Regular,
        privacy: Privacy::default(),
    });
    let key = SecretKey::from_bytes(&[1; 32]);
    let wishes = (0..SEGMENTS).map(|_| Wish { priority: 3, period: Period::Playback });
    tracker.add_swarm(SWARM, key.public(), wishes, 0);

    measure("hello and join", count, |peer| {
        let connection = ConnectionId(peer);
        let role = if peer == 0 { Role::Initial } else { Role::Viewer };
        let mut outgoing = tracker.connected(Timestamp::ZERO, connection, address(peer));
        let hello = PeerRequestBody::Hello {
            version: TRACKER_VERSION,
            capabilities: Vec::new(),
            uplink_bps: 0,
            token: None,
            resume: None,
        };
        outgoing.extend(tracker.handle(Timestamp::ZERO, connection, PeerRequest { id: 1, body: hello }));
        let proof = (role == Role::Initial).then(|| {
            let challenge = ResumeKey::from_secret(b"crowd").challenge(1, connection);
            key.sign(&Statement::Join { swarm: SWARM, tracker: TrackerName::of(""), challenge })
        });
        let body = PeerRequestBody::Join { swarm: SWARM, role, have: Vec::new(), playhead: None, proof };
        outgoing.extend(tracker.handle(Timestamp::ZERO, connection, PeerRequest { id: 1, body }));
        outgoing
    });
    // After 40 s those that wait are settled, near ones are found, places at the initial peer rotate.
    let later = Timestamp::from_millis(40_000);
    measure("report", count, |peer| {
        let playhead = u32::try_from(peer * 7 % u64::from(SEGMENTS)).ok();
        let body = PeerRequestBody::Report { received: Vec::new(), uplink_bps: 0, playhead, ahead_ms: None };
        tracker.handle(later, ConnectionId(peer), PeerRequest { id: 2, body })
    });
    measure("want what nobody has", count, |peer| {
        let segments = vec![Want { segments: SegmentRun(0, 4), remaining_ms: 2000 }];
        let body = PeerRequestBody::Want { segments };
        tracker.handle(later, ConnectionId(peer), PeerRequest { id: 3, body })
    });
    measure("disconnect", count, |peer| tracker.disconnected(later, ConnectionId(peer)));
}

/// Every peer has an address of its own.
fn address(peer: u64) -> IpAddr {
    // Each in a subnet of its own, as far as there are enough.
    Ipv4Addr::from_bits(u32::try_from(peer).unwrap_or(0).rotate_left(8)).into()
}

fn measure(step: &str, count: u64, mut run: impl FnMut(u64) -> Vec<(ConnectionId, Outgoing)>) {
    let began = Instant::now();
    let messages: usize = (0..count).map(|peer| run(peer).len()).sum();
    let took = began.elapsed();
    let each_us = took.as_secs_f64() * 1e6 / count as f64;
    let each_messages = messages as f64 / count as f64;
    println!("{step}: {count} peers in {took:.2?}, {each_us:.1} µs and {each_messages:.1} messages each");
}
