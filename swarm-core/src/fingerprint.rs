//! The certificates of a connection's two ends, as their session descriptions name them.
//!
//! A WebRTC connection is encrypted between the holders of exactly these two certificates (RFC 8122). So a fingerprint
//! tells neighbours apart: nobody can take another's.

use data_encoding::HEXLOWER_PERMISSIVE;

use crate::id::Fingerprint;

/// The fingerprint that a session description names. `None` if it names none, several different ones, or one by
/// another digest than SHA-256: which of them the connection is checked against would be a matter of the
/// implementation.
pub fn of_description(sdp: &str) -> Option<Fingerprint> {
    let mut named = None;
    for line in sdp.lines() {
        let Some(value) = line.trim().strip_prefix("a=fingerprint:") else { continue };
        let (digest, text) = value.split_once(' ')?;
        if !digest.eq_ignore_ascii_case("sha-256") {
            return None;
        }
        let bytes = HEXLOWER_PERMISSIVE.decode(text.trim().replace(':', "").as_bytes()).ok()?;
        let fingerprint = Fingerprint(bytes.try_into().ok()?);
        if named.is_some_and(|named| named != fingerprint) {
            return None;
        }
        named = Some(fingerprint);
    }
    named
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn line(byte: &str) -> String {
        format!("a=fingerprint:sha-256 {}\r\n", vec![byte; 32].join(":"))
    }

    #[test]
    fn a_description_names_one_certificate() {
        let expected = Some(Fingerprint([0xab; 32]));
        let head = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n";
        assert_eq!(of_description(&format!("{head}{}", line("AB"))), expected);
        assert_eq!(of_description(&format!("{head}{}m=application\r\n{}", line("AB"), line("ab"))), expected);
        for sdp in [
            head.to_owned(),
            format!("{head}{}{}", line("AB"), line("AC")),
            format!("{}a=fingerprint:sha-512 AB:CD\r\n", line("AB")),
            "a=fingerprint:sha-256 AB:CD\r\n".to_owned(),
            "a=fingerprint:sha-256".to_owned(),
            format!("a=fingerprint:sha-256 {}", vec!["ZZ"; 32].join(":")),
        ] {
            assert_eq!(of_description(&sdp), None, "{sdp}");
        }
    }
}
