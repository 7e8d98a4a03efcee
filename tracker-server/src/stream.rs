//! A TCP stream whose writes must make progress, and that is read at a bounded rate.
//!
//! hyper bounds how long a request may take to arrive, not how long an answer may take to be read. A peer that
//! asks and does not read would otherwise hold a connection, and the answer in memory, for ever.
//!
//! The decisions count messages. Frames that never become one, such as empty fragments, cost processor time and are not
//! counted there. So bytes are: a connection that sends more than any peer does is read more slowly, and its sender waits.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::limits::{READ_BURST, READ_BYTES_PER_S};

/// The stream. A write that makes no progress for as long as the limit fails.
#[derive(Debug)]
pub(crate) struct PatientStream {
    stream: TcpStream,
    limit: Duration,
    /// Runs while a write waits; an idle connection has none.
    alarm: Option<Pin<Box<Sleep>>>,
    pace: ReadPace,
    /// Runs while reading waits.
    pause: Option<Pin<Box<Sleep>>>,
}

/// How far reading is ahead of its rate.
#[derive(Debug)]
struct ReadPace {
    /// What was read until now is paid for at this time.
    paid_at: Instant,
}

impl ReadPace {
    /// Counts bytes that were read.
    fn note(&mut self, now: Instant, bytes: usize) {
        let micros = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(1_000_000) / READ_BYTES_PER_S;
        self.paid_at = self.paid_at.max(now) + Duration::from_micros(micros);
    }

    /// When to read on, if that is not now.
    fn resumes_at(&self, now: Instant) -> Option<Instant> {
        let ahead = self.paid_at.saturating_duration_since(now);
        ahead.checked_sub(READ_BURST).filter(|wait| !wait.is_zero()).map(|wait| now + wait)
    }
}

impl PatientStream {
    pub(crate) fn new(stream: TcpStream, limit: Duration) -> Self {
        Self { stream, limit, alarm: None, pace: ReadPace { paid_at: Instant::now() }, pause: None }
    }

    /// Sets the alarm while `written` is pending, and fails once it rings.
    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.alarm = None;
            return written;
        }
        let limit = self.limit;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer was not read in time")))
    }
}

impl AsyncRead for PatientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let bytes = buffer.filled().len().saturating_sub(before);
        if bytes > 0 {
            let now = Instant::now();
            self.pace.note(now, bytes);
            self.pause = self.pace.resumes_at(now).map(|at| Box::pin(sleep_until(at)));
        }
        read
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_read_at_once_and_what_follows_at_the_rate() {
        let start = Instant::now();
        let burst_bytes = usize::try_from(READ_BYTES_PER_S * READ_BURST.as_secs()).unwrap();
        let mut pace = ReadPace { paid_at: start };
        pace.note(start, burst_bytes);
        assert_eq!(pace.resumes_at(start), None, "a manifest of the greatest length arrives at once");
        pace.note(start, usize::try_from(READ_BYTES_PER_S).unwrap());
        assert_eq!(pace.resumes_at(start), Some(start + Duration::from_secs(1)));
        let later = start + READ_BURST + Duration::from_secs(100);
        pace.note(later, burst_bytes);
        assert_eq!(pace.resumes_at(later), None, "who was silent has its burst again");
        pace.note(later, usize::MAX);
        assert!(pace.resumes_at(later).is_some_and(|at| at > later), "no length overflows");
    }
}
