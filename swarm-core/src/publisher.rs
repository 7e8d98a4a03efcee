//! The publisher's key: what it signs, and how others check it.
//!
//! Ed25519 (RFC 8032). Each kind of statement has its own first bytes and a fixed layout, so that a signature over one
//! never counts for another. Signing needs no random numbers, so it is done here; making and keeping a key is the
//! driver's.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{Challenge, Fingerprint, IdError, PublisherKey, SwarmId, from_hex};

/// Bytes of a signature.
pub(crate) const SIGNATURE_BYTES: usize = 64;

/// What a publisher wants done with a publication at a tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Keep it, also after a removal, and leave it out of the catalogue.
    Publish,
    /// The same, and show it in the catalogue.
    List,
    /// Forget it.
    Remove,
}

/// What a publisher signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// "This manifest is mine": the id is the digest of its canonical bytes.
    Manifest(SwarmId),
    /// "I join this swarm as an initial peer", to one tracker over one connection.
    Join {
        /// The swarm.
        swarm: SwarmId,
        /// The tracker, as the publisher calls it.
        tracker: TrackerName,
        /// What the tracker asked to be signed.
        challenge: Challenge,
    },
    /// "Do this with my publication", to one tracker.
    Publication {
        /// What is to be done.
        action: Action,
        /// The swarm.
        swarm: SwarmId,
        /// The tracker, as the publisher calls it.
        tracker: TrackerName,
        /// What the tracker asked to be signed.
        challenge: Challenge,
    },
    /// "I am an initial peer of this swarm", to the other end of one connection.
    Link {
        /// The swarm.
        swarm: SwarmId,
        /// Certificate of the end that signs.
        signer: Fingerprint,
        /// Certificate of the end that checks.
        verifier: Fingerprint,
    },
}

impl Statement {
    /// The bytes that are signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Manifest(swarm) => [&b"tributary manifest 2\0"[..], &swarm.0].concat(),
            Self::Join { swarm, tracker, challenge } => {
                [&b"tributary join 2\0"[..], &swarm.0, &tracker.0, &challenge.0].concat()
            }
            Self::Publication { action, swarm, tracker, challenge } => {
                let domain: &[u8] = match action {
                    Action::Publish => b"tributary publish 2\0",
                    Action::List => b"tributary list 2\0",
                    Action::Remove => b"tributary remove 2\0",
                };
                [domain, &swarm.0, &tracker.0, &challenge.0].concat()
            }
            Self::Link { swarm, signer, verifier } => {
                [&b"tributary link 3\0"[..], &swarm.0, &signer.0, &verifier.0].concat()
            }
        }
    }
}

/// A tracker's name in statements: the BLAKE3 digest of its host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackerName(pub [u8; 32]);

impl TrackerName {
    /// What a tracker takes for its name when it does not know the one that it is called by. No host has it, so nothing that is
    /// signed for a tracker counts with it.
    pub const UNKNOWN: Self = Self([0; 32]);

    /// The name in an authority such as `Example.org:8080` or `[::1]:80`: lower case, without port and brackets.
    pub fn of(authority: &str) -> Self {
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        Self(*blake3::hash(host.as_bytes()).as_bytes())
    }
}

/// A signature; the default is none that verifies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; SIGNATURE_BYTES]);

impl Default for Signature {
    fn default() -> Self {
        Self([0; SIGNATURE_BYTES])
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base16ct::lower::encode_string(&self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:.12}…)", self.to_string())
    }
}

impl FromStr for Signature {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        from_hex(text).map(Self).ok_or(IdError::new("a signature", 2 * SIGNATURE_BYTES))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            // Two arrays, since serde knows arrays of 32 elements at most; on the wire they are 64 bytes.
            let (left, right) = self.0.split_at(SIGNATURE_BYTES / 2);
            let half = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).unwrap_or_default();
            (half(left), half(right)).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom);
        }
        let (left, right) = <([u8; 32], [u8; 32])>::deserialize(deserializer)?;
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes.iter_mut().zip(left.iter().chain(&right)).for_each(|(to, from)| *to = *from);
        Ok(Self(bytes))
    }
}

impl PublisherKey {
    /// Whether `signature` is this publisher's, over this statement. Keys and signatures that other programs could read
    /// in another way count as none.
    pub fn has_signed(&self, statement: &Statement, signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(&statement.to_bytes(), &signature).is_ok())
    }
}

/// A publisher's secret key. Its debug form does not show it.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretKey").field(&self.public()).finish()
    }
}

impl SecretKey {
    /// A key made from 32 random bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// The bytes that it was made from, to be kept where nobody else reads them.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The key that others check with.
    pub fn public(&self) -> PublisherKey {
        PublisherKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a statement.
    pub fn sign(&self, statement: &Statement) -> Signature {
        Signature(self.0.sign(&statement.to_bytes()).to_bytes())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn statements() -> Vec<Statement> {
        let (swarm, other) = (SwarmId([1; 32]), SwarmId([2; 32]));
        let (tracker, challenge) = (TrackerName::of("example.org"), Challenge([3; 32]));
        let join = |swarm, tracker, challenge| Statement::Join { swarm, tracker, challenge };
        let publication = |action| Statement::Publication { action, swarm, tracker, challenge };
        let (signer, verifier) = (Fingerprint([4; 32]), Fingerprint([5; 32]));
        vec![
            Statement::Manifest(swarm),
            Statement::Manifest(other),
            join(swarm, tracker, challenge),
            join(other, tracker, challenge),
            join(swarm, TrackerName::of("evil.example"), challenge),
            join(swarm, tracker, Challenge([4; 32])),
            publication(Action::Publish),
            publication(Action::List),
            publication(Action::Remove),
            Statement::Link { swarm, signer, verifier },
            Statement::Link { swarm: other, signer, verifier },
            Statement::Link { swarm, signer: verifier, verifier: signer },
        ]
    }

    #[test]
    fn a_signature_counts_for_one_statement_and_one_key() {
        let (key, other) = (SecretKey::from_bytes(&[7; 32]), SecretKey::from_bytes(&[8; 32]));
        for (index, signed) in statements().iter().enumerate() {
            let signature = key.sign(signed);
            for (place, statement) in statements().iter().enumerate() {
                let is_signed = key.public().has_signed(statement, &signature);
                assert_eq!(is_signed, index == place, "{signed:?} {statement:?}");
                assert!(!other.public().has_signed(statement, &signature));
            }
        }
        assert!(!key.public().has_signed(&statements()[0], &Signature::default()));
        assert!(!PublisherKey([0; 32]).has_signed(&statements()[0], &Signature::default()));
    }

    #[test]
    fn signatures_are_those_of_the_protocol_document() {
        let key = SecretKey::from_bytes(&[7; 32]);
        let public = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";
        assert_eq!(key.public().to_string(), public);
        let signer = Fingerprint([0xaa; 32]);
        let link = Statement::Link { swarm: SwarmId([1; 32]), signer, verifier: Fingerprint([0xbb; 32]) };
        assert_eq!(
            key.sign(&link).to_string(),
            "952e23fa6573697ce8bc6c4059cd24220de7ccebce94fc0640c80c4b3bd8ab2f23234bb00f8b4199e82a5da1e8d094ac237ae63bf9a754147ff74c2340867d07"
        );
        let (tracker, challenge) = (TrackerName::of("example.org"), Challenge([2; 32]));
        let join = Statement::Join { swarm: SwarmId([1; 32]), tracker, challenge };
        assert_eq!(
            key.sign(&join).to_string(),
            "1bc0f55bb2d4c4981200131242ce95429008c9444f65277933858a84572ab9d0ba21681d754442dc7d1b3a40c2d401773038760e9c9f42d070a79ea21d195e05"
        );
    }

    #[test]
    fn a_signature_survives_both_of_its_forms() {
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes.iter_mut().zip(0..).for_each(|(byte, value)| *byte = value);
        let signature = Signature(bytes);
        assert_eq!(signature.to_string().parse(), Ok(signature));
        let form = postcard::to_allocvec(&signature).unwrap();
        assert_eq!((&form[..], postcard::from_bytes(&form)), (&bytes[..], Ok(signature)));
        let digits = signature.to_string();
        for text in ["00", &digits[1..], &digits[2..], &format!("{digits}00"), &digits.replace('3', "g")] {
            assert!(text.parse::<Signature>().is_err(), "{text}");
        }
        assert_eq!(digits.to_uppercase().parse(), Ok(signature));
    }

    #[test]
    fn a_tracker_has_one_name_however_it_is_written() {
        let name = TrackerName::of("example.org");
        for authority in ["Example.ORG", "example.org:443", "example.org.", "example.org:8080"] {
            assert_eq!(TrackerName::of(authority), name, "{authority}");
        }
        assert_eq!(TrackerName::of("[::1]:80"), TrackerName::of("[::1]"));
        assert_ne!(TrackerName::of("example.org.evil"), name);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let key = SecretKey::from_bytes(&[0xab; 32]);
        assert!(!format!("{key:?}").contains("abab") && key.to_bytes() == [0xab; 32]);
    }
}
