//! The outgoing queue of one connection: bounded in bytes, closed when it would overflow.
//!
//! A hand-made queue rather than a channel: a channel is bounded in messages, which here differ a
//! thousandfold in size, and allocates its slots for connections that have nothing to say.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::decision::CloseReason;
use crate::decision::network::Subnet;
use crate::limits::{OUTBOX_BYTES_MAX, OUTBOX_SIGNAL_BYTES_MAX, OUTBOX_SUBNET_SHARE};

/// What a connection is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send these text frames, in order.
    Send(VecDeque<String>),
    /// Close; nothing follows.
    Close(CloseReason),
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<String>,
    bytes: usize,
    /// Bytes of signals among them, by where they come from.
    signals: Vec<(Subnet, usize)>,
    close: Option<CloseReason>,
}

/// Frames that wait for one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    changed: Notify,
}

impl Outbox {
    /// Adds a frame. Whether the connection still takes any: one that does not read loses what waits for it
    /// and is closed.
    pub(crate) fn push(&self, frame: String) -> bool {
        let mut queue = self.lock();
        if queue.close.is_none() {
            queue.bytes += frame.len();
            if queue.bytes > OUTBOX_BYTES_MAX {
                queue.frames = VecDeque::new();
                queue.signals = Vec::new();
                queue.close = Some(CloseReason::SlowReader);
            } else {
                queue.frames.push_back(frame);
            }
        }
        let is_open = queue.close.is_none();
        drop(queue);
        self.changed.notify_one();
        is_open
    }

    /// Whether a signal of another peer may be added. Half of the room is kept for the tracker's own messages. When half of
    /// the rest is taken, a subnet adds no more than its share, so that signals from elsewhere still pass.
    pub(crate) fn has_signal_room(&self, bytes: usize, from: Option<Subnet>) -> bool {
        let queue = self.lock();
        let taken = queue.bytes.saturating_add(bytes);
        let own = queue.signals.iter().find(|(subnet, _)| Some(*subnet) == from).map_or(0, |(_, own)| *own);
        taken <= OUTBOX_SIGNAL_BYTES_MAX / 2
            || (taken <= OUTBOX_SIGNAL_BYTES_MAX
                && own + bytes <= OUTBOX_SIGNAL_BYTES_MAX / OUTBOX_SUBNET_SHARE)
    }

    /// A signal of another peer was added.
    pub(crate) fn note_signal(&self, bytes: usize, from: Subnet) {
        let mut queue = self.lock();
        // What was added may have been taken already.
        if queue.frames.is_empty() {
            return;
        }
        match queue.signals.iter_mut().find(|(subnet, _)| *subnet == from) {
            Some((_, own)) => *own += bytes,
            None => queue.signals.push((from, bytes)),
        }
    }

    /// Lets the connection close after what waits. The first reason counts.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.lock().close.get_or_insert(reason);
        self.changed.notify_one();
    }

    /// Whether it is not to close.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().close.is_none()
    }

    /// Waits for something to do. May be dropped and called again; for one waiter.
    pub(crate) async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.changed.notified().await;
        }
    }

    fn take(&self) -> Option<Next> {
        let mut queue = self.lock();
        if queue.frames.is_empty() {
            return queue.close.map(Next::Close);
        }
        queue.bytes = 0;
        queue.signals = Vec::new();
        // Taking the buffer with the frames leaves an idle connection without one.
        Some(Next::Send(std::mem::take(&mut queue.frames)))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::decision::network::Site;

    #[tokio::test]
    async fn what_waits_is_sent_before_the_close() {
        let outbox = Outbox::default();
        assert!(outbox.push("a".into()) && outbox.push("b".into()));
        outbox.close(CloseReason::Full);
        outbox.close(CloseReason::Stopping);
        assert!(!outbox.push("c".into()));
        assert_eq!(outbox.next().await, Next::Send(["a".into(), "b".into()].into()));
        assert_eq!(outbox.next().await, Next::Close(CloseReason::Full));
    }

    #[tokio::test]
    async fn a_reader_too_slow_is_closed_and_its_memory_given_back() {
        let outbox = Outbox::default();
        let frame = "x".repeat(OUTBOX_BYTES_MAX / 4);
        assert!((0..4).all(|_| outbox.push(frame.clone())));
        assert!(!outbox.push("x".into()));
        assert_eq!(outbox.next().await, Next::Close(CloseReason::SlowReader));
    }

    #[test]
    fn signals_leave_half_of_the_room_to_the_tracker() {
        let outbox = Outbox::default();
        let frame = "x".repeat(OUTBOX_SIGNAL_BYTES_MAX / 8);
        let sent =
            (0..100).filter(|_| outbox.has_signal_room(frame.len(), None) && outbox.push(frame.clone()));
        assert_eq!(sent.count(), 8);
        assert!((0..8).all(|_| outbox.push(frame.clone())), "the other half is the tracker's own");
    }

    #[test]
    fn a_subnet_that_fills_its_share_leaves_room_for_signals_from_elsewhere() {
        let outbox = Outbox::default();
        let frame = "x".repeat(OUTBOX_SIGNAL_BYTES_MAX / 16);
        let subnet = |number| Site::of(Ipv4Addr::new(192, 0, number, 1).into()).subnet();
        let send = |from| {
            let is_sent = outbox.has_signal_room(frame.len(), Some(from)) && outbox.push(frame.clone());
            is_sent.then(|| outbox.note_signal(frame.len(), from))
        };
        let count = |from| (0..100).filter_map(|_| send(from)).count();
        assert_eq!(count(subnet(1)), 8, "half, as nobody else is there");
        assert_eq!(
            [2, 3, 4].map(|number| count(subnet(number))),
            [4, 4, 0],
            "the others have their shares of the rest"
        );
        assert!(matches!(outbox.take(), Some(Next::Send(_))));
        assert_eq!(count(subnet(1)), 8, "what was taken does not count");
    }

    #[tokio::test]
    async fn a_waiter_is_woken() {
        let outbox = Outbox::default();
        let (next, ()) = tokio::join!(outbox.next(), async { _ = outbox.push("late".into()) });
        assert_eq!(next, Next::Send(["late".into()].into()));
    }
}
