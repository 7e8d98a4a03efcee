//! HTTP on one connection, from the handshake of TLS to the last answer, with a deadline for each step.
//!
//! Owns the choice of the protocol and its limits. What is answered is the service's, and how many connections there are is
//! the acceptor's.
//!
//! Over TLS the two sides agree on HTTP/2 or HTTP/1.1 (ALPN) before the first request. hyper-util can tell the two apart by
//! the first bytes, but waits for them without a deadline. WebSockets stay on HTTP/1.1: browsers open a connection of its own
//! for one.

mod activity;

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Deadlines;
use crate::limits::{
    HTTP_BUFFER_BYTES, HTTP2_CONNECTION_WINDOW_BYTES, HTTP2_RESETS_PENDING_MAX, HTTP2_SEND_BYTES,
    HTTP2_STREAM_WINDOW_BYTES, HTTP2_STREAMS_MAX,
};
use crate::stream::PatientStream;
use crate::tls::{Protocol, Tls};
use activity::{Activity, Limits};

/// A stream waits longer than a WebSocket does for one write, since a WebSocket can still say why it closes.
pub(crate) const WRITE_PATIENCE: u32 = 2;

/// Why a conversation ended early. For the log.
type Broken = Box<dyn Error + Send + Sync>;

/// How a tracker that stops ends its connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ends {
    /// Cancelled when connections are to end after the request under way.
    pub(crate) finish: CancellationToken,
    /// Cancelled when connections that did not end in time are cut.
    pub(crate) cut: CancellationToken,
}

/// Serves a connection to its end. The error is for the log.
pub(crate) async fn serve<S>(
    stream: PatientStream,
    tls: Option<&Tls>,
    service: S,
    deadlines: Deadlines,
    ends: &Ends,
) -> Result<(), Broken>
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
{
    let Some(tls) = tls else { return http1(stream, service, deadlines, ends).await };
    let handshake = tokio::select! {
        handshake = timeout(deadlines.header, Box::pin(tls.handshake(stream))) => handshake,
        () = ends.finish.cancelled() => return Ok(()),
    };
    let Some((stream, protocol)) = handshake.map_err(|_| "the TLS handshake took too long")?? else {
        return Ok(());
    };
    match protocol {
        // In boxes, so that a connection without TLS holds no room for them.
        Protocol::Http1 => Box::pin(http1(stream, service, deadlines, ends)).await,
        Protocol::Http2 => Box::pin(http2(stream, service, deadlines, ends)).await,
    }
}

async fn http1<I, S>(stream: I, service: S, deadlines: Deadlines, ends: &Ends) -> Result<(), Broken>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(deadlines.header)
        .max_buf_size(HTTP_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    run(Box::pin(connection), deadlines.plain, ends, std::future::pending).await
}

async fn http2<I, S>(stream: I, service: S, deadlines: Deadlines, ends: &Ends) -> Result<(), Broken>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
{
    let limits = Limits { first: deadlines.header, later: deadlines.send * WRITE_PATIENCE };
    let activity = Arc::new(Activity::new(limits));
    let watched = Arc::clone(&activity);
    let service = service_fn(move |request| {
        let turn = Activity::begin(&watched);
        let answer = service.call(request);
        async move { answer.await.map(|answer| answer.map(|body| Body::new(turn.follow(body)))) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_pending_accept_reset_streams(HTTP2_RESETS_PENDING_MAX)
        .max_local_error_reset_streams(HTTP2_RESETS_PENDING_MAX)
        .max_header_list_size(u32::try_from(HTTP_BUFFER_BYTES).unwrap_or(u32::MAX))
        .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(HTTP2_SEND_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    run(Box::pin(connection), deadlines.plain, ends, || activity.ended()).await
}

/// Drives a connection until it ends, asks it to end when it is time, and drops it if it does not. `idle` gives a future that
/// is done when the connection has done nothing for too long. The connection is in a box, since a future holds a copy of what is
/// moved through it at each step.
async fn run<C, F>(
    mut connection: Pin<Box<C>>,
    lifetime: Duration,
    ends: &Ends,
    idle: impl Fn() -> F,
) -> Result<(), Broken>
where
    C: Connection,
    F: Future<Output = ()>,
{
    tokio::select! {
        result = connection.as_mut() => return Ok(result?),
        () = ends.finish.cancelled() => {}
        () = sleep(lifetime) => {}
        () = idle() => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        result = connection => Ok(result?),
        () = ends.cut.cancelled() => Ok(()),
        () = sleep(lifetime) => Ok(()),
        () = idle() => Ok(()),
    }
}

/// A connection of hyper that can be asked to end.
trait Connection: Future<Output = Result<(), hyper::Error>> {
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<I, S> Connection for http1::UpgradeableConnection<I, S>
where
    I: Read + Write + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Broken>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}

impl<I, S> Connection for http2::Connection<I, S, TokioExecutor>
where
    I: Read + Write + Unpin + 'static,
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Broken>,
    TokioExecutor: hyper::rt::bounds::Http2ServerConnExec<S::Future, Body>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}
