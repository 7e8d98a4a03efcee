//! Requests that are not answered at all.

use super::Sender;
use crate::group::GroupRange;
use crate::group_set::GroupSet;
use crate::peer_message::RejectReason;

/// The reason why a request is refused as a whole, if it is.
pub(crate) fn refusal(
    sender: &Sender,
    held: &GroupSet,
    range: GroupRange,
    is_answered: bool,
) -> Option<RejectReason> {
    if sender.is_off() || !is_answered {
        Some(RejectReason::NotServing)
    } else if !held.has_any(range) {
        Some(RejectReason::NotHeld)
    } else {
        None
    }
}
