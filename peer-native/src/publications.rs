//! Manifests over HTTP: fetched, published, removed.
//!
//! What a tracker asks for to do so is in [`Credentials`]: tokens of its operator, and the publisher's key, with which a
//! fresh challenge of the tracker is signed.

use std::error::Error as _;
use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use swarm_core::limits::MANIFEST_BYTES_MAX;
use swarm_core::manifest::ManifestError;
use swarm_core::peer::{FetchError, PublishError};
use swarm_core::publisher::{Action, Statement};
use swarm_core::{Challenge, SecretKey, SwarmId};
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::address::TrackerAddress;
use crate::tracker::io_in_words;

/// For a manifest to be fetched or put.
const HTTP_TIMEOUT: Duration = Duration::from_secs(20);

/// Characters of a redirect's target that are shown.
const LOCATION_CHARS_SHOWN: usize = 200;
/// Bytes of an error page that are read and shown.
const ERROR_TEXT_BYTES_MAX: u64 = 200;

/// How often a tracker that asks for patience is asked to remove something, and how long is waited each time at most. Nobody
/// else asks again.
const REMOVALS_MAX: u32 = 5;
const REMOVAL_PAUSE_MAX: Duration = Duration::from_secs(10);

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
        status => Err(FetchError::Failed(format!("{url}: {}", status_in_words(status, &response)))),
    }
}

/// The tracker's clock, as the head of an answer tells it to the second. Blocks.
pub(crate) fn tracker_time(address: &TrackerAddress) -> Option<SystemTime> {
    let response = agent().get(address.challenge_url()).call().ok()?;
    httpdate::parse_http_date(response.headers().get("date")?.to_str().ok()?).ok()
}

/// How a manifest is put.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    /// Whether the catalogue is to show it.
    pub is_listed: bool,
    /// Whether this program put it there before. A tracker that its publisher took it off since then refuses.
    pub is_again: bool,
}

/// Puts a manifest with its signature. Blocks.
pub fn publish_manifest(
    address: &TrackerAddress,
    swarm: SwarmId,
    bytes: &[u8],
    Wish { is_listed, is_again }: Wish,
    credentials: &Credentials,
) -> Result<(), PublishError> {
    let url = address.publish_url(swarm, is_listed && credentials.key.is_some(), is_again);
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
    let refused = match (&credentials.publish_token, &credentials.token) {
        (None, None) => TOKENS,
        (Some(_), _) => "the tracker has another than --publish-token (TRIBUTARY_PUBLISH_TOKEN) says",
        (None, Some(_)) => {
            "--token (TRIBUTARY_TOKEN) is not enough; --publish-token (TRIBUTARY_PUBLISH_TOKEN) may be"
        }
    };
    outcome(request.send(bytes).map_err(|error| failed(&error))?, refused)
}

/// What a tracker made of the wish to remove something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It forgot it, and lets nobody else bring it back.
    Forgotten,
    /// It did not have it.
    Unknown,
}

/// Takes a publication off its tracker, as its publisher. Blocks, for longer where the tracker asks for patience.
pub fn remove_manifest(
    address: &TrackerAddress,
    swarm: SwarmId,
    credentials: &Credentials,
) -> Result<Removed, PublishError> {
    for _ in 1..REMOVALS_MAX {
        match removed(address, swarm, credentials)? {
            Removal::Later(pause) => std::thread::sleep(pause),
            Removal::Done(outcome) => return outcome,
        }
    }
    match removed(address, swarm, credentials)? {
        Removal::Later(_) => Err(PublishError::Failed("it has no time; try again later".into())),
        Removal::Done(outcome) => outcome,
    }
}

/// What came of an attempt to remove.
enum Removal {
    Done(Result<Removed, PublishError>),
    /// The tracker asks to come again, this long from now.
    Later(Duration),
}

fn removed(
    address: &TrackerAddress,
    swarm: SwarmId,
    credentials: &Credentials,
) -> Result<Removal, PublishError> {
    let url = address.manifest_url(swarm);
    let agent = agent();
    let mut request = agent.delete(&url);
    if let Some(key) = &credentials.key {
        request = request.header("tributary-proof", proof(&agent, address, (Action::Remove, swarm), key)?);
    }
    let response =
        request.call().map_err(|error| PublishError::Failed(format!("{url}: {}", in_words(&error))))?;
    let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(match (response.status().as_u16(), asked) {
        (404, _) => Removal::Done(Ok(Removed::Unknown)),
        (429 | 503, Some(seconds)) => Removal::Later(Duration::from_secs(seconds).min(REMOVAL_PAUSE_MAX)),
        _ => Removal::Done(outcome(response, TOKENS).map(|()| Removed::Forgotten)),
    })
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
    if response.status().is_redirection() {
        return Err(failed(status_in_words(response.status().as_u16(), &response)));
    }
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

/// Where tokens come from.
const TOKENS: &str = "--publish-token, --token, or the environment: TRIBUTARY_PUBLISH_TOKEN, TRIBUTARY_TOKEN";

/// What a tracker answered; `tokens` is what to do if it asks for another token.
fn outcome(mut response: Response<Body>, tokens: &str) -> Result<(), PublishError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    if status.is_redirection() {
        return Err(PublishError::Failed(status_in_words(status.as_u16(), &response)));
    }
    let text = text(&mut response);
    match status.as_u16() {
        401 => Err(PublishError::Refused(format!("the tracker refuses: {text} ({tokens})"))),
        400 | 403 | 410 | 413 => Err(PublishError::Refused(refusal(&text))),
        status => Err(PublishError::Failed(format!("HTTP status {status} {text}"))),
    }
}

/// What a person is told of a tracker's reason.
fn refusal(text: &str) -> String {
    // We made the manifest, so it is the tracker that does not know its version: mirrors and storyboards were added later.
    let remedy =
        if text == ManifestError::Malformed.to_string() { "; the tracker is older: update it" } else { "" };
    format!("the tracker refuses: {text}{remedy}")
}

/// A status that says nothing of the request itself. A redirect is not followed.
fn status_in_words(status: u16, response: &Response<Body>) -> String {
    let target = response.headers().get("location").and_then(|value| value.to_str().ok());
    match target {
        Some(target) if (300..400).contains(&status) => {
            let target: String = target.chars().take(LOCATION_CHARS_SHOWN).collect();
            format!(
                "it redirects to {target} (HTTP status {status}), which is not followed; use the tracker's own address"
            )
        }
        _ => format!("HTTP status {status}"),
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
    // The socket does not go through a proxy either, and follows no redirect: that would turn a removal into a question, and lead to
    // machines that the link does not name.
    let config = Agent::config_builder()
        .timeout_global(Some(HTTP_TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None);
    Agent::new_with_config(config.build())
}

pub(crate) fn in_words(error: &ureq::Error) -> String {
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    /// A tracker that answers so many requests with these heads, one a connection.
    fn answering(heads: Vec<&'static str>) -> TrackerAddress {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("ws://{}/v1/swarm", listener.local_addr().unwrap()).parse().unwrap();
        std::thread::spawn(move || {
            for head in heads {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                assert!(lines.map_while(Result::ok).any(|line| line.is_empty()), "no request");
                write!(stream, "HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            }
        });
        address
    }

    #[test]
    fn who_published_with_an_older_tracker_is_told_to_update_it() {
        let said = refusal("these bytes are not a manifest of a version this program knows");
        assert!(said.ends_with("update it"), "{said}");
        assert_eq!(refusal("too many manifests"), "the tracker refuses: too many manifests");
    }

    #[test]
    fn no_redirect_is_followed_nor_taken_for_a_success() {
        const ELSEWHERE: &str = "302 Found\r\nlocation: http://127.0.0.1:1/elsewhere";
        let (swarm, nobody) = (SwarmId([1; 32]), Credentials::default());
        let key = Credentials { key: Some(SecretKey::from_bytes(&[1; 32])), ..Credentials::default() };
        let removed = remove_manifest(&answering(vec![ELSEWHERE]), swarm, &nobody);
        let published = publish_manifest(&answering(vec![ELSEWHERE]), swarm, b"", Wish::default(), &nobody);
        let proven = remove_manifest(&answering(vec![ELSEWHERE]), swarm, &key).map(|_| ());
        for outcome in [removed.map(|_| ()), published, proven] {
            let Err(PublishError::Failed(said)) = outcome else { panic!("{outcome:?}") };
            assert!(said.contains("redirects to http://127.0.0.1:1/elsewhere"), "{said}");
        }
        let fetched = fetch_manifest(&answering(vec![ELSEWHERE]), swarm, &nobody);
        assert!(matches!(fetched, Err(FetchError::Failed(said)) if said.contains("redirects to")));
    }

    #[test]
    fn a_tracker_that_asks_for_patience_is_asked_again_to_remove() {
        const LATER: &str = "429 Too Many Requests\r\nretry-after: 0";
        let remove = |heads| remove_manifest(&answering(heads), SwarmId([1; 32]), &Credentials::default());
        assert_eq!(remove(vec![LATER, LATER, "200 OK"]), Ok(Removed::Forgotten));
        assert_eq!(remove(vec![LATER, "404 Not Found"]), Ok(Removed::Unknown));
        assert!(matches!(remove(vec![LATER; 5]), Err(PublishError::Failed(_))));
        assert!(matches!(remove(vec![LATER, "403 Forbidden"]), Err(PublishError::Refused(_))));
        assert!(matches!(remove(vec!["503 Service Unavailable"]), Err(PublishError::Failed(_))));
    }
}
