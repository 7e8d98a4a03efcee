//! TLS: the certificate that this tracker shows, and the handshake.
//!
//! Owns the two sources of certificates: files that another program renews (`files`), and an authority that this tracker
//! asks itself (`acme`). HTTP over the encrypted stream is in `conversation`.

mod acme;
mod files;
mod shown;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use rustls_acme::is_tls_alpn_challenge;
use tokio::io::AsyncWriteExt;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{Acceptor, ResolvesServerCert};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use crate::stream::PatientStream;
use acme::Renewed;
pub use acme::{Acme, AcmeError, DIRECTORY_DEFAULT};
use files::Watched;
pub use files::{CertificateError, CertificateFiles};

/// HTTP/2 as it is agreed on in a handshake.
const HTTP2: &[u8] = b"h2";

/// HTTP/1.1 as it is agreed on in a handshake.
const HTTP1: &[u8] = b"http/1.1";

/// The one implementation of cryptography that is used here.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// What is spoken over an encrypted stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// How a tracker speaks TLS. Clones are the same.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Files(Arc<Watched>),
    Acme(Arc<Renewed>),
}

impl Tls {
    /// A certificate from files, which are read again when they change.
    pub fn from_files(files: CertificateFiles) -> Result<Self, CertificateError> {
        let watched = Arc::new(Watched::read(files)?);
        let config = config(watched.shown(), &[HTTP2, HTTP1])?;
        Ok(Self { config, source: Source::Files(watched) })
    }

    /// Certificates that this tracker asks an authority for.
    pub fn from_acme(acme: Acme) -> Result<Self, AcmeError> {
        let renewed = Arc::new(Renewed::new(acme)?);
        let config = config(renewed.resolver(), &[HTTP2, HTTP1])?;
        Ok(Self { config, source: Source::Acme(renewed) })
    }

    /// The names by which others reach this tracker, without `*` and the like.
    pub fn names(&self) -> Vec<String> {
        match &self.source {
            Source::Files(watched) => watched.names(),
            Source::Acme(renewed) => renewed.names().to_vec(),
        }
    }

    /// Keeps the certificate current.
    pub(crate) async fn keep(&self) -> Infallible {
        match &self.source {
            Source::Files(watched) => watched.keep().await,
            Source::Acme(renewed) => renewed.keep().await,
        }
    }

    /// Encrypts a stream. None if it was an authority's question, which is answered by the handshake.
    pub(crate) async fn handshake(
        &self,
        stream: PatientStream,
    ) -> io::Result<Option<(TlsStream<PatientStream>, Protocol)>> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        if let Source::Acme(renewed) = &self.source
            && is_tls_alpn_challenge(&start.client_hello())
        {
            return answer(start, renewed.challenge_config()).await.map(|()| None);
        }
        let stream = start.into_stream(Arc::clone(&self.config)).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
        Ok(Some((stream, protocol)))
    }
}

/// Shows an authority what it asked for.
async fn answer(start: StartHandshake<PatientStream>, config: Arc<ServerConfig>) -> io::Result<()> {
    let mut stream = start.into_stream(config).await?;
    stream.shutdown().await
}

fn config(
    resolver: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}
