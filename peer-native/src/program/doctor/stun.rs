//! Questions to STUN servers (RFC 8489) and relays (TURN, RFC 8656), one at a time over a UDP socket.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rtc::stun::attributes::{
    ATTR_DATA, ATTR_ERROR_CODE, ATTR_LIFETIME, ATTR_NONCE, ATTR_REALM, ATTR_REQUESTED_TRANSPORT,
    ATTR_USERNAME, ATTR_XOR_PEER_ADDRESS, ATTR_XOR_RELAYED_ADDRESS, ATTR_XORMAPPED_ADDRESS, AttrType,
};
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{
    CLASS_ERROR_RESPONSE, CLASS_INDICATION, CLASS_REQUEST, METHOD_ALLOCATE, METHOD_BINDING,
    METHOD_CREATE_PERMISSION, METHOD_REFRESH, METHOD_SEND, Message, MessageType, Method, Setter,
    TransactionId,
};
use rtc::stun::xoraddr::XorMappedAddress;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How often a question is sent, and how long an answer may take each time.
const TRIES: u32 = 4;
const TRY_TIMEOUT: Duration = Duration::from_millis(600);

/// How long a datagram from a relay to the seeder's port may take, over all tries.
const INBOUND_TIMEOUT: Duration = Duration::from_millis(600);

/// The port of STUN and TURN where an address names none.
const PORT_DEFAULT: u16 = 3478;

/// More than any answer has.
const DATAGRAM_BYTES_MAX: usize = 2048;

/// UDP, in an allocation's wish.
const TRANSPORT_UDP: [u8; 4] = [17, 0, 0, 0];

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    host: String,
    port: u16,
    /// Whether it is asked over UDP; a seeder uses no other servers.
    pub(super) is_udp: bool,
}

impl Place {
    /// Reads `stun:HOST`, `turn:HOST:PORT?transport=udp` and the like.
    pub(super) fn read(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once(':')?;
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let is_udp = matches!(scheme, "stun" | "turn") && !query.contains("transport=tcp");
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()?),
            Some(_) | None => (authority, PORT_DEFAULT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        (!host.is_empty()).then_some(Self { host, port, is_udp })
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
    }

    /// Its address, of IPv4.
    pub(super) async fn resolve(&self) -> Result<SocketAddr, String> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let mut found = found.map_err(|error| format!("its name cannot be resolved: {error}"))?;
        found.find(SocketAddr::is_ipv4).ok_or_else(|| "it has no address of IPv4".to_owned())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// An address at a relay.
#[derive(Debug)]
pub(super) struct Allocation {
    server: SocketAddr,
    login: Login,
    pub(super) relayed: SocketAddr,
    /// Ours, as the relay sees it.
    pub(super) mapped: SocketAddr,
}

#[derive(Debug)]
struct Login {
    username: String,
    password: String,
    realm: String,
    nonce: Vec<u8>,
}

/// A socket that asks.
#[derive(Debug)]
pub(super) struct Questioner(UdpSocket);

impl Questioner {
    pub(super) fn new(socket: UdpSocket) -> Self {
        Self(socket)
    }

    pub(super) fn port(&self) -> io::Result<u16> {
        Ok(self.0.local_addr()?.port())
    }

    /// The address from which a server sees this socket.
    pub(super) async fn mapped(&self, server: SocketAddr) -> Result<SocketAddr, String> {
        let answer = self.ask(server, &message(METHOD_BINDING)?).await?;
        address(&answer, ATTR_XORMAPPED_ADDRESS).ok_or_else(|| "its answer has no address".to_owned())
    }

    /// Asks a relay for an address.
    pub(super) async fn allocate(
        &self,
        server: SocketAddr,
        username: &str,
        password: &str,
    ) -> Result<Allocation, String> {
        let mut bare = message(METHOD_ALLOCATE)?;
        bare.add(ATTR_REQUESTED_TRANSPORT, &TRANSPORT_UDP);
        // The first answer is an error with what the second request is signed with (RFC 8489, section 9.2).
        let challenge = self.ask(server, &bare).await?;
        let realm = String::from_utf8_lossy(&attribute(&challenge, ATTR_REALM)).into_owned();
        let nonce = attribute(&challenge, ATTR_NONCE);
        let login = Login { username: username.to_owned(), password: password.to_owned(), realm, nonce };
        let mut request = message(METHOD_ALLOCATE)?;
        request.add(ATTR_REQUESTED_TRANSPORT, &TRANSPORT_UDP);
        let answer = self.ask(server, &login.sign(request)?).await?;
        if answer.typ.class == CLASS_ERROR_RESPONSE {
            return Err(refusal(&answer));
        }
        let relayed = address(&answer, ATTR_XOR_RELAYED_ADDRESS).ok_or("its answer has no address")?;
        let mapped =
            address(&answer, ATTR_XORMAPPED_ADDRESS).ok_or("its answer does not name our address")?;
        Ok(Allocation { server, login, relayed, mapped })
    }

    /// Has the relay send datagrams to `target`, and says whether one arrives at `receiver`. `None` if the relay sends none.
    pub(super) async fn reaches(
        &self,
        from: &Allocation,
        target: SocketAddr,
        receiver: &Self,
    ) -> Option<bool> {
        let peer = XorMappedAddress { ip: target.ip(), port: target.port() };
        let mut permission = message(METHOD_CREATE_PERMISSION).ok()?;
        peer.add_to_as(&mut permission, ATTR_XOR_PEER_ADDRESS).ok()?;
        let permitted = self.ask(from.server, &from.login.sign(permission).ok()?).await.ok()?;
        if permitted.typ.class == CLASS_ERROR_RESPONSE {
            return None;
        }
        let mut mark = [0; 16];
        getrandom::fill(&mut mark).ok()?;
        for _ in 0..TRIES {
            let mut indication = message(METHOD_SEND).ok()?;
            indication.set_type(MessageType::new(METHOD_SEND, CLASS_INDICATION));
            peer.add_to_as(&mut indication, ATTR_XOR_PEER_ADDRESS).ok()?;
            indication.add(ATTR_DATA, &mark);
            self.0.send_to(&indication.raw, from.server).await.ok()?;
            if timeout(INBOUND_TIMEOUT, receiver.hears(&mark)).await.is_ok() {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Gives the address back. If that is lost, it ends by itself within minutes.
    pub(super) async fn release(&self, allocation: &Allocation) {
        let Ok(mut request) = message(METHOD_REFRESH) else { return };
        request.add(ATTR_LIFETIME, &[0; 4]);
        if let Ok(request) = allocation.login.sign(request)
            && let Err(reason) = self.ask(allocation.server, &request).await
        {
            tracing::debug!(reason, "the relay did not confirm that the allocation ends");
        }
    }

    /// Until a datagram with these bytes came.
    async fn hears(&self, mark: &[u8]) {
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        loop {
            match self.0.recv_from(&mut buffer).await {
                Ok((length, _)) if buffer.get(..length) == Some(mark) => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "reading the seeder's port");
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Sends a request until its answer is here.
    async fn ask(&self, server: SocketAddr, request: &Message) -> Result<Message, String> {
        for _ in 0..TRIES {
            let sent = self.0.send_to(&request.raw, server).await;
            sent.map_err(|error| format!("nothing can be sent to it: {error}"))?;
            if let Ok(answer) = timeout(TRY_TIMEOUT, self.answer(server, request.transaction_id)).await {
                return Ok(answer);
            }
        }
        Err("it does not answer".to_owned())
    }

    async fn answer(&self, server: SocketAddr, transaction: TransactionId) -> Message {
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        loop {
            match self.0.recv_from(&mut buffer).await {
                Ok((length, sender)) if sender == server => {
                    let mut message = Message::new();
                    message.raw = buffer.get(..length).unwrap_or_default().to_vec();
                    if message.decode().is_ok() && message.transaction_id == transaction {
                        return message;
                    }
                }
                Ok(_) => {}
                // A closed port of the server, say; the next try may be answered.
                Err(error) => {
                    tracing::debug!(%error, "reading an answer");
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

impl Login {
    /// Signs a request with the name, the password, and what the server gave.
    fn sign(&self, mut request: Message) -> Result<Message, String> {
        let provider = rtc::crypto::default_provider().map_err(|error| error.to_string())?;
        request.add(ATTR_USERNAME, self.username.as_bytes());
        request.add(ATTR_REALM, self.realm.as_bytes());
        request.add(ATTR_NONCE, &self.nonce);
        let (name, realm, password) = (self.username.clone(), self.realm.clone(), self.password.clone());
        let crypto = provider.crypto();
        let integrity =
            MessageIntegrity::new_long_term_integrity_with_provider(name, realm, password, crypto);
        let signed = integrity.and_then(|integrity| integrity.add_to(&mut request));
        signed.map_err(|error| error.to_string())?;
        Ok(request)
    }
}

/// A request without attributes, under a name of its own.
fn message(method: Method) -> Result<Message, String> {
    let mut message = Message::new();
    message.new_transaction_id().map_err(|error| error.to_string())?;
    message.set_type(MessageType::new(method, CLASS_REQUEST));
    message.write_header();
    Ok(message)
}

fn attribute(message: &Message, kind: AttrType) -> Vec<u8> {
    message.get(kind).unwrap_or_default()
}

fn address(message: &Message, kind: AttrType) -> Option<SocketAddr> {
    let mut found = XorMappedAddress { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0 };
    found.get_from_as(message, kind).ok()?;
    Some(SocketAddr::new(found.ip, found.port))
}

/// Why a relay refuses, in its own number and words.
fn refusal(answer: &Message) -> String {
    match attribute(answer, ATTR_ERROR_CODE).as_slice() {
        [_, _, class, number, reason @ ..] => {
            let code = u16::from(class & 7) * 100 + u16::from(*number);
            format!("it refuses: {code} {}", String::from_utf8_lossy(reason))
        }
        _ => "it refuses".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers_are_read_as_trackers_name_them() {
        let read = |url| Place::read(url).map(|place| (place.to_string(), place.is_udp));
        assert_eq!(read("stun:a"), Some(("a:3478".to_owned(), true)));
        assert_eq!(read("turn:a:99?transport=udp"), Some(("a:99".to_owned(), true)));
        assert_eq!(read("turn:a?transport=tcp"), Some(("a:3478".to_owned(), false)));
        assert_eq!(read("turns:a:443"), Some(("a:443".to_owned(), false)));
        assert_eq!(read("stun:[2001:db8::1]:99"), Some(("2001:db8::1:99".to_owned(), true)));
        assert_eq!(read("stun:"), None);
        assert_eq!(read("a"), None);
    }

    #[tokio::test]
    async fn a_server_that_answers_is_told_apart_from_one_that_is_silent() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let place = server.local_addr().unwrap();
        let asking = Questioner::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let own = SocketAddr::from(([127, 0, 0, 1], asking.port().unwrap()));
        let answering = tokio::spawn(async move {
            let mut buffer = [0; 2048];
            let (length, sender) = server.recv_from(&mut buffer).await.unwrap();
            let mut request = Message::new();
            request.raw = buffer[..length].to_vec();
            request.decode().unwrap();
            let mut answer = Message::new();
            answer.transaction_id = request.transaction_id;
            answer.set_type(MessageType::new(METHOD_BINDING, rtc::stun::message::CLASS_SUCCESS_RESPONSE));
            answer.write_header();
            let seen = XorMappedAddress { ip: sender.ip(), port: sender.port() };
            seen.add_to_as(&mut answer, ATTR_XORMAPPED_ADDRESS).unwrap();
            server.send_to(&answer.raw, sender).await.unwrap();
            server
        });
        assert_eq!(asking.mapped(place).await, Ok(own));
        // It is still bound and answers no more.
        let _silent = answering.await.unwrap();
        assert_eq!(asking.mapped(place).await, Err("it does not answer".to_owned()));
    }
}
