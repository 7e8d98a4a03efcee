//! Requests to relays that are under way: pure, over plain data.
//!
//! ```text
//! request of the crate ─→ is it for an address that the relay does not reach? ─→ refused at once
//!                    └──→ signed with the newest nonce ─→ relay
//! answer of the relay ──→ stale nonce? ─→ signed again, under a new name ─→ relay
//!                    └──→ under the name that the crate knows ─→ crate
//! ```

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use rtc::crypto::RTCCryptoProvider;

use super::message::{self, Kind, Transaction};
use super::{Credential, reach};

/// Requests under way at one relay; older ones are forgotten, and the crate gets their answers as they come. The crate
/// has one for each candidate of the other side, of which there are some dozens at most.
const REQUESTS_MAX: usize = 128;

/// Relays that one connection uses; what goes to others is not looked at.
const RELAYS_MAX: usize = 8;

/// How often one request is signed again. A relay that calls its own newest nonce stale is broken.
const RENEWALS_MAX: u8 = 3;

/// What is to be done with a datagram that the connection sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// It goes out as it is.
    Same,
    /// This goes out instead.
    Instead(Vec<u8>),
    /// Nothing goes out; the connection receives this from whom it meant to send to.
    Answer(Vec<u8>),
}

/// What is to be done with a datagram that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Receiving {
    /// The connection receives it as it is.
    Same,
    /// The connection receives this instead.
    Instead(Vec<u8>),
    /// The connection receives nothing; this goes back.
    Reply(Vec<u8>),
}

#[derive(Debug)]
struct Request {
    /// The name that the crate gave it.
    known_as: Transaction,
    /// The name that it has on its way.
    sent_as: Transaction,
    nonce: Vec<u8>,
    /// As it was sent last.
    sent: Vec<u8>,
    renewals: u8,
}

#[derive(Debug, Default)]
struct Relay {
    /// What the relay takes now; the crate may still use an older one.
    nonce: Vec<u8>,
    requests: VecDeque<Request>,
}

/// The relays of one socket.
pub(super) struct Requests {
    users: Vec<Credential>,
    provider: Option<Arc<dyn RTCCryptoProvider>>,
    relays: HashMap<SocketAddr, Relay>,
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("relays", &self.relays).finish_non_exhaustive()
    }
}

impl Requests {
    /// No requests yet. Without a provider nothing can be signed again.
    pub(super) fn new(users: Vec<Credential>, provider: Option<Arc<dyn RTCCryptoProvider>>) -> Self {
        Self { users, provider, relays: HashMap::new() }
    }

    /// Whether something was asked of this address as a relay.
    pub(super) fn is_relay(&self, address: SocketAddr) -> bool {
        self.relays.contains_key(&address)
    }

    /// The connection sends a datagram of this kind.
    pub(super) fn sending(&mut self, kind: Kind, receiver: SocketAddr, datagram: &[u8]) -> Sending {
        let Kind::Request { names_peers, begins } = kind else { return Sending::Same };
        if begins && self.relays.len() < RELAYS_MAX {
            self.relays.entry(receiver).or_default();
        }
        let (Some(relay), Some(known_as)) = (self.relays.get_mut(&receiver), message::transaction(datagram))
        else {
            return Sending::Same;
        };
        if let Some(request) = relay.requests.iter().find(|request| request.known_as == known_as) {
            return Sending::Instead(request.sent.clone());
        }
        let Some(read) = message::read(datagram) else { return Sending::Same };
        let is_reachable = |peer: &SocketAddr| reach::is_reachable(receiver.ip(), *peer);
        if names_peers && !read.peers().iter().all(is_reachable) {
            return Sending::Answer(read.refusal());
        }
        // The first request of an allocation has none; its answer brings it.
        let Some(nonce) = read.nonce() else { return Sending::Same };
        if begins || relay.nonce.is_empty() {
            relay.nonce = nonce.to_vec();
        }
        let nonce = relay.nonce.clone();
        let sent = if read.nonce() == Some(&nonce) {
            datagram.to_vec()
        } else {
            let signed = signed(&self.users, self.provider.as_deref(), &read, known_as, &nonce);
            signed.unwrap_or_else(|| datagram.to_vec())
        };
        let request = Request { known_as, sent_as: known_as, nonce, sent: sent.clone(), renewals: 0 };
        relay.requests.push_back(request);
        if relay.requests.len() > REQUESTS_MAX {
            relay.requests.pop_front();
        }
        Sending::Instead(sent)
    }

    /// A datagram of this kind came. `fresh` becomes the name of a request that is sent again.
    pub(super) fn receiving(
        &mut self,
        kind: Kind,
        sender: SocketAddr,
        datagram: &[u8],
        fresh: Transaction,
    ) -> Receiving {
        let Kind::Response { is_error } = kind else { return Receiving::Same };
        let (Some(relay), Some(name)) = (self.relays.get_mut(&sender), message::transaction(datagram)) else {
            return Receiving::Same;
        };
        let place = relay.requests.iter().position(|request| request.sent_as == name);
        let Some(request) = place.and_then(|place| relay.requests.get_mut(place)) else {
            return Receiving::Same;
        };
        let Some(read) = message::read(datagram) else { return Receiving::Same };
        let newer = read.nonce().filter(|nonce| *nonce != request.nonce);
        if is_error
            && read.is_stale_nonce()
            && let Some(newer) = newer.filter(|_| request.renewals < RENEWALS_MAX)
            && let Some(before) = message::read(&request.sent)
            && let Some(again) = signed(&self.users, self.provider.as_deref(), &before, fresh, newer)
        {
            relay.nonce = newer.to_vec();
            request.nonce = newer.to_vec();
            request.sent_as = fresh;
            request.sent.clone_from(&again);
            request.renewals += 1;
            return Receiving::Reply(again);
        }
        let known_as = request.known_as;
        if let Some(place) = place {
            relay.requests.remove(place);
        }
        if known_as == name { Receiving::Same } else { Receiving::Instead(read.renamed(known_as)) }
    }
}

/// The request with this name and nonce; `None` if nobody can sign it.
fn signed(
    users: &[Credential],
    provider: Option<&dyn RTCCryptoProvider>,
    read: &message::Read,
    name: Transaction,
    nonce: &[u8],
) -> Option<Vec<u8>> {
    let user = users.iter().find(|user| Some(user.username.as_str()) == read.username())?;
    match read.signed(name, nonce, user, provider?) {
        Ok(signed) => Some(signed),
        Err(error) => {
            tracing::debug!(%error, "a request to a relay cannot be signed again");
            None
        }
    }
}

#[cfg(test)]
mod tests;
