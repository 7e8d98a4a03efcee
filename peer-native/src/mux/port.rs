//! The port itself: its real sockets, their readers, and the connections that share it.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use webrtc::runtime::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};

use super::inbox::{Batch, Inbox};
use super::stun;
use super::table::{ConnectionId, Table};

/// Reads that one call of the kernel may fill.
const READS_MAX: usize = 8;

/// Bytes of one read: as many datagrams as a kernel joins.
const READ_BYTES: usize = 64 * 1024;

/// Bytes that the kernel is asked to keep for the port; it grants what its settings allow.
const KERNEL_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// The port cannot be had. One line for a person.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// Another program has it.
    #[error(
        "UDP port {0} is in use by another program; choose another with --udp-port, or stop that program"
    )]
    InUse(u16),
    /// It is reserved for privileged programs.
    #[error("UDP port {0} may not be used by this user; choose one above 1023 with --udp-port")]
    Denied(u16),
    /// Anything else.
    #[error("UDP port {0} cannot be opened: {1}")]
    Other(u16, #[source] io::Error),
}

impl PortError {
    pub(crate) fn new(port: u16, error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::AddrInUse {
            Self::InUse(port)
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            Self::Denied(port)
        } else {
            Self::Other(port, error)
        }
    }
}

/// A real socket with what the kernel can do with it.
#[derive(Debug)]
pub(crate) struct RealSocket {
    pub(crate) socket: UdpSocket,
    pub(crate) batching: Batching,
}

/// The state of batched reading and sending; it has no `Debug` of its own.
pub(crate) struct Batching(pub(crate) UdpSocketState);

impl std::fmt::Debug for Batching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batching").finish_non_exhaustive()
    }
}

impl RealSocket {
    fn bind(ip: IpAddr, port: u16) -> io::Result<Self> {
        let address = SocketAddr::new(ip, port);
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if ip.is_ipv6() {
            // IPv4 has a socket of its own.
            socket.set_only_v6(true)?;
        }
        // Less than asked for is no error and cannot be helped from here.
        let _ = socket.set_recv_buffer_size(KERNEL_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let batching = Batching(UdpSocketState::new(UdpSockRef::from(&socket))?);
        Ok(Self { socket, batching })
    }

    /// Hands datagrams to the kernel if it takes them now.
    pub(crate) fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let socket = UdpSockRef::from(&self.socket);
        self.socket.try_io(Interest::WRITABLE, || self.batching.0.try_send(socket, transmit))
    }

    async fn receive(&self, buffers: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> io::Result<usize> {
        let read = || self.batching.0.recv(UdpSockRef::from(&self.socket), buffers, meta);
        self.socket.async_io(Interest::READABLE, read).await
    }
}

#[derive(Debug, Default)]
struct State {
    table: Table,
    /// Of each connection, the sockets by their local address.
    inboxes: HashMap<ConnectionId, HashMap<IpAddr, Arc<Inbox>>>,
}

/// Shared by the port, its readers and its connections.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a read to whom it is for.
    fn deliver(&self, local: Option<IpAddr>, sender: SocketAddr, bytes: &[u8], stride: usize) {
        let stride = stride.clamp(1, bytes.len().max(1));
        let mut state = self.lock();
        // Datagrams that the kernel joined are looked at one by one only if there is STUN among them.
        if bytes.chunks(stride).all(|datagram| stun::read(datagram).is_none()) {
            state.deliver(local, sender, bytes, stride);
        } else {
            for datagram in bytes.chunks(stride) {
                state.deliver(local, sender, datagram, datagram.len());
            }
        }
    }
}

impl State {
    fn deliver(&mut self, local: Option<IpAddr>, sender: SocketAddr, bytes: &[u8], stride: usize) {
        let ids = self.table.route(sender, bytes.get(..stride).unwrap_or(bytes));
        let mut copy = None;
        for id in ids {
            let Some(inbox) = self.inboxes.get(&id).and_then(|sockets| socket_at(sockets, local)) else {
                continue;
            };
            let bytes = copy.get_or_insert_with(|| Bytes::copy_from_slice(bytes)).clone();
            inbox.push(Batch { sender, bytes, stride });
        }
    }
}

/// The socket of a connection that has this local address. Where the system does not tell to which address a
/// datagram came, the first of the family is as good as another.
fn socket_at(sockets: &HashMap<IpAddr, Arc<Inbox>>, local: Option<IpAddr>) -> Option<&Arc<Inbox>> {
    match local {
        Some(local) => sockets.get(&local).or_else(|| sockets.get(&unspecified(local.is_ipv4()))),
        None => sockets.values().next(),
    }
}

const fn unspecified(is_v4: bool) -> IpAddr {
    if is_v4 { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) }
}

/// One UDP port that connections share. Closed when the last connection and the last handle are gone.
#[derive(Debug)]
pub(crate) struct SharedPort {
    number: u16,
    v4: Arc<RealSocket>,
    /// Missing where the system has no IPv6.
    v6: Option<Arc<RealSocket>>,
    shared: Arc<Shared>,
    readers: Vec<JoinHandle<()>>,
}

impl SharedPort {
    /// Opens a port on all addresses of this machine; 0 takes a free one. Runs in a tokio runtime.
    pub(crate) fn open(number: u16) -> Result<Self, PortError> {
        let error = |error| PortError::new(number, error);
        let v4 = Arc::new(RealSocket::bind(unspecified(true), number).map_err(error)?);
        let number = v4.socket.local_addr().map_err(error)?.port();
        let v6 = match RealSocket::bind(unspecified(false), number) {
            Ok(socket) => Some(Arc::new(socket)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(PortError::InUse(number)),
            Err(error) => {
                tracing::debug!(%error, "the port has no IPv6");
                None
            }
        };
        let shared = Arc::new(Shared::default());
        let sockets = [Some(&v4), v6.as_ref()].into_iter().flatten();
        let readers =
            sockets.map(|socket| tokio::spawn(read(Arc::clone(socket), Arc::clone(&shared)))).collect();
        Ok(Self { number, v4, v6, shared, readers })
    }

    /// Its number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Lets a connection take part whose user name fragment is `fragment`.
    pub(crate) fn join(self: &Arc<Self>, fragment: &str) -> Membership {
        let id = self.shared.lock().table.add(fragment);
        Membership { port: Arc::clone(self), id }
    }
}

impl Drop for SharedPort {
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.abort();
        }
    }
}

/// Reads a socket for ever and hands on what it reads.
async fn read(socket: Arc<RealSocket>, shared: Arc<Shared>) {
    let mut memory = vec![0; READS_MAX * READ_BYTES];
    let mut meta = [RecvMeta::default(); READS_MAX];
    loop {
        let received = {
            let mut buffers: Vec<IoSliceMut<'_>> =
                memory.chunks_mut(READ_BYTES).map(IoSliceMut::new).collect();
            socket.receive(&mut buffers, &mut meta).await
        };
        match received {
            Ok(count) => {
                for (meta, bytes) in meta.iter().zip(memory.chunks(READ_BYTES)).take(count) {
                    let bytes = bytes.get(..meta.len).unwrap_or_default();
                    shared.deliver(meta.dst_ip, meta.addr, bytes, meta.stride);
                }
            }
            // Some sender's port is closed, or the like: the socket serves the others.
            Err(error) => {
                tracing::debug!(%error, "reading the shared port");
                tokio::task::yield_now().await;
            }
        }
    }
}

/// A connection's part of a port. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    port: Arc<SharedPort>,
    id: ConnectionId,
}

impl Membership {
    /// The queue of what comes for this connection to a local address, and the socket that sends from it.
    pub(crate) fn socket(&self, local: IpAddr) -> io::Result<(Arc<Inbox>, Arc<RealSocket>)> {
        let real = if local.is_ipv4() { Some(&self.port.v4) } else { self.port.v6.as_ref() };
        let real = real.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let inbox = Arc::new(Inbox::default());
        self.port.shared.lock().inboxes.entry(self.id).or_default().insert(local, Arc::clone(&inbox));
        Ok((inbox, Arc::clone(real)))
    }

    /// Notes what is about to be sent, so that answers find their way back.
    pub(crate) fn sending(&self, receiver: SocketAddr, datagram: &[u8]) {
        // Most of what is sent is data, which tells nothing.
        if stun::read(datagram).is_some() {
            self.port.shared.lock().table.sent(self.id, receiver, datagram);
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = self.port.shared.lock();
        state.table.remove(self.id);
        state.inboxes.remove(&self.id);
    }
}
