//! What the tracker offers over HTTP: manifests, the catalogue, its health, and the page.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use swarm_core::limits::MANIFEST_BYTES_MAX;
use swarm_core::{Manifest, SwarmId};
use tokio::time::timeout;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::decision::tracker::is_same_secret;
use crate::hub::Hub;
use crate::limits::BODY_TIMEOUT;
use crate::manifests::Put;
use crate::place::Permit;
use crate::server::SenderAddress;
use crate::{page, socket};

/// Caching of what is addressed by its own digest.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// All routes.
pub(crate) fn router(hub: Arc<Hub>) -> Router {
    let anybody =
        SetResponseHeaderLayer::overriding(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let no_sniffing =
        SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A link names its swarm behind the `#`, which no referrer carries; other addresses need not leak either.
    let no_referrer =
        SetResponseHeaderLayer::overriding(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let page = page::router(&hub.config.www);
    Router::new()
        .route("/v1/manifests/{swarm}", get(manifest).put(publish))
        .route("/v1/manifests/{swarm}/poster", get(poster))
        .route("/v1/swarms", get(catalogue))
        .layer(anybody)
        .route("/v1/swarm", get(swarm))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(hub)
        .fallback_service(page)
        .layer(no_sniffing)
        .layer(no_referrer)
}

/// A refusal in one line.
fn refuse(status: StatusCode, text: impl std::fmt::Display) -> Response {
    (status, format!("{text}\n")).into_response()
}

fn try_later(text: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], format!("{text}\n")).into_response()
}

async fn swarm(
    State(hub): State<Arc<Hub>>,
    Extension(SenderAddress(address)): Extension<SenderAddress>,
    Extension(permit): Extension<Permit>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if hub.stopping.is_cancelled() {
        return try_later("the tracker is stopping");
    }
    let address =
        if hub.config.is_behind_proxy { forwarded_for(&headers).unwrap_or(address) } else { address };
    match upgrade {
        Ok(upgrade) => socket::upgrade(hub, upgrade, address, permit),
        Err(rejection) => {
            refuse(rejection.status(), format_args!("this address is for WebSockets: {rejection}"))
        }
    }
}

/// The sender as the proxy saw it: the last entry, since those before it are the sender's own words.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

async fn manifest(State(hub): State<Arc<Hub>>, Path(swarm): Path<String>) -> Response {
    let swarm: SwarmId = match swarm.parse() {
        Ok(swarm) => swarm,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    match hub.manifest(swarm) {
        Some(bytes) => {
            let headers = [(CONTENT_TYPE, "application/octet-stream"), (CACHE_CONTROL, FOR_EVER)];
            (headers, bytes).into_response()
        }
        None => refuse(StatusCode::NOT_FOUND, format_args!("no content {swarm} is published here")),
    }
}

/// The picture of a content. Its bytes are anybody's: they are a picture of the type that the manifest check let
/// pass, never sniffed for another, and may do nothing where somebody opens them as a page.
async fn poster(State(hub): State<Arc<Hub>>, Path(swarm): Path<String>) -> Response {
    let swarm: SwarmId = match swarm.parse() {
        Ok(swarm) => swarm,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    match hub.poster(swarm) {
        Some(poster) => {
            let headers = [
                (CONTENT_TYPE, poster.media_type.as_str()),
                (CACHE_CONTROL, FOR_EVER),
                (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
            ];
            (headers, poster.bytes).into_response()
        }
        None => refuse(StatusCode::NOT_FOUND, format_args!("no poster of {swarm} is published here")),
    }
}

async fn publish(
    State(hub): State<Arc<Hub>>,
    Path(swarm): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if hub.config.publish_token.as_deref().is_some_and(|token| !is_bearer(&headers, token)) {
        return refuse(StatusCode::UNAUTHORIZED, "publishing here takes the tracker's publish token");
    }
    let swarm: SwarmId = match swarm.parse() {
        Ok(swarm) => swarm,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    let Ok(_turn) = hub.publications.try_acquire() else {
        return try_later("too many are publishing at this moment");
    };
    let bytes = match timeout(BODY_TIMEOUT, to_bytes(body, MANIFEST_BYTES_MAX)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            return refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                "a manifest has at most 1 MiB and must arrive whole",
            );
        }
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "the manifest did not arrive in time"),
    };
    let manifest = match Manifest::from_bytes(swarm, &bytes) {
        Ok(manifest) => manifest,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    match hub.publish(swarm, &manifest, bytes) {
        Put::Added(_) => {
            tracing::info!(%swarm, name = manifest.name, "a manifest was published");
            refuse(StatusCode::CREATED, "published")
        }
        Put::Known => refuse(StatusCode::OK, "known already"),
        Put::Full => try_later("the tracker is full: every content that it knows is in use"),
    }
}

fn is_bearer(headers: &HeaderMap, token: &str) -> bool {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .is_some_and(|given| is_same_secret(token, given))
}

async fn catalogue(State(hub): State<Arc<Hub>>) -> Response {
    ([(CACHE_CONTROL, "no-cache")], Json(hub.catalogue())).into_response()
}

async fn ready(State(hub): State<Arc<Hub>>) -> Response {
    if hub.stopping.is_cancelled() { try_later("stopping") } else { "ready\n".into_response() }
}

async fn metrics(State(hub): State<Arc<Hub>>) -> Response {
    match hub.metrics_text() {
        Ok(text) => ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_entry_of_the_proxy_is_believed() {
        let mut headers = HeaderMap::new();
        assert_eq!(forwarded_for(&headers), None);
        headers.append("x-forwarded-for", HeaderValue::from_static("1.1.1.1"));
        headers.append("x-forwarded-for", HeaderValue::from_static("2.2.2.2, 2001:db8::1"));
        assert_eq!(forwarded_for(&headers), "2001:db8::1".parse().ok());
        headers.append("x-forwarded-for", HeaderValue::from_static("nonsense"));
        assert_eq!(forwarded_for(&headers), None);
    }

    #[test]
    fn a_bearer_is_the_whole_token() {
        let headers = |value| HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
        assert!(is_bearer(&headers("Bearer abc"), "abc"));
        for value in ["abc", "Bearer ab", "Bearer abcd", "bearer", ""] {
            assert!(!is_bearer(&headers(value), "abc"), "{value}");
        }
        assert!(!is_bearer(&HeaderMap::new(), "abc"));
    }
}
