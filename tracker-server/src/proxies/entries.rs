//! Reads the two headers in which proxies name who reached them: one entry a hop, `None` where an entry names no address.

use std::net::{IpAddr, SocketAddr};

/// The entries of a value of `X-Forwarded-For`, from left to right.
pub fn of_list(value: &str) -> Vec<Option<IpAddr>> {
    value.split(',').map(address).collect()
}

/// The entries of a value of `Forwarded`, from left to right ([RFC 7239, section 4]).
///
/// A quote that is not closed makes the whole value one entry without an address. A sender could leave it open, so that what a proxy
/// appends becomes part of the sender's own entry.
///
/// [RFC 7239, section 4]: https://www.rfc-editor.org/rfc/rfc7239#section-4
pub fn of_forwarded(value: &str) -> Vec<Option<IpAddr>> {
    match split_outside_quotes(value, ',') {
        Some(elements) => elements.into_iter().map(of_element).collect(),
        None => vec![None],
    }
}

/// The address in the one `for` of an element.
fn of_element(element: &str) -> Option<IpAddr> {
    let pairs = split_outside_quotes(element, ';')?;
    let mut nodes = pairs.into_iter().filter_map(|pair| {
        let (name, node) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| node.trim())
    });
    match (nodes.next(), nodes.next()) {
        (Some(node), None) => address(&unquoted(node)?),
        _ => None,
    }
}

/// Reads `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    text.parse().ok().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

/// A token, or what a quoted string stands for. `None` if its quotes do not match.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else { return (!text.contains('"')).then(|| text.to_owned()) };
    let inner = rest.strip_suffix('"')?;
    let mut plain = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.push(characters.next()?),
            '"' => return None,
            other => plain.push(other),
        }
    }
    Some(plain)
}

/// The parts between separators that are not quoted. `None` if a quote is not closed.
fn split_outside_quotes(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let split = text.split(|character| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match character {
            '"' if !was_escaped => is_quoted = !is_quoted,
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            _ => {}
        }
        character == separator && !is_quoted
    });
    let parts = split.collect();
    (!is_quoted).then_some(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9a-f.:,;=\"\\\\\\[\\] for_]{0,60}") {
            prop_assert_eq!(of_list(&text).len(), text.split(',').count());
            prop_assert!(of_forwarded(&text).len() <= text.split(',').count());
        }

        #[test]
        fn every_address_is_read_in_every_form(bits: u128, port: u16) {
            let v6 = IpAddr::V6(bits.into());
            let v4 = IpAddr::V4(u32::try_from(bits >> 96).unwrap().into());
            for address in [v4, v6] {
                let with_port = SocketAddr::new(address, port);
                prop_assert_eq!(of_list(&format!("{address},{with_port}")), vec![Some(address.to_canonical()); 2]);
                let forwarded = format!("for=\"{with_port}\";by=_a");
                prop_assert_eq!(of_forwarded(&forwarded), vec![Some(address.to_canonical())]);
            }
        }
    }
}
