//! A socket whose connection sees what came when [`Patience`] says so.
//!
//! It also nudges a young connection: the `webrtc` crate sends what an event leads to, such as the first packet of
//! an association once its encryption stands, when it is next woken, which may be a twentieth of a second later.
//! An empty datagram wakes it, and nothing else.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

use super::patience::{Patience, Verdict};
use super::traffic::Traffic;

/// After this long the connection has done what it was woken for.
const NUDGE_AFTER: Duration = Duration::from_millis(1);

/// What one call of the socket below yielded.
#[derive(Debug)]
struct Batch {
    meta: RecvMeta,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct State {
    patience: Patience,
    /// What waits; bounded by the policy.
    held: VecDeque<Batch>,
    /// What waited long enough, older than what waits.
    ready: VecDeque<Batch>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// A socket that waits for the rest of what is arriving.
#[derive(Debug)]
pub(super) struct PatientSocket {
    below: Arc<dyn AsyncUdpSocket>,
    traffic: Arc<Traffic>,
    state: Mutex<State>,
}

impl PatientSocket {
    /// Takes the place of a socket. What passes is counted in `traffic`.
    pub(super) fn new(below: Arc<dyn AsyncUdpSocket>, traffic: Arc<Traffic>) -> Self {
        let state =
            State { patience: Patience::new(), held: VecDeque::new(), ready: VecDeque::new(), timer: None };
        Self { below, traffic, state: Mutex::new(state) }
    }
}

impl State {
    /// Looks at what just came into `buffer`; whether the connection sees it at once, with nothing before it.
    fn is_taken(&mut self, buffer: &[u8], meta: RecvMeta) -> bool {
        let bytes = buffer.get(..meta.len).unwrap_or_default();
        let now = Instant::now();
        match self.patience.heard(now, datagrams(buffer, meta)) {
            Verdict::Now if self.held.is_empty() => {
                self.set_timer(self.patience.is_young().then(|| now + NUDGE_AFTER));
                true
            }
            Verdict::Now => {
                self.held.push_back(Batch { meta, bytes: bytes.to_vec() });
                self.hand_on();
                false
            }
            Verdict::At(time) => {
                self.held.push_back(Batch { meta, bytes: bytes.to_vec() });
                self.set_timer(Some(time));
                false
            }
        }
    }

    fn hand_on(&mut self) {
        self.patience.handed_on();
        self.ready.append(&mut self.held);
        self.timer = None;
    }

    fn set_timer(&mut self, at: Option<Instant>) {
        match (at, &mut self.timer) {
            (Some(at), Some(timer)) => timer.as_mut().reset(at.into()),
            (at, timer) => *timer = at.map(|at| Box::pin(sleep_until(at.into()))),
        }
    }

    /// Whether the timer went off just now.
    fn is_time(&mut self, cx: &mut Context<'_>) -> bool {
        let is_time = self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if is_time {
            self.timer = None;
        }
        is_time
    }
}

/// The datagrams of one call.
fn datagrams(buffer: &[u8], meta: RecvMeta) -> impl Iterator<Item = &[u8]> {
    buffer.get(..meta.len).unwrap_or_default().chunks(meta.stride.max(1))
}

impl AsyncUdpSocket for PatientSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.below.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let sent = self.below.poll_send(cx, transmit);
        if let Poll::Ready(Ok(bytes)) = sent {
            self.traffic.note_sent(bytes);
        }
        sent
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        // One batch a call: the connection asks for no more.
        let (Some(buffer), Some(first)) = (bufs.first_mut(), meta.first_mut()) else {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(batch) = state.ready.pop_front() {
                if let Some(to) = buffer.get_mut(..batch.bytes.len()) {
                    to.copy_from_slice(&batch.bytes);
                }
                *first = batch.meta;
                return Poll::Ready(Ok(1));
            }
            let below = self.below.poll_recv(cx, std::slice::from_mut(buffer), std::slice::from_mut(first));
            match below {
                // The other side sends them again, unless its link is about to end.
                Poll::Ready(Ok(_)) if !self.traffic.note_received(datagrams(buffer, *first)) => {}
                Poll::Ready(Ok(_)) if state.is_taken(buffer, *first) => return Poll::Ready(Ok(1)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if !state.is_time(cx) => return Poll::Pending,
                Poll::Pending if state.held.is_empty() => {
                    *first = RecvMeta::default();
                    (first.len, first.stride) = (0, 1);
                    return Poll::Ready(Ok(1));
                }
                Poll::Pending => state.hand_on(),
            }
        }
    }

    fn max_gso_segments(&self) -> usize {
        self.below.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.below.max_gro_segments()
    }
}
