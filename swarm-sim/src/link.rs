//! One direction of one connection: what waits to leave, what is in flight, and when it arrives.

use std::collections::VecDeque;

use swarm_core::LinkId;
use swarm_core::peer_message::DataHead;

/// Bytes that leave before another connection of the same node has its turn: one group and its head.
pub(crate) const QUANTUM_BYTES: u64 = 16 * 1024 + 512;

/// A data message on its way into the network.
#[derive(Debug)]
struct Frame {
    head: DataHead,
    bytes_left: u64,
}

/// A part of a data message that leaves; the last one carries the message.
#[derive(Debug)]
pub(crate) struct Quantum {
    pub(crate) bytes: u64,
    pub(crate) head: Option<DataHead>,
}

/// One side's end of a connection.
#[derive(Debug)]
pub(crate) struct End {
    /// The other side's node and its name for the connection, once known.
    pub(crate) remote: Option<(usize, LinkId)>,
    pub(crate) is_open: bool,
    /// Whether it stands in its node's queue for the uplink.
    pub(crate) is_queued: bool,
    frames: VecDeque<Frame>,
    /// Handed over and not acknowledged.
    pub(crate) unacknowledged_bytes: u64,
    in_flight_bytes: u64,
    pub(crate) low_water_bytes: u64,
    /// Channels are ordered: nothing arrives before what left earlier.
    pub(crate) last_data_at: u64,
    pub(crate) last_control_at: u64,
}

impl End {
    pub(crate) const fn new() -> Self {
        Self {
            remote: None,
            is_open: false,
            is_queued: false,
            frames: VecDeque::new(),
            unacknowledged_bytes: 0,
            in_flight_bytes: 0,
            low_water_bytes: 32 * 1024,
            last_data_at: 0,
            last_control_at: 0,
        }
    }

    /// A data message of `bytes` is handed over.
    pub(crate) fn push(&mut self, head: DataHead, bytes: u64) {
        self.frames.push_back(Frame { head, bytes_left: bytes });
        self.unacknowledged_bytes += bytes;
    }

    /// Whether something could leave now.
    pub(crate) fn is_ready(&self, window_bytes: u64) -> bool {
        self.is_open && !self.frames.is_empty() && self.in_flight_bytes < window_bytes
    }

    /// The next part that leaves.
    pub(crate) fn take(&mut self) -> Option<Quantum> {
        let frame = self.frames.front_mut()?;
        let bytes = frame.bytes_left.min(QUANTUM_BYTES);
        frame.bytes_left -= bytes;
        self.in_flight_bytes += bytes;
        let is_last = frame.bytes_left == 0;
        let head = is_last.then(|| self.frames.pop_front()).flatten().map(|frame| frame.head);
        Some(Quantum { bytes, head })
    }

    /// The other side has acknowledged a part; whether the driver is to hear of it.
    pub(crate) fn acknowledged(&mut self, bytes: u64) -> bool {
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(bytes);
        self.unacknowledged_bytes = self.unacknowledged_bytes.saturating_sub(bytes);
        self.unacknowledged_bytes <= self.low_water_bytes
    }
}
