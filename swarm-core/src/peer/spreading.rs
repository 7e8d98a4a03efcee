//! Whether what is injected to a viewer spreads (DESIGN §9): an initial peer's only evidence of who serves others.
//!
//! A viewer that keeps to itself what it is given, or sends it so that nobody can use it, looks like any other to
//! the initial peer: it asks, takes and announces. But nobody else comes to hold what only it was given. Nothing
//! more is injected to such a viewer but one push in forty, which go where it says that it needs something; and
//! what it holds is injected as if it held nothing.
//!
//! This also finds viewers whom no other viewer can reach: what they are given is lost to the swarm, too.
//!
//! And it finds those who claim what they cannot have. Everything in a swarm once left an initial peer. Whoever claims
//! a group that never left this one has it from another time, or from another initial peer, or lies; it is believed
//! once somebody else comes to hold such a group, which only those who claimed it can have sent.

use super::Peer;
use super::injection::{Push, is_target};
use super::link::Link;
use crate::group::GroupRange;
use crate::group_set::GroupSet;
use crate::id::LinkId;
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// Pushes of which none spread, after which a viewer counts as one that keeps to itself.
const KEPT_MAX: u32 = 3;
/// Viewers that hold a group when it counts as spread, and is lacking only where no neighbour sends it.
const SPREAD_COPIES_MIN: u16 = 3;
/// Others that were there and wanted a group: only then it means something that none of them has it.
const OTHERS_MIN: usize = 2;

impl Peer {
    /// Pushes are old enough to tell what became of them.
    pub(super) fn judge_pushes(&mut self, now: Timestamp) {
        let unit = self.config.policy.forward;
        for push in self.injection.expire(now) {
            if push.is_only && unit.rest(push.range).is_empty() && self.is_held_by(push.to, push.range.start)
            {
                self.judge(&push);
            }
        }
    }

    /// Groups are pushed once more. Where one viewer holds them, it does not pass them on to those in need; where many
    /// do, whoever is in need is not heard by its neighbours.
    pub(super) fn judge_repeated(&mut self, push: &Push) {
        let group = push.range.start;
        let before = self.injection.repeated(group);
        if self.copies.of(group) >= SPREAD_COPIES_MIN {
            self.judge(push);
        } else if let Some(before) = before.filter(|before| self.is_held_by(before.to, group)) {
            self.judge(&before);
        }
    }

    /// A viewer says that it holds groups. If it can only have them from elsewhere, it is doubted, like one that keeps things
    /// to itself, until somebody else has come to hold some of what only doubted ones claimed.
    pub(super) fn weigh_claims(&mut self, id: LinkId, claims: &[GroupRange], is_greeting: bool) {
        let is_alone = self.share.is_none_or(|share| share.count == 1);
        if self.config.role != Role::Initial || !is_alone {
            return;
        }
        let strange: Vec<GroupRange> =
            claims.iter().copied().filter(|range| !self.injection.has_left(*range)).collect();
        if strange.is_empty() {
            return;
        }
        let claims_any = |link: &Link| {
            link.have().is_some_and(|have| strange.iter().any(|range| self.is_strange(have, *range)))
        };
        if !is_greeting {
            let others = self.links.iter().filter(|(other, link)| **other != id && link.is_hoarding);
            let proven: Vec<LinkId> =
                others.filter(|(_, link)| claims_any(link)).map(|(other, _)| *other).collect();
            proven.into_iter().for_each(|other| self.believe(other));
        }
        let is_explained =
            |group: u32| self.injection.has_left(GroupRange::one(group)) || self.copies.of(group) > 0;
        if !strange.iter().flat_map(|range| range.iter()).all(is_explained) {
            self.doubt(id);
        }
    }

    /// Whether some group of a range is in a set although it never left from here.
    fn is_strange(&self, have: &GroupSet, range: GroupRange) -> bool {
        have.runs(range).any(|run| !self.injection.has_left(run))
    }

    fn believe(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.is_hoarding = false;
        link.has_spread = true;
        link.have().into_iter().flat_map(GroupSet::iter).for_each(|group| self.copies.add(group));
    }

    /// What a viewer holds counts as nothing from now on.
    fn doubt(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id).filter(|link| !link.is_hoarding && !link.has_spread) else {
            return;
        };
        link.is_hoarding = true;
        link.have().into_iter().flat_map(GroupSet::iter).for_each(|group| self.copies.remove(group));
    }

    fn judge(&mut self, push: &Push) {
        let is_spread = |push: &Push| push.is_only && self.copies.of(push.range.start) > 1;
        let has_spread = self.injection.to(push.to).chain([push]).any(is_spread);
        let has_others = self.others_wanting(push) >= OTHERS_MIN;
        let Some(link) = self.links.get_mut(&push.to) else { return };
        link.has_spread |= has_spread;
        link.kept += u32::from(has_others);
        if link.kept >= KEPT_MAX {
            self.doubt(push.to);
        }
    }

    fn is_held_by(&self, id: LinkId, group: u32) -> bool {
        self.links.get(&id).and_then(Link::have).is_some_and(|have| have.has(group))
    }

    /// How many others were there when something was pushed, and want it.
    fn others_wanting(&self, push: &Push) -> usize {
        let is_other = |id: &LinkId, link: &Link| {
            *id != push.to
                && is_target(link)
                && link.since <= push.at
                && link.standing.wants.has(push.range.start)
        };
        self.links.iter().filter(|(id, link)| is_other(id, link)).count()
    }
}
