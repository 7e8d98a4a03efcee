//! From an HTTP request to a WebSocket (RFC 6455, section 4.2).
//!
//! Done here rather than by axum, whose WebSocket gives no way to the stream below it, and that is where the memory for long
//! messages is bounded.

use std::future::Future;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::watched::{Terms, Watched};
use crate::http::refuse;

/// A WebSocket whose other side sends what its terms allow. In a box: a future holds a copy of what is moved through it at each
/// step, for as long as the connection lasts.
pub(crate) type WebSocket = Box<WebSocketStream<Stream>>;

/// The stream below it.
pub(super) type Stream = Watched<TokioIo<Upgraded>>;

/// The WebSocket on an upgraded stream.
pub(super) async fn on(stream: Stream, config: WebSocketConfig) -> WebSocket {
    // The future of the library is as large as its WebSocket.
    Box::new(Box::pin(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config))).await)
}

/// Answers an upgrade request, and has `serve` speak on the WebSocket once it is open.
pub(crate) fn upgraded<F>(
    mut request: Request<Body>,
    terms: Terms,
    config: WebSocketConfig,
    serve: impl FnOnce(WebSocket) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send,
{
    let refused = |why: &dyn std::fmt::Display| {
        refuse(StatusCode::BAD_REQUEST, format_args!("this address is for WebSockets: {why}"))
    };
    let answer = match create_response_with_body(&request, Body::empty) {
        Ok(answer) => answer,
        Err(error) => return refused(&error),
    };
    if request.extensions().get::<hyper::upgrade::OnUpgrade>().is_none() {
        return refused(&"this connection carries requests only");
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(stream) => {
                let socket = Box::pin(on(Watched::new(TokioIo::new(stream), terms), config)).await;
                serve(socket).await;
            }
            Err(error) => tracing::debug!("a connection did not become a WebSocket: {error}"),
        }
    });
    answer
}
