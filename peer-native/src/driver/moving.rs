//! The socket to the tracker that the tracker in use names, beside that one until it takes its place.

use swarm_core::peer::{Input, MoveInput, MoveOutput};
use swarm_core::tracker_list::is_usable;

use super::Driver;
use crate::address::TrackerAddress;
use crate::handle::Notice;
use crate::tracker::{Tracker, TrackerEvent};

/// The sockets beside the one in use.
#[derive(Debug, Default)]
pub(super) struct Moving {
    /// The one that is being opened, and where to.
    next: Option<((u64, Tracker), TrackerAddress)>,
    /// The one that was left, for what is under way to it.
    left: Option<(u64, Tracker)>,
}

impl Driver {
    pub(super) fn act_on_move(&mut self, output: MoveOutput) {
        match output {
            MoveOutput::Connect(to) => match self.trusted(&to) {
                Some(address) => {
                    let socket = self.open_socket(&address);
                    self.moving.next = Some((socket, address));
                }
                None => {
                    tracing::debug!("the tracker names {to:?}, which is not to be trusted or is in use");
                    self.inputs.push_back(Input::Move(MoveInput::Closed));
                }
            },
            MoveOutput::Request(request) => {
                let next = self.moving.next.as_ref();
                if next.is_some_and(|((_, socket), _)| !socket.send(request)) {
                    self.abandon();
                    self.inputs.push_back(Input::Move(MoveInput::Closed));
                }
            }
            MoveOutput::Abandon => self.abandon(),
            MoveOutput::Switch => self.switch(),
            MoveOutput::Leave => {
                let left = self.moving.left.take();
                self.close_socket(left);
            }
        }
    }

    /// The address that the tracker in use names, if a viewer of that one may go there.
    fn trusted(&self, to: &str) -> Option<TrackerAddress> {
        let current = self.trackers.current();
        let address = to.parse().ok().filter(|_| is_usable(to, &current.socket_url()))?;
        (address != *current).then_some(address)
    }

    fn abandon(&mut self) {
        let next = self.moving.next.take().map(|(socket, _)| socket);
        self.close_socket(next);
    }

    /// The peer is in the swarm on the new socket.
    fn switch(&mut self) {
        let Some((socket, address)) = self.moving.next.take() else { return };
        let before = self.moving.left.take();
        self.close_socket(before);
        self.moving.left = self.tracker.replace(socket);
        self.trackers.moved(address, true);
        self.notice(Notice::Moved(self.trackers.current().to_string()));
    }

    /// The socket in use ends: if one is opened beside it, that takes its place. Whether there is one.
    pub(super) fn go_on_where_it_moves(&mut self) -> bool {
        let Some((socket, address)) = self.moving.next.take() else { return false };
        self.disconnect_tracker();
        self.tracker = Some(socket);
        self.trackers.moved(address, false);
        true
    }

    /// Something that is not said by the socket in use. What a socket says that was given up on does not matter any more.
    pub(super) fn move_event(&mut self, number: u64, event: TrackerEvent) {
        let is_left = self.moving.left.as_ref().is_some_and(|(left, _)| *left == number);
        let is_next = self.moving.next.as_ref().is_some_and(|((next, _), _)| *next == number);
        if !is_left && !is_next {
            return self.outpost_event(number, event);
        }
        let input = match event {
            TrackerEvent::Message(message) if is_next => Input::Move(MoveInput::Message(message)),
            TrackerEvent::Message(message) if message.is_notice() => Input::Tracker(message),
            TrackerEvent::Open if is_next => Input::Move(MoveInput::Open),
            TrackerEvent::Relays(relays) if is_next => return self.relays.update(relays),
            TrackerEvent::Closed(reason) if is_next => {
                tracing::debug!("the tracker that the tracker names is not used: {reason}");
                self.abandon();
                Input::Move(MoveInput::Closed)
            }
            TrackerEvent::Open
            | TrackerEvent::Message(_)
            | TrackerEvent::Relays(_)
            | TrackerEvent::Closed(_) => return,
        };
        self.inputs.push_back(input);
    }

    /// All sockets beside the one in use are closed.
    pub(super) fn disconnect_moving(&mut self) {
        self.abandon();
        let left = self.moving.left.take();
        self.close_socket(left);
    }
}
