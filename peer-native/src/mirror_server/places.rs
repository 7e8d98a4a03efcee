//! How many connections the mirror serves at a time, of all, of one address and of one subnet, and which gives way when all
//! places are taken.
//!
//! A newcomer whose address has no place gets that of another, if another subnet has more places than the newcomer's would
//! have then. Of the subnet that has most, the connection that was sent the fewest bytes lately gives way. So connections
//! that do not read, or read as slowly as they may, cannot keep viewers of other networks out.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 256;

/// Connections of one address (one /64 of IPv6) at a time: a browser opens six.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 8;

/// Connections of one subnet (a /24 of IPv4, a /48 of IPv6) at a time: its holder has many addresses.
const CONNECTIONS_PER_SUBNET_MAX: usize = CONNECTIONS_MAX / 4;

/// What was sent within this time, or one more, counts as sent lately.
const LATELY: Duration = Duration::from_secs(10);

/// The places of one mirror. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

/// Places that are taken. An address or a subnet that has none is not in it.
#[derive(Debug, Default)]
struct Taken {
    /// The connections, in the order in which they came.
    open: BTreeMap<u64, (IpAddr, Arc<Traffic>)>,
    /// Number of the latest connection.
    number: u64,
    addresses: HashMap<IpAddr, usize>,
    subnets: HashMap<IpAddr, usize>,
}

/// What a connection was sent, and whether it is to give way.
#[derive(Debug)]
pub(super) struct Traffic {
    sent: Mutex<Sent>,
    gives_way: Notify,
}

#[derive(Debug)]
struct Sent {
    since: Instant,
    /// Since then, and in the time before.
    bytes: u64,
    bytes_before: u64,
}

impl Traffic {
    fn new() -> Self {
        let sent = Sent { since: Instant::now(), bytes: 0, bytes_before: 0 };
        Self { sent: Mutex::new(sent), gives_way: Notify::new() }
    }

    /// Counts bytes that were sent.
    pub(super) fn note(&self, count: usize) {
        self.sent().bytes += count as u64;
    }

    /// Bytes that were sent lately.
    fn lately(&self) -> u64 {
        let sent = self.sent();
        sent.bytes + sent.bytes_before
    }

    /// Done when the connection is to give way to another.
    pub(super) async fn gives_way(&self) {
        self.gives_way.notified().await;
    }

    /// What was sent, with time brought up to date.
    fn sent(&self) -> MutexGuard<'_, Sent> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = sent.since.elapsed();
        if elapsed >= LATELY {
            sent.bytes_before = if elapsed < LATELY * 2 { sent.bytes } else { 0 };
            (sent.bytes, sent.since) = (0, Instant::now());
        }
        sent
    }
}

/// A connection's place. Given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    number: u64,
    /// Of the connection.
    pub(super) traffic: Arc<Traffic>,
}

impl Places {
    /// A place for a connection from `from`, if there is one. Another may have to give way for it.
    pub(super) fn take(&self, from: IpAddr) -> Option<Place> {
        let (number, traffic) = self.lock().take(masked(from, 32, 64))?;
        Some(Place { places: self.clone(), number, traffic })
    }

    /// Whether no place is taken.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().open.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().give_back(self.number);
    }
}

impl Taken {
    fn take(&mut self, address: IpAddr) -> Option<(u64, Arc<Traffic>)> {
        let subnet = subnet(address);
        let of_address = self.addresses.get(&address).copied().unwrap_or(0);
        let of_subnet = self.subnets.get(&subnet).copied().unwrap_or(0);
        if of_address >= CONNECTIONS_PER_ADDRESS_MAX || of_subnet >= CONNECTIONS_PER_SUBNET_MAX {
            return None;
        }
        if self.open.len() >= CONNECTIONS_MAX {
            let loser = self.slowest().filter(|_| of_address == 0);
            let (number, traffic) = loser.filter(|(_, most)| of_subnet + 1 < *most)?.0;
            traffic.gives_way.notify_one();
            self.give_back(number);
        }
        self.number += 1;
        let traffic = Arc::new(Traffic::new());
        self.open.insert(self.number, (address, Arc::clone(&traffic)));
        *self.addresses.entry(address).or_default() += 1;
        *self.subnets.entry(subnet).or_default() += 1;
        Some((self.number, traffic))
    }

    /// The connection that was sent the fewest bytes lately of the subnet that has most places, and how many that has.
    fn slowest(&self) -> Option<((u64, Arc<Traffic>), usize)> {
        let (most, count) = self.subnets.iter().max_by_key(|(subnet, count)| (**count, **subnet))?;
        let of_most = self.open.iter().filter(|(_, (address, _))| subnet(*address) == *most);
        let (number, (_, traffic)) = of_most.min_by_key(|(_, (_, traffic))| traffic.lately())?;
        Some(((*number, Arc::clone(traffic)), *count))
    }

    /// Nothing happens if it gave way before.
    fn give_back(&mut self, number: u64) {
        if let Some((address, _)) = self.open.remove(&number) {
            subtract(&mut self.addresses, address);
            subtract(&mut self.subnets, subnet(address));
        }
    }
}

/// Takes one off an entry, which goes when nothing is left.
fn subtract(entries: &mut HashMap<IpAddr, usize>, key: IpAddr) {
    if let Some(count) = entries.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            entries.remove(&key);
        }
    }
}

fn subnet(address: IpAddr) -> IpAddr {
    masked(address, 24, 48)
}

/// An address with so many of its first bits, the rest zero.
fn masked(address: IpAddr, v4_bits: u32, v6_bits: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - v4_bits).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - v6_bits).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// The places that connections from these addresses get, each tried ten times.
    fn fill(places: &Places, addresses: impl Iterator<Item = String>) -> Vec<Place> {
        let tries = addresses.flat_map(|address| std::iter::repeat_n(address, 10));
        tries.filter_map(|address| places.take(address.parse().unwrap())).collect()
    }

    #[test]
    fn an_address_and_a_subnet_leave_places_to_others() {
        let places = Places::default();
        let mut taken = fill(&places, ["192.0.2.1".to_owned()].into_iter());
        assert_eq!(taken.len(), CONNECTIONS_PER_ADDRESS_MAX);
        taken.extend(fill(&places, (2..250).map(|host| format!("192.0.2.{host}"))));
        assert_eq!(taken.len(), CONNECTIONS_PER_SUBNET_MAX);
        let customer = fill(&places, (1..50).map(|host| format!("2001:db8:1:2::{host}")));
        assert_eq!(customer.len(), CONNECTIONS_PER_ADDRESS_MAX, "a /64 of IPv6 is one address");
        let holder = fill(&places, (3..50).map(|part| format!("2001:db8:1:{part}::1")));
        assert_eq!(customer.len() + holder.len(), CONNECTIONS_PER_SUBNET_MAX);
        assert!(places.take("203.0.113.1".parse().unwrap()).is_some());
    }

    #[test]
    fn nothing_is_remembered_of_those_that_left_or_found_no_place() {
        let places = Places::default();
        let taken = fill(&places, (0..60).map(|subnet| format!("10.0.{subnet}.1")));
        assert_eq!(places.lock().open.len(), CONNECTIONS_MAX);
        drop(taken);
        let left = places.lock();
        assert_eq!((left.open.len(), left.addresses.len(), left.subnets.len()), (0, 0, 0));
    }

    #[test]
    fn in_a_full_mirror_the_slowest_connection_of_the_largest_subnet_gives_way_to_a_new_address() {
        let places = Places::default();
        let hosts = (0..4).flat_map(|subnet| (1..9).map(move |host| format!("10.0.{subnet}.{host}")));
        let mut taken = fill(&places, hosts);
        assert_eq!(taken.len(), CONNECTIONS_MAX);
        taken.iter().skip(1).for_each(|place| place.traffic.note(1000));
        // The last of equal subnets is the largest; within it the one that was sent least.
        let slow = &taken[CONNECTIONS_MAX - 3];
        let slow_traffic = Arc::clone(&slow.traffic);
        *slow.traffic.sent() = Sent { since: Instant::now(), bytes: 10, bytes_before: 0 };
        let newcomer = places.take("203.0.113.1".parse().unwrap());
        assert!(newcomer.is_some(), "a viewer of another network gets a place");
        assert!(slow_traffic.gives_way().now_or_never().is_some(), "the slowest gives way");
        assert_eq!(places.lock().open.len(), CONNECTIONS_MAX);
        // The rule moves places to those that have fewer, never back.
        assert!(places.take("203.0.113.1".parse().unwrap()).is_none(), "an address that has a place waits");
        assert!(places.take("10.0.0.77".parse().unwrap()).is_none(), "a subnet that has most gets no more");
        taken.clear();
        assert_eq!(places.lock().open.len(), 1, "one that gave way gives nothing back twice");
    }

    #[test]
    fn where_every_subnet_has_one_place_nobody_gives_way() {
        let places = Places::default();
        let one =
            |subnet: usize| places.take(format!("10.{}.{}.1", subnet / 256, subnet % 256).parse().unwrap());
        let taken: Vec<Place> = (0..CONNECTIONS_MAX).filter_map(one).collect();
        assert_eq!(taken.len(), CONNECTIONS_MAX);
        assert!(one(CONNECTIONS_MAX).is_none());
    }
}
