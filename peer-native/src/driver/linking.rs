//! The driver and its links to neighbours.

use swarm_core::LinkId;
use swarm_core::peer::Input;

use super::Driver;
use crate::link::{Link, LinkEvent, Overflow};

impl Driver {
    /// Does something with a link. One that takes no more is given up.
    pub(super) fn with_link(&mut self, id: LinkId, act: impl FnOnce(&Link) -> Result<(), Overflow>) {
        if let Some(link) = self.links.get(&id)
            && let Err(error) = act(link)
        {
            self.links.remove(&id);
            self.inputs.push_back(Input::LinkClosed(id, error.to_string()));
        }
    }

    /// Tells the core what a link says.
    pub(super) fn link_event(&mut self, id: LinkId, event: LinkEvent) {
        // What a link says that the core gave up does not matter any more.
        let Some(link) = self.links.get(&id) else { return };
        self.inputs.push_back(match event {
            LinkEvent::Signal(signal) => Input::LocalSignal(id, signal),
            LinkEvent::Open => Input::LinkOpen(id),
            LinkEvent::Control(message) => Input::Control(id, message),
            LinkEvent::Data(message) => Input::Data(id, message),
            LinkEvent::Malformed(error) => Input::Malformed(id, error),
            LinkEvent::Drained => Input::Buffered(id, link.buffered_bytes()),
            LinkEvent::Closed(reason) => {
                tracing::debug!(link = id.0, reason, "a link closed");
                self.links.remove(&id);
                Input::LinkClosed(id, reason)
            }
        });
    }
}
