//! What sockets say: each frame is charged by its length, decoded, and decided upon.

use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;
use swarm_core::tracker_message::{PeerRequest, PeerRequestBody, TrackerDecodeError};

use super::{Hub, State};
use crate::decision::{ConnectionId, Receiver};
use crate::limits::FRAME_FREE_BYTES;
use crate::outbox::Outbox;

impl Hub {
    /// Decides upon a text frame.
    pub(crate) fn handle_text(&self, connection: ConnectionId, text: &str) {
        if text.len() > FRAME_FREE_BYTES && !self.admits_frame(connection, text) {
            return;
        }
        let request = match PeerRequest::decode(text) {
            Ok(request) => request,
            Err(error) => return self.handle_undecodable(connection, id_of(text), &error),
        };
        self.metrics.count_request(&request.body);
        let permission = if let PeerRequestBody::Hello { token, .. } = &request.body {
            Some(self.config.permission(token.as_deref(), self.now()))
        } else {
            None
        };
        let mut state = self.lock();
        if let Some(permission) = permission {
            state.tracker.permit(connection, permission);
        }
        let is_join = matches!(request.body, PeerRequestBody::Join { .. });
        let opened = self.direct(&mut state, connection, &request);
        if !self.pass_to_siblings(&mut state, connection, &request)
            && !self.pass_to_visits(&mut state, connection, &request)
            && !self.bridge(&mut state, connection, &request, text)
        {
            self.decide(&mut state, connection, request, text.len());
        }
        if is_join {
            self.arrange_after_join(&mut state, connection, opened);
        }
        self.wake(&state);
    }

    /// Whether a long frame may be decoded. If not, its sender is told.
    fn admits_frame(&self, connection: ConnectionId, text: &str) -> bool {
        let mut state = self.lock();
        let charged = state.tracker.charge_frame(self.now(), connection, (id_at_start(text), text.len()));
        match charged {
            Ok(()) => true,
            Err(refusal) => {
                self.deliver(&mut state, refusal);
                false
            }
        }
    }

    /// Has the decisions handle a request.
    pub(super) fn decide(
        &self,
        state: &mut State,
        connection: ConnectionId,
        request: PeerRequest,
        frame_bytes: usize,
    ) {
        let began = Instant::now();
        let receiver = state.tracker.receiver(connection, &request.body);
        // Of a guest, the tracker that has its socket looks after this. A visitor reads with its own socket.
        let socket = |connection| state.visits.owner(connection).unwrap_or(connection);
        let outbox = receiver.and_then(|receiver| {
            Some((receiver, state.lines.get(&socket(receiver.connection))?.outbox.clone()?))
        });
        let is_busy = |(receiver, outbox): &(Receiver, Arc<Outbox>)| {
            !outbox.has_signal_room(frame_bytes, Some(receiver.sender))
        };
        let busy = outbox.as_ref().filter(|reached| is_busy(reached));
        let outgoing = match busy {
            // Its sender is told, so that it is not the receiver that is closed for what others write.
            Some((receiver, _)) => {
                state.tracker.handle_busy_receiver(self.now(), connection, request.id, receiver.peer)
            }
            None => state.tracker.handle(self.now(), connection, request),
        };
        self.metrics.note_decision(began.elapsed());
        let passed = outbox.filter(|(receiver, _)| outgoing.iter().any(|(to, _)| *to == receiver.connection));
        self.deliver(state, outgoing);
        if let Some((receiver, outbox)) = passed {
            outbox.note_signal(frame_bytes, receiver.sender);
        }
    }

    /// Counts a ping or a pong. They cost less than a message, but they cost.
    pub(crate) fn handle_control(&self, connection: ConnectionId) {
        let mut state = self.lock();
        let outgoing = state.tracker.handle_control(self.now(), connection);
        self.deliver(&mut state, outgoing);
    }

    /// Decides upon a frame that is no request.
    pub(crate) fn handle_undecodable(
        &self,
        connection: ConnectionId,
        id: Option<u32>,
        error: &TrackerDecodeError,
    ) {
        let mut state = self.lock();
        let outgoing = state.tracker.handle_undecodable(self.now(), connection, id, error);
        self.deliver(&mut state, outgoing);
        self.wake(&state);
    }
}

/// The id of a frame that has one, though it is no request otherwise: lets its sender see what was refused.
pub(super) fn id_of(text: &str) -> Option<u32> {
    #[derive(Deserialize)]
    struct OnlyId {
        id: u32,
    }
    if text.len() > swarm_core::limits::TRACKER_MESSAGE_BYTES_MAX {
        return None;
    }
    serde_json::from_str(text).ok().map(|OnlyId { id }| id)
}

/// The id of a frame that begins with it, as peers write them. Nothing else is read.
fn id_at_start(text: &str) -> Option<u32> {
    let rest = text.strip_prefix("{\"id\":")?;
    let digits = rest.find(|other: char| !other.is_ascii_digit())?;
    rest.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_request_is_found_without_decoding_it() {
        let request = PeerRequest { id: 4_000_000_000, body: PeerRequestBody::Leave };
        assert_eq!(id_at_start(&request.encode()), Some(4_000_000_000));
        for text in [
            "",
            "{",
            "{\"id\":",
            "{\"id\":7",
            "{\"id\":-1}",
            "{\"id\":99999999999}",
            "{\"type\":1,\"id\":7}",
            "{\"id\":é}",
        ] {
            assert_eq!(id_at_start(text), None, "{text}");
        }
    }

    #[test]
    fn an_id_is_found_in_what_is_no_request() {
        assert_eq!(id_of(r#"{"id":7,"type":"dance"}"#), Some(7));
        assert_eq!(id_of(r#"{"type":"dance"}"#), None);
        assert_eq!(id_of("{"), None);
        assert_eq!(id_of(r#"{"id":-1}"#), None);
    }
}
