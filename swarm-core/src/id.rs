//! Identities: of contents, swarms, peers and links, and how each is written down.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An identity could not be read from its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {digits} hexadecimal digits")]
pub struct IdError {
    what: &'static str,
    digits: usize,
}

impl IdError {
    pub(crate) const fn new(what: &'static str, digits: usize) -> Self {
        Self { what, digits }
    }
}

/// The bytes that exactly `2 * N` hexadecimal digits write, in small letters or capitals.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let decoded = base16ct::mixed::decode(text, &mut bytes).map(<[u8]>::len);
    (decoded == Ok(N)).then_some(bytes)
}

macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base16ct::lower::encode_string(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:.12}…)"), self.to_string())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                from_hex(text).map(Self).ok_or(IdError { what: $what, digits: 64 })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    Ok(Self(<[u8; 32]>::deserialize(deserializer)?))
                }
            }
        }
    };
}

digest_id! {
    /// Names a swarm: the BLAKE3 digest of its manifest's canonical bytes. It is what a link carries.
    SwarmId, "a swarm id"
}
digest_id! {
    /// A publisher's public key, Ed25519.
    PublisherKey, "a publisher's key"
}
digest_id! {
    /// SHA-256 digest of the certificate that one end of a connection has.
    Fingerprint, "a fingerprint"
}
digest_id! {
    /// Bytes that a tracker asks a publisher to sign; no two connections get the same.
    Challenge, "a challenge"
}
digest_id! {
    /// BLAKE3 digest of the content's bytes; stores are keyed by it.
    ContentRoot, "a content root"
}

/// Names a peer towards its tracker and its links. Given by the tracker; 16 hexadecimal digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

impl FromStr for PeerId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError { what: "a peer id", digits: 16 };
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(error);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| error)
    }
}

impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for PeerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            Ok(Self(u64::deserialize(deserializer)?))
        }
    }
}

/// Names one of a peer's own links, towards its driver only. Never reused within one `Peer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct LinkId(pub u32);

impl LinkId {
    /// The first of the ids that stand for mirrors. Links count up from 1 and come nowhere near.
    const FIRST_MIRROR: u32 = u32::MAX - 255;

    /// The id by which the ledger calls a mirror. No link has it.
    pub(crate) const fn of_mirror(place: u8) -> Self {
        Self(Self::FIRST_MIRROR + place as u32)
    }

    /// Whether it stands for a mirror.
    pub(crate) const fn is_mirror(self) -> bool {
        self.0 >= Self::FIRST_MIRROR
    }
}

/// Names one reader of the content (a player's open range), towards the driver only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReaderId(pub u32);

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn ids_survive_their_text_form() {
        let swarm = SwarmId([0xab; 32]);
        assert_eq!(swarm.to_string().parse::<SwarmId>().unwrap(), swarm);
        assert_eq!(swarm.to_string().to_uppercase().parse::<SwarmId>().unwrap(), swarm);
        let peer = PeerId(0x0123_4567_89ab_cdef);
        assert_eq!(peer.to_string(), "0123456789abcdef");
        assert_eq!(peer.to_string().parse::<PeerId>().unwrap(), peer);
    }

    #[test]
    fn a_malformed_id_says_what_it_should_be() {
        let error = "xyz".parse::<SwarmId>().unwrap_err();
        assert_eq!(error.to_string(), "a swarm id must be 64 hexadecimal digits");
        assert!("+123456789abcdef".parse::<PeerId>().is_err());
        assert!("abab".parse::<SwarmId>().is_err());
    }

    #[test]
    fn hexadecimal_digits_are_of_either_case_and_of_exactly_one_length() {
        assert_eq!(from_hex("00fFAb"), Some([0x00, 0xff, 0xab]));
        for text in [
            "", "00ff", "00ffa", "00ffab0", "00ffab00", "00ffag", "00ffa ", " 0ffab", "0x0ffa", "00\nfab",
            "00ffé",
        ] {
            assert_eq!(from_hex::<3>(text), None, "{text:?}");
        }
        for other in u8::MIN..=u8::MAX {
            let is_digit = other.is_ascii_hexdigit();
            let text = format!("0{}", char::from(other));
            assert_eq!(from_hex::<1>(&text).is_some(), is_digit, "{text:?}");
        }
    }
}
