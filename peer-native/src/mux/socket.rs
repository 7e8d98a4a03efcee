//! A socket as one connection sees it, on a shared port.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

use super::inbox::Inbox;
use super::port::{Membership, RealSocket};

/// Waits until the kernel takes datagrams again. Each sharer needs one of its own: a socket's readiness wakes
/// only the last who polled it.
type Writable = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// One local address of one connection.
pub(crate) struct MuxSocket {
    /// What the connection takes for its address; its port is nobody's.
    local: SocketAddr,
    membership: Arc<Membership>,
    inbox: Arc<Inbox>,
    real: Arc<RealSocket>,
    writable: Mutex<Option<Writable>>,
}

impl MuxSocket {
    /// Takes the place of a socket of the connection that was bound to `local`.
    pub(crate) fn new(membership: Arc<Membership>, local: SocketAddr) -> io::Result<Self> {
        let (inbox, real) = membership.socket(local.ip())?;
        Ok(Self { local, membership, inbox, real, writable: Mutex::new(None) })
    }
}

impl fmt::Debug for MuxSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MuxSocket").field("local", &self.local).finish_non_exhaustive()
    }
}

impl AsyncUdpSocket for MuxSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.membership.sending(transmit.destination, transmit.contents);
        let from_here =
            Transmit { src_ip: Some(self.local.ip()).filter(|ip| !ip.is_unspecified()), ..transmit.clone() };
        let mut writable = self.writable.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match self.real.try_send(&from_here) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => {
                    *writable = None;
                    return Poll::Ready(sent.map(|()| transmit.contents.len()));
                }
            }
            let real = Arc::clone(&self.real);
            let waiting =
                writable.get_or_insert_with(|| Box::pin(async move { real.socket.writable().await }));
            let ready = ready!(waiting.as_mut().poll(cx));
            *writable = None;
            if let Err(error) = ready {
                return Poll::Ready(Err(error));
            }
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (bufs.first_mut(), meta.first_mut()) else {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        };
        *meta = ready!(self.inbox.poll_take(cx, buffer));
        Poll::Ready(Ok(1))
    }

    fn max_gso_segments(&self) -> usize {
        self.real.batching.0.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.real.batching.0.gro_segments()
    }
}
