//! What the other side is told of our addresses: lines of candidates (RFC 8839, section 5.1), rewritten.
//!
//! A connection knows its sockets by addresses that need not be what others reach: on a shared port each socket
//! seems to have a port of its own, and behind a router that maps a public address to this machine nobody here
//! knows that address.

use std::net::IpAddr;

/// Places of the words in a line: `candidate:F COMPONENT udp PRIORITY IP PORT typ KIND …`.
const PRIORITY: usize = 3;
const ADDRESS: usize = 4;
const PORT: usize = 5;
const KIND: usize = 7;

/// How much less a mapped address is worth than the one it is mapped to, which neighbours reach without a router:
/// the difference in type preference between `host` and `srflx`, in the priority's highest byte.
const MAPPED_LESS: u32 = (126 - 100) << 24;

/// The lines to tell the other side instead of `line`: none if nobody could dial it.
///
/// `port`: the number that this machine's own addresses are reached at, if not their own. `external`: public
/// addresses that a router maps to this machine, port by port.
pub(crate) fn told(line: &str, port: Option<u16>, external: &[IpAddr]) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some(address) = words.get(ADDRESS) else { return Vec::new() };
    // A machine without a network yields the wildcard address.
    if address.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified()) {
        return Vec::new();
    }
    if words.get(KIND) != Some(&"host") {
        return vec![line.to_owned()];
    }
    let port = port.map_or_else(|| words.get(PORT).unwrap_or(&"").to_string(), |port| port.to_string());
    let own = with(&words, PORT, &port).join(" ");
    let mapped = external.iter().filter_map(|external| mapped(&words, address, &port, *external));
    let mapped: Vec<String> = mapped.collect();
    std::iter::once(own).chain(mapped).collect()
}

/// The line of a public address that is mapped to this one.
fn mapped(words: &[&str], address: &str, port: &str, external: IpAddr) -> Option<String> {
    let inside: IpAddr = address.parse().ok()?;
    if inside.is_loopback() || inside.is_ipv4() != external.is_ipv4() || inside == external {
        return None;
    }
    let priority: u32 = words.get(PRIORITY)?.parse().ok()?;
    let priority = priority.saturating_sub(MAPPED_LESS).to_string();
    let external = external.to_string();
    // Candidates of one foundation are checked together; this one is a path of its own.
    let foundation = format!("{}x", words.first()?);
    let words = with(words, ADDRESS, &external);
    let words = with(&words, PORT, port);
    let words = with(&words, PRIORITY, &priority);
    let words = with(&words, KIND, "srflx");
    let words = with(&words, 0, &foundation);
    let (head, tail) = words.split_at_checked(KIND + 1)?;
    let related = ["raddr", address, "rport", port];
    Some([head, &related, tail].concat().join(" "))
}

fn with<'a>(words: &[&'a str], place: usize, word: &'a str) -> Vec<&'a str> {
    words.iter().enumerate().map(|(index, old)| if index == place { word } else { *old }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "candidate:842163049 1 udp 2130706431 192.168.1.5 40001 typ host ufrag abcd";
    const SRFLX: &str =
        "candidate:1 1 udp 1694498815 203.0.113.9 40001 typ srflx raddr 192.168.1.5 rport 40001";

    fn external() -> Vec<IpAddr> {
        vec!["203.0.113.7".parse().unwrap()]
    }

    #[test]
    fn on_a_shared_port_a_host_candidate_names_it() {
        let lines = told(HOST, Some(7000), &[]);
        assert_eq!(lines, ["candidate:842163049 1 udp 2130706431 192.168.1.5 7000 typ host ufrag abcd"]);
        assert_eq!(told(SRFLX, Some(7000), &external()), [SRFLX]);
    }

    #[test]
    fn without_one_nothing_is_changed() {
        assert_eq!(told(HOST, None, &[]), [HOST]);
    }

    #[test]
    fn a_public_address_is_offered_beside_the_one_it_is_mapped_to() {
        let lines = told(HOST, Some(7000), &external());
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[1],
            "candidate:842163049x 1 udp 1694498815 203.0.113.7 7000 typ srflx raddr 192.168.1.5 rport 7000 ufrag abcd"
        );
        assert!(told(HOST, None, &external())[1].contains("203.0.113.7 40001 typ srflx"));
    }

    #[test]
    fn an_address_of_the_other_family_or_of_this_machine_alone_is_not_mapped() {
        let loopback = HOST.replace("192.168.1.5", "127.0.0.1");
        assert_eq!(told(&loopback, None, &external()), [loopback]);
        let v6 = HOST.replace("192.168.1.5", "2001:db8::5");
        assert_eq!(told(&v6, None, &external()), [v6]);
        let public = HOST.replace("192.168.1.5", "203.0.113.7");
        assert_eq!(told(&public, None, &external()), [public]);
    }

    #[test]
    fn what_nobody_could_dial_is_not_told() {
        for address in ["0.0.0.0", "::"] {
            assert!(told(&HOST.replace("192.168.1.5", address), Some(7000), &external()).is_empty());
        }
        assert!(told("", None, &[]).is_empty());
    }
}
