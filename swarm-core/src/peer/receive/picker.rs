//! Which group to request from which neighbour. Pure choices over plain data.
//!
//! * An urgent group goes to the holder that is expected to deliver it soonest. The publisher is spared: see
//!   [`Candidates::choose`].
//! * Background groups are chosen for a neighbour that has room: the author's order, then the rarest of a sample that
//!   starts at a random place, so that no two viewers request the same groups in the same order.

use std::time::Duration;

use super::ledger::{Ledger, Source};
use crate::group::GroupRange;
use crate::group_set::{GroupSet, masks};
use crate::id::{LinkId, PeerId};
use crate::manifest::{PRIORITY_DEFAULT, Period};
use crate::peer::chance::Chance;
use crate::peer::content::{Content, Tier};
use crate::peer::neighbours::{Copies, Link, Neighbours};
use crate::peer::stats::LinkState;
use crate::peer::tracker::Advice;
use crate::peer::tuning::{
    ETA_GROUPS, GREETING_PATIENCE, GROUP, PUBLISHER_HORIZON, SAMPLE_RUNS, UPLINK_GUESS,
};
use crate::peer_message::{Class, Serving};
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// Everything that a choice reads.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) now: Timestamp,
    pub(crate) content: &'a Content,
    pub(crate) neighbours: &'a Neighbours,
    /// The tracker's advice.
    pub(crate) advice: &'a Advice,
    /// The groups that this peer's appetite covers.
    pub(crate) wanted: GroupRange,
}

/// A neighbour that may be asked for urgent groups.
#[derive(Debug)]
struct Candidate<'a> {
    id: LinkId,
    peer: PeerId,
    have: &'a GroupSet,
    /// Expected time until an answer to a request that is made now.
    eta: Duration,
    /// Time by which that grows with each group that is requested from it.
    group_time: Duration,
    /// Groups that may still be requested from it.
    room: u64,
    is_initial: bool,
    is_rich: bool,
    /// Whether its uplink is more than a guess.
    is_known: bool,
    /// Groups that it sends before a request.
    ahead: GroupRange,
}

/// The neighbours that may be asked for urgent groups, each with its expected time of delivery.
#[derive(Debug)]
pub(crate) struct Candidates<'a> {
    list: Vec<Candidate<'a>>,
    /// Neighbours that are about to say what they hold.
    greeting: u64,
}

impl<'a> Candidates<'a> {
    /// `credit`: bytes that may be in flight towards this peer.
    pub(crate) fn new(view: &View<'a>, ledger: &Ledger, credit: u64) -> Self {
        let is_greeting =
            |link: &Link| link.state() == LinkState::Greeting && view.now < link.since() + GREETING_PATIENCE;
        let greeting = view.neighbours.iter().filter(|(_, link)| is_greeting(link)).count() as u64;
        let usual = usual_uplink(view.neighbours);
        let providers = view.neighbours.open().filter(|(_, link)| link.is_provider()).count() as u64;
        // Neighbours that are about to greet keep their part of the credit. Otherwise the first to greet would be asked for
        // everything.
        let part = if greeting > 0 { (credit / GROUP).div_ceil(greeting + providers) } else { u64::MAX };
        let open = view.neighbours.open().filter(|(_, link)| link.is_provider());
        let candidates = open.filter_map(|(id, link)| {
            let source = ledger.source(id).filter(|source| !source.is_silent())?;
            let group_time = group_time(link, usual);
            let expected = eta(link, source, group_time);
            Some(Candidate {
                id,
                peer: link.peer,
                have: link.have()?,
                // A neighbour that owes groups and is silent is expected to be silent for as long again.
                eta: expected.max(source.silence(view.now)),
                group_time,
                room: part.saturating_sub(source.urgent_bytes() / GROUP),
                is_initial: link.role == Role::Initial,
                is_rich: link.standing().is_rich,
                is_known: link.uplink_known().is_some(),
                ahead: source.ahead(),
            })
        });
        Self { list: candidates.collect(), greeting }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The groups of a range that some candidate holds.
    pub(crate) fn union(&self, index: usize) -> u64 {
        self.list.iter().fold(0, |word, candidate| word | candidate.have.word(index))
    }

    /// The neighbour to ask for a group that is due in `remaining`, with the expected time.
    ///
    /// A publisher that sends the group before a request: from another neighbour it would come twice. Otherwise the viewer
    /// with the least expected time. A publisher is asked instead if it is rich; if no viewer holds the group and it is due
    /// soon; or if the viewers would be late and the publisher sooner.
    pub(crate) fn choose(
        &self,
        group: u32,
        remaining: Duration,
        advice: &Advice,
        except: Option<LinkId>,
    ) -> Option<(LinkId, Duration)> {
        let others = || {
            let others = self.list.iter().filter(|candidate| Some(candidate.id) != except);
            others.filter(|candidate| candidate.have.has(group))
        };
        let holders = || others().filter(|candidate| candidate.room > 0);
        let soonest = |is_initial: bool| {
            let kind = holders().filter(move |candidate| candidate.is_initial == is_initial);
            kind.min_by_key(|candidate| (candidate.eta, candidate.id))
        };
        let viewer = soonest(false).map(|best| {
            let assigned = advice.source(group).and_then(|source| {
                holders().find(|candidate| candidate.peer == source && !candidate.is_initial)
            });
            // The tracker knows who else it sent to this source; we know our own queue there.
            assigned.filter(|assigned| assigned.eta < best.eta * 2).unwrap_or(best)
        });
        if let Some(publisher) = others().find(|candidate| candidate.ahead.has(group)) {
            return Some((publisher.id, publisher.eta));
        }
        let publisher = soonest(true);
        let is_due = remaining <= PUBLISHER_HORIZON;
        let chosen = match (viewer, publisher) {
            (None, Some(publisher)) => {
                let may = is_due && (publisher.is_rich || self.greeting == 0);
                may.then_some(publisher)?
            }
            (Some(viewer), Some(publisher)) => {
                let may = (publisher.is_rich && is_due) || viewer.eta > remaining;
                // The rate of a viewer that has sent nothing yet is a guess, and a rich publisher can serve all viewers.
                let is_sure = publisher.is_rich && is_due && !viewer.is_known;
                if may && (is_sure || publisher.eta < viewer.eta) { publisher } else { viewer }
            }
            (viewer, None) => viewer?,
        };
        Some((chosen.id, chosen.eta))
    }

    /// A group was requested from a candidate.
    pub(crate) fn asked(&mut self, id: LinkId) {
        if let Some(candidate) = self.list.iter_mut().find(|candidate| candidate.id == id) {
            candidate.eta += candidate.group_time;
            candidate.room = candidate.room.saturating_sub(1);
        }
    }
}

/// Expected time until a neighbour answers an urgent request that is made now.
pub(super) fn eta(link: &Link, source: &Source, group_time: Duration) -> Duration {
    let owed = u32::try_from(source.urgent_bytes() / GROUP + ETA_GROUPS).unwrap_or(u32::MAX);
    link.rtt_or_guess() + source.backlog() + group_time.saturating_mul(owed)
}

/// Time that a neighbour's uplink takes for one group.
pub(crate) fn group_time(link: &Link, usual_uplink: u64) -> Duration {
    Duration::from_micros(GROUP * 1_000_000 / link.uplink_or(usual_uplink))
}

/// Uplink of a neighbour that has not announced one: the median of the others.
pub(crate) fn usual_uplink(neighbours: &Neighbours) -> u64 {
    let known = neighbours.viewers().filter_map(|(id, link)| Some((link.uplink_known()?, id)));
    let mut uplinks: Vec<(u64, LinkId)> = known.collect();
    uplinks.sort_unstable();
    uplinks.get(uplinks.len() / 2).map_or(UPLINK_GUESS, |(uplink, _)| *uplink)
}

/// The background groups that one neighbour may be asked for, as word operations over bitmaps.
pub(crate) struct Background<'a> {
    have: &'a GroupSet,
    held: &'a GroupSet,
    asked: &'a GroupSet,
    /// Groups that are due too soon to be requested as background here.
    barred: &'a [GroupRange],
}

impl<'a> Background<'a> {
    /// `None` if the neighbour answers no background.
    pub(crate) fn new(
        view: &View<'a>,
        ledger: &'a Ledger,
        link: &'a Link,
        barred: &'a [GroupRange],
    ) -> Option<Self> {
        let is_open = link.is_provider() && link.standing().serving == Serving::Everything;
        let have = link.have().filter(|_| is_open)?;
        Some(Self { have, held: view.content.held(), asked: ledger.asked(), barred })
    }

    /// The rarest of a sample, in the author's order: its run of at most `groups_max`, and its class.
    pub(crate) fn pick(
        &self,
        view: &View<'_>,
        groups_max: u32,
        chance: &mut Chance,
    ) -> Option<(GroupRange, Class)> {
        let copies = view.neighbours.copies();
        for tier in view.content.tiers() {
            let start = view.wanted.start + chance.below(view.wanted.len());
            let runs = self.runs(tier, view.wanted, start).take(SAMPLE_RUNS);
            let Some(first) = rarest(runs, copies, view.advice.at_risk()) else { continue };
            let limit = GroupRange::new(first, first.saturating_add(groups_max)).and(view.wanted);
            let run = limit.iter().take_while(|group| self.has(tier, *group)).count();
            let range = GroupRange::new(first, first + u32::try_from(run).unwrap_or(0));
            let class = if is_marked(tier) { Class::Marked } else { Class::Background };
            return Some((range, class));
        }
        None
    }

    fn word(&self, tier: &Tier, index: usize) -> u64 {
        self.have.word(index) & tier.groups.word(index) & !(self.held.word(index) | self.asked.word(index))
    }

    fn has(&self, tier: &Tier, group: u32) -> bool {
        self.word(tier, (group / u64::BITS) as usize) >> (group % u64::BITS) & 1 == 1
            && !self.is_barred(group)
    }

    fn is_barred(&self, group: u32) -> bool {
        self.barred.iter().any(|range| range.has(group))
    }

    /// The barred groups of a word. A run that begins with barred groups begins after them.
    fn barred_in(&self, index: usize) -> u64 {
        let start = u32::try_from(index).map_or(u32::MAX, |index| index.saturating_mul(u64::BITS));
        let word = GroupRange::new(start, start.saturating_add(u64::BITS));
        let barred = self.barred.iter().flat_map(|range| masks(range.and(word)));
        barred.fold(0, |barred, (_, mask)| barred | mask)
    }

    /// First groups of the runs inside `wanted`, once round from `start`. No run crosses the end of a word.
    fn runs(&self, tier: &Tier, wanted: GroupRange, start: u32) -> impl Iterator<Item = u32> {
        let parts = [GroupRange::new(start, wanted.end), GroupRange::new(wanted.start, start)];
        let words = parts.into_iter().flat_map(masks);
        words.flat_map(move |(index, mask)| {
            let word = self.word(tier, index) & mask & !self.barred_in(index);
            bits(index, word & !(word << 1))
        })
    }
}

fn rarest(groups: impl Iterator<Item = u32>, copies: &Copies, at_risk: &GroupSet) -> Option<u32> {
    groups.min_by_key(|group| (copies.of(*group), !at_risk.has(*group)))
}

/// Whether the author wants a tier before the rest: period `start`, or a priority above the default.
fn is_marked(tier: &Tier) -> bool {
    match tier.period {
        Period::Start => true,
        Period::Playback => tier.priority > PRIORITY_DEFAULT,
        Period::Background => false,
    }
}

/// The groups of a word.
pub(crate) fn bits(index: usize, word: u64) -> impl Iterator<Item = u32> {
    let first = u32::try_from(index).map_or(0, |index| index * u64::BITS);
    std::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)))
        .take_while(|rest| *rest != 0)
        .map(move |rest| first + rest.trailing_zeros())
}

#[cfg(test)]
mod tests;
