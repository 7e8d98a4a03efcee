//! What links stand on: the clock and the sockets of their connections, and what others are told of these.

pub(crate) mod candidate;
mod clock;
mod patience;
mod patient_socket;
mod runtime;

use std::net::IpAddr;
use std::sync::Arc;

pub(crate) use clock::stretched;
pub(crate) use runtime::LinkRuntime;

use crate::mux::{PortError, SharedPort};

/// How the links of one process or one peer reach the network. Clones share.
#[derive(Debug, Clone, Default)]
pub struct Network {
    port: Option<Arc<SharedPort>>,
    external: Arc<[IpAddr]>,
}

impl Network {
    /// Each link takes free ports of its own.
    pub fn own_ports() -> Self {
        Self::default()
    }

    /// All links share one UDP port; 0 takes a free one. Runs in a tokio runtime.
    pub fn shared_port(number: u16) -> Result<Self, PortError> {
        let port = Some(Arc::new(SharedPort::open(number)?));
        Ok(Self { port, ..Self::default() })
    }

    /// Others are told these addresses, too: a router maps them to this machine, port by port.
    #[must_use]
    pub fn with_external(self, external: &[IpAddr]) -> Self {
        Self { external: external.into(), ..self }
    }

    /// The number of the shared port.
    pub fn port(&self) -> Option<u16> {
        self.port.as_ref().map(|port| port.number())
    }

    pub(crate) fn shared(&self) -> Option<&Arc<SharedPort>> {
        self.port.as_ref()
    }

    /// The lines to tell the other side instead of a candidate of ours.
    pub(crate) fn told(&self, candidate: &str) -> Vec<String> {
        candidate::told(candidate, self.port(), &self.external)
    }
}
