//! Addresses of HTTP servers and of trackers as a manifest names them, and what they must not contain.
//!
//! ```text
//! SCHEME://HOST[:PORT][/PATH][?QUERY]
//! ```
//! The form is narrower than RFC 3986: no user names, no fragments, nothing that a parser and another parser read
//! differently. A host is a name of letters, digits, `-`, `_` and `.`, or an IP address. IPv4 addresses have four decimal numbers: browsers
//! also read `2130706433`, `0x7f.1` and `127.0.0.1.` as addresses, so a name does not end in a number.

use core::net::{IpAddr, Ipv6Addr};

/// One address, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebAddress<'a> {
    /// `http`, `https`, `ws` or `wss`.
    pub scheme: &'a str,
    /// Name or IP address; an IPv6 address without its brackets.
    pub host: &'a str,
    /// Port, where one is written.
    pub port: Option<u16>,
    /// Path, empty or with its slash in front; without the query.
    pub path: &'a str,
    /// What follows the question mark, where there is one.
    pub query: Option<&'a str>,
}

impl<'a> WebAddress<'a> {
    /// Takes an address apart. `None` for a text that is none, or none of one of these schemes.
    pub fn read(text: &'a str, schemes: &[&str]) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        if !schemes.contains(&scheme) || !text.bytes().all(is_plain) {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at_checked(end)?;
        let (host, port) = host_and_port(authority)?;
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (tail, None),
        };
        Some(Self { scheme, host, port, path, query })
    }

    /// Whether the host is this machine or one of a private network, as far as its text tells.
    pub fn is_local(&self) -> bool {
        match self.host.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(address) => {
                // Documentation addresses (RFC 5737) are no part of the internet, either: only laboratories use them. That is
                // said here, where a stranger's manifest would have viewers ask such an address, and not in
                // `is_private_address`: a laboratory uses them as its internet.
                let is_documentation = matches!(address, IpAddr::V4(address) if address.is_documentation());
                is_private_address(address) || address.is_unspecified() || is_documentation
            }
            Err(_) => is_private_name(self.host),
        }
    }
}

/// What names of private networks end in: RFC 6761, 6762 and 8375, and what routers and ICANN's reservation use.
const PRIVATE_SUFFIXES: [&str; 6] = [".localhost", ".local", ".lan", ".home.arpa", ".internal", ".test"];

/// Whether a name means something in a private network only, so that nobody outside can point it at a machine in it.
pub fn is_private_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    // A name of one label is found in the network's own domain.
    let is_one_label = !name.is_empty() && !name.contains('.');
    is_one_label || PRIVATE_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Whether an address is reached from this machine or a private network only: loopback, RFC 1918, RFC 3927, RFC 6598; unique
/// local and link-local addresses of IPv6 (RFC 4193, RFC 4291).
pub fn is_private_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let is_shared = matches!(address.octets(), [100, 64..=127, ..]);
            address.is_loopback() || address.is_private() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// Bytes that an address may have: printable ASCII without what separates, quotes or escapes in other places.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#')
}

fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port, is_host) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port, host.parse::<Ipv6Addr>().is_ok())
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at_checked(end)?;
            (host, port, is_name(host))
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return None,
        Some(digits) => Some(port_of(digits)?),
    };
    is_host.then_some((host, port))
}

/// A port has one form: no sign, no leading zero.
fn port_of(digits: &str) -> Option<u16> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|port| is_number && *port > 0)
}

fn is_name(host: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(is_letter);
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_number = name.rsplit('.').next().is_some_and(ends_numerically);
    host.len() <= 253
        && name.split('.').all(is_label)
        && (!is_number || host.parse::<core::net::Ipv4Addr>().is_ok())
}

/// Whether browsers take a name with this last label for an IPv4 address ("ends in a number", URL standard).
fn ends_numerically(label: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    digits(label) || hexadecimal.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const ALL: [&str; 4] = ["http", "https", "ws", "wss"];

    #[test]
    fn addresses_are_taken_apart() {
        let read =
            |text| WebAddress::read(text, &ALL).map(|it| (it.scheme, it.host, it.port, it.path, it.query));
        assert_eq!(
            read("https://films.example.org/a/b.mp4?x=1"),
            Some(("https", "films.example.org", None, "/a/b.mp4", Some("x=1")))
        );
        assert_eq!(read("ws://[2001:db8::1]:80"), Some(("ws", "2001:db8::1", Some(80), "", None)));
        assert_eq!(
            read("http://a_b.example.:8080?q"),
            Some(("http", "a_b.example.", Some(8080), "", Some("q")))
        );
    }

    #[test]
    fn what_two_programs_could_read_differently_is_refused() {
        for text in [
            "",
            "https://",
            "https:///film",
            "ftp://a/",
            "HTTPS://a/",
            "https://user@a/",
            "https://user:secret@a/",
            "https://a:/",
            "https://a:0/",
            "https://a:080/",
            "https://a:+80/",
            "https://a:65536/",
            "https://a..b/",
            "https://a b/",
            "https://a/\\b",
            "https://a/b c",
            "https://a/#x",
            "https://a/\u{e9}",
            "https://a\\b/",
            "https://[::1/",
            "https://[::1]x/",
            "https://[a]/",
            "https://::1/",
            "https://a/<script>",
            "https://%61/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x/",
            "https://127.1/",
            "https://0/",
            "https://0177.0.0.1/",
            "https://10.0.0.1./",
            "https://a.example.1/",
        ] {
            assert_eq!(WebAddress::read(text, &ALL), None, "{text}");
        }
        assert_eq!(WebAddress::read("ws://a", &["http", "https"]), None);
    }

    #[test]
    fn hosts_of_this_machine_and_of_private_networks_are_told_apart_from_others() {
        let is_local = |host: &str| WebAddress::read(&format!("http://{host}/"), &ALL).unwrap().is_local();
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.9:80",
            "172.16.0.1",
            "169.254.1.1",
            "[::1]",
            "[fd00::1]",
            "[fe80::1]",
            "localhost",
            "LOCALHOST.",
            "x.localhost",
            "nas.local",
            "[::ffff:10.0.0.1]",
            "0.0.0.0",
            "100.64.0.1",
            "vm",
            "nas.lan",
            "films.HOME.ARPA.",
            "tracker.internal",
            "films.test",
            "192.0.2.1",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in ["8.8.8.8", "example.org", "localhost.example.org", "[2001:db8::1]", "172.32.0.1"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
