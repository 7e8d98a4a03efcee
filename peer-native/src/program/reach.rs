//! The flags that say how others reach this machine.

use std::net::{IpAddr, Ipv4Addr};

use clap::Args;

use crate::{Network, PortError};

/// How others reach this machine.
#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// Carry all connections over this one UDP port, to be opened in a firewall. Default: free ports.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) udp_port: Option<u16>,

    /// A public address that a router maps to this machine, port by port; may be repeated.
    #[arg(long = "external-ip", value_name = "IP", value_parser = external_ip)]
    pub(crate) external_ips: Vec<IpAddr>,
}

/// Reads an address that another machine can send to.
fn external_ip(text: &str) -> Result<IpAddr, &'static str> {
    let address: IpAddr = text.parse().map_err(|_| "it must be an IP address, such as 203.0.113.7")?;
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err("it is not the address of one machine; name the router's public address");
    }
    Ok(address)
}

impl Reach {
    /// Opens the port, if one is named. Runs in a tokio runtime.
    pub(crate) fn network(&self) -> Result<Network, PortError> {
        let network = match self.udp_port {
            Some(port) => Network::shared_port(port)?,
            None => Network::own_ports(),
        };
        Ok(network.with_external(&self.external_ips))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_address_is_one_of_a_machine() {
        for ip in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "router.example"] {
            assert!(external_ip(ip).is_err(), "{ip}");
        }
        for ip in ["203.0.113.7", "2001:db8::1"] {
            assert_eq!(external_ip(ip).map(|ip| ip.to_string()).as_deref(), Ok(ip));
        }
    }
}
