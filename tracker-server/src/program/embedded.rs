//! A tracker beside other work in one process: it serves until its owner stops it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::listening::{listen, listen_for_authority};
use crate::redirect::authority;
use crate::{BasePath, Listeners, Page, ServeError, ServerConfig, Tls};

/// The port that is tried first.
pub const PORT_FIRST: u16 = 8080;

/// Ports that are tried, one after the other; then any free one is taken.
const PORTS_TRIED: u16 = 20;

/// Where to listen.
#[derive(Debug, Clone, Copy)]
pub enum Listen<'a> {
    /// At this `HOST:PORT`, as `--listen` says.
    At(&'a str),
    /// At all addresses of IPv4, at the first free port from 8080 on.
    Anywhere,
    /// At all addresses, at port 443, where an authority asks for its certificates.
    ForAuthority,
}

/// A tracker in this process, with everything in memory. Everybody may watch; only who is told its token publishes.
#[derive(Debug)]
pub struct Embedded {
    address: SocketAddr,
    own: SocketAddr,
    pages: Vec<String>,
    publish_token: String,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Embedded {
    /// Listens and starts to serve below `base_path`, with TLS if there is any. Requests without it go to `redirect`, and
    /// are sent on from there. Runs in a tokio runtime.
    pub async fn start(
        at: Listen<'_>,
        (page, base_path): (Page, BasePath),
        tls: Option<Tls>,
        redirect: Option<&str>,
    ) -> anyhow::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).context("the system gives no random bytes")?;
        let seed = getrandom::u64().context("the system gives no random bytes")?;
        let mut config = ServerConfig { page, base_path, tls, ..ServerConfig::new(seed, &secret) };
        let publish_token = token()?;
        config.publish_token = Some(publish_token.clone());
        #[cfg(unix)]
        super::descriptors::raise(config.connections_max);
        let listener = match at {
            Listen::At(address) => listen(address, "--listen").await?,
            Listen::Anywhere => free().await?,
            Listen::ForAuthority => listen_for_authority().await?,
        };
        let address = listener.local_addr().context("cannot tell which address is listened on")?;
        let mut listeners = Listeners::from(listener);
        let pages = config.tls.as_ref().map(|tls| pages(tls, address, &config.base_path)).unwrap_or_default();
        let mut own = address;
        if config.tls.is_some() {
            // A program on this machine that asks for an address of it would not be shown a certificate for that.
            let listener = listen("127.0.0.1:0", "--listen").await?;
            own = listener.local_addr().context("cannot tell which address is listened on")?;
            listeners.own = Some(listener);
        }
        if let Some(redirect) = redirect {
            listeners.redirect = Some(listen(redirect, "--redirect-listen").await?);
        }
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(crate::serve(config, listeners, stopped));
        Ok(Self { address, own, pages, publish_token, stop, task })
    }

    /// Where it listens. The address may be unspecified: then it listens at all of them.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where programs on this machine reach it without TLS. The address may be unspecified, as that of [`Self::address`].
    pub const fn own(&self) -> SocketAddr {
        self.own
    }

    /// Where the page is over TLS, such as `https://films.example.org`: one for each name of the certificate.
    pub fn pages(&self) -> &[String] {
        &self.pages
    }

    /// What it asks publishers for. Nobody else knows it.
    pub fn publish_token(&self) -> &str {
        &self.publish_token
    }

    /// Closes every connection and ends.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(self.task.await.context("the tracker failed from within")??)
    }
}

/// Where the page is over TLS. A certificate without a name still leads to the address.
fn pages(tls: &Tls, address: SocketAddr, base: &BasePath) -> Vec<String> {
    let mut names = tls.names();
    if names.is_empty() {
        let ip = if address.ip().is_unspecified() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { address.ip() };
        names.push(ip.to_string());
    }
    names.iter().map(|name| format!("https://{}{base}", authority(name, address.port()))).collect()
}

/// A token that nobody can guess.
fn token() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

/// A listener at the first port that is free.
async fn free() -> anyhow::Result<TcpListener> {
    for port in PORT_FIRST..PORT_FIRST + PORTS_TRIED {
        match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            result => {
                return result.with_context(|| {
                    format!("cannot listen on port {port}; choose an address with --listen")
                });
            }
        }
    }
    listen("0.0.0.0:0", "--listen").await
}
