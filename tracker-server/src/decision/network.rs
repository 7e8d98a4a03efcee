//! What an address tells: whose it is, how many others its holder has, and who is near.
//!
//! | type | IPv4 | IPv6 | stands for |
//! |---|---|---|---|
//! | [`Site`] | the address | /64 | one customer: what limits for each address count |
//! | [`Subnet`] | /24 | /48 | one holder of many addresses: the smallest prefix that is routed by itself, and what a customer may ask its provider for |
//! | [`Network`] | /16 | /32 | about one provider: who is near |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Set in the number of an IPv4 subnet, so that it is never that of an IPv6 one.
const IPV4: u64 = 1 << 48;

/// What counts as one address: of IPv6 the /64, since that is what one customer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Site(IpAddr);

impl Site {
    /// The site of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        })
    }

    /// The first address of the site.
    pub(crate) const fn address(self) -> IpAddr {
        self.0
    }

    /// The subnet that the site is in.
    pub(crate) fn subnet(self) -> Subnet {
        Subnet::of(self.0)
    }
}

/// The addresses that one holder can easily have: a /24 of IPv4, a /48 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Subnet(u64);

impl Subnet {
    /// The subnet of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IPV4 | u64::from(address.to_bits() >> 8),
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                u64::from(a) << 32 | u64::from(b) << 16 | u64::from(c)
            }
        })
    }
}

/// The network that an address is in: its first 16 bits, of IPv6 its first 32, which is about one provider.
/// A guess at who is near, as good as the first bits of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network(IpAddr);

impl Network {
    /// The network of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 16)).into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 96)).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_of_one_provider_are_in_one_network() {
        let of = |text: &str| Network::of(address(text));
        assert_eq!(of("198.51.100.1"), of("198.51.7.9"));
        assert_eq!(of("198.51.100.1"), of("::ffff:198.51.7.9"));
        assert_ne!(of("198.51.100.1"), of("198.52.100.1"));
        assert_eq!(of("2001:db8:1::1"), of("2001:db8:ffff::2"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db9:1::1"));
    }

    #[test]
    fn the_addresses_of_one_customer_are_one_site() {
        let of = |text: &str| Site::of(address(text));
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1").address(), address("10.0.0.1"));
    }

    #[test]
    fn the_addresses_of_one_holder_are_one_subnet() {
        let of = |text: &str| Site::of(address(text)).subnet();
        assert_eq!(of("192.0.2.1"), of("192.0.2.255"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:2:2::1"));
        assert_ne!(of("0.0.1.0"), of("::1:0:0:0:0:0"));
    }
}
