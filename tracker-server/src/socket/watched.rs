//! The stream below a WebSocket: lets the bytes of a long message pass only once there is room for it.
//!
//! What a connection can make the tracker keep of a message that it does not end is [`MESSAGE_FREE_BYTES`], and what it has of
//! the room for longer ones ([`room`](super::room)) for a while. Before its greeting it gets little of it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::frames::{Decide, Frames, Header, Step};
use super::room::{MessageRoom, Reserved};
use crate::decision::CloseReason;
use crate::decision::network::Site;
use crate::limits::{
    FRAMES_PER_MESSAGE_MAX, MESSAGE_BEFORE_HELLO_BYTES, MESSAGE_FREE_BYTES, MESSAGE_ROOM_RETRY,
};

/// What a connection may send.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Where it comes from.
    pub(crate) site: Site,
    /// Bytes of a message, at most.
    pub(crate) message_bytes_max: usize,
    pub(crate) room: Arc<MessageRoom>,
    /// For how long a longer message may be on its way.
    pub(crate) patience: Duration,
    /// Set once the other side has shown that it is one of our own: then its messages take no account.
    pub(crate) is_own: Option<Arc<AtomicBool>>,
}

/// The stream.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    frames: Frames,
    watch: Watch,
    /// Bytes that were read and may not pass yet: what one read brings, at most.
    held: Vec<u8>,
    /// Runs while a long message waits for room.
    pause: Option<Pin<Box<Sleep>>>,
    /// Runs while a long message is on its way.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// What is known of the message under way.
#[derive(Debug)]
struct Watch {
    terms: Terms,
    is_greeted: bool,
    /// Whether a message has come.
    has_begun: bool,
    /// Bytes of the message so far, those of the current frame among them.
    message_bytes: usize,
    /// Its frames so far.
    message_frames: u32,
    /// The room of a message that is longer than usual.
    reserved: Option<Reserved>,
    /// A long message is complete and was not taken yet.
    is_whole: bool,
    fault: Option<CloseReason>,
}

impl Decide for Watch {
    /// If a frame may not come, its sender waits, or there is a fault.
    fn admits(&mut self, Header { length, is_data, is_last: _ }: Header) -> bool {
        if !is_data {
            // The library refuses control frames beyond 125 bytes before it makes room for them.
            return true;
        }
        let max = self.terms.message_bytes_max;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let whole = self.message_bytes.saturating_add(length);
        if whole > max || self.message_frames == FRAMES_PER_MESSAGE_MAX {
            self.fault = Some(CloseReason::TooLong);
            return false;
        }
        let is_own = self.terms.is_own.as_ref().is_some_and(|is_own| is_own.load(Ordering::Relaxed));
        if is_own || whole <= MESSAGE_FREE_BYTES {
            self.count(whole);
            return true;
        }
        if !self.is_greeted && whole > MESSAGE_BEFORE_HELLO_BYTES {
            // What follows a greeting may be here before the greeting is answered; nothing may stand in its place.
            if !self.has_begun {
                self.fault = Some(CloseReason::TooLong);
            }
            return false;
        }
        let Terms { site, room, .. } = &self.terms;
        let mut reserved = self.reserved.take().unwrap_or_else(|| Reserved::none(Arc::clone(room), *site));
        // Once as a frame, once as a part of the message.
        let is_admitted = reserved.grow_to(2 * whole);
        self.reserved = Some(reserved);
        if is_admitted {
            self.count(whole);
        }
        is_admitted
    }

    /// Stops after a long message.
    fn ended(&mut self) -> bool {
        self.has_begun = true;
        (self.message_bytes, self.message_frames) = (0, 0);
        self.is_whole = self.reserved.is_some();
        self.is_whole
    }
}

impl Watch {
    /// Notes a frame with which the message has so many bytes.
    const fn count(&mut self, whole: usize) {
        self.message_bytes = whole;
        self.message_frames += 1;
    }
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, terms: Terms) -> Self {
        let watch = Watch {
            terms,
            is_greeted: false,
            has_begun: false,
            message_bytes: 0,
            message_frames: 0,
            reserved: None,
            is_whole: false,
            fault: None,
        };
        let frames = Frames::default();
        Self { stream, frames, watch, held: Vec::new(), pause: None, deadline: None }
    }

    /// The other side was greeted: it may send messages of any length that there is room for.
    pub(crate) fn greet(&mut self) {
        self.watch.is_greeted = true;
        self.pause = None;
    }

    /// Why nothing can be read any more, if that is the other side's doing.
    pub(crate) const fn fault(&self) -> Option<CloseReason> {
        self.watch.fault
    }

    /// Whether a long message is complete. Nothing is read beyond its end until [`Watched::release`], so that what decoded it
    /// holds no other bytes and can be dropped with its buffers.
    pub(crate) const fn is_whole(&self) -> bool {
        self.watch.is_whole
    }

    /// A long message was taken, and the buffers that it needed were dropped.
    pub(crate) fn release(&mut self) {
        (self.watch.reserved, self.watch.is_whole) = (None, false);
        (self.pause, self.deadline) = (None, None);
    }

    /// How many of these bytes may pass now.
    fn look(&mut self, bytes: &[u8]) -> usize {
        match self.frames.look(bytes, &mut self.watch) {
            Step::Pass => bytes.len(),
            Step::Stop(count) | Step::Ended(count) => count,
        }
    }

    /// Done with an error when a long message is not complete in time.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        if self.watch.reserved.is_none() && self.held.is_empty() {
            return Poll::Pending;
        }
        let patience = self.watch.terms.patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(deadline.as_mut().poll(context));
        let reason = if self.held.is_empty() { CloseReason::Unfinished } else { CloseReason::NoMessageRoom };
        self.watch.fault.get_or_insert(reason);
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Reads on and forgets what comes, so that a close frame is not lost with it.
    pub(crate) async fn drain(&mut self) {
        _ = tokio::io::copy(&mut self.stream, &mut tokio::io::sink()).await;
    }

    /// Lets bytes that were held pass, or says that none may.
    fn pass_held(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let held = std::mem::take(&mut self.held);
        let (offered, _) = held.split_at(held.len().min(buffer.remaining()));
        let count = self.look(offered);
        let (passed, kept) = held.split_at(count);
        buffer.put_slice(passed);
        self.held = kept.to_vec();
        count > 0
    }

    /// Reads what comes and lets pass what may. Whether anything passed, or the stream ended.
    fn poll_fresh(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        let is_end = fresh.is_empty();
        let count = self.look(fresh);
        self.held = fresh.get(count..).unwrap_or_default().to_vec();
        buffer.set_filled(before + count);
        Poll::Ready(Ok(count > 0 || is_end))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.watch.is_whole || this.watch.fault.is_some() {
                return Poll::Ready(Err(io::Error::other("nothing is read on")));
            }
            if let Some(pause) = &mut this.pause {
                if pause.as_mut().poll(context).is_pending() {
                    return this.poll_deadline(context).map(Err);
                }
                this.pause = None;
            }
            let has_passed = if this.held.is_empty() {
                match this.poll_fresh(context, buffer) {
                    Poll::Ready(result) => result?,
                    Poll::Pending => return this.poll_deadline(context).map(Err),
                }
            } else {
                this.pass_held(buffer)
            };
            if has_passed {
                return Poll::Ready(Ok(()));
            }
            this.pause = Some(Box::pin(sleep(MESSAGE_ROOM_RETRY)));
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
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
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::timeout;

    use super::*;

    /// Longer than any of these streams takes to pass bytes or to give up.
    const PATIENCE: Duration = Duration::from_secs(5);

    fn watched<S>(stream: S, is_own: Option<Arc<AtomicBool>>) -> Watched<S> {
        let terms = Terms {
            site: Site::of(Ipv4Addr::LOCALHOST.into()),
            message_bytes_max: 60_000,
            room: Arc::default(),
            patience: Duration::from_millis(50),
            is_own,
        };
        Watched::new(stream, terms)
    }

    /// A whole text message.
    fn message(length: u16) -> Vec<u8> {
        let mut bytes = [&[0x81, 0xfe][..], &length.to_be_bytes(), &[0; 4]].concat();
        bytes.resize(bytes.len() + usize::from(length), b'x');
        bytes
    }

    #[tokio::test]
    async fn nothing_passes_beyond_a_long_message_until_its_buffers_are_gone() {
        let (mut here, there) = duplex(200_000);
        let mut stream = watched(there, None);
        stream.greet();
        here.write_all(&[message(50_000), message(100)].concat()).await.unwrap();
        let mut taken = Vec::new();
        while !stream.is_whole() {
            let mut part = [0; 1000];
            let count = stream.read(&mut part).await.unwrap();
            taken.extend_from_slice(&part[..count]);
        }
        assert_eq!(taken, message(50_000));
        assert!(stream.read_u8().await.is_err(), "it was not taken yet");
        stream.release();
        let mut next = vec![0; message(100).len()];
        stream.read_exact(&mut next).await.unwrap();
        assert_eq!(next, message(100));
        assert!(!stream.is_whole() && stream.fault().is_none(), "a usual message takes no room");
    }

    #[tokio::test]
    async fn a_sibling_sends_long_messages_only_once_it_is_known() {
        let (mut here, there) = duplex(200_000);
        let is_own = Arc::new(AtomicBool::new(false));
        let mut stream = watched(there, Some(Arc::clone(&is_own)));
        here.write_all(&[message(100), message(50_000), message(50_000)].concat()).await.unwrap();
        let mut first = vec![0; message(100).len() + 7];
        let read = timeout(PATIENCE, stream.read_exact(&mut first)).await;
        read.expect("what comes before it is known passes").unwrap();
        is_own.store(true, Ordering::Relaxed);
        let mut rest = vec![0; message(50_000).len() * 2 - 7];
        let read = timeout(PATIENCE, stream.read_exact(&mut rest)).await;
        read.expect("once it is known, its long messages pass").unwrap();
        assert!(!stream.is_whole(), "its messages take no account");
        let (mut here, there) = duplex(200_000);
        let mut stranger = watched(there, Some(Arc::default()));
        here.write_all(&message(50_000)).await.unwrap();
        let mut first = Vec::new();
        let read = timeout(PATIENCE, stranger.read_to_end(&mut first)).await;
        assert!(read.expect("the long message of a stranger ends its stream").is_err());
        assert_eq!((first.len(), stranger.fault()), (7, Some(CloseReason::TooLong)));
    }
}
