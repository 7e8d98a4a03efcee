//! How many connectivity checks (RFC 8445, section 7) a link sends to an address that has not answered.
//!
//! The other side of a link chooses the addresses, and one may be a third party's. The `webrtc` crate checks each pair of
//! candidates a hundred times in two seconds, so eight candidates at one address are eight hundred packets for the host that is
//! there. A few dozen find every path that works; after them checks go out slowly until the address says something.
//!
//! [`Checks`] is pure: told the time and the datagrams. It is shared by all sockets of a link.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

/// Checks that may be sent to one address before it has answered, without a pause: a second of them for one candidate.
pub(crate) const CHECKS_AT_ONCE: u32 = 50;

/// After these, one check in this time.
pub(crate) const CHECK_PACE: Duration = Duration::from_millis(100);

/// Addresses of one link: its candidates and servers, and those that a check revealed. Further ones are not checked.
const ADDRESSES_MAX: usize = 64;

/// Type and magic cookie of a binding request (RFC 8489, section 5).
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// What is known of one address.
#[derive(Debug)]
struct Address {
    ip: IpAddr,
    has_answered: bool,
    /// Checks that may be sent at once.
    left: u32,
    /// When another may be sent after these.
    next: Instant,
}

/// The checks of one link.
#[derive(Debug, Default)]
pub(super) struct Checks {
    addresses: Vec<Address>,
}

impl Checks {
    /// Whether a check may be sent to this address now.
    fn admit(&mut self, now: Instant, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let Some(address) = self.addresses.iter_mut().find(|address| address.ip == ip) else {
            let is_known = self.addresses.len() < ADDRESSES_MAX;
            if is_known {
                let left = CHECKS_AT_ONCE - 1;
                self.addresses.push(Address { ip, has_answered: false, left, next: now + CHECK_PACE });
            }
            return is_known;
        };
        if address.has_answered {
            return true;
        }
        let is_admitted = address.left > 0 || now >= address.next;
        if is_admitted {
            address.left = address.left.saturating_sub(1);
            address.next = now + CHECK_PACE;
        }
        is_admitted
    }

    /// Something came from this address.
    fn heard(&mut self, now: Instant, ip: IpAddr) {
        let ip = ip.to_canonical();
        if let Some(address) = self.addresses.iter_mut().find(|address| address.ip == ip) {
            address.has_answered = true;
        } else if self.addresses.len() < ADDRESSES_MAX {
            self.addresses.push(Address { ip, has_answered: true, left: 0, next: now });
        }
    }
}

/// Whether a datagram is a connectivity check, or a request to a STUN server, which looks the same.
fn is_check(datagram: &[u8]) -> bool {
    datagram.starts_with(&BINDING_REQUEST) && datagram.get(4..8) == Some(&MAGIC_COOKIE)
}

/// A socket that sends no more checks than [`Checks`] admits; others are lost, as on a busy network.
#[derive(Debug)]
pub(super) struct CheckedSocket {
    below: Arc<dyn AsyncUdpSocket>,
    checks: Arc<Mutex<Checks>>,
}

impl CheckedSocket {
    /// Takes the place of a socket.
    pub(super) const fn new(below: Arc<dyn AsyncUdpSocket>, checks: Arc<Mutex<Checks>>) -> Self {
        Self { below, checks }
    }

    fn lock(&self) -> MutexGuard<'_, Checks> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_send_one(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        if is_check(transmit.contents) && !self.lock().admit(Instant::now(), transmit.destination.ip()) {
            return Poll::Ready(Ok(transmit.contents.len()));
        }
        self.below.poll_send(cx, transmit)
    }
}

impl AsyncUdpSocket for CheckedSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.below.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let stride = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        if transmit.contents.len() <= stride {
            return self.poll_send_one(cx, transmit);
        }
        if !transmit.contents.chunks(stride).any(is_check) {
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
        let count = ready!(self.below.poll_recv(cx, bufs, meta))?;
        let mut checks = self.lock();
        for one in meta.iter().take(count).filter(|one| one.len > 0) {
            checks.heard(Instant::now(), one.addr.ip());
        }
        Poll::Ready(Ok(count))
    }

    fn max_gso_segments(&self) -> usize {
        self.below.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.below.max_gro_segments()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_silent_address_gets_a_few_dozen_checks_and_then_one_in_a_while() {
        let (mut checks, start) = (Checks::default(), Instant::now());
        let sent = (0..500).filter(|_| checks.admit(start, ip("192.0.2.1"))).count();
        assert_eq!(sent, CHECKS_AT_ONCE as usize);
        let admitted = (1..=100).filter(|number| {
            let now = start + CHECK_PACE * *number;
            checks.admit(now, ip("192.0.2.1")) && !checks.admit(now, ip("::ffff:192.0.2.1"))
        });
        assert_eq!(admitted.count(), 100);
        assert!(checks.admit(start, ip("192.0.2.2")), "others are not held back");
    }

    #[test]
    fn an_address_that_answered_is_not_held_back() {
        let (mut checks, start) = (Checks::default(), Instant::now());
        checks.heard(start, ip("::ffff:192.0.2.1"));
        assert!((0..500).all(|_| checks.admit(start, ip("192.0.2.1"))));
    }

    #[test]
    fn addresses_are_bounded() {
        let (mut checks, start) = (Checks::default(), Instant::now());
        let admitted = (0..=255).filter(|host| checks.admit(start, ip(&format!("192.0.2.{host}"))));
        assert_eq!(admitted.count(), ADDRESSES_MAX);
        checks.heard(start, ip("198.51.100.1"));
        assert_eq!(checks.addresses.len(), ADDRESSES_MAX);
    }

    #[test]
    fn binding_requests_are_checks_and_nothing_else_is() {
        assert!(is_check(&crate::mux::stun_message(0x0001, [1; 12], &[])));
        for other in [0x0101, 0x0111, 0x0003, 0x0008] {
            assert!(!is_check(&crate::mux::stun_message(other, [1; 12], &[])));
        }
        assert!(!is_check(&[]) && !is_check(&[0, 1]) && !is_check(&[22; 100]));
    }
}
