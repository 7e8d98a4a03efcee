//! A connection that ends when its reader takes nothing for some time.
//!
//! What counts is progress, not speed: a slow reader stays. The system tells a writer of room only when a third of its buffer
//! is free, which takes a slow reader a long time. So a write that waits is tried again from time to time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::places::Traffic;

/// A write that waits is tried so often before the reader counts as stalled.
const TRIES: u32 = 15;

/// The connection.
pub(super) struct PatientStream {
    stream: TcpStream,
    traffic: Arc<Traffic>,
    stall: Duration,
    /// While a write waits: since when, and when it is tried again.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl PatientStream {
    /// Ends with an error when nothing is taken for `stall`. What is sent counts for `traffic`.
    pub(super) fn new(stream: TcpStream, traffic: Arc<Traffic>, stall: Duration) -> Self {
        Self { stream, traffic, stall, waiting: None }
    }

    /// Whether a write that waits gets on: the bytes that the system took, or an error if it has waited too long.
    fn poll_waiting(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let pause = self.stall / TRIES;
        loop {
            let (since, turn) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(pause))));
            ready!(turn.as_mut().poll(context));
            match SockRef::from(&self.stream).send(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if since.elapsed() >= self.stall {
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                    turn.as_mut().reset(Instant::now() + pause);
                }
                sent => return Poll::Ready(sent),
            }
        }
    }
}

impl AsyncRead for PatientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => ready!(self.poll_waiting(context, bytes)),
            Poll::Ready(written) => written,
        };
        self.waiting = None;
        if let Ok(count) = written {
            self.traffic.note(count);
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
