//! What the tracker offers over HTTP: manifests, the catalogue, its health, and the page.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Deserialize;
use swarm_core::SwarmId;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::access::{CalledAs, Sender, guard, guard_private};
use crate::base_path;
use crate::catalogue::{Order, PageRequest};
use crate::decision::Permission;
use crate::decision::network::Site;
use crate::embedding::{oembed, preview};
use crate::hub::{Caller, Hub};
use crate::limits::{CATALOGUE_QUERY_BYTES_MAX, SIBLING_FRAME_BYTES_MAX, SIBLING_PROOF_TIMEOUT_MS};
use crate::place::Permit;
use crate::publishing::{challenge, publish, remove};
use crate::socket::Terms;
use crate::{page, siblings, socket};

/// Caching of what is addressed by its own digest.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The same for what not everybody may have: a browser that others use, too, asks again each time, with their permission.
const FOR_ONE: &str = "private, no-cache";

/// All routes of the public listener.
pub(crate) fn router(hub: Arc<Hub>) -> Router {
    let no_sniffing =
        SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A link names its swarm behind the `#`, which no referrer carries; other addresses need not leak either.
    let no_referrer =
        SetResponseHeaderLayer::overriding(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let page = page::router(&hub.config.page, &hub.config.allowed_origins, &hub.config.embed_origins);
    let guard = from_fn_with_state(Arc::clone(&hub), guard);
    let base = hub.config.base_path.clone();
    let router = Router::new()
        .route("/v1/manifests/{swarm}", get(manifest).put(publish).delete(remove))
        .route("/v1/challenge", get(challenge))
        .route("/v1/manifests/{swarm}/poster", get(poster))
        .route("/v1/swarms", get(catalogue))
        .route("/oembed", get(oembed))
        .route("/watch/{swarm}", get(preview))
        .route("/v1/swarm", get(swarm))
        .route(siblings::PATH, get(sibling))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(hub)
        .fallback_service(page)
        .layer(guard)
        .layer(no_sniffing)
        .layer(no_referrer);
    base_path::below(&base, router)
}

/// The routes of the listener for the operator's own programs.
pub(crate) fn private_router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/v1/trackers", get(trackers))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .layer(from_fn_with_state(Arc::clone(&hub), guard_private))
        .with_state(hub)
}

/// An answer of one line.
pub(crate) fn refuse(status: StatusCode, text: impl std::fmt::Display) -> Response {
    (status, format!("{text}\n")).into_response()
}

pub(crate) fn try_later(text: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], format!("{text}\n")).into_response()
}

/// An answer to who does something too often.
pub(crate) fn too_many(text: &str, retry_after_ms: u32) -> Response {
    let retry_after_s = retry_after_ms.div_ceil(1000);
    let text = format!("{text}; try again in {retry_after_s} s\n");
    (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, retry_after_s.to_string())], text).into_response()
}

async fn swarm(
    State(hub): State<Arc<Hub>>,
    Extension(sender): Extension<Sender>,
    Extension(CalledAs(name)): Extension<CalledAs>,
    Extension(permit): Extension<Permit>,
    request: Request<Body>,
) -> Response {
    if hub.stopping.is_cancelled() {
        return try_later("the tracker is stopping");
    }
    socket::upgrade(hub, request, Caller { address: sender.address, name }, permit)
}

/// A tracker that calls itself a sibling.
async fn sibling(
    State(hub): State<Arc<Hub>>,
    Extension(sender): Extension<Sender>,
    Extension(permit): Extension<Permit>,
    request: Request<Body>,
) -> Response {
    let Some(key) = hub.config.siblings.key.clone() else {
        return refuse(StatusCode::NOT_FOUND, "this tracker has no siblings");
    };
    if hub.stopping.is_cancelled() {
        return try_later("the tracker is stopping");
    }
    let is_own = Arc::new(AtomicBool::new(false));
    let site = Site::of(sender.address);
    let Some(greeting) = hub.greetings.take(site) else {
        let text =
            "too many connections from your address or network that have not shown that they are siblings";
        return too_many(text, SIBLING_PROOF_TIMEOUT_MS);
    };
    let terms = Terms {
        site,
        message_bytes_max: SIBLING_FRAME_BYTES_MAX,
        room: Arc::clone(&hub.room),
        patience: hub.config.deadlines.message,
        is_own: Some(Arc::clone(&is_own)),
    };
    socket::upgraded(request, terms, siblings::running::config(), move |socket| async move {
        // Until then it counts as a plain connection of its address.
        let greeted = || {
            permit.upgrade();
            drop(greeting);
        };
        tokio::select! {
            () = siblings::running::host(&hub, key, (socket, site), (&is_own, greeted)) => {}
            () = hub.stopping.cancelled() => {}
        }
        drop(permit);
    })
}

async fn manifest(State(hub): State<Arc<Hub>>, Path(swarm): Path<String>, headers: HeaderMap) -> Response {
    let swarm: SwarmId = match swarm.parse() {
        Ok(swarm) => swarm,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    if let Some(refusal) = refusal_to_show(&hub, &headers, Some(swarm)) {
        return refusal;
    }
    match hub.manifest(swarm) {
        Some(bytes) => {
            let headers = [(CONTENT_TYPE, "application/octet-stream"), (CACHE_CONTROL, lasting(&hub))];
            (headers, bytes).into_response()
        }
        None => refuse(StatusCode::NOT_FOUND, format_args!("no content {swarm} is published here")),
    }
}

/// The picture of a content. Its bytes are anybody's: they are a picture of the type that the manifest check let
/// pass, never sniffed for another, and may do nothing where somebody opens them as a page.
async fn poster(State(hub): State<Arc<Hub>>, Path(swarm): Path<String>, headers: HeaderMap) -> Response {
    let swarm: SwarmId = match swarm.parse() {
        Ok(swarm) => swarm,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    if let Some(refusal) = refusal_to_show(&hub, &headers, Some(swarm)) {
        return refusal;
    }
    match hub.poster(swarm) {
        Some(poster) => {
            let headers = [
                (CONTENT_TYPE, poster.media_type.as_str()),
                (CACHE_CONTROL, lasting(&hub)),
                (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
            ];
            (headers, poster.bytes).into_response()
        }
        None => refuse(StatusCode::NOT_FOUND, format_args!("no poster of {swarm} is published here")),
    }
}

/// The token of `Authorization: Bearer TOKEN`. None if there are several: readers would differ on which one counts.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Why who asks may not see a content, or the catalogue. A closed tracker takes the header `Authorization: Bearer TOKEN`.
pub(crate) fn refusal_to_show(hub: &Hub, headers: &HeaderMap, swarm: Option<SwarmId>) -> Option<Response> {
    match hub.config.permission(bearer(headers), hub.now()) {
        Permission::All => None,
        Permission::Only(own, ..) if swarm == Some(own) => None,
        Permission::Only(..) => Some(refuse(StatusCode::FORBIDDEN, "this permission is for another content")),
        Permission::Refused(reason) => Some(refuse(StatusCode::UNAUTHORIZED, reason)),
        Permission::Unknown => {
            let text = match bearer(headers) {
                Some(_) => {
                    "the token that was shown is not this tracker's; its operator gives out the right one"
                }
                None => {
                    "this tracker is closed; its operator gives out the token (--token, or TRIBUTARY_TOKEN)"
                }
            };
            Some(refuse(StatusCode::UNAUTHORIZED, text))
        }
    }
}

/// How long what never changes may be kept; what a closed tracker gives is for its receiver alone.
fn lasting(hub: &Hub) -> &'static str {
    if hub.config.permission(None, hub.now()) == Permission::All { FOR_EVER } else { FOR_ONE }
}

/// Which page of the catalogue is asked for.
#[derive(Debug, Deserialize)]
struct PageQuery {
    /// The `next` of the page before.
    after: Option<u64>,
    /// Words that all occur in the name or the title.
    q: Option<String>,
    /// In which order; the latest first by default.
    sort: Option<Order>,
}

async fn catalogue(
    State(hub): State<Arc<Hub>>,
    Extension(sender): Extension<Sender>,
    query: Result<Query<PageQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Query(PageQuery { after, q, sort })) = query else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "`after` is the `next` of the page before, and `sort` is new, peers or name",
        );
    };
    if q.as_ref().is_some_and(|words| words.len() > CATALOGUE_QUERY_BYTES_MAX) {
        return refuse(StatusCode::BAD_REQUEST, "`q` is too long");
    }
    if let Some(refusal) = refusal_to_show(&hub, &headers, None) {
        return refusal;
    }
    let request = PageRequest::new(after, q.as_deref(), sort);
    if let Err(retry_after_ms) = hub.admit_search(sender.address, &request) {
        return too_many("too many searches from your address", retry_after_ms);
    }
    let page = hub.catalogue_page(&request);
    let asked = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known =
        asked.flat_map(|tags| tags.split(',')).any(|tag| tag.trim().trim_start_matches("W/") == page.tag);
    let about = [(CACHE_CONTROL, "no-cache"), (ETAG, page.tag.as_str())];
    if is_known {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, [(CONTENT_TYPE, "application/json")], page.body).into_response()
}

async fn ready(State(hub): State<Arc<Hub>>) -> Response {
    if hub.stopping.is_cancelled() { try_later("stopping") } else { "ready\n".into_response() }
}

/// The trackers that act as one, for operators.
async fn trackers(State(hub): State<Arc<Hub>>) -> Response {
    ([(CONTENT_TYPE, "application/json")], hub.trackers_json()).into_response()
}

async fn metrics(State(hub): State<Arc<Hub>>) -> Response {
    match hub.metrics_text() {
        Ok(text) => ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}
