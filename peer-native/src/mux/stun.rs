//! What a shared port reads of STUN (RFC 8489): enough to tell whose a message is, and nothing it acts on.
//!
//! Messages come from anywhere. Whether one is authentic is for the connection that it is handed to.

/// Identifies a request and its response.
pub(crate) type Transaction = [u8; 12];

/// Bytes of the header.
const HEADER_BYTES: usize = 20;

/// In each message, at the same place.
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Type of the attribute that names both sides of a connectivity check.
const USERNAME: u16 = 0x0006;

/// A STUN message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stun<'a> {
    /// A binding request.
    Request {
        /// Names its response.
        transaction: Transaction,
        /// What stands before the colon in its user name: the fragment of the side that is asked.
        asked: Option<&'a [u8]>,
    },
    /// The answer to a binding request.
    Response {
        /// The request's.
        transaction: Transaction,
        /// Whether it is a success.
        is_success: bool,
    },
    /// Anything else, such as the methods of relays.
    Other,
}

/// Reads a datagram; `None` if it is not STUN.
pub(crate) fn read(datagram: &[u8]) -> Option<Stun<'_>> {
    let header: &[u8; HEADER_BYTES] = datagram.first_chunk()?;
    let [kind_high, kind_low, _, _, c0, c1, c2, c3, transaction @ ..] = *header;
    if kind_high & 0xc0 != 0 || [c0, c1, c2, c3] != MAGIC_COOKIE {
        return None;
    }
    Some(match u16::from_be_bytes([kind_high, kind_low]) {
        0x0001 => Stun::Request { transaction, asked: asked(datagram.get(HEADER_BYTES..)?) },
        0x0101 => Stun::Response { transaction, is_success: true },
        0x0111 => Stun::Response { transaction, is_success: false },
        _ => Stun::Other,
    })
}

/// The asked side's fragment in a request's attributes.
fn asked(mut attributes: &[u8]) -> Option<&[u8]> {
    while let Some(([t0, t1, l0, l1], rest)) = attributes.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let value = rest.get(..length)?;
        if u16::from_be_bytes([*t0, *t1]) == USERNAME {
            return value.split(|byte| *byte == b':').next();
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A message with these attributes, each a type and a value.
    pub(crate) fn message(kind: u16, transaction: Transaction, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend((value.len() as u16).to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut message = kind.to_be_bytes().to_vec();
        message.extend((body.len() as u16).to_be_bytes());
        message.extend(MAGIC_COOKIE);
        message.extend(transaction);
        message.extend(body);
        message
    }

    #[test]
    fn a_check_names_the_side_that_it_asks() {
        let check = message(1, [7; 12], &[(0x8022, b"agent"), (USERNAME, b"ours:theirs")]);
        assert_eq!(read(&check), Some(Stun::Request { transaction: [7; 12], asked: Some(b"ours") }));
        let nameless = message(1, [7; 12], &[(0x8022, b"agent")]);
        assert_eq!(read(&nameless), Some(Stun::Request { transaction: [7; 12], asked: None }));
    }

    #[test]
    fn responses_and_other_methods_are_told_apart() {
        let response = |is_success| Some(Stun::Response { transaction: [1; 12], is_success });
        assert_eq!(read(&message(0x0101, [1; 12], &[])), response(true));
        assert_eq!(read(&message(0x0111, [1; 12], &[])), response(false));
        assert_eq!(read(&message(0x0003, [1; 12], &[])), Some(Stun::Other));
    }

    #[test]
    fn what_carries_data_is_not_stun() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(read(&message(1, [0; 12], &[])[..19]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&body);
            let mut request = message(1, [0; 12], &[]);
            request.extend(body);
            read(&request);
        }
    }
}
