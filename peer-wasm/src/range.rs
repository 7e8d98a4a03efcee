//! HTTP ranges (RFC 9110 §14): which bytes of a content a request asks for, and the head of the response.
//!
//! Pure. `reader` delivers the bytes. The service worker makes a `Response` from the head.

use std::fmt::Write as _;
use std::ops::Range;

use serde::Serialize;
use swarm_core::Manifest;

/// Maximum length of a `Range` header, bytes. A longer header is ignored.
const HEADER_BYTES_MAX: usize = 256;

/// The bytes that a `Range` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The whole content: there is no header, or RFC 9110 tells a server to ignore it.
    Whole,
    /// A non-empty range within the content.
    Part(Range<u64>),
    /// A range outside the content.
    Unsatisfiable,
}

impl Wanted {
    /// Reads a `Range` header for a content of `length_bytes`. A header with several ranges is ignored, which
    /// RFC 9110 permits: the response is the whole content.
    pub fn parse(header: Option<&str>, length_bytes: u64) -> Self {
        let header = header.filter(|header| header.len() <= HEADER_BYTES_MAX);
        let Some((first, last)) = header.and_then(spec) else { return Self::Whole };
        let range = match (first, last) {
            (Some(first), Some(last)) if last < first => return Self::Whole,
            (Some(first), Some(last)) => first..last.saturating_add(1).min(length_bytes),
            (Some(first), None) => first..length_bytes,
            (None, Some(suffix)) => length_bytes.saturating_sub(suffix)..length_bytes,
            (None, None) => return Self::Whole,
        };
        if range.is_empty() { Self::Unsatisfiable } else { Self::Part(range) }
    }

    /// The bytes to deliver; empty if the range is unsatisfiable.
    pub fn bytes(&self, length_bytes: u64) -> Range<u64> {
        match self {
            Self::Whole => 0..length_bytes,
            Self::Part(range) => range.clone(),
            Self::Unsatisfiable => 0..0,
        }
    }
}

/// The numbers of `bytes=FIRST-LAST`; either may be absent. `None` if the header has another form.
fn spec(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, set) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    Some((number(first)?, number(last)?))
}

/// `Some(None)` for an absent number. A number of more than 64 bits becomes `u64::MAX`: no content is that long.
fn number(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Some(text.parse().unwrap_or(u64::MAX)))
}

/// Status and header fields of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Status code: 200, 206 or 416.
    pub status: u16,
    /// Names and values. Each is valid in a `Headers` object.
    pub headers: Vec<(&'static str, String)>,
}

impl Head {
    /// The head of the response to `wanted` of the content that `manifest` describes.
    ///
    /// The author's media type is not trusted: a script in the content would run with the rights of this origin.
    /// So only media types that cannot run scripts are passed on, and the response is sandboxed.
    pub fn new(wanted: &Wanted, manifest: &Manifest, is_download: bool) -> Self {
        let length_bytes = manifest.length_bytes;
        let bytes = wanted.bytes(length_bytes);
        let mut headers = vec![
            ("Accept-Ranges", "bytes".to_owned()),
            ("Cache-Control", "no-store".to_owned()),
            ("Content-Length", (bytes.end - bytes.start).to_string()),
            ("Content-Security-Policy", "sandbox; default-src 'none'".to_owned()),
            ("Content-Type", media_type(&manifest.media_type).to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
        ];
        if is_download {
            headers.push(("Content-Disposition", attachment(&manifest.name)));
        }
        let status = match wanted {
            Wanted::Whole => 200,
            Wanted::Part(range) => {
                let value = format!("bytes {}-{}/{length_bytes}", range.start, range.end - 1);
                headers.push(("Content-Range", value));
                206
            }
            Wanted::Unsatisfiable => {
                headers.push(("Content-Range", format!("bytes */{length_bytes}")));
                416
            }
        };
        Self { status, headers }
    }
}

/// The claimed media type if browsers never run scripts in it, otherwise `application/octet-stream`.
fn media_type(claimed: &str) -> &str {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    let essence = claimed.split(';').next().unwrap_or_default().trim();
    let known = essence.split_once('/').is_some_and(|(kind, subtype)| {
        let is_rendered = ["video", "audio", "image"].iter().any(|known| kind.eq_ignore_ascii_case(known));
        let is_plain = kind.eq_ignore_ascii_case("text") && subtype.eq_ignore_ascii_case("plain");
        (is_rendered || is_plain) && !subtype.is_empty() && subtype.bytes().all(is_token)
    });
    if known { essence } else { "application/octet-stream" }
}

/// The `Content-Disposition` value that saves the content as `name`, encoded as in RFC 8187.
fn attachment(name: &str) -> String {
    let mut value = String::from("attachment; filename*=UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            value.push(char::from(byte));
        } else {
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use proptest::prelude::*;

    use super::*;
    use crate::fixture;

    fn manifest(media_type: &str) -> Manifest {
        Manifest { name: "a film; \"é\".mp4".into(), ..fixture::manifest(1000, media_type) }
    }

    fn header<'a>(head: &'a Head, name: &str) -> Option<&'a str> {
        head.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn the_first_two_bytes_are_answered_exactly() {
        let wanted = Wanted::parse(Some("bytes=0-1"), 1000);
        assert_eq!(wanted, Wanted::Part(0..2));
        let head = Head::new(&wanted, &manifest("video/mp4"), false);
        assert_eq!(head.status, 206);
        assert_eq!(header(&head, "Content-Range"), Some("bytes 0-1/1000"));
        assert_eq!(header(&head, "Content-Length"), Some("2"));
        assert_eq!(header(&head, "Content-Type"), Some("video/mp4"));
    }

    #[test]
    fn open_and_suffix_ranges_end_with_the_content() {
        assert_eq!(Wanted::parse(Some("bytes=0-"), 1000), Wanted::Part(0..1000));
        assert_eq!(Wanted::parse(Some("bytes=999-"), 1000), Wanted::Part(999..1000));
        assert_eq!(Wanted::parse(Some("bytes=990-5000"), 1000), Wanted::Part(990..1000));
        assert_eq!(Wanted::parse(Some("bytes=-10"), 1000), Wanted::Part(990..1000));
        assert_eq!(Wanted::parse(Some("bytes=-5000"), 1000), Wanted::Part(0..1000));
        assert_eq!(Wanted::parse(Some("Bytes = 5-5"), 1000), Wanted::Part(5..6));
    }

    #[test]
    fn bytes_beyond_the_content_are_not_satisfiable() {
        for text in ["bytes=1000-", "bytes=1000-1001", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(Wanted::parse(Some(text), 1000), Wanted::Unsatisfiable, "{text}");
        }
        let head = Head::new(&Wanted::Unsatisfiable, &manifest("video/mp4"), false);
        assert_eq!((head.status, header(&head, "Content-Range")), (416, Some("bytes */1000")));
        assert_eq!(header(&head, "Content-Length"), Some("0"));
    }

    #[test]
    fn what_is_no_single_range_of_bytes_is_answered_with_the_whole() {
        for text in ["", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "items=0-1", "bytes=0-1,5-6"]
        {
            assert_eq!(Wanted::parse(Some(text), 1000), Wanted::Whole, "{text}");
        }
        let head = Head::new(&Wanted::parse(None, 1000), &manifest("audio/mpeg"), false);
        assert_eq!((head.status, header(&head, "Content-Length")), (200, Some("1000")));
        assert_eq!(header(&head, "Content-Range"), None);
    }

    #[test]
    fn a_media_type_that_could_run_is_not_passed_on() {
        for claimed in ["text/html", "application/xhtml+xml", "video/", "video/a\r\nX: y", "text/javascript"]
        {
            let head = Head::new(&Wanted::Whole, &manifest(claimed), false);
            assert_eq!(header(&head, "Content-Type"), Some("application/octet-stream"), "{claimed}");
        }
        let head = Head::new(&Wanted::Whole, &manifest("text/plain; charset=utf-8"), false);
        assert_eq!(header(&head, "Content-Type"), Some("text/plain"));
        assert!(header(&head, "Content-Security-Policy").is_some_and(|value| value.starts_with("sandbox")));
    }

    #[test]
    fn a_download_is_saved_under_the_name_of_the_content() {
        let head = Head::new(&Wanted::Whole, &manifest("video/mp4"), true);
        let expected = "attachment; filename*=UTF-8''a%20film%3B%20%22%C3%A9%22.mp4";
        assert_eq!(header(&head, "Content-Disposition"), Some(expected));
    }

    proptest! {
        #[test]
        fn any_header_gives_bytes_of_the_content(header in "(bytes=)?[-0-9a, ]{0,24}", length in 1u64..5000) {
            let wanted = Wanted::parse(Some(&header), length);
            let bytes = wanted.bytes(length);
            prop_assert!(bytes.start <= bytes.end && bytes.end <= length);
            prop_assert_eq!(bytes.is_empty(), wanted == Wanted::Unsatisfiable);
        }
    }
}
