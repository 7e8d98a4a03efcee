//! The reference: a plain HTTP server with `Range` support, and a page that plays a film from it.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use axum::Router;
use axum::response::Html;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower_http::services::ServeFile;

/// The least that plays a film. The attributes are those of the player in `www/`.
const PAGE: &str = "<!doctype html><meta charset=\"utf-8\"><title>A film over plain HTTP</title>\
                    <video src=\"/film.mp4\" controls autoplay playsinline preload=\"auto\"></video>";

/// A server of one film. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct FilmServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl FilmServer {
    /// Starts a server on a free port.
    pub(crate) async fn start(film: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port to listen on")?;
        let address = listener.local_addr()?;
        let routes = Router::new()
            .route("/", get(async || Html(PAGE)))
            .route_service("/film.mp4", ServeFile::new(film));
        let task = tokio::spawn(async move {
            // The server ends only with the bench, so there is nobody to report an error to.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { address, task })
    }

    /// Address of the page.
    pub(crate) fn link(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for FilmServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
