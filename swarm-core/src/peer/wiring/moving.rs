//! The way to the tracker that decides for this peer: a second connection, until it takes the place of the first.

use crate::id::Challenge;
use crate::peer::Peer;
use crate::peer::input::MoveInput;
use crate::peer::output::{MoveOutput, Output};
use crate::peer::tracker::State;
use crate::time::Timestamp;
use crate::tracker_message::{Role, TRACKER_VERSION, TrackerMessage, TrackerMessageBody};

impl Peer {
    /// The tracker says where its home is.
    pub(in crate::peer) fn told_to_move(&mut self, now: Timestamp, to: String) {
        if self.config.role == Role::Viewer && self.tracker.session.is_joined() {
            self.tracker.moving.told(now, to, &mut self.chance);
        }
    }

    pub(in crate::peer) fn move_timeout(&mut self, now: Timestamp) {
        if self.tracker.moving.take_leave(now) {
            self.outputs.push_back(Output::Move(MoveOutput::Leave));
        }
        if self.tracker.moving.is_overdue(now) {
            self.abandon_move();
        }
        if let Some(to) = self.tracker.moving.take_due(now)
            && self.tracker.session.is_joined()
        {
            let mut session = self.tracker.session.for_move();
            session.connecting(now);
            self.tracker.moving.begin(now, session);
            self.outputs.push_back(Output::Move(MoveOutput::Connect(to)));
        }
    }

    pub(in crate::peer) fn move_told(&mut self, now: Timestamp, input: MoveInput) {
        match input {
            MoveInput::Open => self.greet_next_tracker(now),
            MoveInput::Message(message) => self.next_tracker_says(now, message),
            MoveInput::Closed => drop(self.tracker.moving.end()),
        }
    }

    fn greet_next_tracker(&mut self, now: Timestamp) {
        let uplink_bps = self.uplink_bps();
        let is_opening = |state| matches!(state, State::Connecting(_));
        if !self.tracker.moving.session_mut().is_some_and(|session| is_opening(session.state)) {
            return;
        }
        // What the join below tells counts as told, so the tracker in use has to know it, too: the move may fail.
        self.tell_segments(now);
        let join = self.join_body(Challenge::default());
        let Some(session) = self.tracker.moving.session_mut() else { return };
        let hello = session.hello(now, TRACKER_VERSION, uplink_bps);
        let join = session.join(now, join);
        self.outputs.extend([hello, join].map(|request| Output::Move(MoveOutput::Request(request))));
    }

    fn next_tracker_says(&mut self, now: Timestamp, message: TrackerMessage) {
        let own_id = self.tracker.peer();
        let Some(session) = self.tracker.moving.session_mut() else { return };
        session.heard(now, message.id);
        match message.body {
            // A tracker that gives another id shares nothing with the one that named it: neighbours would know us by neither.
            TrackerMessageBody::Welcome { peer, .. } if Some(peer) != own_id => self.abandon_move(),
            TrackerMessageBody::Welcome {
                peer, resume, challenge, ice_servers, report_interval_ms, ..
            } => {
                session.welcomed(now, peer, resume, ice_servers, report_interval_ms);
                session.challenge = challenge;
                session.goes_on_joining(now);
            }
            TrackerMessageBody::Swarm { .. } if matches!(session.state, State::Joining(_)) => {
                if self.arrive(now) {
                    self.outputs.push_back(Output::Move(MoveOutput::Switch));
                    self.tracker.moving.linger(now);
                }
                self.tracker_message(now, message);
            }
            TrackerMessageBody::Error { .. } => self.abandon_move(),
            TrackerMessageBody::Swarm { .. }
            | TrackerMessageBody::Connect { .. }
            | TrackerMessageBody::Unlink { .. }
            | TrackerMessageBody::Signal { .. }
            | TrackerMessageBody::Gone { .. }
            | TrackerMessageBody::Assign { .. }
            | TrackerMessageBody::Peers { .. }
            | TrackerMessageBody::Move { .. }
            | TrackerMessageBody::Ok => {}
        }
    }

    /// The conversation goes on on the new connection, however far that has come. Whether there is one.
    pub(in crate::peer) fn arrive(&mut self, now: Timestamp) -> bool {
        let Some(session) = self.tracker.moving.end() else { return false };
        self.tracker.session = *session;
        self.tracker.signals.resend(now);
        true
    }

    /// Gives up the new connection, if there is one. The old one was not touched.
    pub(in crate::peer) fn abandon_move(&mut self) {
        if self.tracker.moving.end().is_some() {
            self.outputs.push_back(Output::Move(MoveOutput::Abandon));
        }
    }
}
