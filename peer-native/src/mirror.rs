//! Mirrors as a native peer sees them: ranges over HTTP, and whether a mirror has what a publisher says.
//!
//! Which ranges are asked for, and when, is the core's decision.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use swarm_core::manifest::Mirror;
use swarm_core::peer::{AnswerHead, FetchId, MirrorError, RangeFetch};
use swarm_core::tree::sidecar;
use swarm_core::{GroupRange, HashTree};
use ureq::Agent;

use crate::publications::in_words;

/// Bytes read between two checks that the request is still wanted.
const READ_BYTES: usize = 64 * 1024;

/// For one range of a check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// A mirror does not have what it should. One line for a person: which, why, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the mirror {url} {error}; {advice}")]
pub struct CheckError {
    url: String,
    error: MirrorError,
    advice: &'static str,
}

/// What asks mirrors. Connections are kept between ranges.
pub(crate) fn agent() -> Agent {
    // The socket does not go through a proxy either.
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
    Agent::new_with_config(config.build())
}

/// Gets a range. Blocks until it is there, or `is_aborted`; the bytes are not verified.
pub(crate) fn fetch_range(
    agent: &Agent,
    fetch: &RangeFetch,
    is_aborted: &AtomicBool,
) -> Result<Bytes, MirrorError> {
    let range = format!("bytes={}-{}", fetch.bytes.start, fetch.bytes.end.saturating_sub(1));
    let request = agent.get(&*fetch.url).header("range", range).header("accept-encoding", "identity");
    let response = request.config().timeout_global(Some(fetch.timeout)).build().call();
    let mut response = response.map_err(|error| of_ureq(&error))?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let head = AnswerHead {
        status: response.status().as_u16(),
        content_type: header("content-type"),
        content_encoding: header("content-encoding"),
        content_range: header("content-range"),
    };
    head.check(&fetch.bytes, fetch.file_bytes)?;
    let expected = fetch.bytes.end - fetch.bytes.start;
    let mut body = response.body_mut().with_config().limit(expected + 1).reader();
    let mut bytes = Vec::new();
    while !is_aborted.load(Ordering::Relaxed) {
        let before = bytes.len();
        let part = body.by_ref().take(READ_BYTES as u64).read_to_end(&mut bytes);
        match part {
            Ok(_) if bytes.len() as u64 > expected => return Err(MirrorError::OtherFile),
            Ok(_) if bytes.len() > before => {}
            Ok(_) => break,
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => return Err(MirrorError::Slow),
            Err(_) => break,
        }
    }
    let came = bytes.len() as u64;
    if came == expected { Ok(bytes.into()) } else { Err(MirrorError::Short { expected, came }) }
}

fn of_ureq(error: &ureq::Error) -> MirrorError {
    if matches!(error, ureq::Error::Timeout(_)) {
        MirrorError::Slow
    } else if matches!(error, ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed) {
        MirrorError::Redirect
    } else {
        MirrorError::Unreachable(in_words(error))
    }
}

/// Whether a mirror has this content and its tree: lengths, the first and the last groups, and `samples` between them, each
/// a random number. Blocks.
pub(crate) fn check(mirror: &Mirror, tree: &HashTree, samples: &[u32]) -> Result<(), CheckError> {
    let (agent, geometry) = (agent(), tree.geometry());
    let is_aborted = AtomicBool::new(false);
    let count = geometry.group_count();
    let get = |url: &str, bytes: std::ops::Range<u64>, file_bytes: u64| {
        let fetch =
            RangeFetch { fetch: FetchId(0), url: url.into(), bytes, file_bytes, timeout: CHECK_TIMEOUT };
        fetch_range(&agent, &fetch, &is_aborted)
    };
    let failed = |url: &str, advice: &'static str| {
        let url = url.to_owned();
        move |error| CheckError { url, error, advice }
    };
    let groups = [0, count - 1].into_iter().chain(samples.iter().map(|sample| sample % count));
    for group in groups {
        let wrong = || failed(&mirror.url, "upload the file again, and check that the address leads to it");
        let bytes = get(&mirror.url, geometry.bytes(GroupRange::one(group)), geometry.length_bytes());
        if !tree.is_group(group, &bytes.map_err(wrong())?) {
            return Err(wrong()(MirrorError::Corrupt));
        }
    }
    let url = mirror.tree_address();
    let wrong = || failed(&url, "upload what `tree FILE` writes beside the file");
    let file_bytes = sidecar::file_bytes(geometry);
    let header = get(&url, 0..sidecar::HEADER_BYTES as u64, file_bytes).map_err(wrong())?;
    if sidecar::read_header(&header) != Ok((geometry.length_bytes(), tree.root())) {
        return Err(wrong()(MirrorError::OtherFile));
    }
    let last = sidecar::page_count(geometry).saturating_sub(1);
    for page in [0, last] {
        let span = sidecar::span(geometry, GroupRange::one(page * sidecar::PAGE_GROUPS));
        let bytes = get(&url, span, file_bytes).map_err(wrong())?;
        if tree.page(page).as_deref() != Some(&bytes[..]) {
            return Err(wrong()(MirrorError::Corrupt));
        }
    }
    Ok(())
}
