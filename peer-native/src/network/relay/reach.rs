//! Which addresses a relay may be asked to send to: pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How far an address is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Nobody is there, or more than one.
    Nowhere,
    /// This machine.
    Machine,
    /// One private network; the number tells the ranges of such networks apart.
    Private(u8),
    /// The Internet.
    Internet,
}

/// Whether a relay at `relay` may reach `peer`. A relay reaches the Internet, and private addresses only of the range
/// that it has an address of itself. Two viewers whose private addresses it does not reach have their public
/// addresses and their addresses at the relay.
pub(super) fn is_reachable(relay: IpAddr, peer: SocketAddr) -> bool {
    if peer.port() == 0 {
        return false;
    }
    match scope(peer.ip()) {
        Scope::Nowhere => false,
        Scope::Internet => true,
        local @ (Scope::Machine | Scope::Private(_)) => local == scope(relay),
    }
}

fn scope(address: IpAddr) -> Scope {
    match address {
        IpAddr::V4(address) => scope_v4(address),
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or_else(|| scope_v6(address), scope_v4),
    }
}

/// RFC 6890.
const fn scope_v4(address: Ipv4Addr) -> Scope {
    match address.octets() {
        [0 | 224..=255, ..] | [169, 254, ..] => Scope::Nowhere,
        [127, ..] => Scope::Machine,
        [10, ..] => Scope::Private(0),
        [172, 16..=31, ..] => Scope::Private(1),
        [192, 168, ..] => Scope::Private(2),
        [100, 64..=127, ..] => Scope::Private(3),
        _ => Scope::Internet,
    }
}

const fn scope_v6(address: Ipv6Addr) -> Scope {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Scope::Machine,
        // Unspecified and the like, link-local, multicast.
        [0, ..] | [0xfe80..=0xfebf | 0xff00..=0xffff, ..] => Scope::Nowhere,
        [0xfc00..=0xfdff, ..] => Scope::Private(4),
        _ => Scope::Internet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaches(relay: &str, peer: &str) -> bool {
        is_reachable(relay.parse().unwrap(), peer.parse().unwrap())
    }

    #[test]
    fn a_public_relay_reaches_the_internet_and_no_private_network() {
        for peer in ["203.0.113.9:4000", "[2001:db8::9]:4000", "8.8.8.8:1"] {
            assert!(reaches("198.51.100.1", peer), "{peer}");
        }
        for peer in ["192.168.1.2:4000", "10.0.0.1:4000", "172.31.0.1:1", "100.64.0.1:1", "[fd00::1]:1"] {
            assert!(!reaches("198.51.100.1", peer), "{peer}");
        }
    }

    #[test]
    fn a_private_relay_reaches_its_own_range_and_the_internet() {
        assert!(reaches("10.9.0.2", "10.1.2.3:4000"));
        assert!(reaches("10.9.0.2", "203.0.113.9:4000"));
        assert!(!reaches("10.9.0.2", "192.168.1.2:4000"));
        assert!(reaches("127.0.0.1", "127.0.0.1:4000"));
        assert!(!reaches("10.9.0.2", "127.0.0.1:4000"));
    }

    #[test]
    fn what_a_kernel_refuses_to_send_to_is_never_asked_for() {
        let nowhere = ["0.0.0.0:1", "255.255.255.255:1", "224.0.0.1:1", "240.0.0.1:1", "169.254.0.1:1"];
        for peer in nowhere.into_iter().chain(["[::]:1", "[fe80::1]:1", "[ff02::1]:1", "203.0.113.9:0"]) {
            for relay in ["198.51.100.1", "10.9.0.2", "127.0.0.1"] {
                assert!(!reaches(relay, peer), "{relay} {peer}");
            }
        }
        assert!(!reaches("198.51.100.1", "[::ffff:192.168.1.2]:1"));
    }
}
