//! Whether an HTTP/2 connection gets anything done.
//!
//! hyper bounds neither how long the first bytes of an HTTP/2 connection may take, nor how long a browser may leave its
//! window closed. A connection that has no answer under way, or whose answers are not taken, ends after a while.
//!
//! An answer counts as taken in parts: a part is asked for when the receiver's window and the buffer before it have room.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body as Answer;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

use crate::limits::HTTP2_PART_BYTES;

/// How long a connection may do nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Before its first request is complete.
    pub(super) first: Duration,
    /// Afterwards.
    pub(super) later: Duration,
}

/// What a connection does.
#[derive(Debug)]
pub(super) struct Activity {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests whose answer is not known yet. They have deadlines of their own.
    open_requests: usize,
    has_served: bool,
    /// When a request came, or a part of an answer left.
    moved_at: Instant,
}

impl Activity {
    pub(super) fn new(limits: Limits) -> Self {
        let state = State { open_requests: 0, has_served: false, moved_at: Instant::now() };
        Self { limits, state: Mutex::new(state) }
    }

    /// A request came.
    pub(super) fn begin(activity: &Arc<Self>) -> Turn {
        activity.moved(|state| {
            state.open_requests += 1;
            state.has_served = true;
        });
        Turn(Arc::clone(activity))
    }

    /// Done when nothing has happened for too long, counted from now.
    pub(super) async fn ended(&self) {
        self.moved(|_| {});
        loop {
            let (now, due) = (Instant::now(), self.due());
            match due {
                Some(due) if due <= now => return,
                Some(due) => sleep_until(due).await,
                None => sleep_until(now + self.limits.later).await,
            }
        }
    }

    /// When the connection is to end if nothing happens. None while a request is worked on.
    fn due(&self) -> Option<Instant> {
        let state = self.lock();
        let limit = if state.has_served { self.limits.later } else { self.limits.first };
        (state.open_requests == 0).then(|| state.moved_at + limit)
    }

    fn moved(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        state.moved_at = Instant::now();
        change(&mut state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is worked on.
#[derive(Debug)]
pub(super) struct Turn(Arc<Activity>);

impl Turn {
    /// The answer is known; its body is followed while it leaves.
    pub(super) fn follow(self, body: Answer) -> Followed {
        Followed { body, part: Bytes::new(), activity: Arc::clone(&self.0) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.moved(|state| state.open_requests = state.open_requests.saturating_sub(1));
    }
}

/// A body that leaves in parts.
#[derive(Debug)]
pub(super) struct Followed {
    body: Answer,
    /// What remains of the last frame.
    part: Bytes,
    activity: Arc<Activity>,
}

impl Body for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.part.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.part = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        self.activity.moved(|_| {});
        let length = self.part.len().min(HTTP2_PART_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.part.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.part.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let held = u64::try_from(self.part.len()).unwrap_or(u64::MAX);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint.set_lower(hint.lower().saturating_add(held));
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { first: Duration::from_secs(10), later: Duration::from_secs(20) };

    /// How long the connection may still do nothing, counted from its last move.
    fn allowed_s(activity: &Activity) -> Option<u64> {
        let moved_at = activity.lock().moved_at;
        activity.due().map(|due| (due - moved_at).as_secs())
    }

    #[test]
    fn a_connection_without_a_request_ends_sooner_than_one_that_had_some() {
        let activity = Arc::new(Activity::new(LIMITS));
        assert_eq!(allowed_s(&activity), Some(10));
        let turn = Activity::begin(&activity);
        assert_eq!(allowed_s(&activity), None, "a request that is worked on has deadlines of its own");
        drop(turn);
        assert_eq!(allowed_s(&activity), Some(20));
    }

    #[tokio::test]
    async fn a_body_leaves_in_parts_that_each_count_as_a_move() {
        let activity = Arc::new(Activity::new(LIMITS));
        let bytes = Bytes::from(vec![7; HTTP2_PART_BYTES * 2 + 1]);
        let mut body = Activity::begin(&activity).follow(Answer::from(bytes.clone()));
        assert_eq!(allowed_s(&activity), Some(20), "from now on only the parts count");
        let mut taken = Vec::new();
        while taken.len() < bytes.len() {
            let before = activity.lock().moved_at;
            let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
            let data = frame.unwrap().unwrap().into_data().unwrap();
            assert!(data.len() <= HTTP2_PART_BYTES);
            taken.extend_from_slice(&data);
            assert!(activity.lock().moved_at > before, "the clock of this machine is finer than a part");
            let left = u64::try_from(bytes.len() - taken.len()).unwrap();
            assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(left), left == 0));
        }
        assert_eq!(taken, bytes);
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_moves_ends() {
        let limits = Limits { first: Duration::from_millis(20), later: Duration::from_secs(3600) };
        let activity = Activity::new(limits);
        let start = Instant::now();
        activity.ended().await;
        assert!(start.elapsed() >= limits.first);
    }
}
