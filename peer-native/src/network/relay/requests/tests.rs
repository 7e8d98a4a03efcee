//! The crate's own TURN code talks to a relay that is written out here.

use std::time::Instant;

use bytes::BytesMut;
use rtc::sansio::Protocol;
use rtc::shared::{TransportContext, TransportMessage, TransportProtocol};
use rtc::stun::attributes::{ATTR_CHANNEL_NUMBER, ATTR_NONCE, ATTR_REALM, ATTR_XOR_RELAYED_ADDRESS};
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::Message;
use rtc::turn::client::{Client, ClientConfig, Event};

use super::*;
use crate::mux::stun_message;

const REALM: &str = "r";
const LIFETIME: u16 = 0x000d;
const ERROR_CODE: u16 = 0x0009;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn user() -> Credential {
    Credential { username: "u".to_owned(), password: "p".to_owned() }
}

fn provider() -> Arc<dyn RTCCryptoProvider> {
    rtc::crypto::default_provider().unwrap()
}

/// A relay that takes requests with its newest nonce only, and one channel number for each peer.
struct Server {
    nonce: &'static [u8],
    /// Peers' addresses as they are written, and the numbers of their channels.
    channels: Vec<(Vec<u8>, Vec<u8>)>,
    refused: Vec<u16>,
    names: Vec<Transaction>,
}

impl Server {
    fn answer(&mut self, datagram: &[u8]) -> Vec<u8> {
        let mut message = Message::new();
        message.raw = datagram.to_vec();
        message.decode().unwrap();
        let (method, name) = (u16::from_be_bytes([datagram[0], datagram[1]]), message.transaction_id.0);
        assert!(!self.names.contains(&name), "a name was used twice");
        self.names.push(name);
        let error = |number: [u8; 4]| {
            let told =
                [(ERROR_CODE, &number[..]), (ATTR_NONCE.0, self.nonce), (ATTR_REALM.0, REALM.as_bytes())];
            stun_message(method | 0x0110, name, &told)
        };
        let Ok(nonce) = message.get(ATTR_NONCE) else { return error([0, 0, 4, 1]) };
        let crypto = provider();
        let key = MessageIntegrity::long_term_integrity_key(
            "u".to_owned(),
            REALM.to_owned(),
            "p".to_owned(),
            crypto.crypto(),
        );
        MessageIntegrity::check(&mut message, &key.unwrap(), crypto.crypto()).expect("signed as it must be");
        if nonce != self.nonce {
            self.refused.push(method);
            return error([0, 0, 4, 38]);
        }
        if let Ok(number) = message.get(ATTR_CHANNEL_NUMBER) {
            let peer = message.get(rtc::stun::attributes::ATTR_XOR_PEER_ADDRESS).unwrap();
            if self.channels.iter().any(|(bound, other)| *bound == peer && *other != number) {
                return error([0, 0, 4, 0]);
            }
            self.channels.push((peer, number));
        }
        // 198.51.100.1:4660, mixed with the cookie.
        let relayed = [0, 1, 0x33, 0x26, 198 ^ 0x21, 51 ^ 0x12, 100 ^ 0xa4, 1 ^ 0x42];
        let told = [(ATTR_XOR_RELAYED_ADDRESS.0, &relayed[..]), (LIFETIME, &600_u32.to_be_bytes())];
        stun_message(method | 0x0100, name, &told)
    }
}

/// The crate's side, the requests between, and the server.
struct World {
    turn: Client,
    requests: Requests,
    server: Server,
    fresh: u8,
}

const RELAY: &str = "198.51.100.1:3478";

impl World {
    /// With an allocation.
    fn new() -> Self {
        let config = ClientConfig {
            stun_serv_addr: RELAY.to_owned(),
            turn_serv_addr: RELAY.to_owned(),
            local_addr: address("192.168.1.2:5000"),
            username: "u".to_owned(),
            password: "p".to_owned(),
            ..ClientConfig::default()
        };
        let mut turn = Client::new(config, provider()).unwrap();
        turn.allocate(Instant::now()).unwrap();
        let server = Server { nonce: b"first", channels: Vec::new(), refused: Vec::new(), names: Vec::new() };
        let requests = Requests::new(vec![user()], Some(provider()));
        let mut world = Self { turn, requests, server, fresh: 0 };
        assert!(world.run().iter().any(|event| matches!(event, Event::AllocateResponse(..))));
        world
    }

    /// Carries datagrams until there are none; what the crate says.
    fn run(&mut self) -> Vec<Event> {
        // All that is sent together is on its way before the first answer comes.
        loop {
            let sent: Vec<_> = std::iter::from_fn(|| self.turn.poll_write()).collect();
            if sent.is_empty() {
                return std::iter::from_fn(|| self.turn.poll_event()).collect();
            }
            let answers: Vec<Vec<u8>> = sent.iter().filter_map(|sent| self.send(&sent.message)).collect();
            for answer in answers {
                self.receive(answer);
            }
        }
    }

    fn send(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        match self.requests.sending(message::kind(datagram), address(RELAY), datagram) {
            _ if matches!(message::kind(datagram), Kind::Send | Kind::Channel) => None,
            Sending::Same => Some(self.server.answer(datagram)),
            Sending::Instead(other) => Some(self.server.answer(&other)),
            Sending::Answer(answer) => Some(answer),
        }
    }

    fn receive(&mut self, mut answer: Vec<u8>) {
        loop {
            self.fresh += 1;
            let kind = message::kind(&answer);
            let message = match self.requests.receiving(kind, address(RELAY), &answer, [self.fresh; 12]) {
                Receiving::Same => answer,
                Receiving::Instead(other) => other,
                Receiving::Reply(again) => {
                    answer = self.server.answer(&again);
                    continue;
                }
            };
            let transport = TransportContext {
                local_addr: address("192.168.1.2:5000"),
                peer_addr: address(RELAY),
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            };
            let message = BytesMut::from(&message[..]);
            self.turn.handle_read(TransportMessage { now: Instant::now(), transport, message }).unwrap();
            return;
        }
    }

    fn permit(&mut self, peer: &str) {
        self.turn.relay(relayed()).unwrap().create_permission(Instant::now(), address(peer)).unwrap();
    }

    fn send_to(&mut self, peer: &str) {
        self.turn.relay(relayed()).unwrap().send_to(Instant::now(), b"data", address(peer)).unwrap();
    }

    fn under_way(&self) -> usize {
        self.requests.relays.values().map(|relay| relay.requests.len()).sum()
    }
}

fn relayed() -> SocketAddr {
    address("198.51.100.1:4660")
}

#[test]
fn permissions_and_bindings_that_are_sent_together_with_a_stale_nonce_all_succeed() {
    const PEERS: [&str; 3] = ["203.0.113.1:1000", "203.0.113.2:1000", "203.0.113.3:1000"];
    let mut world = World::new();
    world.permit(PEERS[0]);
    world.run();
    world.server.nonce = b"second";
    world.send_to(PEERS[0]);
    world.permit(PEERS[1]);
    world.permit(PEERS[2]);
    let events = world.run();
    let is_failure = |event: &&Event| matches!(event, Event::CreatePermissionError(..));
    assert_eq!(events.iter().filter(is_failure).count(), 0);
    let is_success = |event: &&Event| matches!(event, Event::CreatePermissionResponse(..));
    assert_eq!(events.iter().filter(is_success).count(), 2);
    assert_eq!((world.server.refused.len(), world.server.channels.len()), (3, 1));
    // The crate did not hear of the new nonce, so what it sends next is signed again before it leaves.
    world.send_to(PEERS[1]);
    world.run();
    assert_eq!((world.server.refused.len(), world.server.channels.len()), (3, 2));
    assert_eq!(world.under_way(), 0);
}

#[test]
fn a_relay_that_calls_every_nonce_stale_is_believed_after_a_few_times() {
    let mut world = World::new();
    let request = {
        world.permit("203.0.113.1:1000");
        world.turn.poll_write().unwrap().message
    };
    let Sending::Instead(sent) = world.requests.sending(message::kind(&request), address(RELAY), &request)
    else {
        panic!("a signed request is followed");
    };
    let mut name = message::transaction(&sent).unwrap();
    let mut replies = 0;
    loop {
        let nonce = [b'n', replies];
        let stale = stun_message(0x0118, name, &[(ERROR_CODE, &[0, 0, 4, 38]), (ATTR_NONCE.0, &nonce)]);
        match world.requests.receiving(message::kind(&stale), address(RELAY), &stale, [100 + replies; 12]) {
            Receiving::Reply(again) => name = message::transaction(&again).unwrap(),
            Receiving::Instead(last) => {
                assert_eq!(message::transaction(&last), message::transaction(&request));
                break;
            }
            Receiving::Same => panic!("the crate would not know this name"),
        }
        replies += 1;
    }
    assert_eq!((replies, world.under_way()), (RENEWALS_MAX, 0));
}

#[test]
fn a_request_that_the_crate_repeats_is_the_same_on_its_way() {
    let mut world = World::new();
    world.server.nonce = b"second";
    world.permit("203.0.113.1:1000");
    let request = world.turn.poll_write().unwrap().message;
    let kind = message::kind(&request);
    let first = world.requests.sending(kind, address(RELAY), &request);
    let Sending::Instead(first) = first else { panic!("a signed request is followed") };
    let stale = world.server.answer(&first);
    let Receiving::Reply(again) =
        world.requests.receiving(message::kind(&stale), address(RELAY), &stale, [77; 12])
    else {
        panic!("it is signed again");
    };
    assert_eq!(world.requests.sending(kind, address(RELAY), &request), Sending::Instead(again));
}

#[test]
fn what_the_relay_cannot_reach_is_refused_here_and_never_sent() {
    let mut world = World::new();
    world.permit("192.168.2.2:1000");
    let heard = world.server.names.len();
    let events = world.run();
    assert!(matches!(events[..], [Event::CreatePermissionError(..)]));
    assert_eq!((world.server.names.len(), world.under_way()), (heard, 0));
}

#[test]
fn answers_from_elsewhere_change_nothing() {
    let mut world = World::new();
    world.permit("203.0.113.1:1000");
    let request = world.turn.poll_write().unwrap().message;
    world.send(&request);
    let name = message::transaction(&request).unwrap();
    let stale = stun_message(0x0118, name, &[(ERROR_CODE, &[0, 0, 4, 38]), (ATTR_NONCE.0, b"evil")]);
    let other = address("203.0.113.66:3478");
    let heard = world.requests.receiving(message::kind(&stale), other, &stale, [5; 12]);
    assert_eq!((heard, world.under_way()), (Receiving::Same, 1));
}

#[test]
fn memory_is_bounded_whatever_is_sent() {
    let mut world = World::new();
    for port in 1..1000 {
        world.permit(&format!("203.0.113.1:{port}"));
        while let Some(sent) = world.turn.poll_write() {
            let kind = message::kind(&sent.message);
            world.requests.sending(kind, address(RELAY), &sent.message);
            world.requests.sending(kind, address(&format!("198.51.100.2:{port}")), &sent.message);
        }
        let allocate = stun_message(0x0003, [0; 12], &[]);
        let kind = message::kind(&allocate);
        world.requests.sending(kind, address(&format!("198.51.100.3:{port}")), &allocate);
    }
    assert_eq!(world.requests.relays.len(), RELAYS_MAX);
    assert!(world.under_way() <= REQUESTS_MAX);
}
