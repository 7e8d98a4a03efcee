//! Trackers that do not do what a tracker does, for peers to notice.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What is wrong with a tracker.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Whatever manifest is asked for, these bytes come.
    Manifest(Vec<u8>),
    /// It refuses the peer's version of the protocol.
    Version,
}

/// A tracker with a fault. It ends when dropped.
#[derive(Debug)]
pub struct FalseTracker {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl FalseTracker {
    /// Starts one on a free port.
    pub async fn start(fault: Fault) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port to listen on")?;
        let address = listener.local_addr()?;
        let routes = Router::new()
            .route("/v1/manifests/{swarm}", get(manifest))
            .route("/v1/swarm", any(swarm))
            .with_state(fault);
        let server = tokio::spawn(async move {
            // It only ends with the test.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { address, server })
    }

    /// The link of a swarm, as if it were published here.
    pub fn link(&self, swarm: &str) -> String {
        format!("http://{}/#{swarm}", self.address)
    }
}

impl Drop for FalseTracker {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn manifest(State(fault): State<Fault>) -> impl IntoResponse {
    match fault {
        Fault::Manifest(bytes) => (StatusCode::OK, bytes),
        Fault::Version => (StatusCode::NOT_FOUND, Vec::new()),
    }
}

async fn swarm(State(fault): State<Fault>, upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade.on_upgrade(|socket| answer(socket, fault))
}

/// Answers each request until the peer goes away.
async fn answer(mut socket: WebSocket, fault: Fault) {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let Ok(request) = serde_json::from_str::<Value>(&text) else { return };
        let id = request.get("id").cloned().unwrap_or_default();
        let answer = match fault {
            Fault::Manifest(_) => {
                json!({ "id": id, "type": "error", "code": "unknown_swarm", "text": "unknown" })
            }
            Fault::Version => json!({
                "id": id, "type": "error", "code": "unsupported_version",
                "text": "this tracker speaks version 9 of the protocol",
            }),
        };
        if socket.send(Message::Text(answer.to_string().into())).await.is_err() {
            return;
        }
    }
}
