//! When a counterpart goes silent or is late (DESIGN §7, rescue): its pressing groups are asked elsewhere at once, the
//! rest soon after, and it is not asked again until it sends or some time has passed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::demand::Need;
use super::link::Link;
use super::output::Output;
use super::relief::is_much_sooner;
use super::request::Ask;
use super::{Holdings, Peer};
use crate::id::LinkId;
use crate::limits::GROUP_BYTES;
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

/// Whether another link would send a group much sooner than in this time.
fn is_elsewhere(links: &BTreeMap<LinkId, Link>, id: LinkId, group: u32, there: Duration) -> bool {
    let size = u64::from(GROUP_BYTES);
    links.iter().filter(|(other, _)| **other != id).any(|(_, link)| {
        link.provides(group)
            && link.serves(Class::Urgent)
            && is_much_sooner(link.time_to_deliver(size, Class::Urgent), there)
    })
}

/// What requests ask for may be asked of others, too.
fn let_go(link: &mut Link, holdings: &mut Holdings, is_meant: impl Fn(u32, &Ask) -> bool) {
    for (_, ask) in link.asks_mut().filter(|(request, ask)| !ask.is_released && is_meant(**request, ask)) {
        ask.is_released = true;
        holdings.not_asked(&ask.missing().collect::<Vec<_>>());
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

    /// Urgent groups that are waited for at a link that will send them too late, while another would send them much
    /// sooner, may be asked of that one, too: whichever answer is later is taken back.
    pub(super) fn release_late(&mut self, now: Timestamp, need: &Need) {
        let (Some(holdings), Some(demand)) = (&mut self.holdings, &self.demand) else { return };
        let late = self.links.iter().flat_map(|(id, link)| {
            let asks = link.asks().iter();
            let asks = asks.filter(|(_, ask)| !ask.is_released && !ask.range.and(need.urgent).is_empty());
            asks.filter_map(|(request, ask)| {
                let first = ask.missing().find(|group| need.urgent.has(*group))?;
                let there = link.time_left(now, ask.class);
                let is_late = there > demand.time_left(need, first);
                (is_late && is_elsewhere(&self.links, *id, first, there)).then_some((*id, *request))
            })
        });
        for (id, request) in late.collect::<Vec<_>>() {
            let Some(link) = self.links.get_mut(&id) else { continue };
            let_go(link, holdings, |other, _| other == request);
        }
    }

    fn release(&mut self, id: LinkId) {
        let (Some(link), Some(holdings)) = (self.links.get_mut(&id), &mut self.holdings) else { return };
        link.is_stalled = true;
        link.failures += 1;
        let_go(link, holdings, |_, ask| ask.class != Class::Background);
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
