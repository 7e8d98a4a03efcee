//! What links stand on: the clock and the sockets of their connections, and what others are told of these.

mod addresses;
pub(crate) mod candidate;
pub(crate) mod checks;
mod clock;
mod patience;
mod patient_socket;
pub(crate) mod relay;
mod runtime;
mod traffic;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

pub use addresses::network_addresses;
pub(crate) use clock::stretched;
pub(crate) use runtime::LinkRuntime;
pub(crate) use traffic::Traffic;

use rtc::crypto::{self, SignatureScheme};
use rtc::peer_connection::certificate::CertificateParams;
use webrtc::error::Error as RtcError;
use webrtc::peer_connection::RTCCertificate;

use crate::mux::{PortError, SharedPort};

/// How the links of one process or one peer reach the network. Clones share.
#[derive(Debug, Clone, Default)]
pub struct Network {
    port: Option<Arc<SharedPort>>,
    external: Arc<[IpAddr]>,
    certificate: Arc<OnceLock<RTCCertificate>>,
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

    /// The certificate of all connections: neighbours know a peer by it. Made when it is first needed.
    pub(crate) fn certificate(&self) -> Result<RTCCertificate, RtcError> {
        if let Some(certificate) = self.certificate.get() {
            return Ok(certificate.clone());
        }
        let provider = crypto::default_provider().map_err(|error| RtcError::Other(error.to_string()))?;
        let params = CertificateParams::new(vec!["tributary".to_owned()])
            .map_err(|error| RtcError::Other(error.to_string()))?;
        let made = RTCCertificate::generate(provider.crypto(), SignatureScheme::EcdsaP256Sha256, params)?;
        // Of two that were made at once, both sides use the first.
        Ok(self.certificate.get_or_init(|| made).clone())
    }

    /// The lines to tell the other side instead of a candidate of ours.
    pub(crate) fn told(&self, candidate: &str) -> Vec<String> {
        candidate::told(candidate, self.port(), &self.external)
    }
}
