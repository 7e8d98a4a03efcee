//! The socket to the tracker that the tracker in use names, beside that one until it takes its place.

use swarm_core::peer::{MoveInput, MoveOutput};
use swarm_core::tracker_list::is_usable;
use swarm_core::{Input, Timestamp};

use crate::state::State;

impl State {
    pub(crate) fn act_on_move(&mut self, now: Timestamp, output: MoveOutput) {
        match output {
            MoveOutput::Connect(to) => {
                let current = self.tracker.address(self.trackers.current());
                let is_trusted = to != current && is_usable(&to, &current);
                if !is_trusted || self.tracker.connect_next(to).is_err() {
                    self.input(now, Input::Move(MoveInput::Closed));
                }
            }
            MoveOutput::Request(request) => self.tracker.send_next(&request),
            MoveOutput::Abandon => self.tracker.abandon_next(),
            MoveOutput::Switch => {
                if let Some(place) = self.tracker.switch() {
                    self.trackers.moved(place, true);
                }
            }
            MoveOutput::Leave => self.tracker.leave(),
        }
    }

    /// The socket in use ends: if one is opened beside it, that takes its place. Whether there is one.
    pub(crate) fn go_on_where_it_moves(&mut self) -> bool {
        let Some(place) = self.tracker.switch() else { return false };
        self.tracker.leave();
        self.trackers.moved(place, false);
        true
    }

    /// Something that is not said by the socket in use. What a socket says that was given up on does not matter any more.
    pub(crate) fn other_socket_told(&mut self, now: Timestamp, serial: u32, input: Input) {
        let (is_next, is_left) = (self.tracker.is_next(serial), self.tracker.is_left(serial));
        let input = match (is_next, input) {
            (true, Input::TrackerOpen) => Input::Move(MoveInput::Open),
            (true, Input::Tracker(message)) => Input::Move(MoveInput::Message(message)),
            (true, Input::TrackerClosed(_)) => {
                self.tracker.abandon_next();
                Input::Move(MoveInput::Closed)
            }
            (false, Input::Tracker(message)) if is_left && message.is_notice() => Input::Tracker(message),
            _ => return,
        };
        self.input(now, input);
    }
}
