//! A socket whose traffic with relays goes through [`Requests`].

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

use super::Credential;
use super::message::{self, Kind, Transaction};
use super::requests::{Receiving, Requests, Sending};

/// Datagrams that wait to be received; more are dropped, as by a kernel. They are answers to what the connection sent.
const READY_MAX: usize = 256;

#[derive(Debug)]
struct State {
    requests: Requests,
    /// What the connection receives next, and from whom.
    ready: VecDeque<(SocketAddr, Vec<u8>)>,
    reader: Option<Waker>,
}

/// A socket that corrects what relays and the `webrtc` crate say to each other.
#[derive(Debug)]
pub(crate) struct RelaySocket {
    below: Arc<dyn AsyncUdpSocket>,
    /// What relays are spoken to through, if that is another socket.
    own: Option<Arc<dyn AsyncUdpSocket>>,
    state: Mutex<State>,
}

impl RelaySocket {
    /// Takes the place of `below`. `own`: a socket for relays alone.
    pub(crate) fn new(
        below: Arc<dyn AsyncUdpSocket>,
        own: Option<Arc<dyn AsyncUdpSocket>>,
        users: Vec<Credential>,
    ) -> Self {
        let provider = rtc::crypto::default_provider().ok();
        let state = State { requests: Requests::new(users, provider), ready: VecDeque::new(), reader: None };
        Self { below, own, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket for what goes to relays.
    fn relay_side(&self) -> &dyn AsyncUdpSocket {
        self.own.as_deref().unwrap_or(&*self.below)
    }

    /// The socket that a datagram of this kind leaves through.
    fn side(&self, kind: Kind, receiver: SocketAddr) -> &dyn AsyncUdpSocket {
        match kind {
            Kind::Request { .. } | Kind::Send => self.relay_side(),
            // Content of other protocols may begin with the same byte.
            Kind::Channel if self.lock().requests.is_relay(receiver) => self.relay_side(),
            Kind::Channel | Kind::Response { .. } | Kind::Other => &*self.below,
        }
    }

    /// Sends one datagram, or what takes its place.
    fn poll_send_one(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let (kind, receiver) = (message::kind(transmit.contents), transmit.destination);
        let sending = self.lock().requests.sending(kind, receiver, transmit.contents);
        let side = self.side(kind, receiver);
        match sending {
            Sending::Same => side.poll_send(cx, transmit),
            Sending::Instead(contents) => {
                let sent = ready!(side.poll_send(cx, &Transmit { contents: &contents, ..transmit.clone() }));
                Poll::Ready(sent.map(|_| transmit.contents.len()))
            }
            Sending::Answer(answer) => {
                let mut state = self.lock();
                state.push(receiver, answer);
                if let Some(reader) = state.reader.take() {
                    reader.wake();
                }
                Poll::Ready(Ok(transmit.contents.len()))
            }
        }
    }

    /// Looks at what came; whether the connection receives it as it is. Other datagrams become ready.
    fn is_taken(
        &self,
        side: &dyn AsyncUdpSocket,
        cx: &mut Context<'_>,
        bytes: &[u8],
        meta: RecvMeta,
    ) -> bool {
        let stride = meta.stride.max(1);
        let is_response = |datagram| matches!(message::kind(datagram), Kind::Response { .. });
        if !bytes.chunks(stride).any(is_response) {
            return true;
        }
        for datagram in bytes.chunks(stride) {
            let kind = message::kind(datagram);
            // Without random numbers the request keeps the name that its answer had.
            let fresh = random().or_else(|| message::transaction(datagram)).unwrap_or_default();
            let mut state = self.lock();
            match state.requests.receiving(kind, meta.addr, datagram, fresh) {
                Receiving::Same => state.push(meta.addr, datagram.to_vec()),
                Receiving::Instead(other) => state.push(meta.addr, other),
                Receiving::Reply(again) => {
                    drop(state);
                    let transmit = Transmit {
                        destination: meta.addr,
                        ecn: None,
                        contents: &again,
                        segment_size: None,
                        src_ip: None,
                    };
                    // What the kernel does not take now, the crate repeats in a moment.
                    let _ = side.poll_send(cx, &transmit);
                }
            }
        }
        false
    }
}

impl State {
    fn push(&mut self, sender: SocketAddr, datagram: Vec<u8>) {
        if self.ready.len() < READY_MAX {
            self.ready.push_back((sender, datagram));
        }
    }

    fn take(&mut self, buffer: &mut IoSliceMut<'_>) -> Option<RecvMeta> {
        let (sender, datagram) = self.ready.pop_front()?;
        let length = datagram.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), datagram.get(..length)) {
            to.copy_from_slice(from);
        }
        let mut meta = RecvMeta::default();
        meta.addr = sender;
        meta.len = length;
        meta.stride = length.max(1);
        Some(meta)
    }
}

fn random() -> Option<Transaction> {
    let mut name = Transaction::default();
    getrandom::fill(&mut name).ok().map(|()| name)
}

impl AsyncUdpSocket for RelaySocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.below.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let stride = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        if transmit.contents.len() <= stride {
            return self.poll_send_one(cx, transmit);
        }
        // A batch goes to one receiver, nearly always content; only requests among it are sent one by one.
        let mut kinds = transmit.contents.chunks(stride).map(message::kind);
        if kinds.all(|kind| kind == Kind::Channel) {
            return self.side(Kind::Channel, transmit.destination).poll_send(cx, transmit);
        }
        if transmit.contents.chunks(stride).all(|datagram| message::kind(datagram) == Kind::Other) {
            return self.below.poll_send(cx, transmit);
        }
        for contents in transmit.contents.chunks(stride) {
            let one = Transmit { contents, segment_size: None, ..transmit.clone() };
            // If the kernel takes no more, all of it is sent again: receivers bear duplicates.
            if let Err(error) = ready!(self.poll_send_one(cx, &one)) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(transmit.contents.len()))
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
        loop {
            {
                let mut state = self.lock();
                if let Some(taken) = state.take(buffer) {
                    *first = taken;
                    return Poll::Ready(Ok(1));
                }
                state.reader = Some(cx.waker().clone());
            }
            let sides = std::iter::once(&self.below).chain(&self.own);
            let mut is_pending = true;
            for side in sides {
                match side.poll_recv(cx, std::slice::from_mut(buffer), std::slice::from_mut(first)) {
                    Poll::Ready(Ok(_)) => {
                        let bytes = buffer.get(..first.len).unwrap_or_default();
                        if self.is_taken(&**side, cx, bytes, *first) {
                            return Poll::Ready(Ok(1));
                        }
                        is_pending = false;
                        break;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {}
                }
            }
            if is_pending {
                return Poll::Pending;
            }
        }
    }

    fn max_gso_segments(&self) -> usize {
        self.below.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.below.max_gro_segments().max(self.relay_side().max_gro_segments())
    }
}
