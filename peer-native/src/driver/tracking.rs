//! The driver and its tracker: one socket at a time, and manifests asked for on the side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_core::peer::{Input, PublishError};
use swarm_core::tracker_message::{ErrorCode, TrackerMessageBody};

use super::{Answer, Driver};
use crate::handle::Notice;
use crate::publications;
use crate::tracker::{Tracker, TrackerEvent};

/// A manifest is brought back once in this time: another peer may have done it, and the tracker may refuse it.
const RETURN_INTERVAL: Duration = Duration::from_secs(10);

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

    /// Brings the manifest back to a tracker that forgot it, as after a restart: the swarm lives on without its
    /// publisher. The core keeps asking to join.
    fn bring_back(&mut self) {
        let now = Instant::now();
        let Some(manifest) = self.manifest.clone().filter(|_| now >= self.next_return) else { return };
        self.next_return = now + RETURN_INTERVAL;
        let (address, swarm, is_listed) = (self.address.clone(), self.swarm, self.is_listed);
        let credentials = Arc::clone(&self.credentials);
        self.ask(move || {
            let bytes = manifest.to_bytes().map_err(|error| PublishError::Refused(error.to_string()));
            Answer::Returned(bytes.and_then(|bytes| {
                publications::publish_manifest(&address, swarm, &bytes, is_listed, &credentials)
            }))
        });
    }

    pub(super) fn tracker_event(&mut self, number: u64, event: TrackerEvent) {
        // What a socket says that was given up on does not matter any more.
        if number != self.tracker_number || self.tracker.is_none() {
            return;
        }
        let input = match event {
            TrackerEvent::Relays(relays) => {
                self.relays = relays;
                return;
            }
            TrackerEvent::Open => Input::TrackerOpen,
            TrackerEvent::Message(message) => {
                if matches!(message.body, TrackerMessageBody::Swarm { .. }) {
                    self.notice(Notice::Joined);
                }
                if matches!(message.body, TrackerMessageBody::Error { code: ErrorCode::UnknownSwarm, .. }) {
                    self.bring_back();
                }
                Input::Tracker(message)
            }
            TrackerEvent::Closed(reason) => {
                self.tracker = None;
                Input::TrackerClosed(reason)
            }
        };
        self.inputs.push_back(input);
    }
}
