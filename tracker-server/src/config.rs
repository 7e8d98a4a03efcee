//! What an operator decides about a tracker, and the deadlines that tests shorten.

use std::path::PathBuf;
use std::time::Duration;

use swarm_core::Timestamp;
use swarm_core::publisher::TrackerName;

use crate::access::{AllowedOrigins, Reached};
use crate::base_path::BasePath;
use crate::decision::token_bucket::Rate;
use crate::decision::tracker::is_same_secret;
use crate::decision::{Permission, Privacy, ResumeKey, TrackerConfig, Wiring};
use crate::engine;
use crate::limits::{
    BODY_TIMEOUT, CLOSE_TIMEOUT, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, HANDSHAKE_BURST,
    HANDSHAKE_RATE_PER_S, HEADER_TIMEOUT, HELLO_TIMEOUT, HOME_PATIENCE, PING_INTERVAL, PLAIN_TIMEOUT,
    REQUEST_BURST, REQUEST_RATE_PER_S, ROOM_PEERS_MAX, SEND_TIMEOUT, STOP_TIMEOUT, UNFINISHED_TIMEOUT,
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
    /// Hosts that this tracker is called by, for the proofs of publishers; empty for those that it can tell by itself.
    pub public_hosts: Vec<String>,
    /// Reverse proxies whose word on the sender of a request counts.
    pub proxies: TrustedProxies,
    /// Whether these proxies begin each connection with a PROXY header.
    pub is_proxy_protocol: bool,
    /// The path below which everything is served.
    pub base_path: BasePath,
    /// HTTP requests that one address may send.
    pub requests: Rate,
    /// TLS handshakes that one address may begin.
    pub handshakes: Rate,
    /// Connections of all kinds that may be open at a time.
    pub connections_max: usize,
    /// What this tracker shares with others, so that they act as one. They must have the same secret.
    pub engine: engine::Choice,
    /// Address of the WebSocket by which peers reach this tracker and none that acts as one with it.
    pub public_url: Option<String>,
    /// How long a home of a room, and a viewer in it whose socket is elsewhere, are left alone before the viewer is sent there.
    pub home_patience: Duration,
    /// About how many peers a room of a swarm takes. A swarm with more is cut into rooms.
    pub room_peers_max: u32,
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
            requests: Rate { per_s: REQUEST_RATE_PER_S, burst: REQUEST_BURST },
            handshakes: Rate { per_s: HANDSHAKE_RATE_PER_S, burst: HANDSHAKE_BURST },
            connections_max: CONNECTIONS_MAX,
            engine: engine::Choice::Alone,
            public_url: None,
            home_patience: HOME_PATIENCE,
            room_peers_max: ROOM_PEERS_MAX,
            siblings: Siblings::default(),
            tls: None,
            deadlines: Deadlines::default(),
        }
    }
}

impl ServerConfig {
    /// What a token permits at this time of the tracker's. The operator's own tokens, those for peers and for publishers, permit everything.
    pub(crate) fn permission(&self, token: Option<&str>, now: Timestamp) -> Permission {
        let is_closed = self.tracker.token.is_some() || !self.viewer_tokens.is_empty();
        let own = [&self.tracker.token, &self.publish_token];
        let is_own = |token| own.into_iter().flatten().any(|own| is_same_secret(own, token));
        if !is_closed || token.is_some_and(is_own) {
            return Permission::All;
        }
        if self.viewer_tokens.is_empty() {
            Permission::Unknown
        } else {
            self.viewer_tokens.permission(token, now)
        }
    }

    /// What a publisher must sign for, in words.
    pub(crate) fn name_to_sign(&self, called: TrackerName) -> String {
        let named = self.public_hosts.iter().find(|host| TrackerName::of(host) == called);
        named.map_or_else(|| "the host that the request names".to_owned(), |host| format!("the host {host}"))
    }

    /// Whether the operator gave this tracker that name.
    pub(crate) fn is_public_host(&self, host: &str) -> bool {
        self.public_hosts.iter().any(|own| TrackerName::of(own) == TrackerName::of(host))
    }

    /// The name that a proof must have. A tracker that was told its names takes no other; one that was not takes those that it
    /// can tell by itself. A proof that was made for another tracker counts for nothing here.
    pub(crate) fn called(&self, reached: Reached<'_>) -> TrackerName {
        let is_known = match self.public_hosts.first() {
            Some(_) if self.is_public_host(reached.host) => true,
            Some(first) => return TrackerName::of(first),
            None => reached.is_own_name(&self.tls.as_ref().map(Tls::names).unwrap_or_default()),
        };
        if is_known { TrackerName::of(reached.host) } else { TrackerName::UNKNOWN }
    }
}

/// How long the tracker waits for others. The defaults are those of `limits`.
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
    /// For a message of more than the usual length to arrive, and to find room.
    pub message: Duration,
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
            message: UNFINISHED_TIMEOUT,
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
        let called = |config: &ServerConfig, host| {
            let (sender, local) = ([198, 51, 100, 7].into(), [203, 0, 113, 1].into());
            config.called(Reached { host, sender, local, is_encrypted: false })
        };
        assert_eq!(called(&config, "a.example:80"), TrackerName::UNKNOWN);
        assert_eq!(called(&config, "203.0.113.1:80"), TrackerName::of("203.0.113.1"));
        config.public_hosts = vec!["a.example".into(), "b.example".into()];
        assert_eq!(called(&config, "B.example"), TrackerName::of("b.example"));
        let evil = called(&config, "evil.example");
        assert_eq!(evil, TrackerName::of("a.example"));
        assert_eq!(config.name_to_sign(evil), "the host a.example");
    }
}
