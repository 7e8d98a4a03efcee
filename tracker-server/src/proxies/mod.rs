//! Reverse proxies that this tracker believes, and what they say of the sender of a request.
//!
//! A request passes a chain of hops. Each proxy appends the address that it was reached from to `X-Forwarded-For`, so
//! everything left of the entry of the first trusted proxy is the sender's own words. The walk begins at the
//! connection and goes from right to left for as long as the hop it stands at is trusted. It ends at the first address
//! that is not.
//!
//! * Headers of a connection that is not trusted are ignored.
//! * An entry that names no address (`unknown`, `_hidden`, garbage) ends the walk at the proxy that wrote it.
//! * `X-Forwarded-For` wins over `Forwarded` (RFC 7239): most proxies set the former and pass the latter on as it came.
//!
//! `protocol` is the same for proxies that speak before the first byte of HTTP.

pub mod entries;
pub(crate) mod protocol;

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use swarm_core::web_address::is_private_address;

/// The header that most proxies append to.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The header of RFC 7239.
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// Which addresses are those of proxies that are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    trusts_private: bool,
    networks: Vec<IpNet>,
}

impl TrustedProxies {
    /// Trusts these networks (`10.0.0.0/8`, `2001:db8::/32`) and addresses; `trusts_private` adds loopback and private
    /// networks. The error is the text that is neither.
    pub fn parse<'a>(trusts_private: bool, texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let read = |text: &str| {
            let text = text.trim();
            let address = || text.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
            text.parse::<IpNet>()
                .ok()
                .map(|network| network.trunc())
                .or_else(address)
                .ok_or_else(|| text.to_owned())
        };
        let networks: Result<_, String> = texts.into_iter().map(read).collect();
        Ok(Self { trusts_private, networks: networks? })
    }

    /// Whether nobody is believed.
    pub const fn is_empty(&self) -> bool {
        !self.trusts_private && self.networks.is_empty()
    }

    /// Whether what comes from this address is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        (self.trusts_private && is_private_address(address))
            || self.networks.iter().any(|network| network.contains(&address))
    }

    /// Who sent a request with these headers on a connection from `connection`.
    pub fn sender(&self, connection: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut sender = connection;
        let is_usual = headers.contains_key(X_FORWARDED_FOR);
        let values = headers.get_all(if is_usual { X_FORWARDED_FOR } else { FORWARDED });
        for value in values.iter().rev() {
            let hops =
                if is_usual { entries::of_list(text(value)) } else { entries::of_forwarded(text(value)) };
            for hop in hops.into_iter().rev() {
                match hop.filter(|_| self.trusts(sender)) {
                    Some(address) => sender = address,
                    None => return sender,
                }
            }
        }
        sender
    }
}

/// A value that cannot be read names no address.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(texts: &[&str]) -> TrustedProxies {
        TrustedProxies::parse(false, texts.iter().copied()).unwrap()
    }

    fn sender(proxies: &TrustedProxies, connection: &str, headers: &[(&str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        proxies.sender(connection.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn the_sender_is_the_right_most_address_that_is_not_trusted() {
        let trusted = proxies(&["10.0.0.0/8", "2001:db8::/32", "198.51.100.7"]);
        for (connection, forwarded_for, expected) in [
            // One proxy.
            ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
            // The sender invented the first entry.
            ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "10.0.0.9, 203.0.113.9", "203.0.113.9"),
            // Two and three proxies, one known by its address.
            ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("10.0.0.1", "1.1.1.1, 203.0.113.9,198.51.100.7 ,10.0.0.2", "203.0.113.9"),
            // All hops are trusted: the first one is the sender.
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            // Ports and brackets.
            ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
            ("10.0.0.1", "[2001:db9::1]:4711", "2001:db9::1"),
            ("10.0.0.1", "[2001:db9::1]", "2001:db9::1"),
            ("10.0.0.1", "2001:db9::1", "2001:db9::1"),
            ("10.0.0.1", "203.0.113.9, [2001:db8::5]:80", "203.0.113.9"),
            ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
            ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("2001:db8::1", "203.0.113.9", "203.0.113.9"),
            // What names no address is that of the proxy that wrote it.
            ("10.0.0.1", "unknown", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "203.0.113.9, 10.0.0.256", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9, 10.0.0.2:port", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9, fe80::1%eth0", "10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9,", "10.0.0.1"),
            // A stranger's headers.
            ("203.0.113.66", "10.0.0.1", "203.0.113.66"),
            ("203.0.113.66", "1.1.1.1, 10.0.0.2", "203.0.113.66"),
        ] {
            let found = sender(&trusted, connection, &[("x-forwarded-for", forwarded_for)]);
            assert_eq!(found, expected, "{connection}: {forwarded_for}");
        }
        assert_eq!(sender(&trusted, "10.0.0.1", &[]), "10.0.0.1");
        let lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.9, 10.0.0.2")];
        assert_eq!(sender(&trusted, "10.0.0.1", &lines), "203.0.113.9", "lines are one list");
    }

    #[test]
    fn the_forwarded_header_is_read_where_it_stands_alone() {
        let trusted = proxies(&["10.0.0.0/8", "2001:db8::/32"]);
        for (forwarded, expected) in [
            ("for=203.0.113.9", "203.0.113.9"),
            ("For=\"203.0.113.9:4711\"", "203.0.113.9"),
            ("for=1.1.1.1, for=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"),
            ("proto=https;host=\"a,b;for=1.1.1.1\"; FOR = 203.0.113.9", "203.0.113.9"),
            ("for=\"[2001:db9::1]:4711\"", "2001:db9::1"),
            ("for=203.0.113.9, for=\"[2001:db8::2]\"", "203.0.113.9"),
            ("for=203.0.113.9, for=10.0.0.2", "203.0.113.9"),
            ("for=\"203.\\0.113.9\"", "203.0.113.9"),
            ("for=unknown", "10.0.0.1"),
            ("for=203.0.113.9, for=_hidden", "10.0.0.1"),
            ("for=203.0.113.9, for=\"_a:_b\", for=10.0.0.2", "10.0.0.2"),
            ("for=203.0.113.9, proto=https", "10.0.0.1"),
            ("for=203.0.113.9, for=\"10.0.0.2", "10.0.0.1"),
            ("for=203.0.113.9;for=10.0.0.2", "10.0.0.1"),
            ("for", "10.0.0.1"),
            // A sender leaves a quote open, so that it spans what the proxy appends.
            ("for=1.1.1.1;x=\", for=203.0.113.9", "10.0.0.1"),
            ("for=1.1.1.1;x=\"\\, for=203.0.113.9", "10.0.0.1"),
            ("for=1.1.1.1;x=\", for=\"[2001:db9::1]:4711\"", "10.0.0.1"),
        ] {
            assert_eq!(sender(&trusted, "10.0.0.1", &[("forwarded", forwarded)]), expected, "{forwarded}");
            assert_eq!(sender(&trusted, "203.0.113.66", &[("forwarded", forwarded)]), "203.0.113.66");
        }
        let both = [("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(sender(&trusted, "10.0.0.1", &both), "203.0.113.9");
    }

    #[test]
    fn networks_and_addresses_are_trusted_and_other_texts_refused() {
        let trusted = proxies(&["192.0.2.77/24", " ::1", "::ffff:198.51.100.1"]);
        let trusts = |trusted: &TrustedProxies, text: &str| trusted.trusts(text.parse().unwrap());
        for (address, is_trusted) in
            [("192.0.2.1", true), ("192.0.3.1", false), ("::1", true), ("::2", false), ("198.51.100.1", true)]
        {
            assert_eq!(trusts(&trusted, address), is_trusted, "{address}");
        }
        let private = TrustedProxies::parse(true, []).unwrap();
        assert!(
            ["127.0.0.1", "::1", "10.1.1.1", "172.16.0.1", "192.168.0.1", "fd00::1"]
                .iter()
                .all(|a| trusts(&private, a))
        );
        assert!(!trusts(&private, "203.0.113.1") && !private.is_empty());
        assert!(proxies(&[]).is_empty() && !trusts(&proxies(&[]), "127.0.0.1"));
        for text in ["", "10.0.0.0/33", "10.0.0", "proxy.example", "10.0.0.0/8/8"] {
            assert_eq!(TrustedProxies::parse(false, [text]), Err(text.to_owned()));
        }
    }
}
