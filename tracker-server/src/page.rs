//! The built page, served as files: compressed ahead of time, checked for freshness on every use.

use std::path::Path;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::IntoResponse;
use axum::routing::any;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::access::AllowedOrigins;

/// What the page may do; the same as in its own `meta` element, which cannot say who may embed it.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors";

const NOT_BUILT: &str = "the page is not built: run `cargo xtask build`\n";
const NOT_FOUND: &str = "there is no such page\n";

/// Serves the files below `www`, which need not be there yet.
pub(crate) fn router(www: &Path, allowed: &AllowedOrigins) -> Router {
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
    let policy = SetResponseHeaderLayer::overriding(CONTENT_SECURITY_POLICY, policy(allowed));
    Router::new().fallback_service(files).layer(fresh).layer(policy)
}

/// Pages of the tracker's own origin and of allowed ones may embed the page.
fn policy(allowed: &AllowedOrigins) -> HeaderValue {
    let ancestors: Vec<&str> =
        if allowed.is_any() { vec!["*"] } else { ["'self'"].into_iter().chain(allowed.iter()).collect() };
    let own = HeaderValue::from_static("frame-ancestors 'self'");
    HeaderValue::from_str(&format!("{POLICY} {}", ancestors.join(" "))).unwrap_or(own)
}
