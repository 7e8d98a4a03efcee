//! Manifests over HTTP: fetched, published, removed.
//!
//! What a tracker asks for to do so is in [`Credentials`]: tokens of its operator, and the publisher's key, with which a
//! fresh challenge of the tracker is signed.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use swarm_core::limits::MANIFEST_BYTES_MAX;
use swarm_core::peer::{FetchError, PublishError};
use swarm_core::publisher::{Action, Statement};
use swarm_core::{Challenge, SecretKey, SwarmId};
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::address::TrackerAddress;
use crate::tracker::io_in_words;

/// For a manifest to be fetched or put.
const HTTP_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes of an error page that are read and shown.
const ERROR_TEXT_BYTES_MAX: u64 = 200;

/// What a peer shows to a tracker.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The publisher's key.
    pub key: Option<SecretKey>,
    /// Permission to publish on a tracker that asks for it.
    pub publish_token: Option<String>,
    /// Permission to use a closed tracker.
    pub token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Gets the manifest of `swarm`. Blocks; the bytes are not verified.
pub fn fetch_manifest(
    address: &TrackerAddress,
    swarm: SwarmId,
    credentials: &Credentials,
) -> Result<Bytes, FetchError> {
    let url = address.manifest_url(swarm);
    let failed = |error: &ureq::Error| FetchError::Failed(format!("{url}: {}", in_words(error)));
    let mut request = agent().get(&url);
    if let Some(token) = &credentials.token {
        request = request.header("authorization", bearer(token));
    }
    let mut response = request.call().map_err(|error| failed(&error))?;
    match response.status().as_u16() {
        200 => {
            let limit = MANIFEST_BYTES_MAX as u64 + 1;
            let body = response.body_mut().with_config().limit(limit).read_to_vec();
            body.map(Bytes::from).map_err(|error| failed(&error))
        }
        404 => Err(FetchError::NotFound),
        401 | 403 => Err(FetchError::Refused(format!("the tracker refuses: {}", text(&mut response)))),
        status => Err(FetchError::Failed(format!("{url}: HTTP status {status}"))),
    }
}

/// Puts a manifest with its signature. Blocks.
pub fn publish_manifest(
    address: &TrackerAddress,
    swarm: SwarmId,
    bytes: &[u8],
    is_listed: bool,
    credentials: &Credentials,
) -> Result<(), PublishError> {
    let url = address.publish_url(swarm, is_listed && credentials.key.is_some());
    let action = if is_listed { Action::List } else { Action::Publish };
    let agent = agent();
    let failed = |error: &ureq::Error| PublishError::Failed(format!("{url}: {}", in_words(error)));
    let mut request = agent.put(&url).content_type("application/octet-stream");
    if let Some(key) = &credentials.key {
        request = request.header("tributary-proof", proof(&agent, address, (action, swarm), key)?);
    }
    // A tracker without a publish token may be closed to viewers.
    if let Some(token) = credentials.publish_token.as_ref().or(credentials.token.as_ref()) {
        request = request.header("authorization", bearer(token));
    }
    outcome(request.send(bytes).map_err(|error| failed(&error))?)
}

/// Takes a publication off its tracker, as its publisher. Blocks.
pub fn remove_manifest(
    address: &TrackerAddress,
    swarm: SwarmId,
    credentials: &Credentials,
) -> Result<(), PublishError> {
    let url = address.manifest_url(swarm);
    let agent = agent();
    let mut request = agent.delete(&url);
    if let Some(key) = &credentials.key {
        request = request.header("tributary-proof", proof(&agent, address, (Action::Remove, swarm), key)?);
    }
    let response =
        request.call().map_err(|error| PublishError::Failed(format!("{url}: {}", in_words(&error))))?;
    // What the tracker does not know is off it.
    if response.status().as_u16() == 404 { Ok(()) } else { outcome(response) }
}

/// The publisher's signature over a fresh challenge, as a header carries it.
fn proof(
    agent: &Agent,
    address: &TrackerAddress,
    (action, swarm): (Action, SwarmId),
    key: &SecretKey,
) -> Result<String, PublishError> {
    let url = address.challenge_url();
    let failed = |reason: String| PublishError::Failed(format!("{url}: {reason}"));
    let mut response = agent.get(&url).call().map_err(|error| failed(in_words(&error)))?;
    if !response.status().is_success() {
        return Err(failed(format!(
            "HTTP status {}; is the tracker of an older version?",
            response.status()
        )));
    }
    let challenge: Result<Challenge, _> = text(&mut response).parse();
    let challenge = challenge.map_err(|error| failed(error.to_string()))?;
    let statement = Statement::Publication { action, swarm, tracker: address.name(), challenge };
    Ok(format!("{challenge}.{}", key.sign(&statement)))
}

fn outcome(mut response: Response<Body>) -> Result<(), PublishError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let text = text(&mut response);
    match status.as_u16() {
        401 => Err(PublishError::Refused(format!(
            "the tracker refuses: {text} (--publish-token, --token, or the \
             environment: TRIBUTARY_PUBLISH_TOKEN, TRIBUTARY_TOKEN)"
        ))),
        400 | 403 | 410 | 413 => Err(PublishError::Refused(format!("the tracker refuses: {text}"))),
        status => Err(PublishError::Failed(format!("HTTP status {status} {text}"))),
    }
}

fn text(response: &mut Response<Body>) -> String {
    let text = response.body_mut().with_config().limit(ERROR_TEXT_BYTES_MAX).read_to_string();
    text.unwrap_or_default().trim().to_owned()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// One agent per call: manifests are fetched once in a life.
fn agent() -> Agent {
    // The socket does not go through a proxy either.
    let config =
        Agent::config_builder().timeout_global(Some(HTTP_TIMEOUT)).http_status_as_error(false).proxy(None);
    Agent::new_with_config(config.build())
}

fn in_words(error: &ureq::Error) -> String {
    if let ureq::Error::Io(error) = error
        && let Some(words) = io_in_words(error)
    {
        return words;
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
