//! The built page, served as files: compressed ahead of time, checked for freshness on every use.

use std::path::Path;

use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::IntoResponse;
use axum::routing::any;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

const NOT_BUILT: &str = "the page is not built: run `cargo xtask build`\n";
const NOT_FOUND: &str = "there is no such page\n";

/// Serves the files below `www`, which need not be there yet.
pub(crate) fn router(www: &Path) -> Router {
    if !www.is_dir() {
        tracing::warn!(
            "{} is missing: the page is not served until `cargo xtask build` made it",
            www.display()
        );
    }
    let directory = www.to_owned();
    let missing = any(async move || {
        // Looked up anew: the page may have been built since the start.
        let is_built = tokio::fs::try_exists(directory.join("index.html")).await.unwrap_or(false);
        let text = if is_built { NOT_FOUND } else { NOT_BUILT };
        (StatusCode::NOT_FOUND, text).into_response()
    });
    let files = ServeDir::new(www).precompressed_br().fallback(missing);
    // The page and its service worker must never be older than the protocol that the tracker speaks.
    let fresh = SetResponseHeaderLayer::overriding(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Router::new().fallback_service(files).layer(fresh)
}
