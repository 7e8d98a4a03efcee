//! Relief: what waits in a slow counterpart's queue is asked of an idle one instead (DESIGN §7, rescue).
//!
//! A group is asked of whoever holds it first, and that may be a slow uplink at which many ask. By the time its turn
//! comes others hold it, too. A link that has nothing to do for us takes it over, so that the
//! slow one has time for what only it can send.

use std::time::Duration;

use super::Peer;
use super::output::Output;
use super::request::Ask;
use crate::id::LinkId;
use crate::limits::GROUP_BYTES;
use crate::peer_message::{Class, PeerMessage};
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// Another link takes a request over if it is expected to answer so many times sooner…
const TIMES_SOONER: u32 = 5;
/// …and this much sooner: a cancelled answer may be on its way already.
const SOONER: Duration = Duration::from_millis(200);

/// What is in the window was asked of whoever would send it soonest: it moves only if that was wrong by more.
const MISJUDGED: Duration = Duration::from_secs(1);

/// Whether `here` is so much sooner than `there` that a request is worth moving, or waiting with.
pub(crate) fn is_much_sooner(here: Duration, there: Duration) -> bool {
    there > here.saturating_mul(TIMES_SOONER).saturating_add(SOONER)
}

impl Peer {
    /// An idle link takes over what waits longest elsewhere. Whether there was anything.
    pub(super) fn relieve(&mut self, now: Timestamp, id: LinkId) -> bool {
        let Some((slow, request, ask)) = self.longest_wait(now, id) else { return false };
        let (range, class) = (ask.range, ask.class);
        let (Some(link), Some(holdings)) = (self.links.get_mut(&slow), &mut self.holdings) else {
            return false;
        };
        let missing = link.end_ask(holdings.geometry(), request);
        if link.asks().is_empty() {
            link.rate.end(now);
        }
        holdings.not_asked(&missing);
        self.outputs.push_back(Output::Control(slow, PeerMessage::Cancel { id: request }));
        self.request(now, id, range, class, None);
        true
    }

    /// Of single groups asked of others, not urgent, that this link holds, the one that waits longest.
    fn longest_wait(&self, now: Timestamp, id: LinkId) -> Option<(LinkId, u32, &Ask)> {
        let link = self.links.get(&id).filter(|link| link.role == Role::Viewer && link.asks().is_empty())?;
        let have = link.have()?;
        let here = link.time_to_deliver(u64::from(GROUP_BYTES), Class::Background);
        let others = self.links.iter().filter(|(other, _)| **other != id);
        let waits = others.filter_map(|(other, link)| {
            let (request, ask) = link.asks().last_key_value().filter(|(_, ask)| {
                ask.class != Class::Urgent
                    && !ask.is_released
                    && ask.range.len() == 1
                    && have.has(ask.range.start)
            })?;
            let there = link.time_left(now, ask.class);
            let judged = if ask.class == Class::Window { MISJUDGED } else { Duration::ZERO };
            let is_worth_it = link.is_open() && is_much_sooner(here, there.saturating_sub(judged));
            is_worth_it.then_some((there, *other, *request, ask))
        });
        let (_, other, request, ask) = waits.max_by_key(|(there, ..)| *there)?;
        Some((other, request, ask))
    }
}
