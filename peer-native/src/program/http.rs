//! `--http`: the seeder as a mirror.

use anyhow::{Context, ensure};
use certificate_files::{Certificate, CertificateFiles};

use crate::mirror_server::MirrorServer;
use crate::program::amount;
use crate::program::cli::Serving;
use crate::program::report::{Event, Reporter};
use crate::publish::{self, Publication};
use crate::sidecar;

/// Serves what is seeded.
#[derive(Debug)]
pub(crate) struct Http {
    server: MirrorServer,
    scheme: &'static str,
}

impl Http {
    /// Listens, if that was asked for.
    pub(crate) async fn start(serving: &Serving) -> anyhow::Result<Option<Self>> {
        ensure!(
            serving.http.is_some() || serving.author.http_url.is_none(),
            "--http-url says where --http is reached; give that, too"
        );
        let Some(listen) = &serving.http else { return Ok(None) };
        let rate = amount::uplink(serving.http_limit.as_deref()).context("--http-limit")?;
        // The command line takes none of the two without the other.
        let files = serving.http_certificate.clone().zip(serving.http_certificate_key.clone());
        let read = files.map(|(certificate, key)| Certificate::read(CertificateFiles { certificate, key }));
        let certificate = read.transpose().context("--http-certificate and --http-certificate-key")?;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let started = MirrorServer::start(listen, rate, certificate).await;
        let server = started.with_context(|| format!("--http {listen}: cannot listen there"))?;
        Ok(Some(Self { server, scheme }))
    }

    /// Serves a content from now on, and says where.
    pub(crate) fn add(&self, publication: &Publication, reporter: Reporter) -> anyhow::Result<()> {
        let Publication { manifest, tree, path, swarm, .. } = publication;
        publish::write_tree(path, tree)?;
        let added =
            self.server.add(manifest.root, &manifest.media_type, path.clone(), sidecar::path_of(path));
        added.with_context(|| format!("{} cannot be served over HTTP", path.display()))?;
        let url = format!("{}://{}/{}", self.scheme, self.server.address(), manifest.root);
        reporter.note(&format!("also over HTTP: {url}"));
        reporter.event(&Event::Http { swarm: *swarm, url: &url });
        Ok(())
    }
}
