//! Which connections are built again because they failed or ended, and which candidates of the other side wait for their turn.
//!
//! Owns the times of these actions. Links belong to `neighbours`, and `wiring` carries the actions out.

mod candidates;
mod retries;

use std::time::Duration;

pub(crate) use candidates::without_candidates;
pub(crate) use retries::Pair;

use super::chance::Chance;
use crate::id::{LinkId, PeerId};
use crate::peer::tuning::INTRODUCTIONS_TIME;
use crate::time::Timestamp;
use crate::tracker_message::{Role, Signal};
use candidates::Candidates;
use retries::Retries;

/// All connections of one peer that are being built or have failed.
#[derive(Debug, Default)]
pub(crate) struct Building {
    retries: Retries,
    candidates: Candidates,
    /// When a tracker that kept to the pace would name the next neighbour.
    next_introduction: Timestamp,
}

impl Building {
    /// Whether a connection that the tracker has this peer build is within the pace; if so it counts. A connection that gives way to
    /// a newer one takes some seconds to close, and keeps its memory and its port until then.
    pub(crate) fn admits(&mut self, now: Timestamp, links_max: usize) -> bool {
        let due = self.next_introduction.max(now);
        let is_admitted = due <= now + INTRODUCTIONS_TIME;
        if is_admitted {
            self.next_introduction =
                due + INTRODUCTIONS_TIME / u32::try_from(links_max).unwrap_or(u32::MAX).max(1);
        }
        is_admitted
    }

    /// The tracker named a neighbour: a first attempt begins.
    pub(crate) fn begun(&mut self, peer: PeerId, role: Role, is_offerer: bool) {
        self.retries.begun(peer, role, is_offerer);
    }

    /// The link of a pair opened.
    pub(crate) fn opened(&mut self, now: Timestamp, peer: PeerId) {
        self.retries.opened(now, peer);
    }

    /// The pair shall not be connected any more.
    pub(crate) fn forget_peer(&mut self, peer: PeerId) {
        self.retries.forget(peer);
    }

    /// A connection did not open, or ended by itself.
    pub(crate) fn failed(&mut self, now: Timestamp, peer: PeerId, chance: &mut Chance) {
        self.retries.failed(now, peer, chance);
    }

    /// Whether a new offer of this peer begins another attempt. If so, the peer's role.
    pub(crate) fn takes_offer(&self, peer: PeerId) -> Option<Role> {
        self.retries.takes_offer(peer)
    }

    /// Pairs for which this side begins another attempt now.
    pub(crate) fn take_retries(&mut self, now: Timestamp) -> Vec<Pair> {
        self.retries.take_due(now)
    }

    /// The tracker cannot pass signals on: the attempt is made later and not counted.
    pub(crate) fn postpone(&mut self, pair: Pair, until: Timestamp) {
        self.retries.postpone(pair, until);
    }

    /// A signal of the other side waits for its turn.
    pub(crate) fn queue(&mut self, now: Timestamp, link: LinkId, signal: Signal) {
        self.candidates.queue(now, link, signal);
    }

    /// Signals whose turn has come, in their order.
    pub(crate) fn take_candidates(&mut self, now: Timestamp) -> Vec<(LinkId, Signal)> {
        self.candidates.take_due(now)
    }

    /// A link has closed, or is open and needs no more candidates.
    pub(crate) fn forget_link(&mut self, link: LinkId) {
        self.candidates.forget(link);
    }

    /// When the next action is due.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        [self.retries.deadline(), self.candidates.deadline()].into_iter().flatten().min()
    }
}

/// A wait that doubles with each failure, up to a quarter shorter so that pairs that failed together do not come back together.
fn wait(first: Duration, failures: u32, chance: &mut Chance) -> Duration {
    let whole = first.saturating_mul(1 << failures.min(16));
    let spread_ms = u32::try_from(whole.as_millis() / 4).unwrap_or(u32::MAX);
    whole.saturating_sub(Duration::from_millis(u64::from(chance.below(spread_ms))))
}
