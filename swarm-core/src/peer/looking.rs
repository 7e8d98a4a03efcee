//! What the tracker hears that we look for (M5): where playing starts or goes on elsewhere, what no neighbour could
//! send, and what is expected too late. It answers with who provides and who looks for the same, with new neighbours
//! where there are too few, and with whom to ask ([`Advice`](super::advice::Advice)).

use std::time::Duration;

use super::demand::Need;
use super::output::Output;
use super::requesting::millis;
use super::{Demand, Holdings, Peer};
use crate::group::GroupRange;
use crate::limits::GROUP_BYTES;
use crate::peer_message::Class;
use crate::time::Timestamp;
use crate::tracker_message::{PeerRequestBody, SegmentRun, Want};

/// The tracker hears of it at most this often.
const INTERVAL: Duration = Duration::from_secs(1);
/// What comes so much too late is a miss that the tracker may still prevent.
const MISS: Duration = Duration::from_millis(300);
/// Segments that are named at once, the earliest; a tracker assigns as many.
const SEGMENTS_MAX: usize = 16;

/// What the tracker was told last.
#[derive(Debug)]
pub(crate) struct Looking {
    /// The groups up to the end of the window at that time.
    told: GroupRange,
    next: Timestamp,
}

impl Looking {
    /// Nothing was told yet.
    pub(crate) const fn new() -> Self {
        Self { told: GroupRange::new(0, 0), next: Timestamp::ZERO }
    }
}

impl Peer {
    /// Tells the tracker what is looked for, if that is news or cannot be had in time.
    pub(super) fn look_for(&mut self, now: Timestamp, needs: &[Need]) {
        if now < self.looking.next || !self.tracker.is_joined() {
            return;
        }
        let (Some(holdings), Some(demand)) = (&self.holdings, &self.demand) else { return };
        let sought = needs.iter().find_map(|need| {
            let first = holdings.held().next_missing(need.urgent.start);
            let first = first.filter(|group| need.urgent.has(*group))?;
            let is_news = !self.looking.told.has(first);
            let is_pressing = is_news || self.is_missed(now, first, demand.time_left(need, first));
            is_pressing.then(|| (need, wants(holdings, demand, need, first)))
        });
        let Some((need, segments)) = sought else { return };
        self.looking = Looking { told: need.all(), next: now + INTERVAL };
        let request = self.tracker.request(PeerRequestBody::Want { segments });
        self.outputs.push_back(Output::Tracker(request));
    }

    /// Whether a group that is due in `time_left` is expected much later, and no initial peer would push it.
    fn is_missed(&self, now: Timestamp, group: u32, time_left: Duration) -> bool {
        if self.view().is_some_and(|view| view.has_injector(group)) {
            return false;
        }
        let expected = self.links.values().filter_map(|link| {
            let ask = link.asks().values().find(|ask| ask.lacks(group));
            let is_source = link.provides(group) && link.serves(Class::Urgent);
            let soon = || is_source.then(|| link.time_to_deliver(u64::from(GROUP_BYTES), Class::Urgent));
            ask.map(|ask| link.time_left(now, ask.class)).or_else(soon)
        });
        expected.min().is_none_or(|expected| expected > time_left + MISS)
    }
}

/// The segments from a group on that a reader needs soon and that are not whole yet.
fn wants(holdings: &Holdings, demand: &Demand, need: &Need, first: u32) -> Vec<Want> {
    let sought = GroupRange::new(first, need.all().end);
    let lacking = holdings.segments_lacking(sought);
    let want = |(segment, group): (u32, u32)| Want {
        segments: SegmentRun(segment, 1),
        remaining_ms: millis(demand.time_left(need, group.max(first))),
    };
    lacking.take(SEGMENTS_MAX).map(want).collect()
}
