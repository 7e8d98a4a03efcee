//! The certificates of a connection's two ends, as their session descriptions name them.
//!
//! A WebRTC connection is encrypted between the holders of exactly these two certificates (RFC 8122). So a fingerprint
//! tells neighbours apart: nobody can take another's.

use crate::id::{Fingerprint, from_hex};

/// The fingerprint that a session description names. `None` if it names none, several different ones, or one by
/// another digest than SHA-256: which of them the connection is checked against would be a matter of the
/// implementation. `None` as well if a line is written so that some implementations read a fingerprint or a candidate in it
/// and others do not.
pub fn of_description(sdp: &str) -> Option<Fingerprint> {
    let mut named = None;
    for line in sdp.lines() {
        if is_ambiguous(line) {
            return None;
        }
        let Some(value) = line.strip_prefix("a=fingerprint:") else { continue };
        let (digest, text) = value.split_once(' ')?;
        if !digest.eq_ignore_ascii_case("sha-256") {
            return None;
        }
        let fingerprint = Fingerprint(from_hex(&text.trim().replace(':', ""))?);
        if named.is_some_and(|named| named != fingerprint) {
            return None;
        }
        named = Some(fingerprint);
    }
    named
}

/// Whether a line could be read as a fingerprint or a candidate, but is not written as RFC 8866 has it: with spaces beside the
/// `=` or the name, in capitals, or with characters that may end a line.
fn is_ambiguous(line: &str) -> bool {
    let is_odd = |letter: char| letter.is_control() || (letter.is_whitespace() && letter != ' ');
    if line.chars().any(is_odd) {
        return true;
    }
    let squeezed: String =
        line.chars().filter(|letter| *letter != ' ').take(16).collect::<String>().to_ascii_lowercase();
    ["a=fingerprint", "a=candidate"].into_iter().any(|attribute| {
        let is_written = || line.strip_prefix(attribute).and_then(|rest| rest.strip_prefix(':'));
        squeezed.starts_with(attribute) && is_written().is_none_or(|value| value.starts_with(' '))
    })
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

    #[test]
    fn what_only_some_implementations_read_is_refused() {
        let other = vec!["AC"; 32].join(":");
        for hidden in [
            format!("a= fingerprint:sha-256 {other}"),
            format!("a =fingerprint:sha-256 {other}"),
            format!(" a=fingerprint:sha-256 {other}"),
            format!("a=fingerprint :sha-256 {other}"),
            format!("a=fingerprint: sha-256 {other}"),
            format!("A=fingerprint:sha-256 {other}"),
            format!("a=Fingerprint:sha-256 {other}"),
            format!("a=\tfingerprint:sha-256 {other}"),
            format!("a=x\ra=fingerprint:sha-256 {other}"),
            format!("a=x\u{2028}a=fingerprint:sha-256 {other}"),
            format!("a=x\u{0}a=fingerprint:sha-256 {other}"),
            "a= candidate:1 1 udp 1 192.0.2.1 9 typ host".to_owned(),
            "a=candidate: 1 1 udp 1 192.0.2.1 9 typ host".to_owned(),
            "a=CANDIDATE:1 1 udp 1 192.0.2.1 9 typ host".to_owned(),
        ] {
            for sdp in [format!("{hidden}\r\n{}", line("AB")), format!("{}{hidden}\r\n", line("AB"))] {
                assert_eq!(of_description(&sdp), None, "{hidden:?}");
            }
        }
        let usual = "v=0\r\ns=-\r\na=msid-semantic: WMS\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n\
                     a=ice-options:trickle\r\n";
        assert_eq!(of_description(&format!("{usual}{}", line("AB"))), Some(Fingerprint([0xab; 32])));
    }
}
