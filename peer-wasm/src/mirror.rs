//! Ranges from mirrors with the browser's `fetch`. Which ranges, and when, is the core's decision.

use bytes::Bytes;
use js_sys::{Reflect, Uint8Array};
use swarm_core::peer::{AnswerHead, MirrorError, RangeFetch};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, DedicatedWorkerGlobalScope, Headers, ReadableStreamDefaultReader, RequestCache,
    RequestCredentials, RequestInit, RequestRedirect, Response, ResponseType,
};

/// What a browser says of all that it refuses: it tells pages no more.
const REFUSED: &str = "the network, or the server's rules for other sites (CORS), let nothing through";

/// Gets a range. The bytes are not verified. Ends early if the controller aborts.
pub(crate) async fn fetch_range(
    scope: DedicatedWorkerGlobalScope,
    fetch: RangeFetch,
    controller: AbortController,
) -> Result<Bytes, MirrorError> {
    let response = scope.fetch_with_str_and_init(&fetch.url, &request(&fetch, &controller));
    let response = JsFuture::from(response).await.map_err(|_| refused())?;
    let response: Response = response.dyn_into().map_err(|_| refused())?;
    if response.type_() == ResponseType::Opaqueredirect {
        return Err(MirrorError::Redirect);
    }
    let header = |name: &str| response.headers().get(name).ok().flatten();
    let (kind, encoding, range) =
        (header("content-type"), header("content-encoding"), header("content-range"));
    let head = AnswerHead {
        status: response.status(),
        content_type: kind.as_deref(),
        content_encoding: encoding.as_deref(),
        content_range: range.as_deref(),
    };
    let body = match head.check(&fetch.bytes, fetch.file_bytes) {
        Ok(()) => body(&response, fetch.bytes.end - fetch.bytes.start).await,
        Err(error) => Err(error),
    };
    if body.is_err() {
        // What is not wanted is not read to its end.
        controller.abort();
    }
    body
}

fn request(fetch: &RangeFetch, controller: &AbortController) -> RequestInit {
    let request = RequestInit::new();
    if let Ok(headers) = Headers::new() {
        let range = format!("bytes={}-{}", fetch.bytes.start, fetch.bytes.end.saturating_sub(1));
        // A range of this form needs no preflight, and is always a header.
        let _ = headers.set("range", &range);
        request.set_headers(&headers);
    }
    request.set_credentials(RequestCredentials::Omit);
    request.set_redirect(RequestRedirect::Manual);
    // Ranges of one address would wait for one another at the cache; the store keeps what came.
    request.set_cache(RequestCache::NoStore);
    request.set_referrer_policy(web_sys::ReferrerPolicy::NoReferrer);
    request.set_signal(Some(&controller.signal()));
    request
}

/// The whole body, which is to have `expected` bytes. No more than those and one part are ever kept.
async fn body(response: &Response, expected: u64) -> Result<Bytes, MirrorError> {
    let stream = response.body().ok_or_else(refused)?;
    let reader: ReadableStreamDefaultReader = stream.get_reader().dyn_into().map_err(|_| refused())?;
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    loop {
        let read = JsFuture::from(reader.read()).await;
        let part = read.ok().filter(|read| !is_done(read)).and_then(|read| value(&read));
        let came = bytes.len() as u64;
        let Some(part) = part else {
            return if came == expected {
                Ok(bytes.into())
            } else {
                Err(MirrorError::Short { expected, came })
            };
        };
        if came + u64::from(part.length()) > expected {
            return Err(MirrorError::OtherFile);
        }
        bytes.extend_from_slice(&part.to_vec());
    }
}

fn is_done(read: &JsValue) -> bool {
    Reflect::get(read, &JsValue::from_str("done")).is_ok_and(|done| done.is_truthy())
}

fn value(read: &JsValue) -> Option<Uint8Array> {
    Reflect::get(read, &JsValue::from_str("value")).ok()?.dyn_into().ok()
}

fn refused() -> MirrorError {
    MirrorError::Unreachable(REFUSED.to_owned())
}
