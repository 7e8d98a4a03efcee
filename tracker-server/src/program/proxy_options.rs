//! The flags for a tracker behind a reverse proxy.

use anyhow::bail;
use clap::Args;

use crate::proxies::TrustedProxies;
use crate::{BasePath, ServerConfig};

/// How a tracker is reached through proxies.
#[derive(Debug, Args)]
pub(crate) struct ProxyOptions {
    /// Network or address of reverse proxies, such as 10.0.0.0/8 or 2001:db8::7: the sender of a request is whom they name in
    /// X-Forwarded-For or Forwarded; repeatable, or separated by commas. From all other addresses these headers are ignored.
    #[arg(long = "trust-proxy", value_name = "CIDR", value_delimiter = ',')]
    trust_proxies: Vec<String>,

    /// Trusts proxies on this machine and in private networks: the same as --trust-proxy with 127.0.0.0/8, ::1, 10.0.0.0/8,
    /// 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, 100.64.0.0/10, fc00::/7 and fe80::/10.
    #[arg(long)]
    behind_proxy: bool,

    /// Takes connections of trusted proxies only with a PROXY header in front (version 1 or 2), which names their sender.
    #[arg(long)]
    proxy_protocol: bool,

    /// Serves everything below this path, such as /films, for a proxy that passes the path on. A proxy that takes it away
    /// needs no flag.
    #[arg(long, value_name = "PATH", default_value = "")]
    base_path: BasePath,
}

impl ProxyOptions {
    /// Puts what the flags mean into `config`.
    pub(crate) fn apply(&self, config: &mut ServerConfig) -> anyhow::Result<()> {
        let networks = self.trust_proxies.iter().map(String::as_str);
        config.proxies = TrustedProxies::parse(self.behind_proxy, networks).map_err(|text| {
            anyhow::anyhow!("--trust-proxy {text} must look like 10.0.0.0/8, 10.0.0.7 or 2001:db8::/32")
        })?;
        if self.proxy_protocol && config.proxies.is_empty() {
            bail!(
                "--proxy-protocol takes --trust-proxy or --behind-proxy as well: it is spoken with trusted proxies only"
            );
        }
        config.is_proxy_protocol = self.proxy_protocol;
        config.base_path = self.base_path.clone();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        proxies: ProxyOptions,
    }

    fn config(arguments: &[&str]) -> Result<ServerConfig, String> {
        let line =
            Line::try_parse_from([&["tracker"], arguments].concat()).map_err(|error| error.to_string())?;
        let mut config = ServerConfig::new(1, b"");
        line.proxies.apply(&mut config).map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn proxies_are_trusted_as_the_flags_say() {
        let trusts = |arguments: &[&str], address: &str| {
            config(arguments).unwrap().proxies.trusts(address.parse().unwrap())
        };
        assert!(!trusts(&[], "127.0.0.1"));
        assert!(trusts(&["--behind-proxy"], "127.0.0.1") && trusts(&["--behind-proxy"], "192.168.7.7"));
        assert!(!trusts(&["--behind-proxy"], "203.0.113.1"));
        let several = ["--trust-proxy", "203.0.113.0/24,2001:db8::7", "--trust-proxy", "192.0.2.1"];
        for address in ["203.0.113.9", "2001:db8::7", "192.0.2.1"] {
            assert!(trusts(&several, address), "{address}");
        }
        assert!(!trusts(&several, "127.0.0.1"));
        assert!(config(&["--behind-proxy", "--proxy-protocol"]).unwrap().is_proxy_protocol);
        assert_eq!(config(&["--base-path", "/films/"]).unwrap().base_path.to_string(), "/films");
        for (wrong, word) in [
            (&["--trust-proxy", "10.0.0.0/40"][..], "--trust-proxy 10.0.0.0/40 must look like"),
            (&["--trust-proxy", "proxy.example"], "must look like"),
            (&["--proxy-protocol"], "--proxy-protocol takes --trust-proxy"),
            (&["--base-path", "films"], "is no path"),
        ] {
            let error = config(wrong).unwrap_err();
            assert!(error.contains(word), "{wrong:?}: {error}");
        }
    }
}
