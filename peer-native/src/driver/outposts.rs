//! The sockets of an initial peer to further trackers, at which it serves as well.

use std::sync::Arc;

use swarm_core::peer::{Input, OutpostId, OutpostInput, OutpostOutput};

use super::{Answer, Driver};
use crate::address::TrackerAddress;
use crate::publications::{self, Wish};
use crate::tracker::{Tracker, TrackerEvent};

/// One tracker and the socket to it.
pub(super) struct Outpost {
    address: TrackerAddress,
    socket: Option<(u64, Tracker)>,
    /// Whether it took the manifest before.
    has_published: bool,
}

impl Outpost {
    pub(super) const fn new(address: TrackerAddress) -> Self {
        Self { address, socket: None, has_published: false }
    }
}

impl Driver {
    pub(super) fn act_at_outpost(&mut self, id: OutpostId, output: OutpostOutput) {
        let Some(post) = self.outposts.get_mut(id.0) else { return };
        match output {
            OutpostOutput::Connect => {
                self.sockets += 1;
                let (number, events) = (self.sockets, self.tracker_events.clone());
                let opened = Tracker::connect(&self.runtime, &post.address, number, events);
                self.closing.extend(post.socket.replace((number, opened)).map(|(_, old)| old.close()));
            }
            OutpostOutput::Disconnect => self.closing.extend(post.socket.take().map(|(_, old)| old.close())),
            OutpostOutput::Request(request) => {
                if post.socket.as_ref().is_some_and(|(_, socket)| !socket.send(request)) {
                    self.closing.extend(post.socket.take().map(|(_, old)| old.close()));
                    let reason = "it does not keep up".to_owned();
                    self.inputs.push_back(Input::Outpost(id, OutpostInput::Closed(reason)));
                }
            }
            OutpostOutput::Publish(bytes) => {
                let (address, swarm) = (post.address.clone(), self.swarm);
                let wish = Wish { is_listed: self.is_listed, is_again: post.has_published };
                let credentials = Arc::clone(&self.credentials);
                self.ask(move || {
                    let result = publications::publish_manifest(&address, swarm, &bytes, wish, &credentials);
                    Answer::PublishedAt(id, result)
                });
            }
        }
    }

    /// An outpost took the manifest, or did not.
    pub(super) fn note_published_at(&mut self, id: OutpostId, is_taken: bool) {
        if let Some(post) = self.outposts.get_mut(id.0) {
            post.has_published |= is_taken;
        }
    }

    /// What the socket with this number tells, if it is one of these.
    pub(super) fn outpost_event(&mut self, number: u64, event: TrackerEvent) {
        let has_number = |post: &Outpost| post.socket.as_ref().is_some_and(|(own, _)| *own == number);
        let Some(at) = self.outposts.iter().position(has_number) else { return };
        let input = match event {
            // Relays are for peers that cannot be reached; the first tracker gives them.
            TrackerEvent::Relays(_) => return,
            TrackerEvent::Open => OutpostInput::Open,
            TrackerEvent::Message(message) => OutpostInput::Message(message),
            TrackerEvent::Closed(reason) => {
                self.outposts.get_mut(at).into_iter().for_each(|post| post.socket = None);
                OutpostInput::Closed(reason)
            }
        };
        self.inputs.push_back(Input::Outpost(OutpostId(at), input));
    }

    /// Closes all of these sockets.
    pub(super) fn disconnect_outposts(&mut self) {
        let open = self.outposts.iter_mut().filter_map(|post| post.socket.take());
        self.closing.extend(open.map(|(_, socket)| socket.close()));
    }
}
