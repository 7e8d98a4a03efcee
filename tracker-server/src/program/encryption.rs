//! Flags that make a tracker speak TLS by itself, and what they mean.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use certificate_files::CertificateFiles;
use clap::Args;

use crate::Tls;
use crate::tls::{Acme, DIRECTORY_DEFAULT};

/// The folder inside the data directory for what an authority gave.
const ACME_FOLDER: &str = "acme";

/// How TLS is spoken.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "TLS")]
pub struct EncryptionOptions {
    /// Speak TLS with the certificate in this file (PEM, the server's own first). It is read again when it changes.
    #[arg(long, value_name = "FILE", requires = "certificate_key", conflicts_with = "domains")]
    certificate: Option<PathBuf>,

    /// The private key of --certificate (PEM, without a password).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,

    /// Speak TLS with a certificate for this name, obtained from an authority and renewed in time; repeatable. Port 443 of
    /// the name must lead to this program. Needs --data-dir. Using this flag accepts the authority's terms of service.
    #[arg(long = "domain", value_name = "NAME")]
    domains: Vec<String>,

    /// Mail address that the authority may write to about certificates; repeatable.
    #[arg(long = "acme-contact", value_name = "MAIL", requires = "domains")]
    acme_contacts: Vec<String>,

    /// ACME directory (RFC 8555) of the authority. Default: Let's Encrypt.
    #[arg(long, value_name = "URL", requires = "domains")]
    acme_directory: Option<String>,

    /// Root certificates (PEM) to check the authority's own certificate by, for an authority that browsers do not know.
    #[arg(long, value_name = "FILE", requires = "domains")]
    acme_root: Option<PathBuf>,

    /// Also listen here without TLS and redirect every request to the HTTPS address, such as 0.0.0.0:80.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) redirect_listen: Option<String>,
}

impl EncryptionOptions {
    /// Whether certificates come from an authority, which asks at port 443.
    pub const fn has_domains(&self) -> bool {
        !self.domains.is_empty()
    }

    /// The address of `--redirect-listen`.
    pub fn redirect_listen(&self) -> Option<&str> {
        self.redirect_listen.as_deref()
    }

    /// The names of `--domain`.
    pub(crate) fn domains(&self) -> &[String] {
        &self.domains
    }

    /// How TLS is to be spoken; none if it is not. `data_dir` is where things are kept over a restart.
    pub fn tls(&self, data_dir: Option<&Path>) -> anyhow::Result<Option<Tls>> {
        let tls = match (&self.certificate, &self.certificate_key) {
            (Some(certificate), Some(key)) => {
                let files = CertificateFiles { certificate: certificate.clone(), key: key.clone() };
                Some(Tls::from_files(files).context("--certificate and --certificate-key")?)
            }
            (None, None) if self.has_domains() => Some(Tls::from_acme(self.acme(data_dir)?)?),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                bail!("--certificate and --certificate-key are given together")
            }
        };
        if tls.is_none() && self.redirect_listen.is_some() {
            bail!("--redirect-listen sends browsers to HTTPS: it takes --domain or --certificate as well");
        }
        Ok(tls)
    }

    fn acme(&self, data_dir: Option<&Path>) -> anyhow::Result<Acme> {
        let Some(data_dir) = data_dir else {
            bail!(
                "--domain takes --data-dir as well: certificates are kept there, and an authority gives only a few \
                 for each name in a week"
            );
        };
        if let Some(contact) = self.acme_contacts.iter().find(|contact| !contact.contains('@')) {
            bail!("--acme-contact {contact} must be an address such as operator@example.org");
        }
        let directory = self.acme_directory.clone().unwrap_or_else(|| DIRECTORY_DEFAULT.to_owned());
        if !directory.starts_with("https://") {
            bail!("--acme-directory {directory} must begin with https://");
        }
        Ok(Acme {
            domains: self.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
            contacts: self.acme_contacts.clone(),
            directory,
            root: self.acme_root.clone(),
            folder: data_dir.join(ACME_FOLDER),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        encryption: EncryptionOptions,
    }

    fn tls(arguments: &[&str], data_dir: Option<&Path>) -> Result<Option<Tls>, String> {
        let line = Line::try_parse_from([&["x"], arguments].concat()).map_err(|error| error.to_string())?;
        line.encryption.tls(data_dir).map_err(|error| flag_file::in_words(&*error))
    }

    #[test]
    fn flags_that_do_not_go_together_are_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = Some(folder.path());
        assert!(tls(&[], None).unwrap().is_none());
        assert_eq!(tls(&["--domain", "A.example"], data_dir).unwrap().unwrap().names(), ["a.example"]);
        for (arguments, word) in [
            (&["--certificate", "a"][..], "--certificate-key"),
            (&["--certificate-key", "a"], "--certificate"),
            (
                &["--domain", "a.example", "--certificate", "a", "--certificate-key", "a"],
                "cannot be used with",
            ),
            (&["--acme-contact", "a@b"], "--domain"),
            (&["--domain", "a.example", "--acme-contact", "a"], "operator@example.org"),
            (&["--domain", "a.example", "--acme-directory", "http://a"], "must begin with https://"),
            (&["--domain", "10.0.0.1"], "no name of a host"),
            (&["--redirect-listen", "0.0.0.0:80"], "takes --domain or --certificate"),
            (&["--certificate", "missing", "--certificate-key", "missing"], "missing cannot be read"),
        ] {
            let error = tls(arguments, data_dir).unwrap_err();
            assert!(error.contains(word), "{arguments:?}: {error}");
        }
        assert!(tls(&["--domain", "a.example"], None).unwrap_err().contains("takes --data-dir"));
    }
}
