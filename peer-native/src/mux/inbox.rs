//! What came for one socket of a connection and was not read yet: a bounded queue, as in a kernel.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use webrtc::runtime::RecvMeta;

/// Bytes that may wait; what comes beyond is dropped. A connection of a busy process reads late, not never.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// What waiting costs beside the bytes themselves, so that empty datagrams are bounded, too.
const OVERHEAD_BYTES: usize = 64;

/// Datagrams of one sender that came together: all but the last `stride` bytes long.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// Who sent them.
    pub(crate) sender: SocketAddr,
    /// The datagrams, one after the other.
    pub(crate) bytes: Bytes,
    /// Length of each but the last.
    pub(crate) stride: usize,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Batch>,
    waiting_bytes: usize,
    dropped: u64,
    reader: Option<Waker>,
}

/// The queue of one socket.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
}

impl Inbox {
    /// Adds what came, or drops it if the queue is full.
    pub(crate) fn push(&self, batch: Batch) {
        let reader = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let cost = batch.bytes.len() + OVERHEAD_BYTES;
            if state.waiting_bytes + cost > WAITING_BYTES_MAX {
                state.dropped += 1;
                if state.dropped.is_power_of_two() {
                    tracing::debug!(dropped = state.dropped, "a connection does not read its datagrams");
                }
                return;
            }
            state.waiting_bytes += cost;
            state.batches.push_back(batch);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Takes the oldest batch into `buffer`; what does not fit is lost.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>, buffer: &mut IoSliceMut<'_>) -> Poll<RecvMeta> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(batch) = state.batches.pop_front() else {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.waiting_bytes -= batch.bytes.len() + OVERHEAD_BYTES;
        drop(state);
        let length = batch.bytes.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), batch.bytes.get(..length)) {
            to.copy_from_slice(from);
        }
        let mut meta = RecvMeta::default();
        meta.addr = batch.sender;
        meta.len = length;
        meta.stride = batch.stride.max(1);
        Poll::Ready(meta)
    }

    /// Batches that were dropped because the queue was full.
    #[cfg(test)]
    fn dropped(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(length: usize) -> Batch {
        Batch { sender: SocketAddr::from(([192, 0, 2, 1], 9)), bytes: vec![7; length].into(), stride: length }
    }

    fn take(inbox: &Inbox) -> Option<usize> {
        let mut buffer = [0; 2000];
        let mut cx = Context::from_waker(Waker::noop());
        match inbox.poll_take(&mut cx, &mut IoSliceMut::new(&mut buffer)) {
            Poll::Ready(meta) => Some(meta.len),
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_came_first_is_read_first() {
        let inbox = Inbox::default();
        assert_eq!(take(&inbox), None);
        inbox.push(batch(3));
        inbox.push(batch(0));
        assert_eq!((take(&inbox), take(&inbox), take(&inbox)), (Some(3), Some(0), None));
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_takes_again_once_it_was_read() {
        let inbox = Inbox::default();
        let fitting = WAITING_BYTES_MAX / (1000 + OVERHEAD_BYTES);
        for _ in 0..fitting + 5 {
            inbox.push(batch(1000));
        }
        assert_eq!(inbox.dropped(), 5);
        assert_eq!(take(&inbox), Some(1000));
        inbox.push(batch(1000));
        assert_eq!(inbox.dropped(), 5);
        assert_eq!(std::iter::from_fn(|| take(&inbox)).count(), fitting);
    }

    #[test]
    fn a_batch_larger_than_the_buffer_is_cut_and_nothing_worse() {
        let inbox = Inbox::default();
        inbox.push(batch(5000));
        assert_eq!(take(&inbox), Some(2000));
    }
}
