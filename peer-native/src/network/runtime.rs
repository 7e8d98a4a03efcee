//! What a connection of the `webrtc` crate runs on: tokio, with our clock and our sockets.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rtc::mdns::MDNS_PORT;
use socket2::SockRef;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, TokioRuntime,
};

use super::checks::{CheckedSocket, Checks};
use super::clock::{FastClock, shrunk};
use super::patient_socket::PatientSocket;
use super::relay::{Credential, RelaySocket};
use super::traffic::Traffic;
use crate::mux::{Membership, MuxSocket};

/// Bytes that the kernel is asked to keep for a connection's socket while nobody reads it; it grants what its
/// settings allow.
const KERNEL_BUFFER_BYTES: usize = 1024 * 1024;

/// A future of the crate's.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The runtime of one connection.
#[derive(Debug)]
pub(crate) struct LinkRuntime {
    tokio: TokioRuntime,
    clock: FastClock,
    /// On a shared port, the connection's part of it.
    membership: Option<Arc<Membership>>,
    /// Users of the relays that the connection may use.
    relay_users: Vec<Credential>,
    /// Connectivity checks of all sockets.
    checks: Arc<Mutex<Checks>>,
    /// What all sockets carry.
    traffic: Arc<Traffic>,
}

impl LinkRuntime {
    /// A runtime whose sockets are its own, or parts of a shared port.
    pub(crate) fn new(
        membership: Option<Membership>,
        relay_users: Vec<Credential>,
        traffic: Arc<Traffic>,
    ) -> Self {
        let (clock, membership) = (FastClock::new(), membership.map(Arc::new));
        Self { tokio: TokioRuntime, clock, membership, relay_users, checks: Arc::default(), traffic }
    }

    /// What a connection uses in place of these sockets. `own`: a socket for relays alone.
    fn wrapped(
        &self,
        below: Arc<dyn AsyncUdpSocket>,
        own: Option<Arc<dyn AsyncUdpSocket>>,
    ) -> Arc<dyn AsyncUdpSocket> {
        let below: Arc<dyn AsyncUdpSocket> = Arc::new(CheckedSocket::new(below, Arc::clone(&self.checks)));
        let below: Arc<dyn AsyncUdpSocket> = if self.relay_users.is_empty() {
            below
        } else {
            Arc::new(RelaySocket::new(below, own, self.relay_users.clone()))
        };
        Arc::new(PatientSocket::new(below, Arc::clone(&self.traffic)))
    }
}

impl Runtime for LinkRuntime {
    fn spawn(&self, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        self.tokio.spawn(future)
    }

    fn spawn_reactor(&self, reactor_pool_size: usize, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        self.tokio.spawn_reactor(reactor_pool_size, future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let local = socket.local_addr()?;
        if local.port() == MDNS_PORT {
            return self.tokio.wrap_udp_socket(socket);
        }
        // Less than asked for is no error and cannot be helped from here.
        let _ = SockRef::from(&socket).set_recv_buffer_size(KERNEL_BUFFER_BYTES);
        let Some(membership) = &self.membership else {
            return Ok(self.wrapped(self.tokio.wrap_udp_socket(socket)?, None));
        };
        let part = MuxSocket::new(Arc::clone(membership), local)?;
        // Relays are spoken to through the socket that the crate opened; without relays nobody needs it.
        let own = (!self.relay_users.is_empty()).then(|| self.tokio.wrap_udp_socket(socket)).transpose()?;
        Ok(self.wrapped(Arc::new(part), own))
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.tokio.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(&'a self, remote: SocketAddr) -> Boxed<'a, io::Result<Arc<dyn AsyncTcpStream>>> {
        self.tokio.connect_tcp(remote)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        self.tokio.resolve_host(host)
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn sleep(&self, duration: Duration) -> Boxed<'static, ()> {
        self.tokio.sleep(shrunk(duration))
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.tokio.interval(shrunk(period))
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.tokio.block_on(future);
    }

    fn yield_now(&self) -> Boxed<'static, ()> {
        self.tokio.yield_now()
    }

    fn name(&self) -> &'static str {
        "link"
    }
}
