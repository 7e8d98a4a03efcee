//! Texts that permit something: `--token`, which links carry, and `--publish-token`, which only requests carry.
//!
//! ```
//! use swarm_core::token;
//! assert_eq!(token::fault_in_link("eyJhbGciOiJFZERTQSJ9.e30.c2ln"), None);
//! assert!(token::fault_in_link("salt&pepper").is_some());
//! assert_eq!(token::fault_in_header("salt&pepper"), None);
//! ```

/// Bytes of such a text, at most. Servers and proxies take 8 KiB of headers for one request; a permission with all its claims
/// has 300.
pub const TOKEN_BYTES_MAX: usize = 4096;

/// Why an `Authorization` header cannot carry a text; `None` if it can.
pub fn fault_in_header(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        Some("it is empty; give it a text, or leave it out")
    } else if text.len() > TOKEN_BYTES_MAX {
        Some("it has more than 4096 bytes, which no tracker takes; take another text")
    } else if text.trim() != text || !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        Some(
            "it has a line break, a space at an end or a character beyond ASCII, which a request cannot carry; take another text",
        )
    } else {
        None
    }
}

/// Why a link (`#SWARM&token=TEXT`) or a header cannot carry a text; `None` if both can.
pub fn fault_in_link(text: &str) -> Option<&'static str> {
    fault_in_header(text).or_else(|| {
        // The first two end it, and browsers decode the others.
        let is_changed = text.contains(['&', '#', '%', '+']);
        is_changed.then_some("it has one of & # % +, which means something else in a link; take another text")
    })
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_headers_and_links_change_is_no_token() {
        for text in ["", " ", "\t\n"] {
            assert!(fault_in_header(text).unwrap().starts_with("it is empty"), "{text:?}");
        }
        for text in [" a", "a ", "a\n", "a\0b", "schlüssel", "a\u{202e}b", "\u{7f}"] {
            assert!(fault_in_header(text).unwrap().contains("cannot carry"), "{text:?}");
            assert!(fault_in_link(text).is_some(), "{text:?}");
        }
        for text in ["a&b", "#a", "50%", "q+w"] {
            assert_eq!(fault_in_header(text), None, "{text:?}");
            assert!(fault_in_link(text).unwrap().contains("in a link"), "{text:?}");
        }
        assert_eq!(fault_in_link(&"a".repeat(TOKEN_BYTES_MAX)), None);
        assert!(fault_in_link(&"a".repeat(TOKEN_BYTES_MAX + 1)).unwrap().contains("more than 4096"));
        assert_eq!(fault_in_link("aZ09-._~=/:!$()*,;?@[] among friends"), None);
    }
}
