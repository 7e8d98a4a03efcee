//! The built page, served from a directory or from inside the program: compressed ahead of time, checked for freshness on
//! every use.

mod inside;

use std::path::{Path, PathBuf};

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::access::AllowedOrigins;

/// What the page may do; the same as in its own `meta` element, which cannot say who may embed it.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' blob:; media-src 'self' blob:; connect-src 'self' http: https: ws: wss:; worker-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors";

const NOT_BUILT: &str = "the page is not built: run `cargo xtask build`\n";
const NOT_INSIDE: &str = "this program was built without the page: run `cargo xtask page`, then build it again, or name \
    the directory of a built page with --www\n";
const NOT_FOUND: &str = "there is no such page\n";

/// Where the page is.
#[derive(Debug, Clone)]
pub enum Page {
    /// Files of a directory, which need not be there yet.
    Directory(PathBuf),
    /// Files inside the program; none where it was built without them.
    Inside(&'static [PageFile]),
}

impl Page {
    /// Why it cannot be served now, with what to do; `None` if it can.
    pub fn missing(&self) -> Option<String> {
        match self {
            Self::Directory(directory) => (!directory.is_dir()).then(|| {
                format!(
                    "{} is missing: the page is not served until `cargo xtask build` made it",
                    directory.display()
                )
            }),
            Self::Inside(files) => files.is_empty().then(|| NOT_INSIDE.trim_end().to_owned()),
        }
    }
}

/// A file inside the program.
#[derive(Debug, Clone, Copy)]
pub struct PageFile {
    /// Its path below the page's address, without a slash in front.
    pub path: &'static str,
    /// Its bytes.
    pub plain: &'static [u8],
    /// The same compressed, if that is shorter.
    pub brotli: Option<&'static [u8]>,
}

/// Serves the page.
pub(crate) fn router(page: &Page, allowed: &AllowedOrigins) -> Router {
    if let Some(text) = page.missing() {
        tracing::warn!("{text}");
    }
    let files = match page {
        Page::Directory(directory) => below(directory),
        Page::Inside(files) => inside::router(files),
    };
    // The page and its service worker must never be older than the protocol that the tracker speaks.
    let fresh = SetResponseHeaderLayer::overriding(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let policy = SetResponseHeaderLayer::overriding(CONTENT_SECURITY_POLICY, policy(allowed));
    files.layer(fresh).layer(policy)
}

/// Serves the files of a directory.
fn below(directory: &Path) -> Router {
    let own = directory.to_owned();
    let missing = any(async move || {
        // Looked up each time: the page may have been built since the start.
        let is_built = tokio::fs::try_exists(own.join("index.html")).await.unwrap_or(false);
        not_found(if is_built { NOT_FOUND } else { NOT_BUILT })
    });
    Router::new().fallback_service(ServeDir::new(directory).precompressed_br().fallback(missing))
}

fn not_found(text: &'static str) -> Response {
    (StatusCode::NOT_FOUND, text).into_response()
}

/// Pages of the tracker's own origin and of allowed ones may embed the page.
fn policy(allowed: &AllowedOrigins) -> HeaderValue {
    let ancestors: Vec<&str> =
        if allowed.is_any() { vec!["*"] } else { ["'self'"].into_iter().chain(allowed.iter()).collect() };
    let own = HeaderValue::from_static("frame-ancestors 'self'");
    HeaderValue::from_str(&format!("{POLICY} {}", ancestors.join(" "))).unwrap_or(own)
}
