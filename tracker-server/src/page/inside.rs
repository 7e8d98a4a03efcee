//! Files inside the program over HTTP: the right type, compressed where that is accepted, a tag by which browsers ask
//! whether theirs is still current.

use axum::Router;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{NOT_FOUND, NOT_INSIDE, PageFile, not_found};

/// What is served for a folder.
const INDEX: &str = "index.html";

/// Digits of a tag. Enough that two versions of a file never share one.
const TAG_DIGITS: usize = 16;

/// A file and its tags.
#[derive(Debug, Clone)]
struct Served {
    file: PageFile,
    plain_tag: HeaderValue,
    brotli_tag: HeaderValue,
}

/// Serves `files`.
pub(super) fn router(files: &'static [PageFile]) -> Router {
    let served: Vec<Served> = files.iter().filter_map(|file| served(*file)).collect();
    let answer = async move |uri: Uri, headers: HeaderMap| {
        let path = uri.path().trim_start_matches('/');
        let path = if path.is_empty() { INDEX } else { path };
        match served.iter().find(|served| served.file.path == path) {
            Some(served) => served.answer(&headers),
            None => not_found(if served.is_empty() { NOT_INSIDE } else { NOT_FOUND }),
        }
    };
    Router::new().fallback_service(get(answer))
}

/// `None` never comes: digits make a header.
fn served(file: PageFile) -> Option<Served> {
    let digest = blake3::hash(file.plain).to_hex();
    let digits = digest.get(..TAG_DIGITS)?;
    Some(Served {
        file,
        plain_tag: HeaderValue::from_str(&format!("\"{digits}\"")).ok()?,
        brotli_tag: HeaderValue::from_str(&format!("\"{digits}-br\"")).ok()?,
    })
}

impl Served {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let brotli = self.file.brotli.filter(|_| accepts_brotli(headers));
        let tag = if brotli.is_some() { &self.brotli_tag } else { &self.plain_tag };
        let about = [(ETAG, tag.clone()), (VARY, HeaderValue::from_static("accept-encoding"))];
        if is_current(headers, tag) {
            return (StatusCode::NOT_MODIFIED, about).into_response();
        }
        let media_type = mime_guess::from_path(self.file.path).first_raw();
        let media_type = [(CONTENT_TYPE, media_type.unwrap_or("application/octet-stream"))];
        match brotli {
            Some(bytes) => (about, media_type, [(CONTENT_ENCODING, "br")], bytes).into_response(),
            None => (about, media_type, self.file.plain).into_response(),
        }
    }
}

/// Whether the asker takes brotli: it names it, and does not give it the weight 0 (RFC 9110, section 12.5.3).
fn accepts_brotli(headers: &HeaderMap) -> bool {
    let named = headers.get_all(ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|text| text.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().trim_start_matches("q=").parse::<f32>();
        name.trim().eq_ignore_ascii_case("br") && weight.map_or(true, |weight| weight > 0.0)
    })
}

/// Whether the asker has the file with this tag.
fn is_current(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get_all(IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|tags| tags.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.trim_start_matches("W/").as_bytes() == tag.as_bytes()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(text: &'static str) -> HeaderMap {
        [(ACCEPT_ENCODING, HeaderValue::from_static(text))].into_iter().collect()
    }

    #[test]
    fn brotli_goes_to_those_who_take_it() {
        for text in ["br", "gzip, deflate, br", "gzip;q=1.0, BR;q=0.5"] {
            assert!(accepts_brotli(&accepting(text)), "{text}");
        }
        for text in ["", "gzip", "br;q=0", "br;q=0.0", "brotli"] {
            assert!(!accepts_brotli(&accepting(text)), "{text}");
        }
    }
}
