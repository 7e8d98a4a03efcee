//! A server's certificate and its key from two files, which are read again when they change.
//!
//! ```no_run
//! # async fn example() -> Result<(), certificate_files::CertificateError> {
//! use std::sync::Arc;
//! use certificate_files::{Certificate, CertificateFiles, server_config};
//!
//! let files = CertificateFiles { certificate: "fullchain.pem".into(), key: "privkey.pem".into() };
//! let certificate = Certificate::read(files)?;
//! let config = server_config(certificate.resolver(), &[b"http/1.1"])?;
//! let acceptor = tokio_rustls::TlsAcceptor::from(config);
//! tokio::spawn(async move { certificate.keep().await });
//! # Ok(())
//! # }
//! ```
//! A pair that is not sound is never shown: the one before stays. All names in errors are those of files; a program says
//! which of its flags named them.

mod shown;

use std::convert::Infallible;
use std::fs::{self, Metadata};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::ResolvesServerCert;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, InconsistentKeys, ServerConfig};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use shown::Shown;

/// Interval at which the files are checked for a change. A change is read once the files stayed the same for one interval,
/// because a renewal writes two files.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The one implementation of cryptography that is used here.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A server that shows what `resolver` has and agrees on one of `protocols` (ALPN).
pub fn server_config(
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

/// Where a certificate and its key are, both as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The server's certificate, followed by those that link it to an authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A certificate that cannot be used. Show it; it says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unread {
        /// Where it is.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The files are named the wrong way round.
    #[error("{} holds a private key and {} a certificate: exchange the two",
        certificate.display(), key.display())]
    Exchanged {
        /// The file that is named as the certificate.
        certificate: PathBuf,
        /// The file that is named as its key.
        key: PathBuf,
    },
    /// No certificate is in the file.
    #[error("{} has no certificate: it takes PEM, the server's own certificate first", .0.display())]
    NoCertificate(PathBuf),
    /// No private key is in the file.
    #[error("{} has no private key: it takes PEM (PKCS#8, PKCS#1 or SEC1)", .0.display())]
    NoKey(PathBuf),
    /// The key is encrypted.
    #[error("{} is encrypted: write it without a password, with `openssl pkey -in FILE -out NEW`",
        .0.display())]
    Encrypted(PathBuf),
    /// The certificate or key is not sound.
    #[error("{} cannot be used: {reason}", path.display())]
    Unsound {
        /// Where it is.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The key belongs to another certificate.
    #[error("the key in {} does not belong to the first certificate in {}", key.display(), certificate.display())]
    Mismatched {
        /// The file that is named as the certificate.
        certificate: PathBuf,
        /// The file that is named as its key.
        key: PathBuf,
    },
    /// The key belongs to a certificate further down.
    #[error("the certificate for the key in {} is not the first one in {}: the server's own comes first, its issuers follow",
        key.display(), certificate.display())]
    Disordered {
        /// The file that is named as the certificate.
        certificate: PathBuf,
        /// The file that is named as its key.
        key: PathBuf,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// What tells one state of the files from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp([Option<(SystemTime, u64, u64)>; 2]);

/// A certificate and the files that it came from.
#[derive(Debug)]
pub struct Certificate {
    files: CertificateFiles,
    /// The files when they were read first.
    first: Stamp,
    shown: Arc<Shown>,
}

impl Certificate {
    /// Reads the files.
    pub fn read(files: CertificateFiles) -> Result<Self, CertificateError> {
        let first = stamp(&files);
        let key = read(&files)?;
        warn(&files, &key);
        Ok(Self { files, first, shown: Arc::new(Shown::new(key)) })
    }

    /// What handshakes ask for the certificate of the moment. Connections keep the one that they began with.
    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::<Shown>::clone(&self.shown)
    }

    /// The names in the certificate.
    pub fn names(&self) -> Vec<String> {
        self.shown.get().cert.first().map(names_of).unwrap_or_default()
    }

    /// Takes up what changes.
    pub async fn keep(&self) -> Infallible {
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut taken, mut before) = (self.first.clone(), self.first.clone());
        loop {
            looks.tick().await;
            let files = self.files.clone();
            // A disk may be slow.
            let Ok(now) = tokio::task::spawn_blocking(move || stamp(&files)).await else { continue };
            if now != taken && now == before {
                taken = now.clone();
                let files = self.files.clone();
                if let Ok(found) = tokio::task::spawn_blocking(move || read(&files)).await {
                    self.take(found);
                }
            }
            before = now;
        }
    }

    fn take(&self, found: Result<CertifiedKey, CertificateError>) {
        match found {
            Ok(key) => {
                tracing::info!(path = %self.files.certificate.display(), "the certificate changed and was read again");
                warn(&self.files, &key);
                self.shown.set(key);
            }
            Err(error) => {
                tracing::warn!("the certificate changed and cannot be used; the one before stays: {error}")
            }
        }
    }
}

/// What each file is like at this moment.
fn stamp(files: &CertificateFiles) -> Stamp {
    let of = |metadata: Metadata| Some((metadata.modified().ok()?, metadata.len(), number(&metadata)));
    Stamp([&files.certificate, &files.key].map(|path| fs::metadata(path).ok().and_then(of)))
}

/// A file that takes the place of another has another number.
fn number(metadata: &Metadata) -> u64 {
    #[cfg(unix)]
    {
        std::os::unix::fs::MetadataExt::ino(metadata)
    }
    #[cfg(not(unix))]
    {
        _ = metadata;
        0
    }
}

/// Reads and checks both files.
fn read(files: &CertificateFiles) -> Result<CertifiedKey, CertificateError> {
    let CertificateFiles { certificate, key } = files;
    let certificate_pem = contents(certificate)?;
    let key_pem = contents(key)?;
    let unsound = |path: &Path, reason: &dyn std::fmt::Display| CertificateError::Unsound {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate_pem).collect();
    let chain = chain.map_err(|error| unsound(certificate, &error))?;
    if chain.is_empty() {
        let is_exchanged = PrivateKeyDer::from_pem_slice(&certificate_pem).is_ok()
            && CertificateDer::from_pem_slice(&key_pem).is_ok();
        return Err(if is_exchanged {
            CertificateError::Exchanged { certificate: certificate.clone(), key: key.clone() }
        } else {
            CertificateError::NoCertificate(certificate.clone())
        });
    }
    if is_encrypted(&key_pem) {
        return Err(CertificateError::Encrypted(key.clone()));
    }
    let private =
        PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| CertificateError::NoKey(key.clone()))?;
    let signing = provider().key_provider.load_private_key(private);
    let signing = signing.map_err(|error| unsound(key, &error))?;
    let pair = CertifiedKey::new(chain, signing);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let (certificate, key) = (certificate.clone(), key.clone());
            let own = |own: &CertificateDer<'static>| {
                CertifiedKey::new(vec![own.clone()], Arc::clone(&pair.key)).keys_match().is_ok()
            };
            Err(if pair.cert.iter().any(own) {
                CertificateError::Disordered { certificate, key }
            } else {
                CertificateError::Mismatched { certificate, key }
            })
        }
        Err(error) => Err(unsound(certificate, &error)),
    }
}

fn contents(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |error| CertificateError::Unread { path: path.to_owned(), error };
    named_file::ordinary(path).map(|(bytes, _)| bytes).map_err(failed)
}

/// Whether a key takes a password: PKCS#8 says so in its label, older forms in a header.
fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// Says what does not keep a certificate from being shown, but should be mended.
fn warn(files: &CertificateFiles, key: &CertifiedKey) {
    let path = files.certificate.display();
    let first = key.cert.first().and_then(|first| X509Certificate::from_der(first).ok());
    if let Some((_, certificate)) = first
        && !certificate.validity().is_valid()
    {
        let validity = certificate.validity();
        tracing::warn!(
            "the certificate in {path} is valid from {} to {} only",
            validity.not_before,
            validity.not_after
        );
    }
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(&files.key)
        && std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o007 != 0
    {
        let path = files.key.display();
        tracing::warn!("every user of this machine may read the key in {path}: chmod o= {path}");
    }
}

/// The names and addresses that a certificate is for, but none that stands for many.
fn names_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| {
        if let GeneralName::DNSName(name) = name {
            return (!name.contains('*')).then(|| (*name).to_owned());
        }
        let GeneralName::IPAddress(bytes) = name else { return None };
        address(bytes).map(|address| address.to_string())
    };
    names.value.general_names.iter().filter_map(name).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(|bytes| IpAddr::from(Ipv4Addr::from(bytes)));
    v4().or_else(|| <[u8; 16]>::try_from(bytes).ok().map(|bytes| IpAddr::from(Ipv6Addr::from(bytes))))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair(names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn result(certificate: &str, key: &str) -> Result<CertifiedKey, String> {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let files = CertificateFiles { certificate: place("c.pem", certificate), key: place("k.pem", key) };
        read(&files).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said_in_one_line() {
        let (certificate, key) = pair(&["a.example"]);
        let (other, other_key) = pair(&["b.example"]);
        assert!(result(&certificate, &key).is_ok());
        assert!(result(&format!("{certificate}{other}"), &key).is_ok());
        let encrypted = key
            .replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE")
            .replace("END PRIVATE", "END ENCRYPTED PRIVATE");
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        let short = certificate.replace("-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nAAAA");
        for (certificate, key, words) in [
            (certificate.as_str(), other_key.as_str(), "does not belong to the first certificate"),
            (&format!("{other}{certificate}"), &key, "the server's own comes first"),
            (&key, &certificate, "exchange the two"),
            ("", &key, "has no certificate"),
            (&certificate, "nonsense", "has no private key"),
            (&certificate, &certificate, "has no private key"),
            (&certificate, &encrypted, "is encrypted: write it without a password"),
            (&certificate, old, "is encrypted: write it without a password"),
            (&short, &key, "c.pem cannot be used"),
        ] {
            let error = result(certificate, key).unwrap_err();
            assert!(error.contains(words) && !error.contains('\n'), "{words}: {error}");
        }
        let missing = CertificateFiles { certificate: "missing.pem".into(), key: "missing.pem".into() };
        assert!(read(&missing).unwrap_err().to_string().starts_with("missing.pem cannot be read"));
    }

    #[test]
    fn names_are_those_that_links_can_have() {
        let (certificate, key) = pair(&["*.example.org", "films.example.org", "192.0.2.7", "2001:db8::1"]);
        let pair = result(&certificate, &key).unwrap();
        assert_eq!(names_of(&pair.cert[0]), ["films.example.org", "192.0.2.7", "2001:db8::1"]);
    }
}
