//! How many connections the mirror serves at a time, of all, of one address and of one subnet.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections at a time.
const CONNECTIONS_MAX: usize = 256;

/// Connections of one address (one /64 of IPv6) at a time: a browser opens six.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 8;

/// Connections of one subnet (a /24 of IPv4, a /48 of IPv6) at a time: its holder has many addresses.
const CONNECTIONS_PER_SUBNET_MAX: usize = CONNECTIONS_MAX / 4;

/// The places of one mirror. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

/// Places that are taken. An address or a subnet that has none is not in it.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    addresses: HashMap<IpAddr, usize>,
    subnets: HashMap<IpAddr, usize>,
}

/// A connection's place. Given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    address: IpAddr,
}

impl Places {
    /// A place for a connection from `from`, if there is one.
    pub(super) fn take(&self, from: IpAddr) -> Option<Place> {
        let address = masked(from, 32, 64);
        self.lock().take(address).then(|| Place { places: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().give_back(self.address);
    }
}

impl Taken {
    fn take(&mut self, address: IpAddr) -> bool {
        let subnet = subnet(address);
        let of_address = self.addresses.get(&address).copied().unwrap_or(0);
        let of_subnet = self.subnets.get(&subnet).copied().unwrap_or(0);
        let is_free = self.all < CONNECTIONS_MAX
            && of_address < CONNECTIONS_PER_ADDRESS_MAX
            && of_subnet < CONNECTIONS_PER_SUBNET_MAX;
        if is_free {
            self.all += 1;
            self.addresses.insert(address, of_address + 1);
            self.subnets.insert(subnet, of_subnet + 1);
        }
        is_free
    }

    fn give_back(&mut self, address: IpAddr) {
        self.all = self.all.saturating_sub(1);
        subtract(&mut self.addresses, address);
        subtract(&mut self.subnets, subnet(address));
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
        assert_eq!(taken.len(), CONNECTIONS_MAX);
        drop(taken);
        let left = places.lock();
        assert_eq!((left.all, left.addresses.len(), left.subnets.len()), (0, 0, 0));
    }
}
