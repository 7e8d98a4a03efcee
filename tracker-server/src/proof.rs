//! Proofs over HTTP that a publication's publisher wants something done with it.
//!
//! The publisher asks for a challenge, signs it together with what it wants, the swarm and the tracker's name, and sends
//! both in the header `Tributary-Proof: CHALLENGE.SIGNATURE`. The tracker remembers no challenge: each carries its time
//! and a keyed digest. One counts for a minute, and no longer than until the publisher uses a later one for the same content. So a
//! copied proof can repeat what the publisher asked for last, and only that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use swarm_core::publisher::{Action, Signature, Statement, TrackerName};
use swarm_core::{Challenge, PublisherKey, SwarmId, Timestamp};

use crate::limits::{CHALLENGE_LIFETIME, PUBLISHERS_SWEEP};

/// The header of a proof.
pub(crate) const HEADER: &str = "tributary-proof";

/// Makes challenges and knows its own again.
#[derive(Debug)]
pub(crate) struct Challenges {
    key: [u8; 32],
    count: AtomicU64,
    used: Mutex<Used>,
}

/// When the latest challenge was made that its publisher used for a content, for as long as older ones could be used.
#[derive(Debug, Default)]
struct Used {
    latest: HashMap<SwarmId, (Timestamp, u64)>,
    /// How many there may be before those are dropped that do not matter any more.
    sweep_at: usize,
}

/// A proof as it came; what it is good for is not known yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proof {
    challenge: Challenge,
    signature: Signature,
    /// The name by which the sender calls this tracker.
    name: TrackerName,
}

impl Proof {
    /// The proof of a request, if it has one that can be read.
    pub(crate) fn of(headers: &HeaderMap, name: TrackerName) -> Option<Self> {
        let (challenge, signature) = headers.get(HEADER)?.to_str().ok()?.split_once('.')?;
        Some(Self { challenge: challenge.parse().ok()?, signature: signature.parse().ok()?, name })
    }
}

impl Challenges {
    /// `secret` differs from one life of the tracker to the next.
    pub(crate) fn new(secret: &[u8]) -> Self {
        let key = blake3::derive_key("tributary 2026 challenges over HTTP", secret);
        Self { key, count: AtomicU64::new(0), used: Mutex::default() }
    }

    /// A new challenge.
    pub(crate) fn issue(&self, now: Timestamp) -> Challenge {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        self.made(now.as_micros(), count)
    }

    /// Whether `publisher` wants this done.
    pub(crate) fn proves(
        &self,
        now: Timestamp,
        proof: &Proof,
        publisher: PublisherKey,
        (action, swarm): (Action, SwarmId),
    ) -> bool {
        let Proof { challenge, signature, name } = *proof;
        let statement = Statement::Publication { action, swarm, tracker: name, challenge };
        self.is_current(now, challenge) && publisher.has_signed(&statement, &signature)
    }

    /// Whether a good proof is no older than those that were used for this content; from now on none older is.
    pub(crate) fn is_latest(&self, now: Timestamp, proof: &Proof, swarm: SwarmId) -> bool {
        let (made, count) = about(proof.challenge);
        let own = (Timestamp::from_micros(made), count);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.latest.len() >= used.sweep_at.max(PUBLISHERS_SWEEP) {
            used.latest.retain(|_, (made, _)| now.since(*made) <= CHALLENGE_LIFETIME);
            used.sweep_at = used.latest.len() * 2;
        }
        let latest = used.latest.entry(swarm).or_insert(own);
        *latest = own.max(*latest);
        *latest == own
    }

    fn is_current(&self, now: Timestamp, challenge: Challenge) -> bool {
        let (made, count) = about(challenge);
        let is_own = blake3::Hash::from(self.made(made, count).0) == blake3::Hash::from(challenge.0);
        is_own && now.since(Timestamp::from_micros(made)) <= CHALLENGE_LIFETIME
    }

    /// Time and count, 8 bytes each, and 16 bytes of their keyed digest.
    fn made(&self, micros: u64, count: u64) -> Challenge {
        let about = [micros.to_le_bytes(), count.to_le_bytes()].concat();
        let digest = blake3::keyed_hash(&self.key, &about);
        let bytes = about.iter().chain(digest.as_bytes());
        let mut challenge = Challenge::default();
        challenge.0.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        challenge
    }
}

/// What a challenge says: when it was made, in microseconds, and its number.
fn about(challenge: Challenge) -> (u64, u64) {
    let word = |at: usize| {
        let bytes = challenge.0.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        u64::from_le_bytes(bytes.unwrap_or_default())
    };
    (word(0), word(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use swarm_core::SecretKey;

    const SWARM: SwarmId = SwarmId([1; 32]);

    #[test]
    fn a_proof_counts_for_its_action_its_tracker_and_a_minute() {
        let challenges = Challenges::new(b"one life");
        let (key, name) = (SecretKey::from_bytes(&[7; 32]), TrackerName::of("here"));
        let made = Timestamp::from_millis(5000);
        let challenge = challenges.issue(made);
        let statement =
            Statement::Publication { action: Action::List, swarm: SWARM, tracker: name, challenge };
        let value = format!("{challenge}.{}", key.sign(&statement));
        let headers = HeaderMap::from_iter([(
            axum::http::HeaderName::from_static(HEADER),
            HeaderValue::from_str(&value).unwrap(),
        )]);
        let proof = Proof::of(&headers, name).unwrap();
        let proves = |at, what| challenges.proves(at, &proof, key.public(), what);
        assert!(proves(made, (Action::List, SWARM)));
        assert!(proves(made + CHALLENGE_LIFETIME, (Action::List, SWARM)));
        assert!(!proves(made + CHALLENGE_LIFETIME * 2, (Action::List, SWARM)));
        assert!(!proves(made, (Action::Remove, SWARM)) && !proves(made, (Action::List, SwarmId([2; 32]))));
        let elsewhere = Proof::of(&headers, TrackerName::of("elsewhere")).unwrap();
        assert!(!challenges.proves(made, &elsewhere, key.public(), (Action::List, SWARM)));
        let other_life = Challenges::new(b"another life");
        assert!(!other_life.proves(made, &proof, key.public(), (Action::List, SWARM)));
        assert_ne!(challenges.issue(made), challenge);
    }

    #[test]
    fn what_is_remembered_of_proofs_is_bounded_by_their_life() {
        let challenges = Challenges::new(b"one life");
        let name = TrackerName::of("here");
        let signature = SecretKey::from_bytes(&[7; 32]).sign(&Statement::Manifest(SWARM));
        for second in 0..PUBLISHERS_SWEEP as u64 * 4 {
            let now = Timestamp::from_millis(second * 1000);
            let proof = Proof { challenge: challenges.issue(now), signature, name };
            let mut swarm = SwarmId([0; 32]);
            swarm.0[..8].copy_from_slice(&second.to_le_bytes());
            assert!(challenges.is_latest(now, &proof, swarm) && challenges.is_latest(now, &proof, swarm));
        }
        assert!(challenges.used.lock().unwrap().latest.len() <= PUBLISHERS_SWEEP * 2);
    }

    #[test]
    fn a_header_that_is_no_proof_is_none() {
        for value in ["", ".", "00.00", &"0".repeat(193)] {
            let headers = HeaderMap::from_iter([(
                axum::http::HeaderName::from_static(HEADER),
                HeaderValue::from_str(value).unwrap(),
            )]);
            assert!(Proof::of(&headers, TrackerName::of("")).is_none(), "{value}");
        }
    }
}
