//! One UDP port for many connections: links in one process, and processes.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use peer_native::Network;
use peer_native::inside::LinkEvent;
use swarm_core::tracker_message::Signal;

use crate::content;
use crate::link::{Side, connect, largest_message};
use crate::swarm::{Process, Scene};
use crate::tracker::{Manner, TestTracker};

/// Sends frames one way and sees them arrive.
async fn carry(from: &Side, to: &mut Side) {
    for number in 0..20 {
        from.link.data(largest_message(number).encode()).unwrap();
    }
    let mut number = 0;
    while number < 20 {
        match to.next().await {
            LinkEvent::Data(message) => {
                assert_eq!(message, largest_message(number));
                number += 1;
            }
            LinkEvent::Drained | LinkEvent::Signal(_) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
}

/// The ports that the candidates among these signals name.
fn ports(signals: &[Signal]) -> Vec<u16> {
    let port = |signal: &Signal| match signal {
        Signal::Candidate { candidate, .. } => candidate.split(' ').nth(5)?.parse().ok(),
        _ => None,
    };
    signals.iter().filter_map(port).collect()
}

/// A port that is free, and that the system gives to no other program by itself: Linux does so from 32,768 on.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let is_free = |port: &u16| {
        let everywhere = (Ipv4Addr::UNSPECIFIED, *port);
        TcpListener::bind(everywhere).is_ok() && UdpSocket::bind(everywhere).is_ok()
    };
    // Test programs that run at the same time begin far from each other: the factor has no divisor in common with 10,000.
    let begin = u16::try_from(std::process::id().wrapping_mul(7_919) % 10_000).unwrap();
    let ports = (0..10_000).map(|_| 10_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
    ports.into_iter().find(is_free).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_on_one_port_are_kept_apart() {
    let network = Network::shared_port(0).unwrap();
    let mut pairs = Vec::new();
    for index in 0..4 {
        let mut here = Side::on(&network, index, index % 2 == 0);
        let mut there = Side::on(&Network::own_ports(), 10 + index, index % 2 == 1);
        let (offerer, answerer) =
            if index % 2 == 0 { (&mut here, &mut there) } else { (&mut there, &mut here) };
        let signals = connect(offerer, answerer).await;
        assert!(ports(&signals).contains(&network.port().unwrap()), "{signals:?}");
        pairs.push((here, there));
    }
    for (here, there) in &mut pairs {
        carry(here, there).await;
        carry(there, here).await;
    }
    // One that ends takes none of the others along.
    pairs.remove(0);
    let (here, there) = &mut pairs[0];
    carry(here, there).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_links_between_the_same_two_ports_both_carry() {
    let (a, b) = (Network::shared_port(0).unwrap(), Network::shared_port(0).unwrap());
    let (mut a1, mut b1) = (Side::on(&a, 1, true), Side::on(&b, 2, false));
    let signals = connect(&mut a1, &mut b1).await;
    let both = [a.port().unwrap(), b.port().unwrap()];
    assert!(ports(&signals).iter().all(|port| both.contains(port)), "{signals:?}");
    let (mut a2, mut b2) = (Side::on(&a, 3, true), Side::on(&b, 4, false));
    connect(&mut a2, &mut b2).await;
    carry(&a1, &mut b1).await;
    carry(&b2, &mut a2).await;
    carry(&a2, &mut b2).await;
    carry(&b1, &mut a1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_floods_the_port_stops_nobody() {
    let network = Network::shared_port(0).unwrap();
    let port = network.port().unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let flood = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
            let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut header = vec![0, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42];
            header.extend([0; 12]);
            let (mut count, mut state) = (0u64, 1u64);
            while !is_over.load(Ordering::Relaxed) {
                // Bytes of all lengths; every other datagram begins as a STUN request, or as DTLS does.
                let mut datagram = match count % 4 {
                    0 => header.clone(),
                    2 => vec![23, 254, 253, 0, 1],
                    _ => Vec::new(),
                };
                for _ in 0..count % 300 {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    datagram.push(state as u8);
                }
                // The kernel may not take it; there are more.
                let _ = stranger.send_to(&datagram, ("127.0.0.1", port));
                count += 1;
                if count.is_multiple_of(50) {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
            count
        }
    });
    let (mut here, mut there) = (Side::on(&network, 1, true), Side::on(&Network::own_ports(), 2, false));
    connect(&mut here, &mut there).await;
    carry(&here, &mut there).await;
    carry(&there, &mut here).await;
    is_over.store(true, Ordering::Relaxed);
    assert!(flood.join().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_contents_and_three_fetches_pass_one_port() {
    let tracker = TestTracker::start(Manner::Proper).await;
    let directory = tempfile::tempdir().unwrap();
    let url = tracker.address.to_string();
    let lengths = [3 * 1024 * 1024, 1024 * 1024];
    for (name, length) in ["film", "other"].iter().zip(lengths) {
        content::file(directory.path(), name, length as u64, length);
    }
    let arguments = ["seed", "film", "other", "--tracker", &url, "--data-dir", "data", "--udp-port"];
    let seeder = Process::start(
        directory.path(),
        &[arguments.as_slice(), &[free_port().to_string().as_str()]].concat(),
    );
    let links: Vec<String> =
        (0..2).map(|_| seeder.event("ready")["link"].as_str().unwrap().to_owned()).collect();
    let (a_port, c_port) = (free_port().to_string(), free_port().to_string());
    let fetch = |link: &str, output: &str, options: &[&str]| {
        let arguments = ["fetch", link, "-o", output];
        Process::start(directory.path(), &[arguments.as_slice(), options].concat())
    };
    let fetches = [
        fetch(&links[0], "a", &["--udp-port", &a_port]),
        fetch(&links[0], "b", &[]),
        fetch(&links[1], "c", &["--udp-port", &c_port]),
    ];
    let mut fetched = Vec::new();
    for (mut fetch, output) in fetches.into_iter().zip(["a", "b", "c"]) {
        let length = usize::try_from(fetch.event("done")["bytes"].as_u64().unwrap()).unwrap();
        assert!(fetch.exit().success());
        let bytes = std::fs::read(directory.path().join(output)).unwrap();
        assert!(bytes == content::bytes(length as u64, length), "{output} differs");
        fetched.push(length);
    }
    assert!(fetched[0] == fetched[1] && fetched[0] != fetched[2], "{fetched:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_was_killed_is_served_again_at_the_same_address() {
    let scene = Scene::new(
        4 * 1024 * 1024,
        Manner::Proper,
        &["--udp-port", &free_port().to_string(), "--upload-limit", "40M"],
    )
    .await;
    let port = free_port().to_string();
    let mut fetch = scene.fetch("film2", &["--udp-port", &port]);
    while fetch.event("progress")["bytes_verified"].as_u64().unwrap() == 0 {}
    fetch.child.kill().unwrap();
    fetch.exit();
    let mut fetch = scene.fetch("film2", &["--udp-port", &port]);
    fetch.event("done");
    assert!(fetch.exit().success());
    scene.check("film2");
}
