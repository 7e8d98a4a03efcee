//! Messages between a connection and its relay: the parts that have to be read, and how a request is signed again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rtc::crypto::RTCCryptoProvider;
use rtc::shared::error::Error as RtcError;
use rtc::stun::attributes::{
    ATTR_ERROR_CODE, ATTR_FINGERPRINT, ATTR_MESSAGE_INTEGRITY, ATTR_MESSAGE_INTEGRITY_SHA256, ATTR_NONCE,
    ATTR_REALM, ATTR_USERNAME, ATTR_XOR_PEER_ADDRESS, ATTR_XOR_RELAYED_ADDRESS, ATTR_XORMAPPED_ADDRESS,
    AttrType,
};
use rtc::stun::fingerprint::FINGERPRINT;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{Message, Setter, TransactionId};

use super::Credential;

/// Names a request and its response.
pub(super) type Transaction = [u8; 12];

/// Where the transaction stands in a message.
const TRANSACTION: std::ops::Range<usize> = 4 + MAGIC_COOKIE.len()..20;

/// RFC 8489, section 5.
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// The request was signed with a nonce that the server no longer takes (RFC 8489, section 14.8).
const STALE_NONCE: u16 = 438;

/// Class and method of a datagram to or from a relay (RFC 8656, section 17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request to the relay itself: allocate, refresh, permit or bind.
    Request {
        /// Whether it asks for peers' addresses.
        names_peers: bool,
        /// Whether it begins an allocation.
        begins: bool,
    },
    /// The answer to one.
    Response {
        /// Whether it is an error.
        is_error: bool,
    },
    /// Data in an envelope to the relay.
    Send,
    /// Data on a channel.
    Channel,
    /// Everything else: connectivity checks, what the crate asks STUN servers, content.
    Other,
}

/// Reads the first bytes of a datagram.
pub(super) fn kind(datagram: &[u8]) -> Kind {
    let Some([high, low, _, _, cookie @ ..]) = datagram.first_chunk::<8>() else { return Kind::Other };
    if matches!(high, 0x40..=0x4f) {
        return Kind::Channel;
    }
    if *cookie != MAGIC_COOKIE {
        return Kind::Other;
    }
    match u16::from_be_bytes([*high, *low]) {
        0x0003 => Kind::Request { names_peers: false, begins: true },
        0x0004 => Kind::Request { names_peers: false, begins: false },
        0x0008 | 0x0009 => Kind::Request { names_peers: true, begins: false },
        0x0103 | 0x0104 | 0x0108 | 0x0109 => Kind::Response { is_error: false },
        0x0113 | 0x0114 | 0x0118 | 0x0119 => Kind::Response { is_error: true },
        0x0016 => Kind::Send,
        _ => Kind::Other,
    }
}

/// The transaction of a STUN message.
pub(super) fn transaction(datagram: &[u8]) -> Option<Transaction> {
    datagram.get(TRANSACTION)?.try_into().ok()
}

/// A message that was read whole.
#[derive(Debug)]
pub(super) struct Read(Message);

/// Reads a STUN message; `None` if it is none.
pub(super) fn read(datagram: &[u8]) -> Option<Read> {
    let mut message = Message::new();
    message.raw = datagram.to_vec();
    message.decode().ok()?;
    Some(Read(message))
}

impl Read {
    fn attribute(&self, kind: AttrType) -> Option<&[u8]> {
        self.0.attributes.0.iter().find(|attribute| attribute.typ == kind).map(|found| found.value.as_slice())
    }

    fn text(&self, kind: AttrType) -> Option<&str> {
        std::str::from_utf8(self.attribute(kind)?).ok()
    }

    pub(super) fn nonce(&self) -> Option<&[u8]> {
        self.attribute(ATTR_NONCE)
    }

    pub(super) fn username(&self) -> Option<&str> {
        self.text(ATTR_USERNAME)
    }

    /// Whether it says that the nonce is stale.
    pub(super) fn is_stale_nonce(&self) -> bool {
        match self.attribute(ATTR_ERROR_CODE) {
            Some([_, _, class, number, ..]) => u16::from(class & 7) * 100 + u16::from(*number) == STALE_NONCE,
            Some(_) | None => false,
        }
    }

    /// The addresses that the relay shall send to.
    pub(super) fn peers(&self) -> Vec<SocketAddr> {
        let peers = self.0.attributes.0.iter().filter(|attribute| attribute.typ == ATTR_XOR_PEER_ADDRESS);
        peers.filter_map(|peer| address(&peer.value, self.0.transaction_id.0)).collect()
    }

    /// The same request with another nonce under another name, signed.
    pub(super) fn signed(
        &self,
        transaction: Transaction,
        nonce: &[u8],
        user: &Credential,
        provider: &dyn RTCCryptoProvider,
    ) -> Result<Vec<u8>, RtcError> {
        let realm = self.text(ATTR_REALM).unwrap_or_default().to_owned();
        let mut message = Message::new();
        message.typ = self.0.typ;
        message.transaction_id = TransactionId(transaction);
        message.write_header();
        for attribute in &self.0.attributes.0 {
            match attribute.typ {
                ATTR_MESSAGE_INTEGRITY | ATTR_MESSAGE_INTEGRITY_SHA256 | ATTR_FINGERPRINT => {}
                ATTR_NONCE => message.add(ATTR_NONCE, nonce),
                ATTR_XOR_PEER_ADDRESS => {
                    let value = renamed(&attribute.value, self.0.transaction_id.0, transaction);
                    message.add(ATTR_XOR_PEER_ADDRESS, &value);
                }
                kind => message.add(kind, &attribute.value),
            }
        }
        let (name, password) = (user.username.clone(), user.password.clone());
        let crypto = provider.crypto();
        MessageIntegrity::new_long_term_integrity_with_provider(name, realm, password, crypto)?
            .add_to(&mut message)?;
        FINGERPRINT.add_to(&mut message)?;
        Ok(message.raw)
    }

    /// The same response under another name. It is no longer signed: the crate does not check the signatures of
    /// relays.
    pub(super) fn renamed(&self, transaction: Transaction) -> Vec<u8> {
        let mut message = Message::new();
        message.typ = self.0.typ;
        message.transaction_id = TransactionId(transaction);
        message.write_header();
        for attribute in &self.0.attributes.0 {
            match attribute.typ {
                ATTR_MESSAGE_INTEGRITY | ATTR_MESSAGE_INTEGRITY_SHA256 | ATTR_FINGERPRINT => {}
                kind @ (ATTR_XORMAPPED_ADDRESS | ATTR_XOR_RELAYED_ADDRESS | ATTR_XOR_PEER_ADDRESS) => {
                    message.add(kind, &renamed(&attribute.value, self.0.transaction_id.0, transaction));
                }
                kind => message.add(kind, &attribute.value),
            }
        }
        message.raw
    }

    /// The answer of a relay that refuses this request: 403, RFC 8656, section 9.2.
    pub(super) fn refusal(&self) -> Vec<u8> {
        const REASON: &[u8] = b"\0\0\x04\x03Forbidden";
        const ERROR_BITS: u8 = 0x01;
        const ERROR_BITS_LOW: u8 = 0x10;
        let mut message = Message::new();
        message.typ = self.0.typ;
        message.transaction_id = self.0.transaction_id;
        message.write_header();
        message.add(ATTR_ERROR_CODE, REASON);
        if let [high, low, ..] = message.raw.as_mut_slice() {
            *high |= ERROR_BITS;
            *low |= ERROR_BITS_LOW;
        }
        message.raw
    }
}

/// The bytes that an address is mixed with (RFC 8489, section 14.2).
fn mask(transaction: Transaction) -> impl Iterator<Item = u8> {
    MAGIC_COOKIE.into_iter().chain(transaction)
}

fn address(value: &[u8], transaction: Transaction) -> Option<SocketAddr> {
    let ([_, family, p0, p1], rest) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([p0 ^ MAGIC_COOKIE[0], p1 ^ MAGIC_COOKIE[1]]);
    let plain: Vec<u8> = rest.iter().zip(mask(transaction)).map(|(byte, mask)| byte ^ mask).collect();
    let ip = match family {
        1 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(plain).ok()?)),
        2 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(plain).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// An address as it is written in a message of another name: only those of IPv6 are mixed with the name.
fn renamed(value: &[u8], from: Transaction, to: Transaction) -> Vec<u8> {
    let (head, rest) = value.split_at(value.len().min(4));
    let rest = rest.iter().zip(mask(from).zip(mask(to))).map(|(byte, (from, to))| byte ^ from ^ to);
    head.iter().copied().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FROM: Transaction = [1; 12];
    const TO: Transaction = [9; 12];

    fn permission(peer: SocketAddr) -> Vec<u8> {
        let mut value = vec![0, if peer.is_ipv4() { 1 } else { 2 }];
        value.extend((peer.port() ^ 0x2112).to_be_bytes());
        let plain = match peer.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        value.extend(plain.iter().zip(mask(FROM)).map(|(byte, mask)| byte ^ mask));
        crate::mux::stun_message(0x0008, FROM, &[(ATTR_XOR_PEER_ADDRESS.0, &value), (ATTR_NONCE.0, b"old")])
    }

    #[test]
    fn a_request_that_is_signed_again_asks_for_the_same_addresses_under_its_new_name() {
        let provider = rtc::crypto::default_provider().unwrap();
        let user = Credential { username: "u".to_owned(), password: "p".to_owned() };
        for peer in ["203.0.113.9:4000", "[2001:db8::9]:4001"] {
            let peer: SocketAddr = peer.parse().unwrap();
            let before = read(&permission(peer)).unwrap();
            assert_eq!(before.peers(), [peer]);
            let signed = before.signed(TO, b"new", &user, provider.as_ref()).unwrap();
            assert_eq!((kind(&signed), transaction(&signed)), (kind(&permission(peer)), Some(TO)));
            let after = read(&signed).unwrap();
            assert_eq!((after.peers(), after.nonce()), (vec![peer], Some(&b"new"[..])));
        }
    }

    #[test]
    fn a_response_under_its_old_name_says_the_same_addresses() {
        let peer: SocketAddr = "[2001:db8::9]:4001".parse().unwrap();
        let renamed = read(&read(&permission(peer)).unwrap().renamed(TO)).unwrap();
        assert_eq!((renamed.peers(), renamed.0.transaction_id.0), (vec![peer], TO));
    }

    #[test]
    fn a_refusal_is_an_error_response_to_its_request() {
        let refusal = read(&permission("10.0.0.1:1".parse().unwrap())).unwrap().refusal();
        assert_eq!(kind(&refusal), Kind::Response { is_error: true });
        assert_eq!(transaction(&refusal), Some(FROM));
        assert!(!read(&refusal).unwrap().is_stale_nonce());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut long = crate::mux::stun_message(0x0118, FROM, &[]);
            long.extend(&body);
            for datagram in [body, long] {
                kind(&datagram);
                if let Some(read) = read(&datagram) {
                    read.peers();
                    read.is_stale_nonce();
                    read.refusal();
                    read.renamed(TO);
                }
            }
        }
    }
}
