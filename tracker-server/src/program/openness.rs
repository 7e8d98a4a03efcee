//! A tracker that strangers can reach is open to them only if its operator says so.

use std::net::SocketAddr;

use anyhow::bail;

use crate::ServerConfig;
use swarm_core::web_address::is_private_address;

/// Refuses to serve strangers by accident. `is_open` is whether the operator wants that; `address` is listened on.
pub(crate) fn check(config: &ServerConfig, is_open: bool, address: SocketAddr) -> anyhow::Result<()> {
    let is_closed =
        config.publish_token.is_some() || config.tracker.token.is_some() || !config.viewer_tokens.is_empty();
    // An operator who names a private address chose who can come.
    if is_open || is_closed || (is_private_address(address.ip()) && config.proxies.is_empty()) {
        return Ok(());
    }
    let way =
        if !config.proxies.is_empty() { "through its proxy".to_owned() } else { format!("at {address}") };
    bail!(
        "strangers can reach this tracker {way}, and all of them could publish and watch: close it with \
         --publish-token, --token or --viewer-key, or let everybody in with --open"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxies::TrustedProxies;

    fn result(address: &str, is_open: bool, change: fn(&mut ServerConfig)) -> Result<(), String> {
        let mut config = ServerConfig::new(1, b"");
        change(&mut config);
        check(&config, is_open, address.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn strangers_that_can_reach_a_tracker_are_let_in_on_purpose_only() {
        let behind_proxy = |config: &mut ServerConfig| {
            config.proxies = TrustedProxies::parse(false, ["203.0.113.0/24"]).unwrap();
        };
        for address in ["0.0.0.0:80", "[::]:80", "172.32.0.1:80", "203.0.113.1:80", "[2001:db8::1]:80"] {
            let error = result(address, false, |_| {}).unwrap_err();
            assert!(error.contains(&format!("at {address},")), "{error}");
            assert!(error.contains("--publish-token") && error.contains("--open"), "{error}");
            assert_eq!(result(address, true, |_| {}), Ok(()));
            for close in [
                (|config| config.publish_token = Some("x".into())) as fn(&mut ServerConfig),
                |config| config.tracker.token = Some("x".into()),
                |config| config.viewer_tokens.add("a", &"north ".repeat(9)).unwrap(),
            ] {
                assert_eq!(result(address, false, close), Ok(()), "{address}");
            }
        }
        let private = [
            "127.0.0.1:80",
            "127.9.9.9:80",
            "[::1]:80",
            "[::ffff:127.0.0.1]:80",
            "10.9.0.1:80",
            "192.168.1.5:80",
            "172.31.0.1:80",
            "169.254.1.1:80",
            "[fd00::1]:80",
            "[fe80::1]:80",
        ];
        for address in private {
            assert_eq!(result(address, false, |_| {}), Ok(()), "{address}");
            assert!(result(address, false, behind_proxy).unwrap_err().contains("through its proxy"));
            assert_eq!(result(address, true, behind_proxy), Ok(()), "{address}");
        }
    }
}
