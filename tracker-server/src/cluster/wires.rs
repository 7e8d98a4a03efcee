//! The ways to other trackers: what waits to be sent, numbers of frames, and what was lost.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::wire::{Frame, FrameError, FrameKey, Message};
use crate::engine::TrackerId;
use crate::limits::{WIRE_BYTES_MAX, WIRE_FRAME_BYTES};

#[derive(Debug, Default)]
struct Wire {
    waiting: Vec<Message>,
    bytes: usize,
    /// Number of the last frame that was sent, or dropped.
    sent: u64,
    /// Number of the last frame that arrived.
    received: u64,
    /// Whether a frame was lost, on either way, since both sides told one another what they know.
    is_broken: bool,
}

/// A frame that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) from: TrackerId,
    pub(super) messages: Vec<Message>,
}

/// All ways of one tracker.
#[derive(Debug)]
pub(super) struct Wires {
    me: TrackerId,
    key: FrameKey,
    wires: BTreeMap<TrackerId, Wire>,
    /// No less than the number of any frame to a tracker that was forgotten: one that comes back may remember it.
    floor: u64,
}

impl Wires {
    pub(super) fn new(me: TrackerId, key: FrameKey) -> Self {
        Self { me, key, wires: BTreeMap::new(), floor: 0 }
    }

    /// Files a message.
    pub(super) fn push(&mut self, to: TrackerId, message: Message) {
        let wire = self.wire(to);
        wire.bytes += message.len_bytes();
        if wire.bytes > WIRE_BYTES_MAX {
            // The number tells the receiver that something is missing.
            wire.sent += 1;
            wire.waiting = Vec::new();
            wire.bytes = 0;
            wire.is_broken = true;
            return;
        }
        wire.waiting.push(message);
    }

    /// Whether something waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.wires.values().any(|wire| !wire.waiting.is_empty())
    }

    /// The frames of what waits, in order.
    pub(super) fn take_frames(&mut self) -> Vec<(TrackerId, Bytes)> {
        let mut frames = Vec::new();
        for (to, wire) in &mut self.wires {
            wire.bytes = 0;
            let mut messages = Vec::new();
            let mut bytes = 0;
            let mut waiting = std::mem::take(&mut wire.waiting).into_iter().peekable();
            while let Some(message) = waiting.next() {
                bytes += message.len_bytes();
                messages.push(message);
                if bytes >= WIRE_FRAME_BYTES || waiting.peek().is_none() {
                    wire.sent += 1;
                    let messages = std::mem::take(&mut messages);
                    let frame = Frame { from: self.me, to: *to, number: wire.sent, messages };
                    frames.push((*to, self.key.seal(&frame)));
                    bytes = 0;
                }
            }
        }
        frames
    }

    /// Reads a frame. `None` if it is for another tracker, or came before.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<Option<Arrived>, FrameError> {
        let Frame { from, to, number, messages } = self.key.open(bytes)?;
        if to != self.me {
            return Ok(None);
        }
        let wire = self.wire(from);
        if number <= wire.received {
            return Ok(None);
        }
        if number != wire.received + 1 {
            wire.is_broken = true;
        }
        wire.received = number;
        Ok(Some(Arrived { from, messages }))
    }

    /// Frames to a tracker were lost, or may have been.
    pub(super) fn note_loss(&mut self, to: TrackerId) {
        self.wire(to).is_broken = true;
    }

    /// Frames of all trackers were lost, or may have been.
    pub(super) fn note_all_lost(&mut self) {
        self.wires.values_mut().for_each(|wire| wire.is_broken = true);
    }

    /// The trackers with which something was lost; counted as mended from now on.
    pub(super) fn take_broken(&mut self) -> Vec<TrackerId> {
        let broken = self
            .wires
            .iter_mut()
            .filter_map(|(tracker, wire)| std::mem::take(&mut wire.is_broken).then_some(*tracker));
        broken.collect()
    }

    /// Forgets the ways to trackers that are gone.
    pub(super) fn retain(&mut self, is_alive: impl Fn(TrackerId) -> bool) {
        let floor = &mut self.floor;
        self.wires.retain(|tracker, wire| {
            let is_alive = is_alive(*tracker);
            if !is_alive {
                *floor = wire.sent.max(*floor);
            }
            is_alive
        });
    }

    fn wire(&mut self, other: TrackerId) -> &mut Wire {
        let sent = self.floor;
        self.wires.entry(other).or_insert_with(|| Wire { sent, ..Wire::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TrackerId = TrackerId(1);
    const B: TrackerId = TrackerId(2);

    fn wires(me: TrackerId) -> Wires {
        Wires::new(me, FrameKey::new([1; 32]))
    }

    fn frame(from: &mut Wires, to: TrackerId, member: u64) -> Bytes {
        from.push(to, Message::Detach { member });
        from.take_frames().remove(0).1
    }

    #[test]
    fn a_lost_frame_is_noticed_and_a_repeated_one_is_not_read_again() {
        let (mut a, mut b) = (wires(A), wires(B));
        let frames: Vec<Bytes> = (1..=4).map(|member| frame(&mut a, B, member)).collect();
        let messages = vec![Message::Detach { member: 1 }];
        assert_eq!(b.receive(&frames[0]).unwrap(), Some(Arrived { from: A, messages }));
        assert!(b.receive(&frames[1]).unwrap().is_some() && b.take_broken().is_empty());
        assert!(b.receive(&frames[1]).unwrap().is_none());
        assert!(b.receive(&frames[3]).unwrap().is_some(), "what comes is read");
        assert_eq!((b.take_broken(), b.take_broken()), (vec![A], vec![]));
        assert!(wires(A).receive(&frames[0]).unwrap().is_none(), "it is for another");
    }

    #[test]
    fn a_tracker_that_was_forgotten_and_comes_back_reads_what_it_is_sent() {
        let (mut a, mut b) = (wires(A), wires(B));
        (1..=3).for_each(|member| assert!(b.receive(&frame(&mut a, B, member)).unwrap().is_some()));
        a.retain(|_| false);
        assert!(b.receive(&frame(&mut a, B, 4)).unwrap().is_some() && b.take_broken().is_empty());
        b.retain(|_| false);
        assert!(b.receive(&frame(&mut a, B, 5)).unwrap().is_some());
        assert_eq!(b.take_broken(), [A], "it does not know what it missed");
    }

    #[test]
    fn what_is_too_much_is_dropped_and_the_receiver_notices() {
        let (mut a, mut b) = (wires(A), wires(B));
        b.receive(&frame(&mut a, B, 1)).unwrap();
        let text = "x".repeat(WIRE_BYTES_MAX / 4);
        (0..4).for_each(|_| a.push(B, Message::Request { member: 1, epoch: 1, text: text.clone() }));
        assert!(!a.is_waiting());
        assert_eq!(a.take_broken(), [B]);
        b.receive(&frame(&mut a, B, 2)).unwrap();
        assert_eq!(b.take_broken(), [A]);
    }

    #[test]
    fn much_goes_in_several_frames() {
        let (mut a, mut b) = (wires(A), wires(B));
        let text = "x".repeat(60_000);
        (1..=10).for_each(|member| a.push(B, Message::Request { member, epoch: 1, text: text.clone() }));
        let frames = a.take_frames();
        assert!(frames.len() == 2 && frames.iter().all(|(_, frame)| frame.len() < 2 * WIRE_FRAME_BYTES));
        let arrived = frames.iter().map(|(_, frame)| b.receive(frame).unwrap().unwrap().messages.len());
        assert_eq!(arrived.sum::<usize>(), 10);
        assert!(b.take_broken().is_empty() && !a.is_waiting());
    }
}
