//! Another web site: a page that embeds the player, at an origin of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Paths with a type and a text each.
type Files = BTreeMap<String, (&'static str, String)>;

/// A port for a site that is told later what it serves: its pages name trackers, which have to name it.
#[derive(Debug)]
pub struct Lot {
    listener: TcpListener,
    port: u16,
}

/// A running site. It ends when it is dropped.
#[derive(Debug)]
pub struct Site {
    origin: String,
    serving: JoinHandle<()>,
}

impl Lot {
    /// Takes a free port.
    pub async fn new() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for a site")?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// The origin that the site will have. Browsers take `localhost` and `127.0.0.1` for different sites that are both as good
    /// as encrypted.
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Serves a page at `/`, and scripts by their paths.
    pub fn build(self, page: String, scripts: &[(&str, String)]) -> Site {
        let mut files = Files::from([("/".to_owned(), ("text/html; charset=utf-8", page))]);
        files.extend(
            scripts.iter().map(|(path, text)| ((*path).to_owned(), ("text/javascript", text.clone()))),
        );
        let origin = self.origin();
        let router = Router::new().fallback(answer).with_state(Arc::new(files));
        let serving = tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(self.listener, router).await;
        });
        Site { origin, serving }
    }
}

impl Site {
    /// Its page.
    pub fn url(&self) -> String {
        format!("{}/", self.origin)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(files): State<Arc<Files>>, uri: Uri) -> Response {
    match files.get(uri.path()) {
        Some((media_type, text)) => ([(CONTENT_TYPE, *media_type)], text.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
