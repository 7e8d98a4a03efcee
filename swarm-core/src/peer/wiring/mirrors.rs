//! Mirrors: fetches and their answers.

use bytes::Bytes;

use crate::group::GroupRange;
use crate::id::LinkId;
use crate::manifest::MirrorPolicy;
use crate::peer::input::Appetite;
use crate::peer::mirrors::{FetchId, MirrorError, Outcome};
use crate::peer::output::{Event, Output};
use crate::peer::receive::Situation;
use crate::peer::stats::MirrorStats;
use crate::peer::tuning::{MIRROR_ALONE_AFTER, MIRROR_BACKGROUND_AFTER};
use crate::peer::{Live, Peer};
use crate::time::Timestamp;

impl Peer {
    /// Asks mirrors for groups that no neighbour will deliver in time.
    pub(in crate::peer) fn attend_mirrors(&mut self, now: Timestamp) {
        if self.is_complete_told {
            return;
        }
        let is_alone = self.neighbours.open().next().is_none();
        let has_delivered = self.totals.from_initial + self.totals.from_peers > 0;
        let is_viewer = matches!(self.config.appetite, Appetite::Viewer { .. });
        let Some(live) = &mut self.live else { return };
        if live.mirrors.links().next().is_none() {
            return;
        }
        let alone_for = live.mirrors.alone_for(now, is_alone);
        let policy = live.mirrors.policy();
        let is_start = !has_delivered && policy != MirrorPolicy::Rescue;
        let situation = Situation {
            is_start,
            is_alone: is_alone && alone_for >= MIRROR_ALONE_AFTER,
            is_background: policy == MirrorPolicy::Full && alone_for >= MIRROR_BACKGROUND_AFTER,
            expects_reader: is_start && is_viewer,
        };
        loop {
            let Some(live) = &mut self.live else { return };
            live.receive.mirror_at_hand(live.mirrors.usable(now));
            let Some(mirror) = live.mirrors.choose(now) else { return };
            let mut orders = Vec::new();
            let Some((receive, view, _)) = self.receiving(now) else { return };
            let Some(range) = receive.plan_mirror(&view, mirror, situation, &mut orders) else { return };
            self.carry_out(orders);
            let Some(Live { content, receive, mirrors, .. }) = &mut self.live else { return };
            let rate = receive.source(mirror).map_or(1, |source| source.rate().bytes_per_s());
            let begun = mirrors.begin(now, (mirror, rate), range, content);
            self.outputs.extend(begun.into_iter().map(Output::FetchRange));
        }
    }

    /// A fetch from a mirror was answered.
    pub(in crate::peer) fn mirror_fetched(
        &mut self,
        now: Timestamp,
        fetch: FetchId,
        result: Result<Bytes, MirrorError>,
    ) {
        let Some(live) = &mut self.live else { return };
        let outcome = live.mirrors.fetched(now, (fetch, result), &mut live.content, &mut self.chance);
        self.take_outcome(now, outcome);
    }

    /// Gives up fetches that took too long.
    pub(in crate::peer) fn mirrors_timeout(&mut self, now: Timestamp) {
        let Some(live) = &mut self.live else { return };
        for outcome in live.mirrors.expire(now, &mut self.chance) {
            self.take_outcome(now, outcome);
        }
    }

    fn take_outcome(&mut self, now: Timestamp, outcome: Outcome) {
        for (mirror, verified) in outcome.verified {
            let range = verified.range();
            let Some(live) = &mut self.live else { return };
            let length = live.content.geometry().len_bytes(range);
            live.receive.mirror_came(now, mirror, range);
            if live.content.held().has_all(range) {
                self.totals.duplicate_bytes += length;
                continue;
            }
            let fresh = live.content.gain(range);
            self.totals.duplicate_bytes += length - fresh;
            self.totals.from_mirrors += fresh;
            self.stored(now, verified);
        }
        if let Some(live) = &mut self.live {
            outcome
                .missed
                .iter()
                .for_each(|(mirror, range)| live.receive.mirror_missed(now, *mirror, *range));
        }
        self.outputs.extend(outcome.aborted.into_iter().map(Output::AbortFetch));
        self.outputs.extend(outcome.liar.map(|host| Output::Event(Event::MirrorLost { host })));
    }

    /// When to examine mirrors again.
    pub(in crate::peer) fn mirrors_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        self.live.as_ref().filter(|_| !self.is_complete_told)?.mirrors.deadline(now)
    }

    pub(in crate::peer) fn mirror_stats(&self) -> Vec<MirrorStats> {
        let Some(Live { receive, mirrors, .. }) = &self.live else { return Vec::new() };
        mirrors.stats(|mirror| receive.source(mirror)?.rate().measured())
    }

    /// Groups are no longer awaited from a mirror. A fetch that has no other purpose is given up.
    pub(in crate::peer) fn taken_from_mirror(&mut self, mirror: LinkId) {
        let Some(Live { receive, mirrors, .. }) = &mut self.live else { return };
        let is_awaited = |range: GroupRange| receive.is_owed(mirror, range);
        self.outputs.extend(mirrors.give_up(mirror, is_awaited).into_iter().map(Output::AbortFetch));
    }
}
