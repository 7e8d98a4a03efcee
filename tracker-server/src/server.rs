//! The accept loop: a bound on the number of connections, and one way to stop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use futures_util::future::join_all;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout, timeout_at};
use tokio_util::task::TaskTracker;
use tower_service::Service;

use crate::access::Sender;
use crate::archive::ArchiveError;
use crate::config::ServerConfig;
use crate::conversation::{self, Ends, WRITE_PATIENCE};
use crate::engine::redis::RedisEngine;
use crate::engine::{Choice, Engine, EngineError, TrackerId, running};
use crate::hub::{Hub, OTHER_SECRET};
use crate::limits::{ACCEPT_PAUSE, DRAIN_SPREAD, HAND_OVER_TIMEOUT, OBSERVERS_MAX, REDIRECTS_MAX};
use crate::place::SharedPlaces;
use crate::proxies::protocol;
use crate::stream::PatientStream;
use crate::tls::Tls;
use crate::{http, redirect, siblings};

/// Where a tracker listens.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For peers and the page; with TLS where the configuration has it.
    pub public: Vec<TcpListener>,
    /// For what only the operator is to see: `/metrics`. None to show it nowhere.
    pub private: Option<TcpListener>,
    /// Without TLS, for programs on this machine. It is to be a loopback address.
    pub own: Option<TcpListener>,
    /// Without TLS, to say only where the page is.
    pub redirect: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(public: TcpListener) -> Self {
        Self { public: vec![public], ..Self::default() }
    }
}

/// Serves a tracker until `shutdown` is done, then ends all connections and returns.
///
/// Stopping takes at most [`Deadlines::stop`](crate::config::Deadlines::stop): first the WebSockets are closed,
/// while requests such as `/readyz` are still answered; then requests under way may end. Where there are several trackers,
/// the swarms of this one are handed over before that, and the WebSockets are closed one after the other.
///
/// The error is a data directory or an engine that cannot be used; nothing was served then.
pub async fn serve(
    config: ServerConfig,
    listeners: impl Into<Listeners>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    match config.engine.clone() {
        Choice::Alone => {
            let hub = Arc::new(Hub::new(config, None)?);
            let mut running = JoinSet::new();
            running.spawn(siblings::running::run(Arc::clone(&hub)));
            let own = Arc::clone(&hub);
            running.spawn(async move { running::look_after_rooms(&own).await });
            let drained = {
                let hub = Arc::clone(&hub);
                async move {
                    shutdown.await;
                    if hub.elsewhere().is_some() {
                        close_slowly(&hub).await;
                    }
                }
            };
            serve_hub(hub, listeners.into(), drained).await;
            drop(running);
            Ok(())
        }
        Choice::Memory(engine) => serve_with(config, engine, listeners.into(), shutdown).await,
        Choice::Redis(address) => {
            serve_with(config, RedisEngine::new(address)?, listeners.into(), shutdown).await
        }
    }
}

/// A tracker that cannot begin. Show it; it says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The engine cannot be used.
    #[error("the engine cannot be used: {0}")]
    Engine(#[from] EngineError),
    /// Its secret is not that of the other trackers.
    #[error("{OTHER_SECRET}; give all of them the same")]
    OtherSecret,
}

/// Serves one of several trackers.
async fn serve_with(
    config: ServerConfig,
    engine: impl Engine,
    listeners: Listeners,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let me = getrandom::u64().map_err(|error| EngineError::Strange(error.to_string()))?;
    let me = TrackerId(me);
    let hub = Arc::new(Hub::new(config, Some(me))?);
    // An engine that is away is waited for later on.
    if let Ok(false) = engine.agree(hub.secret_check()).await {
        return Err(ServeError::OtherSecret);
    }
    let engine = Arc::new(engine);
    let mut running = JoinSet::new();
    running.spawn(running::run(Arc::clone(&hub), Arc::clone(&engine), me));
    let drained = {
        let hub = Arc::clone(&hub);
        let engine = Arc::clone(&engine);
        async move {
            shutdown.await;
            running::hand_over(&hub, &*engine).await;
            close_slowly(&hub).await;
        }
    };
    serve_hub(hub, listeners, drained).await;
    drop(running);
    // Without this its lease is over by itself, some seconds later.
    _ = timeout(HAND_OVER_TIMEOUT, engine.retire(me)).await;
    Ok(())
}

/// Closes the WebSockets over some time.
async fn close_slowly(hub: &Hub) {
    const STEPS: u32 = 30;
    hub.stopping.cancel();
    let mut steps = interval(DRAIN_SPREAD / STEPS);
    for left in (1..=STEPS).rev() {
        steps.tick().await;
        let share = usize::try_from(left).unwrap_or(1);
        if hub.close_some(|open| open.div_ceil(share)) == 0 {
            break;
        }
    }
}

async fn serve_hub(hub: Arc<Hub>, listeners: Listeners, shutdown: impl Future<Output = ()>) {
    if let Some(address) = listeners.public.first().and_then(|listener| listener.local_addr().ok()) {
        hub.name.get_or_init(|| address.to_string());
    }
    let acceptors = acceptors(&hub, listeners);
    let accept = join_all(
        acceptors
            .iter()
            .flat_map(|(acceptor, listeners)| listeners.iter().map(|listener| acceptor.run(listener))),
    );
    let certificate = async {
        match &hub.config.tls {
            Some(tls) => tls.keep().await,
            None => std::future::pending().await,
        }
    };
    let mut run = pin!(async { tokio::join!(accept, certificate, hub.config.viewer_tokens.keep()) });
    tokio::select! {
        (_, _, never) = run.as_mut() => match never {},
        () = shutdown => {}
    }
    hub.stop();
    let deadline = Instant::now() + hub.config.deadlines.stop;
    tokio::select! {
        (_, _, never) = run.as_mut() => match never {},
        _ = timeout_at(deadline, hub.sockets.wait()) => {}
    }
    for (acceptor, _) in &acceptors {
        acceptor.finish(deadline).await;
    }
}

/// Who accepts, and where.
fn acceptors(hub: &Arc<Hub>, listeners: Listeners) -> Vec<(Acceptor, Vec<TcpListener>)> {
    let Listeners { public, private, own, redirect } = listeners;
    let tls = hub.config.tls.clone();
    let max = hub.config.connections_max;
    let port = public.first().and_then(|listener| listener.local_addr().ok()).map(|address| address.port());
    let redirects = redirect::router(tls.as_ref(), port.unwrap_or(redirect::HTTPS_PORT));
    let new = |router, max| Acceptor::new(Arc::clone(hub), router, max);
    let router = http::router(Arc::clone(hub));
    vec![
        (
            Acceptor { tls, takes_proxy_headers: hub.config.is_proxy_protocol, ..new(router.clone(), max) },
            public,
        ),
        (new(router, max), Vec::from_iter(own)),
        (new(http::private_router(Arc::clone(hub)), OBSERVERS_MAX), Vec::from_iter(private)),
        (new(redirects, REDIRECTS_MAX), Vec::from_iter(redirect)),
    ]
}

struct Acceptor {
    hub: Arc<Hub>,
    tls: Option<Tls>,
    router: Router,
    /// Whether connections of trusted proxies begin with a PROXY header.
    takes_proxy_headers: bool,
    places: SharedPlaces,
    /// Counts the HTTP connections that are not closed yet.
    connections: TaskTracker,
    ends: Ends,
}

impl Acceptor {
    fn new(hub: Arc<Hub>, router: Router, connections_max: usize) -> Self {
        Self {
            router,
            takes_proxy_headers: false,
            places: SharedPlaces::new(connections_max),
            connections: TaskTracker::new(),
            ends: Ends::default(),
            tls: None,
            hub,
        }
    }

    async fn run(&self, listener: &TcpListener) -> Infallible {
        loop {
            match listener.accept().await {
                Ok((stream, address)) => self.admit(stream, address),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Out of file descriptors, most likely: accepting at once again would only spin.
                    tracing::warn!(
                        "cannot accept a connection: {error}; is the limit on open files too low?"
                    );
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves a connection in a task of its own, or tells it why there is no room.
    fn admit(&self, mut stream: TcpStream, address: SocketAddr) {
        let is_proxied = self.hub.config.proxies.trusts(address.ip());
        // All connections of a proxy come from its own address, which says nothing about their senders.
        let counted = (!is_proxied).then(|| address.ip());
        let permit = match self.places.take(counted) {
            Ok(permit) => permit,
            Err(refusal) => {
                self.hub.metrics.count_refused_connection();
                tracing::debug!(%address, reason = refusal.text(), "a connection was refused");
                // The reason would have to be encrypted first, which is the work that is to be saved.
                if self.tls.is_none() {
                    self.places.refuse(stream, refusal);
                }
                return;
            }
        };
        // Signals are small and urgent. A socket that refuses the option still works.
        _ = stream.set_nodelay(true);
        let deadlines = self.hub.config.deadlines;
        let local = stream.local_addr().map_or(address.ip(), |local| local.ip());
        let mut sender = Sender {
            address: address.ip(),
            is_proxied,
            is_forwarding: true,
            local,
            is_encrypted: self.tls.is_some(),
        };
        let has_proxy_header = self.takes_proxy_headers && is_proxied;
        let router = self.router.clone();
        let (tls, ends) = (self.tls.clone(), self.ends.clone());
        let (places, hub) = (self.places.clone(), Arc::clone(&self.hub));
        self.connections.spawn(async move {
            let mut permit = permit;
            if has_proxy_header {
                let Some(named) = protocol::sender(&mut stream, address, deadlines.header).await else {
                    return;
                };
                // A proxy that does not know the sender passes the sender's own headers on.
                sender.is_forwarding = named.is_some();
                sender.address = named.unwrap_or(sender.address);
                // From here on the connection takes a place of the sender's, if that has one left.
                permit = match places.take(Some(sender.address)) {
                    Ok(permit) => permit,
                    Err(refusal) => {
                        if tls.is_none() {
                            places.refuse(stream, refusal);
                        }
                        return;
                    }
                };
            }
            // A proxy passes on the handshakes of many.
            let is_counted = tls.is_some() && (has_proxy_header || !is_proxied);
            if is_counted && hub.admit_handshake(sender.address).is_err() {
                hub.metrics.count_refused_connection();
                return;
            }
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(sender);
                request.extensions_mut().insert(permit.clone());
                router.clone().call(request)
            });
            let stream = PatientStream::new(stream, deadlines.send * WRITE_PATIENCE);
            let ended = conversation::serve(stream, tls.as_ref(), service, deadlines, &ends).await;
            if let Err(error) = ended {
                tracing::debug!(%address, "a connection ended: {error}");
            }
        });
    }

    /// Lets requests under way end until `deadline`, then cuts them.
    async fn finish(&self, deadline: Instant) {
        self.ends.finish.cancel();
        self.connections.close();
        if timeout_at(deadline, self.connections.wait()).await.is_err() {
            tracing::warn!("some connections did not end in time and were cut");
        }
        self.ends.cut.cancel();
    }
}

/// Whether an error of `accept` concerns the connection that was to be accepted, and nothing else.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
