//! Whether an HTTP/2 connection gets anything done.
//!
//! hyper bounds neither how long the first bytes of an HTTP/2 connection may take, nor how long a client may leave its
//! window closed. A connection that has no answer under way, or whose answers are not taken, ends after a while.
//!
//! An answer counts as taken in pieces: a piece is asked for when the client's window and the buffer before it have room.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body as Answer;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

use crate::limits::HTTP2_PIECE_BYTES;

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
    /// When a request came, or a piece of an answer left.
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
        Followed { body, piece: Bytes::new(), activity: Arc::clone(&self.0) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.moved(|state| state.open_requests = state.open_requests.saturating_sub(1));
    }
}

/// A body that leaves in pieces.
#[derive(Debug)]
pub(super) struct Followed {
    body: Answer,
    /// What remains of the last frame.
    piece: Bytes,
    activity: Arc<Activity>,
}

impl Body for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.piece.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.piece = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        self.activity.moved(|_| {});
        let length = self.piece.len().min(HTTP2_PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.piece.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let held = u64::try_from(self.piece.len()).unwrap_or(u64::MAX);
        match hint.upper() {
            Some(upper) => hint.set_upper(upper.saturating_add(held)),
            None => {}
        }
        hint.set_lower(hint.lower().saturating_add(held));
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { first: Duration::from_secs(10), later: Duration::from_secs(20) };

    async fn lasted(activity: &Activity) -> Duration {
        let start = Instant::now();
        activity.ended().await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_ends_sooner_than_one_that_had_some() {
        let activity = Arc::new(Activity::new(LIMITS));
        assert_eq!(lasted(&activity).await.as_secs(), 10);
        drop(Activity::begin(&activity));
        assert_eq!(lasted(&activity).await.as_secs(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_worked_on_is_waited_for_and_its_body_counts_when_it_is_taken() {
        let activity = Arc::new(Activity::new(LIMITS));
        let turn = Activity::begin(&activity);
        let start = Instant::now();
        let ended = activity.ended();
        let work = async {
            sleep_until(start + Duration::from_secs(70)).await;
            let bytes = Bytes::from(vec![7; HTTP2_PIECE_BYTES * 2 + 1]);
            let mut body = turn.follow(Answer::from(bytes.clone()));
            let mut taken = Vec::new();
            while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                let data = frame.unwrap().into_data().unwrap();
                assert!(data.len() <= HTTP2_PIECE_BYTES);
                taken.extend_from_slice(&data);
                let left = u64::try_from(bytes.len() - taken.len()).unwrap();
                assert_eq!(body.size_hint().exact(), Some(left));
                assert_eq!(body.is_end_stream(), left == 0);
                tokio::time::sleep(Duration::from_secs(15)).await;
            }
            assert_eq!(taken, bytes);
        };
        tokio::join!(ended, work);
        // The last piece leaves after 70 and twice 15 seconds.
        assert_eq!(start.elapsed().as_secs(), 70 + 30 + 20);
    }
}
