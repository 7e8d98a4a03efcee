//! The state that injection reads.

use crate::id::LinkId;
use crate::peer::content::Content;
use crate::peer::neighbours::{Link, Neighbours};
use crate::peer::receive::Demand;
use crate::peer::send::Sender;
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// Views of the other components, at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) now: Timestamp,
    pub(crate) content: &'a Content,
    pub(crate) neighbours: &'a Neighbours,
    pub(crate) sender: &'a Sender,
    pub(crate) demand: &'a Demand,
}

impl<'a> Field<'a> {
    /// The neighbour of this link, if it is a viewer.
    pub(super) fn viewer(&self, id: LinkId) -> Option<&'a Link> {
        self.neighbours.get(id).filter(|link| link.role == Role::Viewer)
    }
}
