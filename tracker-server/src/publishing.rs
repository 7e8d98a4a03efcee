//! Publishing over HTTP: who may, and how fast a manifest must arrive. Whose turn it is, is `turns`'s.
//!
//! A swarm id is the digest of its manifest, so anybody who has the bytes may bring a manifest back that the tracker
//! forgot; it is the same manifest, whoever sends it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::Deserialize;
use swarm_core::limits::MANIFEST_BYTES_MAX;
use swarm_core::publisher::{Action, TrackerName};
use swarm_core::{Manifest, SwarmId};
use tokio::time::{Instant, timeout_at};

use crate::access::{CalledAs, Sender};
use crate::decision::UNNAMED;
use crate::decision::network::Site;
use crate::decision::tracker::is_same_secret;
use crate::http::{bearer, refusal_to_show, refuse, too_many, try_later};
use crate::hub::Hub;
use crate::limits::{BODY_RATE_BYTES_PER_S, PUBLICATION_WAIT};
use crate::manifests::{Provenance, Put};
use crate::proof::{self, Proof};

/// Why a proof that was good does not count any more. Its publisher, if it is the one that sends it, makes another.
const SUPERSEDED: &str =
    "the publisher has asked for something else since this was signed; sign a fresh challenge";

/// What a publisher asks for beside keeping its manifest.
#[derive(Debug, Deserialize)]
pub(crate) struct Wish {
    /// Whether the catalogue is to show it.
    #[serde(default)]
    list: bool,
    /// Whether it was published here before, by the same program: then a removal since counts more.
    #[serde(default)]
    again: bool,
}

/// `PUT /v1/manifests/SWARMID`.
pub(crate) async fn publish(
    State(hub): State<Arc<Hub>>,
    Path(swarm): Path<String>,
    Query(wish): Query<Wish>,
    Extension(sender): Extension<Sender>,
    Extension(CalledAs(name)): Extension<CalledAs>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let swarm: Result<SwarmId, _> = swarm.parse();
    if let Some(refusal) = refusal_to_publish(&hub, &headers, swarm.as_ref().ok().copied()) {
        return refusal;
    }
    let swarm = match swarm {
        Ok(swarm) => swarm,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    let provenance = provenance(&hub, sender.address, wish.list);
    if let Some(site) = provenance.publisher
        && let Err(retry_after_ms) = hub.admit_publication(site)
    {
        return too_many("too many publications from your address", retry_after_ms);
    }
    let Some(_turn) = hub.turns.take(Site::of(sender.address), PUBLICATION_WAIT).await else {
        return try_later("too many are publishing at this moment");
    };
    let bytes = match receive(body, hub.config.deadlines.body).await {
        Ok(bytes) => bytes,
        Err(refusal) => return refusal,
    };
    let manifest = match Manifest::from_bytes(swarm, &bytes) {
        Ok(manifest) => manifest,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    let proof = Proof::of(&headers, name);
    let action = if wish.list { Action::List } else { Action::Publish };
    let is_proven = proof.is_some_and(|proof| hub.proves(&proof, manifest.seal.publisher, (action, swarm)));
    if !is_proven && (wish.list || headers.contains_key(proof::HEADER)) {
        return unproven(&hub, name);
    }
    if is_proven && proof.is_some_and(|proof| !hub.is_latest(&proof, swarm)) {
        return try_later(SUPERSEDED);
    }
    let is_brought_back = is_proven && !wish.again;
    if !is_brought_back && hub.is_removed(swarm) {
        return removed(is_proven);
    }
    let provenance = (provenance, is_proven);
    let put = hub.publish_everywhere(swarm, &manifest, bytes, provenance, is_brought_back).await;
    // Another tracker may have known of a removal that this one had not read yet.
    if !is_brought_back && hub.is_removed(swarm) {
        return removed(is_proven);
    }
    match put {
        Put::Added(_) => {
            tracing::info!(%swarm, name = manifest.name, is_listed = wish.list, "a manifest was published");
            refuse(StatusCode::CREATED, "published")
        }
        Put::Known { is_listing_changed: true } if wish.list => {
            refuse(StatusCode::OK, "known already, and listed from now on")
        }
        Put::Known { is_listing_changed: true } => {
            refuse(StatusCode::OK, "known already, and no longer listed")
        }
        Put::Known { is_listing_changed: false } => refuse(StatusCode::OK, "known already"),
        Put::Full => try_later("the tracker is full: what it could forget takes no more room than yours"),
        Put::Quota => too_many(
            "your address or network has its share of what is kept here, and all of it is in use",
            60_000,
        ),
        Put::Unsaved => unsaved(
            "the tracker has no room on its disk, so that it would forget this when it restarts; try again later, or tell its operator",
        ),
    }
}

/// 410: the publisher removed it. `is_by_publisher`: a running `seed` of the publisher asks.
fn removed(is_by_publisher: bool) -> Response {
    let text = if is_by_publisher {
        "its publisher took this off the tracker while it was being seeded; start `seed` again to bring it back"
    } else {
        "its publisher took this off the tracker; nobody else can bring it back"
    };
    refuse(StatusCode::GONE, text)
}

/// 507: what was asked for is not on the disk.
fn unsaved(text: &str) -> Response {
    (StatusCode::INSUFFICIENT_STORAGE, [(RETRY_AFTER, "60")], format!("{text}\n")).into_response()
}

/// `GET /v1/challenge`.
pub(crate) async fn challenge(State(hub): State<Arc<Hub>>) -> Response {
    ([(CACHE_CONTROL, "no-store")], format!("{}\n", hub.challenge())).into_response()
}

/// `DELETE /v1/manifests/SWARMID`.
pub(crate) async fn remove(
    State(hub): State<Arc<Hub>>,
    Path(swarm): Path<String>,
    Extension(sender): Extension<Sender>,
    Extension(CalledAs(name)): Extension<CalledAs>,
    headers: HeaderMap,
) -> Response {
    let swarm: SwarmId = match swarm.parse() {
        Ok(swarm) => swarm,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    if let Err(retry_after_ms) = hub.admit_publication(Site::of(sender.address)) {
        return too_many("too many publications from your address", retry_after_ms);
    }
    let Some(publisher) = hub.publisher(swarm) else {
        return refuse(StatusCode::NOT_FOUND, format_args!("no content {swarm} is published here"));
    };
    let what = (Action::Remove, swarm);
    let Some(proof) = Proof::of(&headers, name).filter(|proof| hub.proves(proof, publisher, what)) else {
        return unproven(&hub, name);
    };
    if !hub.is_latest(&proof, swarm) {
        return try_later(SUPERSEDED);
    }
    let is_saved = hub.remove_everywhere(swarm).await;
    tracing::info!(%swarm, "a manifest was removed by its publisher");
    if is_saved {
        refuse(StatusCode::OK, "removed")
    } else {
        refuse(StatusCode::OK, "removed; the disk is full, and a restart before there is room brings it back")
    }
}

/// Why something that is the publisher's business is refused.
fn unproven(hub: &Hub, name: TrackerName) -> Response {
    if name == TrackerName::UNKNOWN {
        return refuse(StatusCode::FORBIDDEN, UNNAMED);
    }
    let host = hub.config.name_to_sign(name);
    let text =
        format_args!("this takes a signature by the publisher's key over a fresh challenge and {host}");
    refuse(StatusCode::FORBIDDEN, text)
}

/// Why who asks may not publish: a tracker with a publish token takes that, and one that is closed to viewers takes
/// manifests only from those who may watch them.
fn refusal_to_publish(hub: &Hub, headers: &HeaderMap, swarm: Option<SwarmId>) -> Option<Response> {
    let Some(token) = &hub.config.publish_token else { return refusal_to_show(hub, headers, swarm) };
    let refusal = || refuse(StatusCode::UNAUTHORIZED, "publishing here takes the tracker's publish token");
    (!is_bearer(headers, token)).then(refusal)
}

/// Where there is a publish token, its holders are the operator's own: they have no quota.
fn provenance(hub: &Hub, address: IpAddr, is_listed: bool) -> Provenance {
    let publisher = hub.config.publish_token.is_none().then(|| Site::of(address));
    Provenance { publisher, is_listed }
}

/// Reads a body that keeps the limit and the pace.
async fn receive(body: Body, patience: Duration) -> Result<Bytes, Response> {
    let began = Instant::now();
    let mut parts = body.into_data_stream();
    let mut bytes = BytesMut::new();
    loop {
        let pace = Duration::from_secs(bytes.len() as u64 / BODY_RATE_BYTES_PER_S);
        let part = match timeout_at(began + patience + pace, parts.next()).await {
            Ok(None) => return Ok(bytes.freeze()),
            Ok(Some(Ok(part))) => part,
            Ok(Some(Err(_))) => {
                return Err(refuse(StatusCode::BAD_REQUEST, "the manifest did not arrive whole"));
            }
            Err(_) => return Err(refuse(StatusCode::REQUEST_TIMEOUT, "the manifest arrives too slowly")),
        };
        if bytes.len() + part.len() > MANIFEST_BYTES_MAX {
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "a manifest has at most 1 MiB"));
        }
        bytes.extend_from_slice(&part);
    }
}

fn is_bearer(headers: &HeaderMap, token: &str) -> bool {
    bearer(headers).is_some_and(|given| is_same_secret(token, given))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use axum::http::header::AUTHORIZATION;

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
