//! The command line and what it means for the configuration.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use super::encryption::EncryptionOptions;
use super::privacy_options::PrivacyOptions;
use super::proxy_options::ProxyOptions;
use super::several_options::SeveralOptions;
use crate::access::AllowedOrigins;
use crate::decision::ResumeKey;
use crate::limits::{CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX};
use crate::relays::Relays;
use crate::viewer_tokens::{self, AUDIENCE_DEFAULT, Grant, ViewerTokens};
use crate::{Page, ServerConfig};
use anyhow::{Context, bail};
use clap::builder::{StringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use swarm_core::SwarmId;
use swarm_core::limits::ICE_SERVERS_MAX;
use swarm_core::token::{fault_in_header, fault_in_link};
use swarm_core::tracker_message::{IceServer, Role};

/// Characters of a secret that strangers could try to guess, at least.
const SECRET_CHARS_MIN: usize = 16;

/// Where a tracker without TLS listens.
pub(crate) const LISTEN_DEFAULT: &str = "127.0.0.1:8080";

/// The tracker of Tributary: introduces peers to one another and serves the page they watch on.
///
/// Give it a certificate (--domain or --certificate), or put it behind a reverse proxy that speaks TLS. Every flag can stand in the file of --config instead.
#[derive(Debug, Parser)]
#[command(name = "tracker-server", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) tracker: TrackerOptions,
}

/// How a tracker serves.
#[derive(Debug, Args)]
pub struct TrackerOptions {
    /// A TOML file with flags by their names, such as `listen = "127.0.0.1:8080"`. The command line and the environment
    /// win.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Address to listen on; port 0 takes any free one. Default: 127.0.0.1:8080; with --domain, port 443 of every address.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,

    /// Address to serve /metrics on; keep it private. Without it metrics are not served.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) metrics_listen: Option<String>,

    /// Directory for what is published, kept over a restart. Without it everything is in memory.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Origin whose pages may use this tracker beside its own, such as `https://example.org`, or * for all; repeatable.
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    allow_origins: Vec<String>,

    /// Directory of the built page. Default: the page inside the program; `tracker-server`, which has none, takes dist.
    #[arg(long, alias = "page", value_name = "DIR")]
    www: Option<PathBuf>,

    /// Server that peers use to find their way through NAT: stun:HOST:PORT or turn:HOST:PORT; repeatable.
    #[arg(long = "ice-server", value_name = "URL")]
    ice_servers: Vec<String>,

    /// Relay that shares --turn-secret: turn:HOST:PORT or turns:HOST:PORT; repeatable. Peers that joined get
    /// credentials that expire.
    #[arg(long = "turn-url", value_name = "URL")]
    turn_urls: Vec<String>,

    /// Secret of the relays of --turn-url, coturn's static-auth-secret: at least 16 characters.
    #[arg(long, value_name = "TEXT", env = "TRIBUTARY_TURN_SECRET", hide_env_values = true)]
    turn_secret: Option<String>,

    /// User name for the turn: servers of --ice-server.
    #[arg(long, value_name = "NAME", env = "TRIBUTARY_ICE_USERNAME")]
    ice_username: Option<String>,

    /// Password for the turn: servers of --ice-server. Every peer that joins is told it, and it never expires: prefer
    /// --turn-secret.
    #[arg(long, value_name = "TEXT", env = "TRIBUTARY_ICE_CREDENTIAL", hide_env_values = true)]
    ice_credential: Option<String>,

    /// Lets peers keep their ids over a restart of the tracker: a random text of at least 16 characters, the same
    /// each time.
    #[arg(long, value_name = "TEXT", env = "TRIBUTARY_SECRET", hide_env_values = true)]
    secret: Option<String>,

    #[command(flatten)]
    several: SeveralOptions,

    /// Lets everybody publish and watch. A tracker that strangers can reach starts only with this, or with --token,
    /// --publish-token or --viewer-key, which close it.
    #[arg(long, env = "TRIBUTARY_OPEN", value_parser = yes_or_no())]
    pub(crate) open: bool,

    /// Closes the tracker to peers that do not present this token.
    #[arg(long, value_name = "TEXT", env = "TRIBUTARY_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// Closes the tracker to publishers that do not present this token.
    #[arg(long, value_name = "TEXT", env = "TRIBUTARY_PUBLISH_TOKEN", hide_env_values = true)]
    publish_token: Option<String>,

    /// Host by which publishers reach this tracker, such as tracker.example.org; repeatable. Proofs of publishers that name
    /// another are refused; without it the name that they asked for is taken.
    #[arg(long = "public-host", value_name = "HOST", value_parser = host)]
    public_hosts: Vec<String>,

    /// Closes the tracker to viewers without a permission signed with this key, a file with a public key of Ed25519 (PEM) or
    /// a secret; repeatable, so that keys can be changed. `tracker-server token` makes permissions.
    #[arg(long = "viewer-key", value_name = "KID=FILE")]
    viewer_keys: Vec<String>,

    /// What permissions must name as their audience.
    #[arg(long, value_name = "TEXT", default_value = AUDIENCE_DEFAULT)]
    audience: String,

    #[command(flatten)]
    privacy: PrivacyOptions,

    #[command(flatten)]
    proxies: ProxyOptions,

    /// Connections that may be open at a time.
    #[arg(long, value_name = "COUNT", default_value_t = CONNECTIONS_MAX, value_parser = count::<usize>)]
    connections_max: usize,

    /// WebSocket connections that one address may have.
    #[arg(long, value_name = "COUNT", default_value_t = CONNECTIONS_PER_ADDRESS_MAX, value_parser = count::<u32>)]
    connections_per_address_max: u32,

    #[command(flatten)]
    pub(crate) encryption: EncryptionOptions,

    /// Says more on stderr; twice for everything. RUST_LOG overrides it.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a permission to watch one content, for `&token=` in a link, `seeder fetch --token` or TRIBUTARY_TOKEN.
    Token(TokenOptions),
}

/// `tracker-server token`.
#[derive(Debug, Args)]
pub struct TokenOptions {
    /// The key: a private key of Ed25519 (PEM, PKCS#8) or the secret of --viewer-key, under the same KID.
    #[arg(long, value_name = "KID=FILE")]
    key: String,

    /// What may be watched.
    #[arg(long, value_name = "SWARMID")]
    swarm: SwarmId,

    /// For how long: 90s, 30m, 12h, 7d.
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = viewer_tokens::lifetime)]
    lifetime: Duration,

    /// The audience of the tracker, as in its --audience.
    #[arg(long, value_name = "TEXT", default_value = AUDIENCE_DEFAULT)]
    audience: String,

    /// Lets the publisher's own seeder join, instead of a viewer.
    #[arg(long)]
    initial: bool,
}

/// A count of which there is at least one.
fn count<N: std::str::FromStr + From<u8> + PartialOrd>(text: &str) -> Result<N, &'static str> {
    text.parse().ok().filter(|count| *count >= N::from(1)).ok_or("it must be a whole number from 1 on")
}

/// What is read of TRIBUTARY_OPEN. A variable that is set but empty counts as not set.
fn yes_or_no() -> impl TypedValueParser<Value = bool> {
    StringValueParser::new().try_map(|text| match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "" | "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("it must be true or false"),
    })
}

/// The name of a host, without scheme, port and path.
fn host(text: &str) -> Result<String, &'static str> {
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    let is_name = text.split('.').all(|label| {
        !label.is_empty()
            && label.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter))
    });
    if is_address || is_name {
        Ok(text.to_owned())
    } else {
        Err("it must be the name of a host, such as tracker.example.org")
    }
}

/// Whether an address of a STUN or TURN server names a host: `SCHEME:HOST`, `SCHEME:HOST:PORT`, and for relays
/// `?transport=udp` or `tcp` (RFC 7064, RFC 7065). Browsers refuse the whole configuration for one that does not.
fn has_host(url: &str) -> bool {
    let Some((_, rest)) = url.split_once(':') else { return false };
    let (authority, query) =
        rest.split_once('?').map_or((rest, None), |(authority, query)| (authority, Some(query)));
    let is_relay = url.starts_with("turn");
    let is_query = query.is_none_or(|query| is_relay && matches!(query, "transport=udp" | "transport=tcp"));
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("v6", port),
        Some(_) => return false,
        None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
    };
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<NonZeroU16>().is_ok());
    self::host(host).is_ok() && is_port && is_query
}

impl TokenOptions {
    /// The token.
    pub(crate) fn mint(&self) -> anyhow::Result<String> {
        let role = if self.initial { Role::Initial } else { Role::Viewer };
        let grant = Grant { swarm: self.swarm, role, lifetime: self.lifetime, audience: &self.audience };
        viewer_tokens::mint(&self.key, &grant)
    }
}

impl TrackerOptions {
    /// What the options mean. `page` is served where they name no other.
    pub(crate) fn config(&self, page: Page) -> anyhow::Result<ServerConfig> {
        self.check_texts()?;
        let mut random = [0; 32];
        getrandom::fill(&mut random).context("the system gives no random bytes")?;
        let secret = self.secret.as_ref().map_or(&random[..], |secret| secret.as_bytes());
        let seed = getrandom::u64().context("the system gives no random bytes")?;
        let mut config = ServerConfig::new(seed, secret);
        config.tracker.resume_key = ResumeKey::from_secret(secret);
        let (relays, servers) = self.ice_servers()?.into_iter().partition(|server| server.username.is_some());
        config.tracker.ice_servers = servers;
        config.relays = self.relays(relays)?;
        config.data_dir.clone_from(&self.data_dir);
        config.allowed_origins = AllowedOrigins::parse(self.allow_origins.iter().map(String::as_str))
            .map_err(|text| {
                anyhow::anyhow!("--allow-origin {text} must look like https://example.org, or be *")
            })?;
        config.tracker.token.clone_from(&self.token);
        config.tracker.connections_per_address_max = self.connections_per_address_max;
        config.page = self.www.clone().map_or(page, Page::Directory);
        config.publish_token.clone_from(&self.publish_token);
        config.public_hosts.clone_from(&self.public_hosts);
        let keys = self.viewer_keys.iter().map(String::as_str);
        config.viewer_tokens = ViewerTokens::read(keys, &self.audience)?;
        self.proxies.apply(&mut config)?;
        config.connections_max = self.connections_max;
        self.several.apply(&mut config, self.secret.is_some())?;
        self.privacy.apply(&mut config)?;
        config.tls = self.encryption.tls(self.data_dir.as_deref())?;
        if config.public_hosts.is_empty() {
            config.public_hosts = self.encryption.domains().to_vec();
        }
        Ok(config)
    }

    /// An empty text is no secret: a variable of the environment that was left empty must not pass for one.
    fn check_texts(&self) -> anyhow::Result<()> {
        for (flag, variable, text) in [
            ("--token", "TRIBUTARY_TOKEN", &self.token),
            ("--publish-token", "TRIBUTARY_PUBLISH_TOKEN", &self.publish_token),
            ("--secret", "TRIBUTARY_SECRET", &self.secret),
            ("--turn-secret", "TRIBUTARY_TURN_SECRET", &self.turn_secret),
        ] {
            if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                bail!("{flag} is empty: give it a text, or leave out {flag} and {variable}");
            }
        }
        for (flag, fault) in [
            ("--token", self.token.as_deref().and_then(fault_in_link)),
            ("--publish-token", self.publish_token.as_deref().and_then(fault_in_header)),
        ] {
            if let Some(fault) = fault {
                bail!("{flag} cannot be used: {fault}");
            }
        }
        // What follows from these is shown to strangers, who can try out short ones by themselves.
        for (flag, text) in [("--secret", &self.secret), ("--turn-secret", &self.turn_secret)] {
            if text.as_ref().is_some_and(|text| text.trim().chars().count() < SECRET_CHARS_MIN) {
                bail!(
                    "{flag} has fewer than {SECRET_CHARS_MIN} characters, so it can be guessed; take a random text, such as \
                     `openssl rand -hex 32` prints"
                );
            }
        }
        Ok(())
    }

    /// The relays that peers are given; `fixed` have one password for all.
    fn relays(&self, fixed: Vec<IceServer>) -> anyhow::Result<Relays> {
        let is_relay = |url: &String| url.starts_with("turn:") || url.starts_with("turns:");
        if let Some(url) = self.turn_urls.iter().find(|url| !is_relay(url)) {
            bail!("--turn-url {url} must begin with turn: or turns:");
        }
        if let Some(url) = self.turn_urls.iter().find(|url| !has_host(url)) {
            bail!("--turn-url {url} must look like turn:HOST:PORT");
        }
        if self.turn_urls.is_empty() != self.turn_secret.is_none() {
            bail!("--turn-url and --turn-secret are given together");
        }
        if self.turn_urls.len() > ICE_SERVERS_MAX {
            bail!("--turn-url may be given {ICE_SERVERS_MAX} times at most");
        }
        Ok(Relays { fixed, urls: self.turn_urls.clone(), secret: self.turn_secret.clone() })
    }

    /// Browsers refuse a whole configuration for one server that they cannot use, so each is checked here.
    fn ice_servers(&self) -> anyhow::Result<Vec<IceServer>> {
        if self.ice_servers.len() > ICE_SERVERS_MAX {
            bail!("--ice-server may be given {ICE_SERVERS_MAX} times at most");
        }
        let server = |url: &String| match url.split(':').next() {
            Some("stun" | "stuns") => {
                Ok(IceServer { urls: vec![url.clone()], username: None, credential: None })
            }
            Some("turn" | "turns") if self.ice_username.is_some() && self.ice_credential.is_some() => {
                let (username, credential) = (self.ice_username.clone(), self.ice_credential.clone());
                Ok(IceServer { urls: vec![url.clone()], username, credential })
            }
            Some("turn" | "turns") => {
                bail!("--ice-server {url} takes --ice-username and --ice-credential as well")
            }
            Some(_) | None => bail!("--ice-server {url} must begin with stun:, stuns:, turn: or turns:"),
        };
        let servers = self.ice_servers.iter().map(server).collect::<anyhow::Result<Vec<_>>>()?;
        if let Some(url) = self.ice_servers.iter().find(|url| !has_host(url)) {
            bail!("--ice-server {url} must look like stun:HOST:PORT");
        }
        Ok(servers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> TrackerOptions {
        Options::parse_from([&["tracker-server"], arguments].concat()).tracker
    }

    fn ice_servers(arguments: &[&str]) -> anyhow::Result<Vec<IceServer>> {
        options(arguments).ice_servers()
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn relays_are_kept_apart_from_what_everybody_is_told() {
        let config = |arguments: &[&str]| options(arguments).config(Page::Inside(&[]));
        let fixed = ["--ice-server", "turn:b", "--ice-username", "u", "--ice-credential", "c"];
        let minted =
            ["--turn-url", "turns:c:443", "--turn-secret", "sixteen letters.", "--ice-server", "stun:a"];
        let config_of_both = config(&[&fixed[..], &minted[..]].concat()).unwrap();
        assert_eq!(config_of_both.tracker.ice_servers.len(), 1, "only stun:a");
        assert_eq!(config_of_both.relays.fixed[0].urls, ["turn:b"]);
        assert_eq!(config_of_both.relays.urls, ["turns:c:443"]);
        for (wrong, word) in [
            (vec!["--turn-url", "turn:c", "--turn-secret", "fifteen letters"], "can be guessed"),
            (vec!["--secret", " fifteen letters "], "can be guessed"),
            (vec!["--turn-url", "turn:c"], "together"),
            (vec!["--turn-secret", "sixteen letters."], "together"),
            (vec!["--turn-url", "stun:c", "--turn-secret", "sixteen letters."], "must begin with turn:"),
            (
                vec!["--turn-url", "turn:", "--turn-secret", "sixteen letters."],
                "must look like turn:HOST:PORT",
            ),
            (vec!["--engine", "redis://127.0.0.1:1"], "--engine takes --secret"),
            (
                vec!["--engine", "127.0.0.1:1", "--secret", "sixteen letters."],
                "must look like redis://HOST:PORT",
            ),
            (vec!["--allow-origin", "example.org"], "must look like https://example.org"),
            (vec!["--allow-origin", "http://a b"], "must look like https://example.org"),
            (vec!["--allow-origin", "https://*.example.org"], "must look like https://example.org"),
            (vec!["--allow-origin", "https://example.org?a"], "must look like https://example.org"),
        ] {
            let error = config(&wrong).unwrap_err().to_string();
            assert!(error.contains(word), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn servers_without_a_host_and_hosts_that_are_none_are_refused() {
        for url in [
            "stun:a",
            "turn:a:3478",
            "turns:a.example:443?transport=tcp",
            "turn:[2001:db8::1]:3478",
            "stun:192.0.2.1",
        ] {
            assert!(has_host(url), "{url}");
        }
        for url in [
            "turn:",
            "turn::3478",
            "turn:a:0x1",
            "turn:a:99999",
            "turn://a",
            "turn:a?x",
            "turn:[a]",
            "turn:u@a",
            "turn:a:0",
            "stun:a:0",
            "stun:a?transport=udp",
        ] {
            assert!(!has_host(url), "{url}");
        }
        for text in ["http://a/", "a:80", "a/b", "", "a b", "ä.example", "a..b", ".a", "a."] {
            assert!(host(text).is_err(), "{text}");
        }
        assert!(host("tracker.example.org").is_ok() && host("2001:db8::1").is_ok());
        for arguments in [["--connections-max", "0"], ["--connections-per-address-max", "-1"]] {
            let arguments = [&["tracker-server"][..], &arguments].concat();
            assert!(Options::try_parse_from(&arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn only_turn_servers_are_given_the_password() {
        let arguments = ["--ice-server", "stun:a:3478", "--ice-server", "turn:b:3478"];
        let login = ["--ice-username", "u", "--ice-credential", "c"];
        let servers = ice_servers(&[&arguments[..], &login[..]].concat()).unwrap();
        assert_eq!(servers[0].username, None);
        assert_eq!(servers[1].credential.as_deref(), Some("c"));
        assert!(ice_servers(&arguments).unwrap_err().to_string().contains("--ice-username"));
    }

    #[test]
    fn an_address_that_no_browser_takes_is_refused() {
        let error = ice_servers(&["--ice-server", "stun:"]).unwrap_err();
        assert_eq!(error.to_string(), "--ice-server stun: must look like stun:HOST:PORT");
        let error = ice_servers(&["--ice-server", "example.org:3478"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--ice-server example.org:3478 must begin with stun:, stuns:, turn: or turns:"
        );
    }
}
