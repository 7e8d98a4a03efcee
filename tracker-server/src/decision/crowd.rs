//! How many peers of one swarm are of one address or subnet.

use std::collections::BTreeMap;

use super::network::{Site, Subnet};
use crate::limits::{PEERS_PER_ADDRESS_MAX, PEERS_PER_SUBNET_MAX};

/// The counts of one swarm.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    sites: BTreeMap<Site, usize>,
    subnets: BTreeMap<Subnet, usize>,
}

impl Crowd {
    /// Whether one more peer of this address may join.
    pub(super) fn has_room(&self, site: Site) -> bool {
        self.sites.get(&site).copied().unwrap_or_default() < PEERS_PER_ADDRESS_MAX
            && self.subnets.get(&site.subnet()).copied().unwrap_or_default() < PEERS_PER_SUBNET_MAX
    }

    /// Counts a peer that joins.
    pub(super) fn insert(&mut self, site: Site) {
        *self.sites.entry(site).or_default() += 1;
        *self.subnets.entry(site.subnet()).or_default() += 1;
    }

    /// Counts a peer that leaves.
    pub(super) fn remove(&mut self, site: Site) {
        take_one(&mut self.sites, site);
        take_one(&mut self.subnets, site.subnet());
    }
}

fn take_one<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(text: &str) -> Site {
        Site::of(text.parse().unwrap())
    }

    #[test]
    fn an_address_and_a_subnet_have_room_for_so_many_and_others_do_not_feel_it() {
        let mut crowd = Crowd::default();
        for _ in 0..PEERS_PER_ADDRESS_MAX {
            assert!(crowd.has_room(site("192.0.2.1")));
            crowd.insert(site("192.0.2.1"));
        }
        assert!(!crowd.has_room(site("192.0.2.1")));
        for host in 0..PEERS_PER_SUBNET_MAX - PEERS_PER_ADDRESS_MAX {
            crowd.insert(site(&format!("192.0.2.{}", 2 + host % 200)));
        }
        assert!(!crowd.has_room(site("192.0.2.250")));
        assert!(crowd.has_room(site("198.51.100.1")));
        crowd.remove(site("192.0.2.1"));
        assert!(crowd.has_room(site("192.0.2.1")));
    }

    #[test]
    fn nothing_is_remembered_of_who_left() {
        let mut crowd = Crowd::default();
        crowd.insert(site("2001:db8::1"));
        crowd.remove(site("2001:db8::2"));
        assert!(crowd.sites.is_empty() && crowd.subnets.is_empty());
    }
}
