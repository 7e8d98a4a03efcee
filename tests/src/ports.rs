//! Ports for programs that must be told one before they start, and ports at which nothing listens.
//!
//! A port that the system handed out and that was given back is no such port: the next program that asks for any port may get
//! it. A test that counted on it would then speak with a stranger.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, bail};
use tokio::net::TcpSocket;

/// The first port that is given away here. Linux hands out ports from 32,768 by itself (`ip_local_port_range`).
const FIRST: u16 = 20_000;

/// How many ports are given away here.
const COUNT: u16 = 12_000;

/// An address of this machine at which nothing listens, over TCP or UDP, and which the system gives to no other program by
/// itself.
pub fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin far from each other: the factor has no divisor in common with `COUNT`.
    let begin = u16::try_from(process::id().wrapping_mul(7_919) % u32::from(COUNT))?;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (begin + step) % COUNT;
        let everywhere = (Ipv4Addr::UNSPECIFIED, port);
        if TcpListener::bind(everywhere).is_ok() && UdpSocket::bind(everywhere).is_ok() {
            return Ok((Ipv4Addr::LOCALHOST, port).into());
        }
    }
    bail!("no port from {FIRST} to {} is free", FIRST + COUNT - 1)
}

/// An address that refuses connections for as long as this is kept.
#[derive(Debug)]
pub struct Refusing {
    /// The address.
    pub address: SocketAddr,
    _socket: TcpSocket,
}

impl Refusing {
    /// Takes an address. Nothing listens there, and no other program can get it.
    pub fn start() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).context("no port that refuses")?;
        Ok(Self { address: socket.local_addr()?, _socket: socket })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::net::TcpStream;

    #[test]
    fn free_addresses_differ_and_can_be_listened_at() {
        let (one, other) = (free_address().unwrap(), free_address().unwrap());
        assert_ne!(one, other);
        let _listeners = [one, other].map(|address| TcpListener::bind(address).unwrap());
    }

    #[test]
    fn a_refusing_address_refuses_and_is_given_to_nobody_else() {
        let refusing = Refusing::start().unwrap();
        let error = TcpStream::connect(refusing.address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = TcpListener::bind(refusing.address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }
}
