//! The driver and its tracker: one socket at a time, and manifests asked for on the side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use swarm_core::Manifest;
use swarm_core::peer::{Input, PublishError};
use swarm_core::tracker_list::{advice_of, is_permission, is_usable};
use swarm_core::tracker_message::{ErrorCode, TrackerMessage, TrackerMessageBody};

use super::{Answer, Driver};
use crate::address::TrackerAddress;
use crate::handle::Notice;
use crate::publications::{self, Credentials, Wish};
use crate::tracker::{Tracker, TrackerEvent};

/// A manifest is brought back once in this time: another peer may have done it, and the tracker may refuse it.
const RETURN_INTERVAL: Duration = Duration::from_secs(10);

impl Driver {
    /// The core wants a connection.
    pub(super) fn connect_tracker(&mut self) {
        let has_moved = self.trackers.begin(self.now());
        self.note_move(has_moved);
        self.disconnect_tracker();
        let address = self.trackers.current().clone();
        self.tracker = Some(self.open_socket(&address));
    }

    /// Opens a socket, with a number of its own.
    pub(super) fn open_socket(&mut self, address: &TrackerAddress) -> (u64, Tracker) {
        self.sockets += 1;
        let events = self.tracker_events.clone();
        (self.sockets, Tracker::connect(&self.runtime, address, self.sockets, events))
    }

    pub(super) fn disconnect_tracker(&mut self) {
        let socket = self.tracker.take();
        self.close_socket(socket);
    }

    pub(super) fn close_socket(&mut self, socket: Option<(u64, Tracker)>) {
        self.closing.retain(|task| !task.is_finished());
        self.closing.extend(socket.map(|(_, tracker)| tracker.close()));
    }

    /// The core gives up on the connection.
    pub(super) fn give_up_tracker(&mut self) {
        if self.go_on_where_it_moves() {
            return;
        }
        let has_moved = self.tracker.is_some() && self.trackers.ended(self.now());
        self.note_move(has_moved);
        self.disconnect_tracker();
    }

    /// Tells the core that its next connection goes to another tracker.
    fn note_move(&mut self, has_moved: bool) {
        if has_moved {
            self.notice(Notice::Moved(self.trackers.current().to_string()));
            self.inputs.push_back(Input::TrackerMoved { token: self.credentials().token.clone() });
        }
    }

    /// What is shown to the tracker in use. A secret of the operator of the link's tracker is for that one alone; a permission
    /// to watch this content can be shown to all that its publisher names.
    pub(super) fn credentials(&self) -> Arc<Credentials> {
        let is_for_all = self.credentials.token.as_deref().is_none_or(is_permission);
        if self.trackers.is_own() || is_for_all {
            return Arc::clone(&self.credentials);
        }
        Arc::new(Credentials { token: None, ..Credentials::clone(&self.credentials) })
    }

    /// The manifest lists trackers.
    pub(super) fn learn_trackers(&mut self, manifest: &Manifest) {
        // An initial peer serves at all that it was told of, and always.
        if self.is_initial {
            return;
        }
        let own = self.trackers.current().socket_url();
        let usable = manifest.trackers.iter().filter(|listed| is_usable(listed, &own));
        let listed: Vec<TrackerAddress> = usable.filter_map(|listed| listed.parse().ok()).collect();
        self.trackers.learn(listed);
    }

    /// Puts the manifest of an initial peer to its tracker.
    pub(super) fn publish(&self, bytes: Bytes) {
        let (address, swarm) = (self.trackers.current().clone(), self.swarm);
        let wish = Wish { is_listed: self.is_listed, is_again: self.has_published };
        let credentials = Arc::clone(&self.credentials);
        self.ask(move || {
            Answer::Published(publications::publish_manifest(&address, swarm, &bytes, wish, &credentials))
        });
    }

    /// Brings the manifest back to a tracker that forgot it, as after a restart: the swarm lives on without its
    /// publisher. The core keeps asking to join.
    fn bring_back(&mut self) {
        let now = Instant::now();
        let Some(manifest) = self.manifest.clone().filter(|_| now >= self.next_return) else { return };
        self.next_return = now + RETURN_INTERVAL;
        let (address, swarm) = (self.trackers.current().clone(), self.swarm);
        let wish = Wish { is_listed: self.is_listed, is_again: true };
        let credentials = self.credentials();
        self.ask(move || {
            let bytes = manifest.to_bytes().map_err(|error| PublishError::Refused(error.to_string()));
            Answer::Returned(bytes.and_then(|bytes| {
                publications::publish_manifest(&address, swarm, &bytes, wish, &credentials)
            }))
        });
    }

    pub(super) fn tracker_event(&mut self, number: u64, event: TrackerEvent) {
        if self.tracker.as_ref().is_none_or(|(current, _)| *current != number) {
            return self.move_event(number, event);
        }
        let input = match event {
            TrackerEvent::Relays(relays) => {
                self.relays.update(relays);
                return;
            }
            TrackerEvent::Open => Input::TrackerOpen,
            TrackerEvent::Message(message) if self.is_refused_elsewhere(&message) => {
                return self.tracker_ended("the tracker refuses this peer".into());
            }
            TrackerEvent::Message(message) => {
                if matches!(message.body, TrackerMessageBody::Swarm { .. }) {
                    self.trackers.joined();
                    self.notice(Notice::Joined);
                }
                if matches!(message.body, TrackerMessageBody::Error { code: ErrorCode::UnknownSwarm, .. }) {
                    self.bring_back();
                }
                Input::Tracker(message)
            }
            TrackerEvent::Closed(reason) => return self.tracker_ended(reason),
        };
        self.inputs.push_back(input);
    }

    /// What the link's tracker refuses ends the peer. Another one that refuses is left.
    fn is_refused_elsewhere(&self, message: &TrackerMessage) -> bool {
        let TrackerMessageBody::Error { code, .. } = message.body else { return false };
        self.trackers.is_left_if_it_refuses()
            && matches!(code, ErrorCode::Forbidden | ErrorCode::UnsupportedVersion)
    }

    /// The connection ended. If it never brought the peer into the swarm, the next tracker is tried.
    pub(super) fn tracker_ended(&mut self, reason: String) {
        if self.go_on_where_it_moves() {
            return self.inputs.push_back(Input::TrackerClosed(reason));
        }
        self.disconnect_tracker();
        let advised = advice_of(&reason).and_then(|address| address.parse().ok());
        let is_advised = advised.is_some_and(|address| self.trackers.advised(self.now(), &address));
        let has_moved = is_advised || self.trackers.ended(self.now());
        self.note_move(has_moved);
        self.inputs.push_back(Input::TrackerClosed(reason));
    }
}
