//! TLS in tests: an authority of the test's own, certificates of it, and a visitor that trusts it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use data_encoding::BASE64;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// For a handshake and one short answer on this machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// An authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, as PEM.
    pub root_pem: String,
}

/// A certificate in files.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The digest of its public key, as Chromium's `--ignore-certificate-errors-spki-list` takes it.
    pub spki: String,
}

impl Authority {
    /// A new one.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), root_pem })
    }

    /// Writes a certificate for these names into a folder.
    pub fn issue(&self, names: &[&str], folder: &Path) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        let issued = Certificate {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            spki: BASE64.encode(&Sha256::digest(key.subject_public_key_info())),
        };
        std::fs::write(&issued.certificate, certificate.pem())?;
        std::fs::write(&issued.key, key.serialize_pem())?;
        Ok(issued)
    }
}

/// A visitor that trusts one authority.
#[derive(Debug, Clone)]
pub struct Visitor(Arc<ClientConfig>);

/// What a server showed and said.
#[derive(Debug)]
pub struct Answer {
    /// Its certificate.
    pub certificate: Vec<u8>,
    /// Head and body.
    pub text: String,
}

impl Visitor {
    /// Trusts the authority with this certificate.
    pub fn trusting(root_pem: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root_pem.as_bytes())?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A resumed session would show the certificate of the first one.
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }

    /// Asks for a path under a name. The certificate has to be good for that name.
    pub async fn get(&self, address: SocketAddr, name: &str, path: &str) -> Result<Answer> {
        let connector = TlsConnector::from(Arc::clone(&self.0));
        let server = ServerName::try_from(name.to_owned())?;
        let ask = async {
            let mut stream = connector.connect(server, TcpStream::connect(address).await?).await?;
            let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let certificate = shown.context("no certificate")?.to_vec();
            let head = format!("GET {path} HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await?;
            anyhow::Ok(Answer { certificate, text: String::from_utf8_lossy(&bytes).into_owned() })
        };
        timeout(ANSWER_TIMEOUT, ask).await.with_context(|| format!("no answer from {name} at {address}"))?
    }
}
