//! A plain HTTP server with `Range` support: the reference, the mirror, and where others get their files from.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, Response};
use axum::routing::get;
use futures_util::TryStreamExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower_http::services::{ServeDir, ServeFile};

/// A server of some files. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct FileServer {
    address: SocketAddr,
    sent: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

/// Which files a server has.
#[derive(Debug, Default)]
pub(crate) struct Files {
    router: Router,
    media: Router,
}

impl Files {
    /// A page at `/`.
    pub(crate) fn page(mut self, html: &'static str) -> Self {
        self.router = self.router.route("/", get(async move || Html(html)));
        self
    }

    /// A file that no film is in: its bytes are not counted.
    pub(crate) fn script(mut self, path: &str, file: &Path) -> Self {
        self.router = self.router.route_service(path, ServeFile::new(file));
        self
    }

    /// A file of the film: its bytes are counted.
    pub(crate) fn media(mut self, path: &str, file: &Path) -> Self {
        self.media = self.media.route_service(path, ServeFile::new(file));
        self
    }

    /// All files of a folder, counted.
    pub(crate) fn folder(mut self, path: &str, folder: &Path) -> Self {
        self.media = self.media.nest_service(path, ServeDir::new(folder));
        self
    }
}

impl FileServer {
    /// Starts a server on a free port. Pages of other sites may read what it has. `/sent` says how many bytes of the film
    /// it has sent.
    pub(crate) async fn start(files: Files) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port to listen on")?;
        let address = listener.local_addr()?;
        let sent = Arc::new(AtomicU64::new(0));
        let (counter, reader) = (Arc::clone(&sent), Arc::clone(&sent));
        let counted = from_fn(move |request: Request, next: Next| {
            let counter = Arc::clone(&counter);
            async move { count(next.run(request).await, counter) }
        });
        let routes = files
            .router
            .route("/sent", get(async move || reader.load(Ordering::SeqCst).to_string()))
            .merge(files.media.layer(counted));
        let task = tokio::spawn(async move {
            // The server ends only with the bench, so there is nobody to report an error to.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { address, sent, task })
    }

    /// An address here.
    pub(crate) fn link(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Bytes of the film that it has sent.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn count(response: Response, counter: Arc<AtomicU64>) -> Response {
    let (mut head, body) = response.into_parts();
    head.headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    head.headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("content-range"));
    let counted = body.into_data_stream().inspect_ok(move |bytes| {
        counter.fetch_add(bytes.len() as u64, Ordering::SeqCst);
    });
    Response::from_parts(head, Body::from_stream(counted))
}
