//! Who may connect and how much it may say: limits for each connection and for each address.

use std::collections::HashMap;
use std::net::IpAddr;

use swarm_core::Timestamp;

use super::network::Site;
use super::outgoing::ConnectionId;
use super::refusal::Refusal;
use super::token_bucket::{Rate, TokenBucket};
use crate::limits::{
    ADDRESS_BURST, ADDRESS_RATE_PER_S, ADDRESSES_SWEEP, CONNECT_COST, CONNECTION_BURST,
    CONNECTION_RATE_PER_S, FRAME_COST_BYTES, FRAME_FREE_BYTES, INITIAL_RATE_TIMES, REFUSALS_MAX,
    SIGNAL_OVERRUNS_MAX,
};

const CONNECTION_RATE: Rate = Rate { per_s: CONNECTION_RATE_PER_S, burst: CONNECTION_BURST };
const ADDRESS_RATE: Rate = Rate { per_s: ADDRESS_RATE_PER_S, burst: ADDRESS_BURST };

/// Of an initial peer, which answers a thousand newcomers.
const INITIAL_RATE: Rate =
    Rate { per_s: CONNECTION_RATE_PER_S * INITIAL_RATE_TIMES, burst: CONNECTION_BURST * INITIAL_RATE_TIMES };

#[derive(Debug)]
struct Sender {
    /// None of one that came through another tracker, which is bounded itself.
    address: Option<Site>,
    rate: Rate,
    bucket: TokenBucket,
    refusals: u32,
    /// Signals that were beyond the budget of their link.
    overruns: u32,
}

#[derive(Debug)]
struct Address {
    connections: u32,
    bucket: TokenBucket,
}

/// The limits and who has used how much of them.
#[derive(Debug)]
pub(super) struct Admission {
    connections_per_address_max: u32,
    senders: HashMap<ConnectionId, Sender>,
    /// Outlives the connections of an address until its bucket is full again.
    addresses: HashMap<Site, Address>,
}

impl Admission {
    pub(super) fn new(connections_per_address_max: u32) -> Self {
        Self { connections_per_address_max, senders: HashMap::new(), addresses: HashMap::new() }
    }

    /// Lets a connection in, or says why not.
    pub(super) fn connect(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        self.sweep(now);
        let address = Site::of(address);
        let entry = self
            .addresses
            .entry(address)
            .or_insert_with(|| Address { connections: 0, bucket: TokenBucket::new(ADDRESS_RATE, now) });
        if entry.connections >= self.connections_per_address_max {
            return Err(Refusal::address_full());
        }
        entry
            .bucket
            .take(ADDRESS_RATE, now, CONNECT_COST)
            .map_err(|retry_after_ms| Refusal::rate_limited(retry_after_ms, true))?;
        entry.connections += 1;
        self.enter(now, connection, Some(address));
        Ok(())
    }

    /// Lets a connection in that takes nothing of any address: where it comes from is the word of another tracker.
    pub(super) fn connect_through_another(&mut self, now: Timestamp, connection: ConnectionId) {
        self.enter(now, connection, None);
    }

    fn enter(&mut self, now: Timestamp, connection: ConnectionId, address: Option<Site>) {
        let bucket = TokenBucket::new(CONNECTION_RATE, now);
        self.senders
            .insert(connection, Sender { address, rate: CONNECTION_RATE, bucket, refusals: 0, overruns: 0 });
    }

    /// Forgets a connection.
    pub(super) fn disconnect(&mut self, now: Timestamp, connection: ConnectionId) {
        let Some(sender) = self.senders.remove(&connection) else { return };
        let Some(address) = sender.address else { return };
        if let Some(entry) = self.addresses.get_mut(&address) {
            entry.connections -= 1;
            if entry.connections == 0 && entry.bucket.is_full(ADDRESS_RATE, now) {
                self.addresses.remove(&address);
            }
        }
    }

    /// A connection turned out to be that of an initial peer. It may say so much at once, too: a crowd that comes together
    /// is answered within a round trip.
    pub(super) fn widen(&mut self, now: Timestamp, connection: ConnectionId) {
        if let Some(sender) = self.senders.get_mut(&connection).filter(|sender| sender.rate != INITIAL_RATE) {
            sender.rate = INITIAL_RATE;
            sender.bucket = TokenBucket::new(INITIAL_RATE, now);
        }
    }

    /// Lets a message of `cost` pass, or says how long to wait; at last, that it is enough.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        cost: u32,
    ) -> Result<(), Refusal> {
        let Some(sender) = self.senders.get_mut(&connection) else { return Ok(()) };
        let own = sender.bucket.take(sender.rate, now, cost);
        let shared = match sender.address.and_then(|address| self.addresses.get_mut(&address)) {
            Some(entry) if own.is_ok() => entry.bucket.take(ADDRESS_RATE, now, cost),
            Some(_) | None => Ok(()),
        };
        match own.and(shared) {
            Ok(()) => {
                sender.refusals = 0;
                Ok(())
            }
            Err(retry_after_ms) => {
                sender.refusals += 1;
                Err(Refusal::rate_limited(retry_after_ms, sender.refusals >= REFUSALS_MAX))
            }
        }
    }

    /// Lets a frame of `bytes` be decoded, or says how long to wait. It is paid for by its length, before the work.
    pub(super) fn admit_frame(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        bytes: usize,
    ) -> Result<(), Refusal> {
        let beyond = bytes.saturating_sub(FRAME_FREE_BYTES).div_ceil(FRAME_COST_BYTES);
        match u32::try_from(beyond).unwrap_or(u32::MAX) {
            0 => Ok(()),
            cost => self.admit(now, connection, cost),
        }
    }

    /// Counts a signal that was beyond the budget of its link. Whether that is enough.
    pub(super) fn note_overrun(&mut self, connection: ConnectionId) -> bool {
        let Some(sender) = self.senders.get_mut(&connection) else { return false };
        sender.overruns += 1;
        sender.overruns >= SIGNAL_OVERRUNS_MAX
    }

    /// Drops addresses without connections and without debt once there are many.
    fn sweep(&mut self, now: Timestamp) {
        if self.addresses.len() >= ADDRESSES_SWEEP && self.addresses.len().is_power_of_two() {
            self.addresses
                .retain(|_, entry| entry.connections > 0 || !entry.bucket.is_full(ADDRESS_RATE, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::tracker_message::ErrorCode;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn connect(admission: &mut Admission, connection: u64, text: &str) -> Result<(), Refusal> {
        admission.connect(Timestamp::ZERO, ConnectionId(connection), address(text))
    }

    #[test]
    fn an_address_has_room_again_when_a_connection_closes() {
        let mut admission = Admission::new(2);
        assert_eq!(connect(&mut admission, 1, "10.0.0.1"), Ok(()));
        assert_eq!(connect(&mut admission, 2, "10.0.0.1"), Ok(()));
        assert_eq!(connect(&mut admission, 3, "10.0.0.1").unwrap_err().code, ErrorCode::Full);
        assert_eq!(connect(&mut admission, 4, "10.0.0.2"), Ok(()));
        admission.disconnect(Timestamp::ZERO, ConnectionId(1));
        assert_eq!(connect(&mut admission, 5, "10.0.0.1"), Ok(()));
    }

    #[test]
    fn who_comes_through_another_tracker_takes_nothing_of_the_address_that_it_names() {
        let mut tracker = Admission::new(2);
        (0..100).for_each(|connection| {
            tracker.connect_through_another(Timestamp::ZERO, ConnectionId(connection))
        });
        assert_eq!(connect(&mut tracker, 100, "10.0.0.1"), Ok(()));
        assert_eq!(connect(&mut tracker, 101, "10.0.0.1"), Ok(()));
        (0..100).for_each(|connection| tracker.disconnect(Timestamp::ZERO, ConnectionId(connection)));
        assert!(connect(&mut tracker, 102, "10.0.0.1").is_err(), "what the address has, it still has");
        tracker.connect_through_another(Timestamp::ZERO, ConnectionId(103));
        let said = (0..2 * CONNECTION_BURST)
            .filter(|_| tracker.admit(Timestamp::ZERO, ConnectionId(103), 1).is_ok());
        assert_eq!(said.count(), CONNECTION_BURST as usize, "each has its own allowance");
    }

    #[test]
    fn a_connection_that_ignores_refusals_is_ended() {
        let mut admission = Admission::new(2);
        connect(&mut admission, 1, "10.0.0.1").unwrap();
        let mut admit = || admission.admit(Timestamp::ZERO, ConnectionId(1), 1);
        assert!((0..CONNECTION_BURST).all(|_| admit().is_ok()));
        let refusals: Vec<Refusal> = (0..REFUSALS_MAX).filter_map(|_| admit().err()).collect();
        assert_eq!(refusals.len(), REFUSALS_MAX as usize);
        assert_eq!(refusals[0].retry_after_ms, Some(1000 / CONNECTION_RATE_PER_S));
        assert!(refusals[0].close.is_none());
        assert!(refusals[refusals.len() - 1].close.is_some());
    }

    #[test]
    fn a_frame_is_paid_for_by_its_length() {
        let mut admission = Admission::new(2);
        connect(&mut admission, 1, "10.0.0.1").unwrap();
        let mut admit = |bytes| admission.admit_frame(Timestamp::ZERO, ConnectionId(1), bytes);
        assert!((0..10_000).all(|_| admit(FRAME_FREE_BYTES).is_ok()), "a description costs nothing more");
        let long = FRAME_FREE_BYTES + 60 * FRAME_COST_BYTES;
        assert_eq!((0..100).filter(|_| admit(long).is_ok()).count(), CONNECTION_BURST as usize / 60);
        assert_eq!(admit(usize::MAX).unwrap_err().code, ErrorCode::RateLimited);
    }

    #[test]
    fn many_connections_of_one_address_share_its_limit() {
        let mut admission = Admission::new(u32::MAX);
        let mut passed = 0;
        for connection in 0..1000 {
            if connect(&mut admission, connection, "10.0.0.1").is_ok() {
                let id = ConnectionId(connection);
                passed +=
                    (0..CONNECTION_BURST).filter(|_| admission.admit(Timestamp::ZERO, id, 1).is_ok()).count();
            }
        }
        assert!(passed < ADDRESS_BURST as usize);
        assert_eq!(connect(&mut admission, 999, "10.0.0.2"), Ok(()));
        assert!(admission.admit(Timestamp::ZERO, ConnectionId(999), 1).is_ok());
    }

    #[test]
    fn an_initial_peer_may_answer_a_crowd_at_once_and_its_budget_is_filled_only_once() {
        let mut admission = Admission::new(1);
        assert_eq!(connect(&mut admission, 1, "10.0.0.1"), Ok(()));
        let id = ConnectionId(1);
        let burst = CONNECTION_BURST * INITIAL_RATE_TIMES;
        for passes in [burst, 0] {
            admission.widen(Timestamp::ZERO, id);
            let passed = (0..burst).filter(|_| admission.admit(Timestamp::ZERO, id, 1).is_ok()).count();
            assert_eq!(passed, passes as usize);
        }
    }

    #[test]
    fn addresses_are_forgotten_once_they_owe_nothing() {
        let mut admission = Admission::new(1);
        for index in 0..ADDRESSES_SWEEP as u32 {
            let address = IpAddr::V4(index.into());
            let connection = ConnectionId(u64::from(index));
            admission.connect(Timestamp::ZERO, connection, address).unwrap();
            admission.disconnect(Timestamp::ZERO, connection);
        }
        assert_eq!(admission.addresses.len(), ADDRESSES_SWEEP);
        let later = Timestamp::from_millis(60_000);
        admission.connect(later, ConnectionId(u64::MAX), address("192.0.2.1")).unwrap();
        assert_eq!(admission.addresses.len(), 1);
    }
}
