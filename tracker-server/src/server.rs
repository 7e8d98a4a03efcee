//! The accept loop: connections with deadlines, a bound on their number, and one way to stop.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use crate::config::ServerConfig;
use crate::http;
use crate::hub::Hub;
use crate::limits::{ACCEPT_PAUSE, HTTP_BUFFER_BYTES};

/// Room for one connection; given back when the last clone goes.
pub(crate) type Permit = Arc<OwnedSemaphorePermit>;

/// Where a request came from, by its TCP connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SenderAddress(pub(crate) IpAddr);

/// Serves a tracker on `listener` until `shutdown` is done, then ends all connections and returns.
///
/// Stopping takes at most [`Deadlines::stop`](crate::config::Deadlines::stop): first the WebSockets are closed,
/// while requests such as `/readyz` are still answered; then requests under way may end.
pub async fn serve(config: ServerConfig, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let hub = Arc::new(Hub::new(config));
    let acceptor = Acceptor::new(Arc::clone(&hub));
    tokio::select! {
        never = acceptor.run(&listener) => match never {},
        () = shutdown => {}
    }
    hub.stop();
    let deadline = Instant::now() + hub.config.deadlines.stop;
    tokio::select! {
        never = acceptor.run(&listener) => match never {},
        _ = timeout_at(deadline, hub.sockets.wait()) => {}
    }
    drop(listener);
    acceptor.finish(deadline).await;
}

struct Acceptor {
    hub: Arc<Hub>,
    router: Router,
    room: Arc<Semaphore>,
    /// Counts the HTTP connections that are not closed yet.
    connections: TaskTracker,
    /// Cancelled when connections are to end after the request under way.
    finish: CancellationToken,
    /// Cancelled when connections that did not end in time are cut.
    cut: CancellationToken,
}

impl Acceptor {
    fn new(hub: Arc<Hub>) -> Self {
        Self {
            router: http::router(Arc::clone(&hub)),
            room: Arc::new(Semaphore::new(hub.config.connections_max)),
            connections: TaskTracker::new(),
            finish: CancellationToken::new(),
            cut: CancellationToken::new(),
            hub,
        }
    }

    async fn run(&self, listener: &TcpListener) -> std::convert::Infallible {
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

    /// Serves a connection in a task of its own, or drops it if there is no room.
    fn admit(&self, stream: TcpStream, address: SocketAddr) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            self.hub.metrics.count_refused_connection();
            tracing::warn!(%address, "a connection was refused: all places are taken");
            return;
        };
        let permit: Permit = Arc::new(permit);
        // Signals are small and urgent. A socket that refuses the option still works.
        _ = stream.set_nodelay(true);
        let router = self.router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(SenderAddress(address.ip()));
            request.extensions_mut().insert(Arc::clone(&permit));
            router.clone().call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.hub.config.deadlines.header)
            .max_buf_size(HTTP_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let (finish, cut) = (self.finish.clone(), self.cut.clone());
        self.connections.spawn(async move {
            let mut connection = pin!(connection);
            let mut result = tokio::select! {
                result = connection.as_mut() => Some(result),
                () = finish.cancelled() => None,
            };
            if result.is_none() {
                connection.as_mut().graceful_shutdown();
                result = tokio::select! {
                    result = connection => Some(result),
                    () = cut.cancelled() => None,
                };
            }
            if let Some(Err(error)) = result {
                tracing::debug!(%address, "a connection ended: {error}");
            }
        });
    }

    /// Lets requests under way end until `deadline`, then cuts them.
    async fn finish(self, deadline: Instant) {
        self.finish.cancel();
        self.connections.close();
        if timeout_at(deadline, self.connections.wait()).await.is_err() {
            tracing::warn!("some connections did not end in time and were cut");
        }
        self.cut.cancel();
    }
}

/// Whether an error of `accept` concerns the connection that was to be accepted, and nothing else.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
