//! A tracker in the same process, as `share` has one.

use std::net::SocketAddr;

use swarm_core::SwarmId;

/// Where a tracker in this process is reached, which ends with it.
#[derive(Debug, Clone)]
pub struct Here {
    /// On this machine, `HOST:PORT`.
    pub own: SocketAddr,
    /// From other machines.
    pub network: Vec<SocketAddr>,
    /// Where the page is over TLS, such as `https://films.example.org`; empty without it.
    pub pages: Vec<String>,
    /// The path in front of everything that the tracker serves: empty, or `/films`.
    pub base: String,
    /// What it asks publishers for.
    pub publish_token: String,
}

impl Here {
    /// Where a content is watched over TLS.
    pub(super) fn page_links(&self, swarm: SwarmId) -> Vec<String> {
        self.pages.iter().map(|page| format!("{page}/#{swarm}")).collect()
    }

    /// Where a content is watched from other machines.
    pub(super) fn network_links(&self, swarm: SwarmId) -> Vec<String> {
        self.network.iter().map(|address| format!("http://{address}{}/#{swarm}", self.base)).collect()
    }
}
