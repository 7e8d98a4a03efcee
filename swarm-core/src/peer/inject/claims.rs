//! Judges viewers that claim to hold groups which never left this initial peer.
//!
//! If only one initial peer injects, every group in the swarm has left it. A viewer that claims another group lies, unless
//! another viewer holds the group, too, or the group came from a viewer that was doubted for the same claim.

use super::Field;
use super::order::Order;
use super::shares::Shares;
use crate::group::GroupRange;
use crate::group_set::GroupSet;
use crate::id::LinkId;

/// A viewer announced groups, in its greeting or later. Doubts it, or believes viewers whose claims it confirms. Returns
/// whether a reputation may have changed.
pub(super) fn weigh(
    field: &Field<'_>,
    order: &Order,
    shares: &mut Shares,
    (id, gained, is_greeting): (LinkId, &[GroupRange], bool),
) -> bool {
    let strange: Vec<GroupRange> = gained.iter().copied().filter(|range| !order.has_left(*range)).collect();
    if strange.is_empty() {
        return false;
    }
    let mut proven: Vec<LinkId> = Vec::new();
    if !is_greeting {
        // A viewer that claimed these groups before has sent them to this one.
        let claims =
            |have: &GroupSet| strange.iter().any(|range| have.runs(*range).any(|run| !order.has_left(run)));
        let others = field.neighbours.viewers().filter(|(other, link)| {
            *other != id && shares.is_doubted(*other) && link.have().is_some_and(claims)
        });
        proven.extend(others.map(|(other, _)| other));
        proven.iter().for_each(|other| shares.reputation(*other).believe());
    }
    let copies = field.neighbours.copies();
    let is_explained = |group: u32| {
        let is_with_proven =
            || proven.iter().any(|id| field.neighbours.get(*id).is_some_and(|link| link.holds(group)));
        order.has_left(GroupRange::one(group)) || copies.of(group) > 0 || is_with_proven()
    };
    if !strange.iter().flat_map(|range| range.iter()).all(is_explained) {
        shares.reputation(id).doubt();
    }
    true
}
