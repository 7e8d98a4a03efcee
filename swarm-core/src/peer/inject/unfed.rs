//! Viewers that the other viewers do not feed.
//!
//! A thrifty initial peer sends each group about once and leaves the rest to the viewers. That presumes that viewers pass
//! groups on. If they do not, because they claim groups that they do not hold, their uplinks are busy, or no connection can
//! be built, a viewer without deadlines would wait for ever.
//!
//! So the initial peer watches which groups each viewer gains. A viewer is unfed if it lacks something and for
//! [`UNFED_AFTER`] has gained no group that another peer sent it. It gets pushes of the groups that it lacks whenever there is
//! no fresh group to push. Several unfed viewers get different groups, which they can exchange. Groups that they have from
//! one another do not end the state.
//!
//! Claims of other viewers do not matter here, so liars that confirm one another's claims cannot starve a viewer. A viewer that
//! hides what it gains draws a share of the spare uplink, as every viewer of a generous publisher may.

use std::time::Duration;

use super::Field;
use super::shares::Shares;
use crate::group::GroupRange;
use crate::group_set::{GroupSet, masks};
use crate::id::LinkId;
use crate::peer::neighbours::Link;
use crate::peer::send::Departure;
use crate::peer::sorted::ByLink;
use crate::peer::tuning::{GROUP, UNFED_AFTER, UNFED_CHECK};
use crate::time::Timestamp;

/// One viewer.
#[derive(Debug, Clone, Copy)]
struct Viewer {
    /// When it gained a group that another peer sent it, or began to lack something. While it is unfed, groups that unfed
    /// viewers were given do not count.
    fed_at: Timestamp,
    /// When it last gained a group from another viewer, even if that viewer had it from here.
    exchanged_at: Timestamp,
    is_unfed: bool,
}

/// All viewers of one thrifty initial peer.
#[derive(Debug)]
pub(super) struct Unfed {
    viewers: ByLink<Viewer>,
    /// Groups that unfed viewers were given. Empty while every viewer is fed.
    given: GroupSet,
    /// When a group was added to `given`.
    given_at: Timestamp,
    /// When the viewers were examined last.
    checked_at: Option<Timestamp>,
    /// When to examine them again, if one lacks something.
    check_at: Option<Timestamp>,
}

impl Unfed {
    pub(super) fn new(group_count: u32) -> Self {
        Self {
            viewers: ByLink::new(),
            given: GroupSet::empty(group_count),
            given_at: Timestamp::ZERO,
            checked_at: None,
            check_at: None,
        }
    }

    /// A viewer announced groups.
    pub(super) fn gained(&mut self, now: Timestamp, (id, link): (LinkId, &Link), gained: &[GroupRange]) {
        let Some(viewer) = self.viewers.value_mut(id) else { return };
        let groups = gained.iter().flat_map(|range| range.iter());
        let mut from_others = groups.filter(|group| !link.knows(GroupRange::one(*group))).peekable();
        if from_others.peek().is_none() {
            return;
        }
        viewer.exchanged_at = now;
        if !viewer.is_unfed {
            viewer.fed_at = now;
        } else if from_others.any(|group| !self.given.has(group)) {
            viewer.fed_at = now;
            viewer.is_unfed = false;
            self.forget_given();
        }
    }

    fn has_unfed(&self) -> bool {
        self.viewers.values().iter().any(|viewer| viewer.is_unfed)
    }

    /// Forgets the given groups once no viewer is unfed.
    fn forget_given(&mut self) {
        if !self.has_unfed() {
            self.given = GroupSet::empty(self.given.capacity());
        }
    }

    /// Examines all viewers, at most once in [`UNFED_CHECK`].
    pub(super) fn check(&mut self, field: &Field<'_>) {
        let now = field.now;
        if self.checked_at.is_some_and(|at| now < at + UNFED_CHECK) {
            return;
        }
        self.checked_at = Some(now);
        self.check_at = None;
        for (id, link) in field.neighbours.viewers() {
            let new = Viewer { fed_at: now, exchanged_at: now, is_unfed: false };
            let viewer = self.viewers.entry(id, || new);
            let is_lacking = lacks(link, field);
            if !is_lacking {
                viewer.fed_at = now;
            }
            viewer.is_unfed = is_lacking && (viewer.is_unfed || now >= viewer.fed_at + UNFED_AFTER);
            if is_lacking && !viewer.is_unfed {
                let at = (viewer.fed_at + UNFED_AFTER).max(now + UNFED_CHECK);
                self.check_at = Some(self.check_at.map_or(at, |earlier| earlier.min(at)));
            }
        }
        self.forget_given();
    }

    /// When [`Unfed::check`] has something to do, or a group may be given again.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let again = self.checked_at.filter(|_| self.has_unfed()).map(|at| at + UNFED_CHECK);
        [self.check_at, again].into_iter().flatten().min()
    }

    pub(super) fn closed(&mut self, id: LinkId) {
        if self.viewers.remove(id).is_some_and(|viewer| viewer.is_unfed) {
            self.forget_given();
        }
    }

    /// Groups left for a viewer.
    pub(super) fn given(&mut self, now: Timestamp, id: LinkId, range: GroupRange) {
        if self.viewers.get(id).is_some_and(|viewer| viewer.is_unfed) && self.given.insert(range) > 0 {
            self.given_at = now;
        }
    }

    /// The next push to an unfed viewer: to the one that was given least for its uplink, of those with room.
    pub(super) fn next(&self, field: &Field<'_>, shares: &Shares) -> Option<Departure> {
        let unfed = self.viewers.iter().filter(|(_, viewer)| viewer.is_unfed);
        let receivers = unfed.filter_map(|(id, viewer)| {
            let link = field.neighbours.get(id).filter(|link| has_room((id, link), field, shares))?;
            Some((id, link, self.first((id, link), viewer, field, shares)?))
        });
        let (id, link, first) = receivers.min_by_key(|(id, ..)| (shares.start_of(*id), *id))?;
        let limit = GroupRange::new(first, first.saturating_add(field.sender.frame_groups(id)));
        let is_given = self.given.has(first);
        let is_lacking = |group: &u32| {
            field.content.held().has(*group)
                && !link.holds(*group)
                && !shares.is_under_way(id, *group)
                && self.given.has(*group) == is_given
        };
        let run = limit.and(link.standing().wants).iter().skip(1).take_while(is_lacking).count();
        let range = GroupRange::new(first, first + 1 + u32::try_from(run).unwrap_or(0));
        Some(Departure { link: id, range, waited: Duration::ZERO })
    }

    /// The first group to push to an unfed viewer: one that no unfed viewer was given. A group that another unfed viewer was
    /// given may be on its way from there. It is pushed, too, if for [`UNFED_AFTER`] nothing has come from others.
    fn first(
        &self,
        (id, link): (LinkId, &Link),
        viewer: &Viewer,
        field: &Field<'_>,
        shares: &Shares,
    ) -> Option<u32> {
        let have = link.have()?;
        let held = field.content.held();
        let range = link.standing().wants.and(GroupRange::new(0, held.capacity()));
        let lacking = |leaves_out: Option<&GroupSet>| {
            masks(range).find_map(|(index, mask)| {
                let left_out = leaves_out.map_or(0, |set| set.word(index));
                let mut word = held.word(index) & mask & !have.word(index) & !left_out;
                while word != 0 {
                    let group = u32::try_from(index).ok()? * u64::BITS + word.trailing_zeros();
                    if !shares.is_under_way(id, group) {
                        return Some(group);
                    }
                    word &= word - 1;
                }
                None
            })
        };
        let is_waiting = field.now >= viewer.exchanged_at.max(self.given_at) + UNFED_AFTER;
        lacking(Some(&self.given)).or_else(|| is_waiting.then(|| lacking(None)).flatten())
    }
}

/// Whether a viewer wants a group that it does not hold and that is held here.
fn lacks(link: &Link, field: &Field<'_>) -> bool {
    let Some(have) = link.have().filter(|have| !have.is_full()) else { return false };
    let held = field.content.held();
    let range = link.standing().wants.and(GroupRange::new(0, held.capacity()));
    masks(range).any(|(index, mask)| held.word(index) & mask & !have.word(index) != 0)
}

/// Whether another push may be under way to a viewer: its credit and its channel must have room.
fn has_room((id, link): (LinkId, &Link), field: &Field<'_>, shares: &Shares) -> bool {
    let accepted = u64::from(link.standing().credit);
    !link.is_retiring()
        && field.sender.has_channel_room(id, link)
        && field.sender.buffered_bytes(id) < accepted
        && (shares.under_way(id) + 1) * GROUP <= accepted
}
