//! One mirror: its address, its successes and failures, and whether it is asked again.

use std::sync::Arc;
use std::time::Duration;

use super::MirrorError;
use crate::id::LinkId;
use crate::manifest::Mirror;
use crate::peer::backoff::Backoff;
use crate::peer::chance::Chance;
use crate::peer::tuning::{MIRROR_DOUBT, MIRROR_FAILURES_MAX, MIRROR_FETCHES_MAX, MIRROR_OUTAGES_MAX};
use crate::time::Timestamp;

/// One mirror.
#[derive(Debug)]
pub(super) struct Server {
    /// Its name in the ledger.
    pub(super) link: LinkId,
    pub(super) host: String,
    pub(super) file_url: Arc<str>,
    pub(super) tree_url: Arc<str>,
    weight: u64,
    /// Bytes requested from it, by which the next mirror is chosen.
    asked_bytes: u64,
    /// Verified bytes that it sent.
    pub(super) received_bytes: u64,
    failures: u32,
    failed_at: Option<Timestamp>,
    backoff: Backoff,
    idle_until: Timestamp,
    /// Its last failure.
    pub(super) word: Option<MirrorError>,
    pub(super) is_lost: bool,
}

impl Server {
    pub(super) fn new(link: LinkId, mirror: &Mirror) -> Self {
        Self {
            link,
            host: mirror.host().to_owned(),
            file_url: mirror.url.as_str().into(),
            tree_url: mirror.tree_address().into(),
            weight: u64::from(mirror.weight.max(1)),
            asked_bytes: 0,
            received_bytes: 0,
            failures: 0,
            failed_at: None,
            backoff: Backoff::new(),
            idle_until: Timestamp::ZERO,
            word: None,
            is_lost: false,
        }
    }

    pub(super) fn is_usable(&self, now: Timestamp) -> bool {
        !self.is_lost && now >= self.idle_until
    }

    /// When it may be asked again, if it has to wait.
    pub(super) fn resumes_at(&self, now: Timestamp) -> Option<Timestamp> {
        (!self.is_lost && self.idle_until > now).then_some(self.idle_until)
    }

    /// Bytes requested from it, relative to its weight.
    pub(super) const fn load(&self) -> u64 {
        self.asked_bytes / self.weight
    }

    /// Whether it failed lately and has sent nothing since: another mirror sends more surely what is due by now.
    pub(super) fn is_doubted(&self, now: Timestamp) -> bool {
        self.failed_at.is_some_and(|at| now < at + MIRROR_DOUBT)
    }

    /// How many fetches of groups it may have at a time: after a failure, one that shows whether it answers again.
    pub(super) const fn fetches_max(&self) -> usize {
        if self.failures > 0 { 1 } else { MIRROR_FETCHES_MAX }
    }

    pub(super) const fn asked(&mut self, bytes: u64) {
        self.asked_bytes += bytes;
    }

    /// It sent verified bytes.
    pub(super) fn delivered(&mut self, bytes: u64) {
        self.received_bytes += bytes;
        self.failures = 0;
        self.failed_at = None;
        self.backoff.reset();
        self.word = None;
    }

    /// A fetch failed: the mirror has to wait, or is not used any more.
    pub(super) fn failed(&mut self, now: Timestamp, error: MirrorError, chance: &mut Chance) {
        self.failures += 1;
        self.failed_at = Some(now);
        let failures_max = if error.is_transient() { MIRROR_OUTAGES_MAX } else { MIRROR_FAILURES_MAX };
        self.is_lost = error == MirrorError::Corrupt || self.failures >= failures_max;
        self.idle_until = now + self.backoff.next(chance).max(Duration::from_millis(1));
        self.word = Some(error);
    }
}
