//! Which viewers get pushes, and whose copies count.

use super::spread::can_pass_on;
use super::{Field, Inject};
use crate::id::LinkId;
use crate::peer::neighbours::{Counts, Link};
use crate::peer::tuning::{FEEDER_BACKLOG_MS, HOLDER_BACKLOG_MS};

impl Inject {
    /// How far a viewer's copies count: whether it passes groups on, as far as is known, and whether it does so soon.
    pub(super) fn counts_of(&self, id: LinkId, link: &Link) -> Counts {
        let is_able = can_pass_on(link.standing().serving, link.uplink_known(), self.uplink_min);
        match link.backlog_ms() <= self.usual_backlog_max.max(HOLDER_BACKLOG_MS) {
            _ if !is_able || self.shares.is_doubted(id) => Counts::No,
            true => Counts::Fully,
            false => Counts::Later,
        }
    }

    pub(super) fn uplink_of(&self, id: LinkId, link: &Link) -> u64 {
        self.trials.believed(id, link.uplink_or(self.usual_uplink))
    }

    /// The viewers that get pushes.
    pub(super) fn targets<'a>(&'a self, field: &Field<'a>) -> impl Iterator<Item = (LinkId, &'a Link)> {
        let backlog_max = self.usual_backlog_max.max(FEEDER_BACKLOG_MS);
        field.neighbours.viewers().filter(move |(_, link)| {
            let is_prompt = link.counts() == Counts::Fully && link.backlog_ms() <= backlog_max;
            is_prompt && !link.is_retiring() && !link.standing().wants.is_empty()
        })
    }
}
