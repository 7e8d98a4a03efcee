//! Why a fetch from a mirror failed, and what an answer of a mirror must look like.

use std::ops::Range;

/// A fetch from a mirror failed. The words are shown to people, behind the mirror's host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// Use another mirror. The network may have failed for a while.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// Use another mirror.
    #[error("took longer than it may")]
    Slow,
    /// Use another mirror: the connection ended early.
    #[error("sent {came} of {expected} bytes")]
    Short {
        /// Bytes asked for.
        expected: u64,
        /// Bytes that came.
        came: u64,
    },
    /// Use another mirror: this one has no such file, or does not give it.
    #[error("answers with HTTP status {0}")]
    Status(u16),
    /// Use another mirror: the redirect leads to an address that the publisher did not name.
    #[error("redirects elsewhere; redirects are not followed")]
    Redirect,
    /// Use another mirror: a server without ranges would send the whole file each time.
    #[error("answers 200 to a range; it sends whole files only")]
    Whole,
    /// Use another mirror: the answer is an error page, or the page of a portal.
    #[error("answers with a web page instead of the file")]
    Page,
    /// Use another mirror: this one encodes the file, so that ranges mean something else.
    #[error("sends the file in the encoding {0}")]
    Encoded(String),
    /// Use another mirror: this one has an older version, or another file.
    #[error("answers with another range, or its file has another length")]
    OtherFile,
    /// Do not use this mirror again in this session.
    #[error("sent bytes that are not those of the content")]
    Corrupt,
}

impl MirrorError {
    /// Whether a network may be the reason, so that it is worth trying for longer.
    pub(super) const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Slow | Self::Short { .. } => true,
            Self::Status(status) => matches!(*status, 408 | 429 | 500..),
            Self::Redirect
            | Self::Whole
            | Self::Page
            | Self::Encoded(_)
            | Self::OtherFile
            | Self::Corrupt => false,
        }
    }
}

/// The head of an HTTP answer as far as it was seen. A browser shows few headers of other origins.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnswerHead<'a> {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a str>,
    /// `Content-Range`.
    pub content_range: Option<&'a str>,
}

impl AnswerHead<'_> {
    /// Whether the body is the range `bytes` of a file of `file_bytes`, as far as the head tells.
    pub fn check(&self, bytes: &Range<u64>, file_bytes: u64) -> Result<(), MirrorError> {
        match self.status {
            206 => {}
            300..400 => return Err(MirrorError::Redirect),
            416 => return Err(MirrorError::OtherFile),
            200 if self.is_page() => return Err(MirrorError::Page),
            200 => return Err(MirrorError::Whole),
            status => return Err(MirrorError::Status(status)),
        }
        if self.is_page() {
            return Err(MirrorError::Page);
        }
        if let Some(encoding) = self.content_encoding.filter(|encoding| *encoding != "identity") {
            return Err(MirrorError::Encoded(encoding.chars().take(32).collect()));
        }
        let expected = format!("bytes {}-{}/", bytes.start, bytes.end.saturating_sub(1));
        let is_right = self.content_range.is_none_or(|range| {
            let total = range.strip_prefix(&expected);
            total.is_some_and(|total| total == "*" || total.parse() == Ok(file_bytes))
        });
        if is_right { Ok(()) } else { Err(MirrorError::OtherFile) }
    }

    fn is_page(&self) -> bool {
        self.content_type.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn only_the_range_that_was_asked_for_is_taken() {
        let good = AnswerHead {
            status: 206,
            content_type: Some("video/mp4"),
            content_encoding: None,
            content_range: Some("bytes 10-19/100"),
        };
        let check = |head: AnswerHead<'_>| head.check(&(10..20), 100);
        assert_eq!(check(good), Ok(()));
        assert_eq!(check(AnswerHead { status: 206, ..AnswerHead::default() }), Ok(()), "no header is shown");
        assert_eq!(check(AnswerHead { content_range: Some("bytes 10-19/*"), ..good }), Ok(()));
        for range in ["bytes 10-18/100", "bytes 10-19/101", "bytes 0-9/100", "10-19/100", ""] {
            let head = AnswerHead { content_range: Some(range), ..good };
            assert_eq!(check(head), Err(MirrorError::OtherFile), "{range}");
        }
        for (status, error) in [
            (200, MirrorError::Whole),
            (302, MirrorError::Redirect),
            (304, MirrorError::Redirect),
            (404, MirrorError::Status(404)),
            (416, MirrorError::OtherFile),
            (503, MirrorError::Status(503)),
        ] {
            assert_eq!(check(AnswerHead { status, ..good }), Err(error));
        }
        let page = Some("Text/HTML; charset=utf-8");
        assert_eq!(check(AnswerHead { content_type: page, ..good }), Err(MirrorError::Page));
        assert_eq!(check(AnswerHead { status: 200, content_type: page, ..good }), Err(MirrorError::Page));
        let gzip = AnswerHead { content_encoding: Some("gzip"), ..good };
        assert_eq!(check(gzip), Err(MirrorError::Encoded("gzip".into())));
    }
}
