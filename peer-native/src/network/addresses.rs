//! The addresses by which other machines may reach this one.

use std::net::IpAddr;

use rtc::shared::ifaces::ifaces;

/// Addresses of this machine's network interfaces, those of IPv4 first. Loopback addresses and those that hold on one wire
/// only (link-local) are left out. Empty where the machine has none or does not say.
pub fn network_addresses() -> Vec<IpAddr> {
    let interfaces = ifaces().unwrap_or_default();
    usable(interfaces.into_iter().filter_map(|interface| Some(interface.addr?.ip())))
}

fn usable(all: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let is_usable = |address: &IpAddr| match address {
        IpAddr::V4(address) => {
            !address.is_loopback() && !address.is_link_local() && !address.is_unspecified()
        }
        IpAddr::V6(address) => {
            !address.is_loopback() && !address.is_unicast_link_local() && !address.is_unspecified()
        }
    };
    let mut found: Vec<IpAddr> = all.filter(is_usable).collect();
    // Addresses of IPv4 are less than those of IPv6.
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_others_can_use_are_named_and_each_once() {
        let all =
            ["::1", "fe80::1", "fd00::7", "127.0.0.1", "192.168.1.5", "169.254.0.1", "10.0.0.2", "10.0.0.2"];
        let found = usable(all.iter().map(|text| text.parse().unwrap()));
        assert_eq!(found, ["10.0.0.2", "192.168.1.5", "fd00::7"].map(|text| text.parse::<IpAddr>().unwrap()));
    }
}
