//! One end of a connection: what waits to be sent, what is in flight, and what arrived before its turn.
//!
//! Data travels in quanta of about a group. Channels are ordered: quanta are numbered, and one that arrives while an
//! earlier one is missing is kept until that one has been sent again.

use std::collections::{BTreeMap, VecDeque};

use swarm_core::LinkId;
use swarm_core::peer_message::DataHead;

/// Most bytes sent before another connection of the same node has its turn: one group and its head.
pub(crate) const QUANTUM_BYTES: u64 = 16 * 1024 + 512;

/// A data message that waits to be sent, or the rest of one.
#[derive(Debug)]
struct Frame {
    head: Box<DataHead>,
    bytes_left: u64,
}

/// A part of a data message on its way; the last part carries the message.
#[derive(Debug)]
pub(crate) struct Quantum {
    /// Its place among the quanta of this connection and direction.
    pub(crate) sequence: u64,
    pub(crate) bytes: u64,
    pub(crate) head: Option<Box<DataHead>>,
}

/// One side's end of a connection.
#[derive(Debug)]
pub(crate) struct End {
    /// The other side's node and its name for the connection, once known.
    pub(crate) remote: Option<(usize, LinkId)>,
    pub(crate) is_open: bool,
    /// Whether it is in its node's queue for the uplink.
    pub(crate) is_queued: bool,
    frames: VecDeque<Frame>,
    /// Quanta that were dropped on the way and are sent again before anything new.
    dropped: VecDeque<Quantum>,
    next_sequence: u64,
    /// Bytes handed over and not acknowledged.
    pub(crate) unacknowledged_bytes: u64,
    in_flight_bytes: u64,
    pub(crate) low_water_bytes: u64,
    /// Channels are ordered: nothing arrives before what was sent earlier.
    pub(crate) last_data_at: u64,
    pub(crate) last_control_at: u64,
    /// Quanta received whose turn has not come, by their sequence.
    received: BTreeMap<u64, Option<Box<DataHead>>>,
    /// The quantum whose turn it is, once received.
    next: Option<Option<Box<DataHead>>>,
    next_received: u64,
}

impl End {
    pub(crate) const fn new() -> Self {
        Self {
            remote: None,
            is_open: false,
            is_queued: false,
            frames: VecDeque::new(),
            dropped: VecDeque::new(),
            next_sequence: 0,
            unacknowledged_bytes: 0,
            in_flight_bytes: 0,
            low_water_bytes: 32 * 1024,
            last_data_at: 0,
            last_control_at: 0,
            received: BTreeMap::new(),
            next: None,
            next_received: 0,
        }
    }

    /// Takes a data message of `bytes` to send.
    pub(crate) fn push(&mut self, head: DataHead, bytes: u64) {
        self.frames.push_back(Frame { head: Box::new(head), bytes_left: bytes });
        self.unacknowledged_bytes += bytes;
    }

    /// Whether something may be sent now. What was dropped counts as in flight, so it is sent whatever the window.
    pub(crate) fn is_ready(&self, window_bytes: u64) -> bool {
        let has_new = !self.frames.is_empty() && self.in_flight_bytes < window_bytes;
        self.is_open && (has_new || !self.dropped.is_empty())
    }

    /// The next quantum to send.
    pub(crate) fn take(&mut self) -> Option<Quantum> {
        if let Some(quantum) = self.dropped.pop_front() {
            return Some(quantum);
        }
        let frame = self.frames.front_mut()?;
        let bytes = frame.bytes_left.min(QUANTUM_BYTES);
        frame.bytes_left -= bytes;
        self.in_flight_bytes += bytes;
        let is_last = frame.bytes_left == 0;
        let head = is_last.then(|| self.frames.pop_front()).flatten().map(|frame| frame.head);
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Some(Quantum { sequence, bytes, head })
    }

    /// A quantum was dropped on the way: it must be sent again.
    pub(crate) fn send_again(&mut self, quantum: Quantum) {
        self.dropped.push_back(quantum);
    }

    /// A quantum of the other side has passed the downlink.
    pub(crate) fn receive(&mut self, sequence: u64, head: Option<Box<DataHead>>) {
        if sequence == self.next_received {
            self.next = Some(head);
        } else {
            self.received.insert(sequence, head);
        }
    }

    /// The next quantum received in order: the message that it completes, if it completes one. `None` while an
    /// earlier quantum is missing.
    pub(crate) fn next_in_order(&mut self) -> Option<Option<Box<DataHead>>> {
        let head = self.next.take().or_else(|| self.received.remove(&self.next_received))?;
        self.next_received += 1;
        Some(head)
    }

    /// The other side has acknowledged a quantum; returns whether the driver is to be told.
    pub(crate) fn acknowledged(&mut self, bytes: u64) -> bool {
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(bytes);
        self.unacknowledged_bytes = self.unacknowledged_bytes.saturating_sub(bytes);
        self.unacknowledged_bytes <= self.low_water_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_missing_quantum_waits_for_it() {
        let mut end = End::new();
        end.receive(0, None);
        assert!(end.next_in_order().is_some() && end.next_in_order().is_none());
        end.receive(2, None);
        end.receive(3, None);
        assert!(end.next_in_order().is_none());
        end.receive(1, None);
        assert_eq!(std::iter::from_fn(|| end.next_in_order()).count(), 3);
    }

    #[test]
    fn what_was_dropped_is_sent_again_whatever_the_window() {
        let mut end = End::new();
        end.is_open = true;
        assert!(!end.is_ready(0));
        end.send_again(Quantum { sequence: 7, bytes: 100, head: None });
        assert!(end.is_ready(0));
        assert_eq!(end.take().map(|quantum| quantum.sequence), Some(7));
        assert!(!end.is_ready(0));
    }
}
