//! The driver and its tracker: one socket at a time, and manifests asked for on the side.

use swarm_core::peer::Input;
use swarm_core::tracker_message::TrackerMessageBody;

use super::Driver;
use crate::handle::Notice;
use crate::tracker::{Tracker, TrackerEvent};

impl Driver {
    pub(super) fn connect_tracker(&mut self) {
        self.disconnect_tracker();
        self.tracker_number += 1;
        let events = self.tracker_events.clone();
        self.tracker = Some(Tracker::connect(&self.runtime, &self.address, self.tracker_number, events));
    }

    pub(super) fn disconnect_tracker(&mut self) {
        self.closing.retain(|task| !task.is_finished());
        self.closing.extend(self.tracker.take().map(Tracker::close));
    }

    pub(super) fn tracker_event(&mut self, number: u64, event: TrackerEvent) {
        // What a socket says that was given up on does not matter any more.
        if number != self.tracker_number || self.tracker.is_none() {
            return;
        }
        self.inputs.push_back(match event {
            TrackerEvent::Open => Input::TrackerOpen,
            TrackerEvent::Message(message) => {
                if matches!(message.body, TrackerMessageBody::Swarm { .. }) {
                    self.notice(Notice::Joined);
                }
                Input::Tracker(message)
            }
            TrackerEvent::Closed(reason) => {
                self.tracker = None;
                Input::TrackerClosed(reason)
            }
        });
    }
}
