//! A mirror: an HTTP server with an uplink of its own, which all fetches share in turn.
//!
//! The first fetch of a viewer takes three round trips until its first byte leaves (TCP, TLS, the request), later ones one,
//! half of it on the way back. What the downlink's queue drops is sent again a round trip later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use swarm_core::peer::{FetchId, Input, RangeFetch};
use swarm_core::tree::sidecar;

use crate::content::Content;
use crate::link::QUANTUM_BYTES;
use crate::world::{Event, World};

/// Round trips until a viewer's first request is heard, and a later one.
const FIRST_RTTS: f64 = 2.5;
const LATER_RTTS: f64 = 0.5;

/// Where the film is.
pub(crate) const URL: &str = "https://mirror.example/film";

/// Something that happens to a fetch.
#[derive(Debug)]
pub(crate) enum MirrorEvent {
    /// The mirror hears of it.
    Asked(usize, RangeFetch),
    /// A part has left the mirror's uplink.
    Left,
    /// A part is at the viewer's downlink.
    Arrives(usize, FetchId, u64),
}

/// A fetch of a viewer.
#[derive(Debug)]
struct Transfer {
    fetch: RangeFetch,
    /// Bytes that have yet to leave.
    unsent: u64,
    /// Bytes that have yet to come.
    awaited: u64,
}

/// The server.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    /// 0: there is none.
    bytes_per_s: u64,
    transfers: BTreeMap<(usize, FetchId), Transfer>,
    turns: VecDeque<(usize, FetchId)>,
    /// The part that leaves now.
    leaving: Option<(usize, FetchId, u64)>,
    known: BTreeSet<usize>,
    /// Bytes that left.
    pub(crate) sent_bytes: u64,
    tree: Bytes,
}

impl Mirror {
    pub(crate) fn new(bytes_per_s: u64, content: &Content) -> Self {
        let geometry = content.tree.geometry();
        let mut tree = sidecar::header(geometry, content.tree.root()).to_vec();
        let pages = (0..sidecar::page_count(geometry)).filter(|_| bytes_per_s > 0);
        pages.for_each(|page| tree.extend(content.tree.page(page).unwrap_or_default()));
        Self { bytes_per_s, tree: tree.into(), ..Self::default() }
    }
}

impl World {
    /// A viewer asks the mirror.
    pub(crate) fn fetch_range(&mut self, node: usize, fetch: RangeFetch) {
        let round_trips = if self.mirror.known.insert(node) { FIRST_RTTS } else { LATER_RTTS };
        let at = self.now + self.delay_us(node, round_trips);
        self.queue.push(at, Event::Mirror(MirrorEvent::Asked(node, fetch)));
    }

    /// A viewer ends a fetch; the mirror notices at once.
    pub(crate) fn abort_fetch(&mut self, node: usize, fetch: FetchId) {
        self.mirror.transfers.remove(&(node, fetch));
    }

    pub(crate) fn mirror_event(&mut self, event: MirrorEvent) {
        match event {
            MirrorEvent::Asked(node, fetch) => {
                let length = fetch.bytes.end - fetch.bytes.start;
                let key = (node, fetch.fetch);
                self.mirror.transfers.insert(key, Transfer { fetch, unsent: length, awaited: length });
                self.mirror.turns.push_back(key);
                self.mirror_sends();
            }
            MirrorEvent::Left => {
                if let Some((node, fetch, bytes)) = self.mirror.leaving.take() {
                    self.mirror.sent_bytes += bytes;
                    let at = self.now + self.delay_us(node, LATER_RTTS);
                    self.queue.push(at, Event::Mirror(MirrorEvent::Arrives(node, fetch, bytes)));
                }
                self.mirror_sends();
            }
            MirrorEvent::Arrives(node, fetch, bytes) => self.mirror_arrives(node, fetch, bytes),
        }
    }

    /// The next part leaves, if the uplink is free.
    fn mirror_sends(&mut self) {
        let mirror = &mut self.mirror;
        while mirror.leaving.is_none() {
            let Some(key) = mirror.turns.pop_front() else { return };
            let Some(transfer) = mirror.transfers.get_mut(&key) else { continue };
            let bytes = transfer.unsent.min(QUANTUM_BYTES);
            transfer.unsent -= bytes;
            if transfer.unsent > 0 {
                mirror.turns.push_back(key);
            }
            mirror.leaving = Some((key.0, key.1, bytes));
            let at = self.now + bytes * 1_000_000 / mirror.bytes_per_s.max(1);
            self.queue.push(at, Event::Mirror(MirrorEvent::Left));
        }
    }

    fn mirror_arrives(&mut self, node: usize, fetch: FetchId, bytes: u64) {
        let again = self.now + self.delay_us(node, 1.0);
        let Some(transfer) = self.mirror.transfers.get_mut(&(node, fetch)) else { return };
        let at = &mut self.nodes[node];
        if !at.is_alive {
            return;
        }
        let Some(passage) = at.interface.downlink.enqueue(self.now, bytes) else {
            return self.queue.push(again, Event::Mirror(MirrorEvent::Arrives(node, fetch, bytes)));
        };
        transfer.awaited = transfer.awaited.saturating_sub(bytes);
        if transfer.awaited > 0 {
            return;
        }
        let range = transfer.fetch.bytes.clone();
        let whole = if *transfer.fetch.url == *URL { &self.content.bytes } else { &self.mirror.tree };
        let index = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let body = whole.slice(index(range.start)..index(range.end));
        self.mirror.transfers.remove(&(node, fetch));
        let input = Box::new(Input::Fetched(fetch, Ok(body)));
        self.queue.push(passage.delivered_at, Event::Told(node, input));
    }
}

#[cfg(test)]
mod tests {
    use crate::{Scenario, run};

    /// Forty viewers join within 24 s; the film lasts 67 s.
    fn scenario(uplink: f64, mirror: f64) -> Scenario {
        Scenario {
            peers: 40,
            mib: 16,
            join_over_s: 24.0,
            media_mbps: 2.0,
            seeder_up_mbps: 4.0,
            peer_up_mbps: vec![uplink],
            mirror_mbps: mirror,
            ..Scenario::default()
        }
    }

    #[test]
    fn viewers_that_cannot_serve_one_another_play_without_stalls_from_a_mirror() {
        let report = run(&scenario(0.6, 200.0));
        assert!(report.finished && report.stalls == 0, "{report:?}");
        assert!(report.mirror_copies > 10.0, "{report:?}");
        let alone = run(&scenario(0.6, 0.0));
        assert!(alone.stalls > 0 && alone.mirror_copies == 0.0, "{alone:?}");
    }

    #[test]
    fn viewers_that_serve_one_another_take_little_from_a_mirror() {
        let report = run(&scenario(4.0, 200.0));
        assert!(report.finished && report.stalls == 0, "{report:?}");
        // 5 % of what forty viewers receive.
        assert!(report.mirror_copies <= 2.0, "{report:?}");
        assert_eq!(run(&scenario(4.0, 200.0)).trace_hash, report.trace_hash);
    }
}
