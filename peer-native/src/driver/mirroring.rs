//! The driver and mirrors: each fetch runs where it may block.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use swarm_core::peer::{FetchId, RangeFetch};

use super::{Answer, Driver};
use crate::mirror;

impl Driver {
    /// Asks a mirror for a range.
    pub(super) fn fetch_range(&mut self, fetch: RangeFetch) {
        let is_aborted = Arc::new(AtomicBool::new(false));
        self.fetches.insert(fetch.fetch, Arc::clone(&is_aborted));
        let agent = self.mirrors.get_or_insert_with(mirror::agent).clone();
        tracing::debug!(url = &*fetch.url, bytes = ?fetch.bytes, "asking a mirror");
        self.ask(move || {
            let result = mirror::fetch_range(&agent, &fetch, &is_aborted);
            Answer::Fetched(fetch.fetch, result)
        });
    }

    /// Ends a fetch; what it still brings is not taken.
    pub(super) fn abort_fetch(&mut self, fetch: FetchId) {
        if let Some(is_aborted) = self.fetches.remove(&fetch) {
            is_aborted.store(true, Ordering::Relaxed);
        }
    }
}
