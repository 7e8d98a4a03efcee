//! Certificates from an authority that speaks ACME (RFC 8555), such as Let's Encrypt.
//!
//! Owns the account, the order, the renewal after two thirds of a certificate's life, and what is kept on disk. The authority
//! checks each domain by a TLS connection to its port 443 (TLS-ALPN-01, RFC 8737), which this tracker answers where it
//! listens.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use certificate_files::{provider, server_config};
use futures_util::StreamExt;
use rustls_acme::acme::{ACME_TLS_ALPN_NAME, Problem};
use rustls_acme::caches::DirCache;
use rustls_acme::{
    AcmeConfig, AcmeState, EventError, EventOk, OrderError, ResolvesServerCertAcme, is_tls_alpn_challenge,
};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};

use crate::limits::ACME_ROUND;

/// The authority that is asked unless another is named.
pub const DIRECTORY_DEFAULT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// How certificates are asked for.
#[derive(Debug, Clone)]
pub struct Acme {
    /// The names that the certificate is for.
    pub domains: Vec<String>,
    /// Where the authority writes to when something is wrong: addresses of electronic mail.
    pub contacts: Vec<String>,
    /// The authority's directory.
    pub directory: String,
    /// A file with certificates that the authority's own is checked by (PEM), instead of those of the web.
    pub root: Option<PathBuf>,
    /// Where account and certificates are kept.
    pub folder: PathBuf,
}

/// What keeps certificates from being asked for. Show it; it says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// Not a name that an authority can check.
    #[error("--domain {0} is no name of a host such as films.example.org; there is no certificate for it")]
    Domain(String),
    /// The folder cannot be used.
    #[error("certificates cannot be kept in {}: {error}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The authority's certificate cannot be read.
    #[error("--acme-root {} cannot be used: {reason}", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

type State = AcmeState<io::Error>;

/// A certificate that is renewed.
#[derive(Debug)]
pub(super) struct Renewed {
    acme: Acme,
    trust: Arc<ClientConfig>,
    resolvers: Arc<Resolvers>,
    challenge: Arc<ServerConfig>,
}

/// What handshakes are answered with.
#[derive(Debug, Default)]
pub(super) struct Resolvers {
    /// Knows what the authority asks at the moment.
    asked: RwLock<Option<Arc<ResolvesServerCertAcme>>>,
    /// Has a certificate.
    shown: RwLock<Option<Arc<ResolvesServerCertAcme>>>,
}

impl ResolvesServerCert for Resolvers {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let resolver = if is_tls_alpn_challenge(&hello) { &self.asked } else { &self.shown };
        let resolver = resolver.read().unwrap_or_else(PoisonError::into_inner).clone();
        resolver?.resolve(hello)
    }
}

fn set<T>(place: &RwLock<Option<T>>, value: T) {
    *place.write().unwrap_or_else(PoisonError::into_inner) = Some(value);
}

impl Renewed {
    pub(super) fn new(acme: Acme) -> Result<Self, AcmeError> {
        if let Some(wrong) = acme.domains.iter().find(|domain| !is_host_name(domain)) {
            return Err(AcmeError::Domain(wrong.clone()));
        }
        make_folder(&acme.folder).map_err(|error| AcmeError::Folder { path: acme.folder.clone(), error })?;
        let trust = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots(&acme)?)
            .with_no_client_auth();
        let resolvers = Arc::new(Resolvers::default());
        let challenge = server_config(Arc::<Resolvers>::clone(&resolvers), &[ACME_TLS_ALPN_NAME])?;
        Ok(Self { acme, trust: Arc::new(trust), resolvers, challenge })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.acme.domains
    }

    pub(super) fn resolver(&self) -> Arc<Resolvers> {
        Arc::clone(&self.resolvers)
    }

    /// For the authority's questions.
    pub(super) fn challenge_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.challenge)
    }

    /// Asks for certificates when it is time.
    pub(super) async fn keep(&self) -> Infallible {
        loop {
            let mut state = self.state();
            let resolver = state.resolver();
            set(&self.resolvers.asked, Arc::clone(&resolver));
            let round = async {
                while let Some(event) = state.next().await {
                    match event {
                        Ok(event) => self.note(&event, &resolver),
                        Err(error) => self.complain(&error),
                    }
                }
            };
            // The library sets no deadline for an authority that falls silent: a round begins from what is on disk.
            _ = timeout(ACME_ROUND, round).await;
        }
    }

    fn state(&self) -> State {
        let contacts = self.acme.contacts.iter().map(|address| format!("mailto:{address}"));
        AcmeConfig::new_with_client_config(&self.acme.domains, Arc::clone(&self.trust))
            .contact(contacts)
            .directory(&self.acme.directory)
            .cache(DirCache::new(self.acme.folder.clone()))
            .state()
    }

    fn note(&self, event: &EventOk, resolver: &Arc<ResolvesServerCertAcme>) {
        let domains = self.acme.domains.join(", ");
        match event {
            EventOk::DeployedCachedCert => tracing::info!("the certificate for {domains} is the one on disk"),
            EventOk::DeployedNewCert => tracing::info!("there is a new certificate for {domains}"),
            EventOk::CertCacheStore | EventOk::AccountCacheStore => return,
        }
        set(&self.resolvers.shown, Arc::clone(resolver));
    }

    fn complain(&self, error: &EventError<io::Error, io::Error>) {
        let (domains, folder) = (self.acme.domains.join(", "), self.acme.folder.display());
        match error {
            EventError::Order(error) => tracing::warn!(
                "no certificate for {domains} yet, it is tried again: {}",
                in_words(error, &self.acme.directory)
            ),
            EventError::CertCacheStore(error) | EventError::AccountCacheStore(error) => {
                tracing::warn!("what the authority gave cannot be kept in {folder}: {error}");
            }
            EventError::CertCacheLoad(_)
            | EventError::AccountCacheLoad(_)
            | EventError::CachedCertParse(_)
            | EventError::NewCertParse(_) => {
                tracing::warn!("the certificate for {domains} cannot be read, another is asked for: {error}");
            }
        }
    }
}

/// Why an order failed, as one who can do something about it wants to know.
fn in_words(error: &OrderError, directory: &str) -> String {
    let reason = |problem: &Problem| problem.detail.clone().or_else(|| problem.typ.clone());
    match error {
        OrderError::BadAuth(auth) => {
            let reasons =
                auth.challenges.iter().filter_map(|challenge| challenge.error.as_ref().and_then(reason));
            let reasons: Vec<String> = reasons.collect();
            format!(
                "the authority did not find this tracker at port 443 of the name, is it reached there? ({})",
                if reasons.is_empty() { "no reason given".into() } else { reasons.join("; ") }
            )
        }
        OrderError::BadOrder(order) => {
            let reason = order.error.as_ref().and_then(reason);
            format!("the authority refuses ({})", reason.unwrap_or_else(|| "no reason given".into()))
        }
        OrderError::Acme(error) => format!("the authority at {directory} cannot be asked: {error}"),
        OrderError::Rcgen(_) | OrderError::TooManyAttemptsAuth(_) | OrderError::ProcessingTimeout(_) => {
            error.to_string()
        }
    }
}

/// Whether an authority could check this name: letters, digits and hyphens between dots, and no address.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253
        && name.split('.').all(is_label)
        && name.split('.').next_back().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Keys are kept in it: others are not to look inside.
fn make_folder(folder: &std::path::Path) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    // Asking an authority again at every start would use up what it allows in a week.
    let probe = folder.join(".probe");
    fs::write(&probe, [])?;
    fs::remove_file(&probe)
}

fn roots(acme: &Acme) -> Result<RootCertStore, AcmeError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &acme.root else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    let failed =
        |reason: &dyn std::fmt::Display| AcmeError::Root { path: path.clone(), reason: reason.to_string() };
    let pem = named_file::any(path).map_err(|error| failed(&error))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() { Err(failed(&"it has no certificate (PEM)")) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_hosts_are_asked_for() {
        for name in ["films.example.org", "localhost", "xn--bcher-kva.example", "a-b.c1"] {
            assert!(is_host_name(name), "{name}");
        }
        let long = "a".repeat(64);
        for name in [
            "",
            "*.example.org",
            "192.0.2.1",
            "a..b",
            "https://a",
            "a:443",
            "-a.b",
            "a-.b",
            "a.",
            "bücher",
            &long,
        ] {
            assert!(!is_host_name(name), "{name}");
        }
    }

    #[test]
    fn what_is_asked_for_wrongly_is_said_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let acme = Acme {
            domains: vec!["films.example.org".into()],
            contacts: Vec::new(),
            directory: DIRECTORY_DEFAULT.into(),
            root: None,
            folder: folder.path().join("acme"),
        };
        assert!(Renewed::new(acme.clone()).is_ok());
        #[cfg(unix)]
        {
            let mode =
                std::os::unix::fs::PermissionsExt::mode(&acme.folder.metadata().unwrap().permissions());
            assert_eq!(mode & 0o777, 0o700, "keys are for the tracker only");
        }
        let file = folder.path().join("file");
        fs::write(&file, "no certificate").unwrap();
        let wrong = [
            (Acme { domains: vec!["192.0.2.1".into()], ..acme.clone() }, "--domain 192.0.2.1 is no name"),
            (Acme { folder: file.clone(), ..acme.clone() }, "cannot be kept in"),
            (Acme { root: Some(file), ..acme.clone() }, "it has no certificate"),
            (Acme { root: Some("missing".into()), ..acme }, "--acme-root missing cannot be used"),
        ];
        for (acme, word) in wrong {
            let error = Renewed::new(acme).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
