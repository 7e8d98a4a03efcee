//! TLS: the certificate that this tracker shows, and the handshake.
//!
//! Owns the two sources of certificates: files that another program renews (the crate `certificate-files`), and an authority
//! that this tracker asks itself (`acme`). HTTP over the encrypted stream is in `conversation`.

mod acme;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use certificate_files::{Certificate, server_config};
pub use certificate_files::{CertificateError, CertificateFiles};
use rustls_acme::is_tls_alpn_challenge;
use tokio::io::AsyncWriteExt;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use crate::stream::PatientStream;
use acme::Renewed;
pub use acme::{Acme, AcmeError, DIRECTORY_DEFAULT};

/// HTTP/2 as it is agreed on in a handshake.
const HTTP2: &[u8] = b"h2";

/// HTTP/1.1 as it is agreed on in a handshake.
const HTTP1: &[u8] = b"http/1.1";

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
    Files(Arc<Certificate>),
    Acme(Arc<Renewed>),
}

impl Tls {
    /// A certificate from files, which are read again when they change.
    pub fn from_files(files: CertificateFiles) -> Result<Self, CertificateError> {
        let certificate = Arc::new(Certificate::read(files)?);
        let config = server_config(certificate.resolver(), &[HTTP2, HTTP1])?;
        Ok(Self { config, source: Source::Files(certificate) })
    }

    /// Certificates that this tracker asks an authority for.
    pub fn from_acme(acme: Acme) -> Result<Self, AcmeError> {
        let renewed = Arc::new(Renewed::new(acme)?);
        let config = server_config(renewed.resolver(), &[HTTP2, HTTP1])?;
        Ok(Self { config, source: Source::Acme(renewed) })
    }

    /// The names by which others reach this tracker, without `*` and the like.
    pub fn names(&self) -> Vec<String> {
        match &self.source {
            Source::Files(certificate) => certificate.names(),
            Source::Acme(renewed) => renewed.names().to_vec(),
        }
    }

    /// Keeps the certificate current.
    pub(crate) async fn keep(&self) -> Infallible {
        match &self.source {
            Source::Files(certificate) => certificate.keep().await,
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
