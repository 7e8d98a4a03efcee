//! Whether two peers are near by their addresses: a guess, as good as the first bits of an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network that an address is in: its first 16 bits, of IPv6 its first 32, which is about one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpAddr);

impl Network {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 16)).into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 96)).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_provider_are_in_one_network() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("198.51.100.1"), of("198.51.7.9"));
        assert_eq!(of("198.51.100.1"), of("::ffff:198.51.7.9"));
        assert_ne!(of("198.51.100.1"), of("198.52.100.1"));
        assert_eq!(of("2001:db8:1::1"), of("2001:db8:ffff::2"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db9:1::1"));
    }
}
