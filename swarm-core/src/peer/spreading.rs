//! Whether what is injected to a viewer spreads (DESIGN §9): an initial peer's only evidence of who serves others.
//!
//! A viewer that keeps to itself what it is given, or sends it so that nobody can use it, looks like any other to
//! the initial peer: it asks, takes and announces. But nobody else comes to hold what only it was given. Nothing
//! more is injected to such a viewer but one push in twenty, which go where it says that it needs something; and
//! what it holds is injected as if it held nothing.
//!
//! This also finds viewers whom no other viewer can reach: what they are given is lost to the swarm, too.

use super::Peer;
use super::injection::{Push, is_target};
use super::link::Link;
use crate::id::LinkId;
use crate::time::Timestamp;

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

    fn judge(&mut self, push: &Push) {
        let is_spread = |push: &Push| push.is_only && self.copies.of(push.range.start) > 1;
        let has_spread = self.injection.to(push.to).chain([push]).any(is_spread);
        let has_others = self.others_wanting(push) >= OTHERS_MIN;
        let Some(link) = self.links.get_mut(&push.to) else { return };
        link.has_spread |= has_spread;
        link.kept += u32::from(has_others);
        if link.has_spread || link.is_hoarding || link.kept < KEPT_MAX {
            return;
        }
        link.is_hoarding = true;
        for group in link.have().into_iter().flat_map(|have| have.iter()) {
            self.copies.remove(group);
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
