//! When a counterpart goes silent (DESIGN §7, rescue): its pressing groups are asked elsewhere at once, the
//! rest soon after, and it is not asked again until it sends or some time has passed.

use std::time::Duration;

use super::Peer;
use super::link::Link;
use super::output::Output;
use crate::id::LinkId;
use crate::peer_message::{Class, PeerMessage};
use crate::time::Timestamp;

/// Silence after which everything outstanding is taken back.
const CANCEL_AFTER: Duration = Duration::from_secs(2);
/// What was released may still come for this long, at least.
const RELEASED: Duration = Duration::from_secs(1);
/// A stalled link without outstanding requests is tried again after this long.
const PROBATION: Duration = Duration::from_secs(5);

/// What silence calls for.
enum Step {
    /// Ask elsewhere for what is urgent or in the window.
    Release,
    /// Take everything back.
    Cancel,
    /// Give it another chance.
    Forgive,
}

fn next_step(link: &Link) -> Option<(Step, Timestamp)> {
    let stall_after = link.stall_after();
    match (link.asks().is_empty(), link.is_stalled) {
        (false, false) => Some((Step::Release, link.last_progress + stall_after)),
        (false, true) => Some((Step::Cancel, link.last_progress + CANCEL_AFTER.max(stall_after + RELEASED))),
        (true, true) => Some((Step::Forgive, link.last_progress + PROBATION)),
        (true, false) => None,
    }
}

impl Peer {
    pub(super) fn rescue_deadline(&self, link: &Link) -> Option<Timestamp> {
        next_step(link).map(|(_, at)| at)
    }

    pub(super) fn rescue(&mut self, now: Timestamp) {
        let due =
            self.links.iter().filter_map(|(id, link)| next_step(link).map(|(step, at)| (*id, step, at)));
        let due: Vec<(LinkId, Step)> =
            due.filter(|(_, _, at)| now >= *at).map(|(id, step, _)| (id, step)).collect();
        for (id, step) in due {
            match step {
                Step::Release => self.release(id),
                Step::Cancel => self.take_back(now, id),
                Step::Forgive => {
                    if let Some(link) = self.links.get_mut(&id) {
                        link.is_stalled = false;
                    }
                }
            }
        }
    }

    fn release(&mut self, id: LinkId) {
        let (Some(link), Some(holdings)) = (self.links.get_mut(&id), &mut self.holdings) else { return };
        link.is_stalled = true;
        link.failures += 1;
        for (_, ask) in link.asks_mut().filter(|(_, ask)| ask.class != Class::Background && !ask.is_released)
        {
            ask.is_released = true;
            holdings.not_asked(&ask.missing().collect::<Vec<_>>());
        }
    }

    fn take_back(&mut self, now: Timestamp, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.rate.end(now);
        link.rate.halve();
        link.size.failed();
        let requests: Vec<u32> = link.asks().keys().copied().collect();
        for request in requests {
            self.end_ask(id, request);
            self.outputs.push_back(Output::Control(id, PeerMessage::Cancel { id: request }));
        }
    }
}
