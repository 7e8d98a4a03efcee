//! Pairs that the tracker made and that are not connected yet, and when each is tried again.
//!
//! ```text
//! connect ─→ first attempt ─→ open, unlink, gone, a broken rule: forgotten
//!                 │ fails
//!                 ▼
//!   offerer: waits, doubling ─→ builds a connection and offers, at most RETRIES_MAX times
//!   other side: an offer of a pair that it remembers begins the attempt there
//! ```
//! The tracker takes no part: it passes signals on along the links that it made.

use super::wait;
use crate::id::PeerId;
use crate::peer::chance::Chance;
use crate::peer::tuning::{OFFER_PATIENCE, PAIRS_MAX, RETRIES_MAX, RETRY_FIRST};
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// Two peers that the tracker wants connected: this one and another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) peer: PeerId,
    pub(crate) role: Role,
    is_offerer: bool,
    /// Attempts that failed.
    failures: u32,
    /// Of the offerer: when it tries again. Of the other side: until when it waits for an offer. `None` while an attempt is
    /// under way.
    at: Option<Timestamp>,
}

/// The pairs of one peer.
#[derive(Debug, Default)]
pub(super) struct Retries {
    pairs: Vec<Pair>,
}

impl Retries {
    pub(super) fn begun(&mut self, peer: PeerId, role: Role, is_offerer: bool) {
        self.forget(peer);
        self.pairs.push(Pair { peer, role, is_offerer, failures: 0, at: None });
        if self.pairs.len() > PAIRS_MAX {
            self.pairs.remove(0);
        }
    }

    pub(super) fn forget(&mut self, peer: PeerId) {
        self.pairs.retain(|pair| pair.peer != peer);
    }

    pub(super) fn failed(&mut self, now: Timestamp, peer: PeerId, chance: &mut Chance) {
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.peer == peer) else { return };
        if pair.failures >= RETRIES_MAX {
            return self.forget(peer);
        }
        let patience =
            if pair.is_offerer { wait(RETRY_FIRST, pair.failures, chance) } else { OFFER_PATIENCE };
        pair.failures += 1;
        pair.at = Some(now + patience);
    }

    pub(super) fn takes_offer(&self, peer: PeerId) -> Option<Role> {
        self.pairs.iter().find(|pair| pair.peer == peer && !pair.is_offerer).map(|pair| pair.role)
    }

    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<Pair> {
        let is_due = |pair: &Pair| pair.at.is_some_and(|at| at <= now);
        // An offer that did not come is not waited for any longer.
        self.pairs.retain(|pair| pair.is_offerer || !is_due(pair));
        let mut due = Vec::new();
        for pair in self.pairs.iter_mut().filter(|pair| is_due(pair)) {
            pair.at = None;
            due.push(*pair);
        }
        due
    }

    pub(super) fn postpone(&mut self, pair: Pair, until: Timestamp) {
        let known = self.pairs.iter_mut().find(|known| known.peer == pair.peer);
        known.into_iter().for_each(|known| known.at = Some(until));
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.pairs.iter().filter_map(|pair| pair.at).min()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const PEER: PeerId = PeerId(7);

    #[test]
    fn an_offerer_tries_again_a_few_times_and_waits_longer_each_time() {
        let (mut retries, mut chance) = (Retries::default(), Chance::new(3));
        let mut now = Timestamp::ZERO;
        retries.begun(PEER, Role::Viewer, true);
        for number in 0..RETRIES_MAX {
            retries.failed(now, PEER, &mut chance);
            let at = retries.deadline().expect("another attempt");
            let whole = RETRY_FIRST * (1 << number);
            assert!(at <= now + whole && at >= now + whole * 3 / 4, "attempt {number}");
            assert!(retries.take_due(now).is_empty(), "not before");
            now = at;
            assert_eq!(retries.take_due(now).len(), 1);
            assert_eq!(retries.deadline(), None, "one attempt at a time");
        }
        retries.failed(now, PEER, &mut chance);
        assert_eq!((retries.deadline(), retries.pairs.len()), (None, 0), "no more attempts");
    }

    #[test]
    fn the_other_side_takes_an_offer_for_a_while_and_begins_nothing() {
        let (mut retries, mut chance) = (Retries::default(), Chance::new(3));
        retries.begun(PEER, Role::Initial, false);
        retries.failed(Timestamp::ZERO, PEER, &mut chance);
        assert_eq!(retries.takes_offer(PEER), Some(Role::Initial));
        let end = Timestamp::ZERO + OFFER_PATIENCE;
        assert_eq!(retries.deadline(), Some(end));
        assert!(retries.take_due(end).is_empty());
        assert_eq!(retries.takes_offer(PEER), None);
    }

    #[test]
    fn pairs_are_bounded_and_the_oldest_goes_first() {
        let mut retries = Retries::default();
        for number in 0..=PAIRS_MAX as u64 {
            retries.begun(PeerId(number), Role::Viewer, false);
        }
        assert_eq!(retries.pairs.len(), PAIRS_MAX);
        assert_eq!(
            (retries.takes_offer(PeerId(0)), retries.takes_offer(PeerId(1))),
            (None, Some(Role::Viewer))
        );
    }
}
