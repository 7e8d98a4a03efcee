//! The PROXY protocol, versions 1 and 2: what a proxy says of a connection before the connection's own first byte.
//!
//! Only the header is read and not a byte more, so that TLS or HTTP goes on from there. Addresses are all that is
//! taken from it; its extensions (TLV) are skipped. See <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::limits::PROXY_EXTENSION_BYTES_MAX;

/// How version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// How version 1 begins.
const WORD: &[u8; 6] = b"PROXY ";

/// The longest line of version 1, with its end (section 2.1).
const LINE_BYTES_MAX: usize = 107;

/// A connection that does not begin as the protocol says. It is to be closed: nothing is known of its sender.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ProxyHeaderError {
    /// It ended, or failed, before its header was there. A health check does that.
    #[error("it ended before the PROXY header did: {0}")]
    Ended(#[from] io::Error),
    /// It begins otherwise.
    #[error("it does not begin with a PROXY header; does the proxy send one?")]
    Missing,
    /// The header cannot be read.
    #[error("its PROXY header is malformed")]
    Malformed,
    /// The header is longer than anything that a proxy has to say.
    #[error("its PROXY header is longer than {PROXY_EXTENSION_BYTES_MAX} bytes")]
    TooLong,
}

/// Whose connection it is that a trusted proxy opened: `Some(Some(address))` if its header names an address, `Some(None)` if it
/// names none. `None` if the connection is to be closed.
pub(crate) async fn sender(
    stream: &mut TcpStream,
    proxy: SocketAddr,
    limit: Duration,
) -> Option<Option<IpAddr>> {
    match timeout(limit, read(stream)).await {
        Ok(Ok(named)) => Some(named.map(|address| address.to_canonical())),
        // Health checks do that every few seconds.
        Ok(Err(error @ ProxyHeaderError::Ended(_))) => {
            tracing::debug!(%proxy, "a connection of a proxy was closed: {error}");
            None
        }
        Ok(Err(error)) => {
            tracing::warn!(%proxy, "a connection of a proxy was closed: {error}");
            None
        }
        Err(_) => {
            tracing::debug!(%proxy, "a connection of a proxy was closed: it sent no PROXY header in time");
            None
        }
    }
}

/// Reads the header. Returns the address of the sender; `None` if the proxy itself is the sender (a health check) or knows no
/// address.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, ProxyHeaderError> {
    // Both versions are at least this long, and no request of HTTP is shorter.
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        return read_binary(stream).await;
    }
    if !start.starts_with(WORD) {
        return Err(ProxyHeaderError::Missing);
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_BYTES_MAX {
            return Err(ProxyHeaderError::Malformed);
        }
        // One byte at a time: what follows the line is not part of it. A connection has one such line.
        line.push(stream.read_u8().await?);
    }
    of_line(&line)
}

/// Reads a line such as `PROXY TCP4 192.0.2.1 192.0.2.2 4711 443`.
fn of_line(line: &[u8]) -> Result<Option<IpAddr>, ProxyHeaderError> {
    let line = std::str::from_utf8(line).map_err(|_| ProxyHeaderError::Malformed)?;
    let parts: Vec<&str> = line.trim_end_matches("\r\n").split(' ').collect();
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    match parts[..] {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", "TCP4", from, to, from_port, to_port] if is_port(from_port) && is_port(to_port) => {
            let both: (Result<Ipv4Addr, _>, Result<Ipv4Addr, _>) = (from.parse(), to.parse());
            if let (Ok(from), Ok(_)) = both {
                Ok(Some(from.into()))
            } else {
                Err(ProxyHeaderError::Malformed)
            }
        }
        ["PROXY", "TCP6", from, to, from_port, to_port] if is_port(from_port) && is_port(to_port) => {
            let both: (Result<Ipv6Addr, _>, Result<Ipv6Addr, _>) = (from.parse(), to.parse());
            if let (Ok(from), Ok(_)) = both {
                Ok(Some(from.into()))
            } else {
                Err(ProxyHeaderError::Malformed)
            }
        }
        _ => Err(ProxyHeaderError::Malformed),
    }
}

/// Reads what follows the signature of version 2 (section 2.2).
async fn read_binary(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, ProxyHeaderError> {
    let (version_and_command, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = usize::from(stream.read_u16().await?);
    if length > PROXY_EXTENSION_BYTES_MAX {
        return Err(ProxyHeaderError::TooLong);
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    let from = match (version_and_command, family) {
        // LOCAL: the proxy speaks for itself.
        (0x20, _) => return Ok(None),
        (0x21, 0x11 | 0x12) => {
            rest.first_chunk().filter(|_| length >= 12).map(|from: &[u8; 4]| IpAddr::from(*from))
        }
        (0x21, 0x21 | 0x22) => {
            rest.first_chunk().filter(|_| length >= 36).map(|from: &[u8; 16]| IpAddr::from(*from))
        }
        // Unspecified, or a socket of Unix.
        (0x21, 0x00 | 0x31 | 0x32) => return Ok(None),
        _ => None,
    };
    from.map(Some).ok_or(ProxyHeaderError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is read, or the error, and what is left.
    fn outcome(bytes: &[u8]) -> (Result<Option<String>, String>, Vec<u8>) {
        let mut left = bytes;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(read(&mut left));
        let read =
            read.map(|address| address.map(|address| address.to_string())).map_err(|error| error.to_string());
        (read, left.to_vec())
    }

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest, b"GET /"].concat()
    }

    #[test]
    fn lines_of_version_1_are_read_and_nothing_after_them() {
        for (line, address) in [
            ("PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n", Some("203.0.113.9")),
            ("PROXY TCP6 2001:db8::9 2001:db8::1 4711 443\r\n", Some("2001:db8::9")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
        ] {
            let (read, left) = outcome(format!("{line}GET /").as_bytes());
            assert_eq!((read, &left[..]), (Ok(address.map(str::to_owned)), &b"GET /"[..]), "{line}");
        }
        for line in [
            "PROXY TCP4 203.0.113.9 192.0.2.1 4711\r\n",
            "PROXY TCP4 2001:db8::9 192.0.2.1 4711 443\r\n",
            "PROXY TCP4 203.0.113.9 192.0.2.1 4711 65536\r\n",
            "PROXY TCP4  203.0.113.9 192.0.2.1 4711 443\r\n",
            "PROXY TCP5 203.0.113.9 192.0.2.1 4711 443\r\n",
            &format!("PROXY UNKNOWN {}\r\n", "a".repeat(200)),
        ] {
            assert!(outcome(line.as_bytes()).0.unwrap_err().contains("malformed"), "{line}");
        }
        assert!(outcome(b"GET / HTTP/1.1\r\n\r\n").0.unwrap_err().contains("does not begin"));
        assert!(outcome(b"PROXY TCP4 203.0.113.9 1").0.unwrap_err().contains("ended"));
        assert!(outcome(b"").0.unwrap_err().contains("ended"));
    }

    #[test]
    fn headers_of_version_2_are_read_and_nothing_after_them() {
        let ports = [0x12, 0x67, 0x01, 0xbb];
        let v4 = [&[203, 0, 113, 9, 192, 0, 2, 1][..], &ports].concat();
        let v6: Vec<u8> = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[9], &[0; 16], &ports].concat();
        let with_extension = [&v4[..], &[4, 0, 3, 1, 2, 3]].concat();
        for (header, address) in [
            (binary(0x21, 0x11, &v4), Some("203.0.113.9")),
            (binary(0x21, 0x11, &with_extension), Some("203.0.113.9")),
            (binary(0x21, 0x21, &v6), Some("2001:db8::9")),
            (binary(0x20, 0x11, &v4), None),
            (binary(0x20, 0x00, &[]), None),
            (binary(0x21, 0x00, &[]), None),
            (binary(0x21, 0x31, &[0; 216]), None),
        ] {
            let (read, left) = outcome(&header);
            assert_eq!((read, &left[..]), (Ok(address.map(str::to_owned)), &b"GET /"[..]), "{header:?}");
        }
        for header in [
            binary(0x21, 0x11, &v4[..11]),
            binary(0x21, 0x21, &v4),
            binary(0x31, 0x11, &v4),
            binary(0x22, 0x11, &v4),
        ] {
            assert!(outcome(&header).0.unwrap_err().contains("malformed"), "{header:?}");
        }
        let long = vec![0; PROXY_EXTENSION_BYTES_MAX + 1];
        assert!(outcome(&binary(0x21, 0x11, &long)).0.unwrap_err().contains("longer"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(start in 0..3usize, rest: Vec<u8>) {
            let start: &[u8] = [&b""[..], b"PROXY ", &SIGNATURE].get(start).copied().unwrap_or_default();
            outcome(&[start, &rest].concat()).0.ok();
        }
    }
}
