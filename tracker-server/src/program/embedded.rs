//! A tracker beside other work in one process: it serves until its owner stops it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::listening::listen;
use crate::{BasePath, Listeners, Page, ServeError, ServerConfig};

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
}

/// A tracker in this process, with everything in memory. Everybody may watch; only who is told its token publishes.
#[derive(Debug)]
pub struct Embedded {
    address: SocketAddr,
    publish_token: String,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Embedded {
    /// Listens and starts to serve. Runs in a tokio runtime.
    pub async fn start(at: Listen<'_>, page: Page, base_path: BasePath) -> anyhow::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).context("the system gives no random bytes")?;
        let seed = getrandom::u64().context("the system gives no random bytes")?;
        let mut config = ServerConfig { page, base_path, ..ServerConfig::new(seed, &secret) };
        let publish_token = token()?;
        config.publish_token = Some(publish_token.clone());
        #[cfg(unix)]
        super::descriptors::raise(config.connections_max);
        let listener = match at {
            Listen::At(address) => listen(address, "--listen").await?,
            Listen::Anywhere => free().await?,
        };
        let address = listener.local_addr().context("cannot tell which address is listened on")?;
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(crate::serve(config, Listeners::from(listener), stopped));
        Ok(Self { address, publish_token, stop, task })
    }

    /// Where it listens. The address may be unspecified: then it listens at all of them.
    pub const fn address(&self) -> SocketAddr {
        self.address
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
