//! Whose a datagram on a shared port is: pure, over plain data.
//!
//! ```text
//! STUN request    the connection whose fragment it asks for
//! STUN response   the connection that sent the request
//! anything else   the connections that its sender's address belongs to
//! ```
//! An address comes to belong to a connection when that connection, which alone can tell, answers a check from it
//! with success, or gets an answer from it. Strangers therefore change nothing here, whatever they send. A peer
//! that starts anew at the address it had is a second owner beside the first, until the first is closed; so
//! are the connections that two peers have with one another in several swarms, each from its shared port. What
//! is not for an owner fails its decryption, which drops it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::stun::{self, Stun, Transaction};

/// Names a connection on the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnectionId(u64);

/// Requests of one connection whose responses are known as its own; older ones are forgotten. Checks are sent
/// every 50 ms to each of a dozen addresses, and answered within a second or not at all.
const TRANSACTIONS_MAX: usize = 256;

/// Addresses that one connection may own; the oldest is given up.
const ADDRESSES_MAX: usize = 32;

/// Connections that may own one address; the oldest loses it.
const OWNERS_MAX: usize = 8;

/// One connection.
#[derive(Debug, Default)]
struct Connection {
    fragment: Vec<u8>,
    transactions: VecDeque<Transaction>,
    addresses: VecDeque<SocketAddr>,
}

/// All connections of a port.
#[derive(Debug, Default)]
pub(crate) struct Table {
    connections: HashMap<ConnectionId, Connection>,
    last: u64,
    fragments: HashMap<Vec<u8>, ConnectionId>,
    transactions: HashMap<Transaction, ConnectionId>,
    /// Owners of each address, newest first; never empty.
    owners: HashMap<SocketAddr, Vec<ConnectionId>>,
}

impl Table {
    /// Adds a connection whose user name fragment is `fragment`.
    pub(crate) fn add(&mut self, fragment: &str) -> ConnectionId {
        self.last += 1;
        let id = ConnectionId(self.last);
        let fragment = fragment.as_bytes().to_vec();
        self.fragments.insert(fragment.clone(), id);
        self.connections.insert(id, Connection { fragment, ..Connection::default() });
        id
    }

    /// Removes a connection and all that it owned.
    pub(crate) fn remove(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        if self.fragments.get(&connection.fragment) == Some(&id) {
            self.fragments.remove(&connection.fragment);
        }
        for transaction in connection.transactions {
            self.transactions.remove(&transaction);
        }
        for address in connection.addresses {
            self.disown(address, id);
        }
    }

    /// The connections that a datagram from `sender` is for.
    pub(crate) fn route(&mut self, sender: SocketAddr, datagram: &[u8]) -> Vec<ConnectionId> {
        match stun::read(datagram) {
            Some(Stun::Request { asked, .. }) => {
                asked.and_then(|asked| self.fragments.get(asked)).copied().into_iter().collect()
            }
            Some(Stun::Response { transaction, is_success }) => {
                let Some(id) = self.transactions.remove(&transaction) else { return Vec::new() };
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.transactions.retain(|known| *known != transaction);
                }
                if is_success {
                    self.own(sender, id);
                }
                vec![id]
            }
            Some(Stun::Other) => Vec::new(),
            None => self.owners(sender).to_vec(),
        }
    }

    /// Owners of an address, newest first.
    pub(crate) fn owners(&self, address: SocketAddr) -> &[ConnectionId] {
        self.owners.get(&address).map_or(&[], Vec::as_slice)
    }

    /// A connection sends a datagram to `receiver`.
    pub(crate) fn sent(&mut self, id: ConnectionId, receiver: SocketAddr, datagram: &[u8]) {
        match stun::read(datagram) {
            Some(Stun::Request { transaction, .. }) => self.asked(id, transaction),
            Some(Stun::Response { is_success: true, .. }) => self.own(receiver, id),
            Some(Stun::Response { .. } | Stun::Other) | None => {}
        }
    }

    fn asked(&mut self, id: ConnectionId, transaction: Transaction) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if self.transactions.insert(transaction, id).is_some() {
            return; // sent again because the kernel did not take it
        }
        connection.transactions.push_back(transaction);
        if connection.transactions.len() > TRANSACTIONS_MAX
            && let Some(oldest) = connection.transactions.pop_front()
        {
            self.transactions.remove(&oldest);
        }
    }

    fn own(&mut self, address: SocketAddr, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let owners = self.owners.entry(address).or_default();
        if owners.contains(&id) {
            return;
        }
        owners.insert(0, id);
        connection.addresses.push_back(address);
        let given_up = (connection.addresses.len() > ADDRESSES_MAX).then(|| connection.addresses.pop_front());
        if owners.len() > OWNERS_MAX
            && let Some(loser) = owners.pop()
            && let Some(connection) = self.connections.get_mut(&loser)
        {
            connection.addresses.retain(|owned| *owned != address);
        }
        if let Some(oldest) = given_up.flatten() {
            self.disown(oldest, id);
        }
    }

    fn disown(&mut self, address: SocketAddr, id: ConnectionId) {
        if let Some(owners) = self.owners.get_mut(&address) {
            owners.retain(|owner| *owner != id);
            if owners.is_empty() {
                self.owners.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stun::tests::message;
    use super::*;
    use proptest::prelude::*;

    const DATA: &[u8] = &[23, 254, 253, 0, 1];

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn check(asked: &str) -> Vec<u8> {
        message(1, [1; 12], &[(6, format!("{asked}:other").as_bytes())])
    }

    fn success(transaction: Transaction) -> Vec<u8> {
        message(0x0101, transaction, &[])
    }

    #[test]
    fn a_check_goes_to_the_connection_it_asks_and_opens_nothing_by_itself() {
        let mut table = Table::default();
        let (a, b) = (table.add("aaaa"), table.add("bbbb"));
        assert_eq!(table.route(address(1), &check("bbbb")), [b]);
        assert_eq!(table.route(address(1), &check("aaaa")), [a]);
        assert_eq!(table.route(address(1), &check("cccc")), []);
        assert_eq!(table.route(address(1), DATA), []);
    }

    #[test]
    fn an_address_belongs_to_whoever_answered_its_check() {
        let mut table = Table::default();
        let (a, b) = (table.add("aaaa"), table.add("bbbb"));
        table.sent(a, address(1), &success([1; 12]));
        table.sent(b, address(2), &success([1; 12]));
        assert_eq!(table.route(address(1), DATA), [a]);
        assert_eq!(table.route(address(2), DATA), [b]);
        table.sent(b, address(3), &message(0x0111, [1; 12], &[]));
        assert_eq!(table.route(address(3), DATA), []);
    }

    #[test]
    fn a_response_goes_once_to_whoever_sent_the_request() {
        let mut table = Table::default();
        let (a, b) = (table.add("aaaa"), table.add("bbbb"));
        table.sent(a, address(9), &message(1, [5; 12], &[]));
        table.sent(b, address(9), &message(1, [6; 12], &[]));
        assert_eq!(table.route(address(9), &success([6; 12])), [b]);
        assert_eq!(table.route(address(9), &success([6; 12])), []);
        assert_eq!(table.route(address(9), &success([5; 12])), [a]);
        assert_eq!(table.route(address(9), DATA), [a, b]);
    }

    #[test]
    fn a_peer_that_starts_anew_at_its_old_address_is_heard_at_once() {
        let mut table = Table::default();
        let old = table.add("old");
        table.sent(old, address(1), &success([1; 12]));
        let new = table.add("new");
        assert_eq!(table.route(address(1), &check("new")), [new]);
        table.sent(new, address(1), &success([2; 12]));
        assert_eq!(table.route(address(1), DATA), [new, old]);
        table.remove(old);
        assert_eq!(table.route(address(1), DATA), [new]);
        assert_eq!(table.route(address(1), &check("old")), []);
    }

    #[test]
    fn what_a_connection_leaves_behind_is_nothing() {
        let mut table = Table::default();
        let a = table.add("aaaa");
        for port in 1..=100 {
            table.sent(a, address(port), &success([1; 12]));
            for request in 0..10 {
                table.sent(a, address(port), &message(1, [port as u8; 12].map(|byte| byte ^ request), &[]));
            }
        }
        assert_eq!(table.owners.len(), ADDRESSES_MAX);
        assert!(table.transactions.len() <= TRANSACTIONS_MAX);
        table.remove(a);
        assert!(table.fragments.is_empty() && table.transactions.is_empty() && table.owners.is_empty());
        table.sent(a, address(1), &success([1; 12]));
        assert!(table.owners.is_empty());
    }

    #[test]
    fn the_oldest_of_too_many_owners_loses_an_address() {
        let mut table = Table::default();
        let ids: Vec<ConnectionId> = (0..=OWNERS_MAX).map(|index| table.add(&format!("{index}"))).collect();
        for id in &ids {
            table.sent(*id, address(1), &success([1; 12]));
        }
        let owners = table.route(address(1), DATA);
        assert_eq!(owners.len(), OWNERS_MAX);
        assert!(owners.contains(&ids[OWNERS_MAX]) && !owners.contains(&ids[0]));
    }

    proptest! {
        #[test]
        fn strangers_change_nothing(datagrams in proptest::collection::vec(
            (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..64), any::<bool>()), 0..64,
        )) {
            let mut table = Table::default();
            let a = table.add("aaaa");
            table.sent(a, address(1), &success([1; 12]));
            let before = format!("{:?}", (&table.owners, table.fragments.len(), table.transactions.len()));
            for (port, body, is_stun) in datagrams {
                let datagram = if is_stun { message(0x0101, [9; 12], &[(6, &body)]) } else { body };
                table.route(address(port), &datagram);
            }
            let after = format!("{:?}", (&table.owners, table.fragments.len(), table.transactions.len()));
            prop_assert_eq!(before, after);
        }
    }
}
