//! Pairs of peers that the tracker wants connected, and when the connection of each is built again.
//!
//! ```text
//! connect ─→ attempt ─→ open ─→ unlink, gone, a broken rule: the pair is forgotten
//!               │ fails   │ ends by itself
//!               ▼         ▼
//!   offerer: waits, doubling ─→ builds a connection and offers, at most RETRIES_MAX times in a row
//!   other side: an offer of a pair that it remembers begins the attempt there
//! ```
//! A link that was open for [`OPEN_LONG`] counts as a success: attempts after it are counted from zero. A link that opens
//! and ends at once, whatever the cause, is built again after longer and longer waits, and at last not any more.
//! The tracker takes no part: it passes signals on along the links that it made.

use super::wait;
use crate::id::PeerId;
use crate::peer::chance::Chance;
use crate::peer::tuning::{OFFER_PATIENCE, OPEN_LONG, PAIRS_MAX, RETRIES_MAX, RETRY_FIRST};
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// Two peers that the tracker wants connected: this one and another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) peer: PeerId,
    pub(crate) role: Role,
    is_offerer: bool,
    /// Attempts that failed in a row.
    failures: u32,
    /// When the link opened, while it is open.
    open_since: Option<Timestamp>,
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
        self.pairs.push(Pair { peer, role, is_offerer, failures: 0, open_since: None, at: None });
        if self.pairs.len() > PAIRS_MAX {
            // A pair that is connected may never need its entry again.
            let oldest = self.pairs.iter().position(|pair| pair.open_since.is_some());
            self.pairs.remove(oldest.unwrap_or(0));
        }
    }

    /// The link of a pair opened.
    pub(super) fn opened(&mut self, now: Timestamp, peer: PeerId) {
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.peer == peer) else { return };
        (pair.open_since, pair.at) = (Some(now), None);
    }

    pub(super) fn forget(&mut self, peer: PeerId) {
        self.pairs.retain(|pair| pair.peer != peer);
    }

    pub(super) fn failed(&mut self, now: Timestamp, peer: PeerId, chance: &mut Chance) {
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.peer == peer) else { return };
        if pair.open_since.take().is_some_and(|since| now >= since + OPEN_LONG) {
            pair.failures = 0;
        }
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
        // The time to wait for an offer is over.
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
    fn links_that_end_at_once_are_not_built_again_for_ever_and_one_that_was_open_for_long_is() {
        let (mut retries, mut chance) = (Retries::default(), Chance::new(3));
        let mut now = Timestamp::ZERO;
        retries.begun(PEER, Role::Viewer, true);
        let mut end_after = |retries: &mut Retries, open: std::time::Duration| {
            retries.opened(now, PEER);
            now = now + open;
            retries.failed(now, PEER, &mut chance);
            let at = retries.deadline();
            now = at.unwrap_or(now);
            retries.take_due(now);
            at.is_some()
        };
        assert!((0..100).all(|_| end_after(&mut retries, OPEN_LONG)), "it worked each time");
        let short = OPEN_LONG / 2;
        let again = (0..100).filter(|_| end_after(&mut retries, short)).count();
        // This counts as the first failure, because long links reset the count.
        assert_eq!(again, RETRIES_MAX as usize - 1);
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
        retries.opened(Timestamp::ZERO, PeerId(2));
        retries.begun(PeerId(PAIRS_MAX as u64 + 1), Role::Viewer, false);
        let known = |number| retries.takes_offer(PeerId(number)).is_some();
        assert_eq!(
            (known(1), known(2)),
            (true, false),
            "connected ones go before those that are being built"
        );
    }
}
