//! What an operator decides about a tracker, and the deadlines that tests shorten.

use std::path::PathBuf;
use std::time::Duration;

use swarm_core::publisher::TrackerName;

use crate::access::AllowedOrigins;
use crate::base_path::BasePath;
use crate::decision::tracker::is_same_secret;
use crate::decision::{Permission, Privacy, ResumeKey, TrackerConfig, Wiring};
use crate::engine;
use crate::limits::{
    BODY_TIMEOUT, CLOSE_TIMEOUT, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, HEADER_TIMEOUT, HELLO_TIMEOUT,
    PING_INTERVAL, PLAIN_TIMEOUT, SEND_TIMEOUT, STOP_TIMEOUT,
};
use crate::page::Page;
use crate::proxies::TrustedProxies;
use crate::relays::Relays;
use crate::siblings::Siblings;
use crate::tls::Tls;
use crate::viewer_tokens::ViewerTokens;

/// Everything that [`serve`](crate::serve) has to be told.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// What the decisions are made by.
    pub tracker: TrackerConfig,
    /// The page that viewers watch on.
    pub page: Page,
    /// What a publisher must present to put a manifest; none if anybody may.
    pub publish_token: Option<String>,
    /// Checks permissions to watch; without keys nobody needs one.
    pub viewer_tokens: ViewerTokens,
    /// Relays that peers are given when they join.
    pub relays: Relays,
    /// Where manifests are kept over a restart; none to keep them in memory only.
    pub data_dir: Option<PathBuf>,
    /// Origins, other than its own, whose pages may use the tracker.
    pub allowed_origins: AllowedOrigins,
    /// Origins, other than its own and the allowed ones, whose pages may embed the player.
    pub embed_origins: AllowedOrigins,
    /// Hosts that this tracker is called by, for the proofs of publishers; empty to take each request's word for it.
    pub public_hosts: Vec<String>,
    /// Reverse proxies whose word on the sender of a request counts.
    pub proxies: TrustedProxies,
    /// Whether these proxies begin each connection with a PROXY header.
    pub is_proxy_protocol: bool,
    /// The path below which everything is served.
    pub base_path: BasePath,
    /// Connections of all kinds that may be open at a time.
    pub connections_max: usize,
    /// What this tracker shares with others, so that they act as one. They must have the same secret.
    pub engine: engine::Choice,
    /// Address of the WebSocket by which peers reach this tracker and none that acts as one with it.
    pub public_url: Option<String>,
    /// Trackers that share nothing with this one but links between their peers.
    pub siblings: Siblings,
    /// How the tracker speaks TLS on its public listeners; none if it does not.
    pub tls: Option<Tls>,
    /// Deadlines of connections.
    pub deadlines: Deadlines,
}

impl ServerConfig {
    /// An open tracker with default limits. `seed` and `secret` are to be drawn at random.
    pub fn new(seed: u64, secret: &[u8]) -> Self {
        Self {
            tracker: TrackerConfig {
                seed,
                resume_key: ResumeKey::from_secret(secret),
                ice_servers: Vec::new(),
                token: None,
                connections_per_address_max: CONNECTIONS_PER_ADDRESS_MAX,
                wiring: Wiring::Regular,
                privacy: Privacy::default(),
            },
            page: Page::Directory(PathBuf::from("dist")),
            publish_token: None,
            viewer_tokens: ViewerTokens::default(),
            relays: Relays::default(),
            data_dir: None,
            allowed_origins: AllowedOrigins::default(),
            embed_origins: AllowedOrigins::default(),
            public_hosts: Vec::new(),
            proxies: TrustedProxies::default(),
            is_proxy_protocol: false,
            base_path: BasePath::default(),
            connections_max: CONNECTIONS_MAX,
            engine: engine::Choice::Alone,
            public_url: None,
            siblings: Siblings::default(),
            tls: None,
            deadlines: Deadlines::default(),
        }
    }
}

impl ServerConfig {
    /// What a token permits. The operator's own tokens, those for peers and for publishers, permit everything.
    pub(crate) fn permission(&self, token: Option<&str>) -> Permission {
        let is_closed = self.tracker.token.is_some() || !self.viewer_tokens.is_empty();
        let own = [&self.tracker.token, &self.publish_token];
        let is_own = |token| own.into_iter().flatten().any(|own| is_same_secret(own, token));
        if !is_closed || token.is_some_and(is_own) {
            return Permission::All;
        }
        if self.viewer_tokens.is_empty() { Permission::Unknown } else { self.viewer_tokens.permission(token) }
    }

    /// What a publisher must sign for, in words.
    pub(crate) fn name_to_sign(&self, called: TrackerName) -> String {
        let named = self.public_hosts.iter().find(|host| TrackerName::of(host) == called);
        named.map_or_else(|| "the host that the request names".to_owned(), |host| format!("the host {host}"))
    }

    /// The name that a proof must have when its sender called this tracker `host`. A tracker that knows its names takes
    /// no other: a proof that was made for somebody else's tracker counts for nothing here.
    pub(crate) fn called(&self, host: &str) -> TrackerName {
        let called = TrackerName::of(host);
        let mut own = self.public_hosts.iter().map(|host| TrackerName::of(host));
        let first = own.clone().next();
        if own.any(|name| name == called) { called } else { first.unwrap_or(called) }
    }
}

/// How long the tracker waits for others. The defaults are those of [`crate::limits`].
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// For the head of an HTTP request.
    pub header: Duration,
    /// For the body of an HTTP request, beside the time that its length allows.
    pub body: Duration,
    /// For a connection that is no WebSocket to end.
    pub plain: Duration,
    /// For the `hello` of a WebSocket.
    pub hello: Duration,
    /// Between two pings.
    pub ping: Duration,
    /// For one write to make progress.
    pub send: Duration,
    /// For the answer to a close frame.
    pub close: Duration,
    /// For all connections to end when the tracker stops.
    pub stop: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            header: HEADER_TIMEOUT,
            body: BODY_TIMEOUT,
            plain: PLAIN_TIMEOUT,
            hello: HELLO_TIMEOUT,
            ping: PING_INTERVAL,
            send: SEND_TIMEOUT,
            close: CLOSE_TIMEOUT,
            stop: STOP_TIMEOUT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracker_that_knows_its_names_takes_no_other() {
        let mut config = ServerConfig::new(1, b"");
        assert_eq!(config.called("a.example:80"), TrackerName::of("a.example"));
        config.public_hosts = vec!["a.example".into(), "b.example".into()];
        assert_eq!(config.called("B.example"), TrackerName::of("b.example"));
        assert_eq!(config.called("evil.example"), TrackerName::of("a.example"));
        assert_eq!(config.name_to_sign(config.called("evil.example")), "the host a.example");
    }
}
