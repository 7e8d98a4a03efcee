//! What publishers took off this tracker, so that nobody else brings it back.
//!
//! A removal is remembered for as long as there is room. Beyond the share of its publisher, address or subnet, an older one of the
//! same makes room; where all are within theirs, one of the subnet that has most does. So who removes much forgets its own.

use std::collections::{BTreeMap, HashMap};

use swarm_core::{PublisherKey, SwarmId};

use crate::decision::network::{Site, Subnet};
use crate::limits::{
    REMOVED_MAX, REMOVED_PER_ADDRESS_MAX, REMOVED_PER_PUBLISHER_MAX, REMOVED_PER_SUBNET_MAX,
};

/// Whose title was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Whose key it was published with; none if this tracker never had it.
    pub(crate) publisher: Option<PublisherKey>,
    /// Where it was published from; none if with the operator's token.
    pub(crate) site: Option<Site>,
}

impl Owner {
    fn subnet(self) -> Option<Subnet> {
        self.site.map(Site::subnet)
    }
}

/// Swarms that were removed.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// Each with its number in the order.
    swarms: HashMap<SwarmId, u64>,
    order: BTreeMap<u64, (SwarmId, Owner)>,
    /// Number of the latest.
    number: u64,
}

impl Removed {
    /// Whether it was removed by its publisher.
    pub(crate) fn contains(&self, swarm: SwarmId) -> bool {
        self.swarms.contains_key(&swarm)
    }

    /// What was removed, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = SwarmId> {
        self.order.values().map(|(swarm, _)| *swarm)
    }

    /// Whose title it was, if it was removed.
    pub(crate) fn owner(&self, swarm: SwarmId) -> Option<Owner> {
        let number = self.swarms.get(&swarm)?;
        self.order.get(number).map(|(_, owner)| *owner)
    }

    /// Notes a removal. Returns what is forgotten for it.
    pub(crate) fn insert(&mut self, swarm: SwarmId, owner: Owner) -> Vec<SwarmId> {
        let mut forgotten = Vec::new();
        if self.contains(swarm) {
            return forgotten;
        }
        while let Some(surplus) = self.surplus(owner) {
            self.take(surplus);
            forgotten.push(surplus);
        }
        self.number += 1;
        self.swarms.insert(swarm, self.number);
        self.order.insert(self.number, (swarm, owner));
        forgotten
    }

    /// Its publisher brought it back. Whether it was removed before.
    pub(crate) fn take(&mut self, swarm: SwarmId) -> bool {
        let taken = self.swarms.remove(&swarm);
        taken.is_some_and(|number| self.order.remove(&number).is_some())
    }

    /// What has to go for one more of this owner.
    fn surplus(&self, owner: Owner) -> Option<SwarmId> {
        let Owner { publisher, site } = owner;
        let subnet = owner.subnet();
        let of_publisher = || self.oldest(REMOVED_PER_PUBLISHER_MAX, |other| other.publisher == publisher);
        let of_site = || self.oldest(REMOVED_PER_ADDRESS_MAX, |other| other.site == site);
        let of_subnet = || self.oldest(REMOVED_PER_SUBNET_MAX, |other| other.subnet() == subnet);
        publisher
            .and_then(|_| of_publisher())
            .or_else(|| site.and_then(|_| of_site().or_else(of_subnet)))
            .or_else(|| self.oldest_of_the_most())
    }

    /// The oldest of those that are `meant`, if there are so many.
    fn oldest(&self, count_max: usize, meant: impl Fn(&Owner) -> bool) -> Option<SwarmId> {
        let mut own = self.order.values().filter(|(_, owner)| meant(owner)).map(|(swarm, _)| swarm);
        let oldest = own.next()?;
        (1 + own.count() >= count_max).then_some(*oldest)
    }

    /// If there is no room at all: the oldest of the subnet that has most.
    fn oldest_of_the_most(&self) -> Option<SwarmId> {
        if self.swarms.len() < REMOVED_MAX {
            return None;
        }
        let mut counts: HashMap<Option<Subnet>, usize> = HashMap::new();
        self.order.values().for_each(|(_, owner)| *counts.entry(owner.subnet()).or_default() += 1);
        let (most, _) = counts.into_iter().max_by_key(|(subnet, count)| (*count, *subnet))?;
        self.oldest(1, |owner| owner.subnet() == most)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn swarm(number: usize) -> SwarmId {
        let mut id = SwarmId::default();
        id.0.iter_mut().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
        id
    }

    fn owner(publisher: u8, subnet: u8, host: u8) -> Owner {
        let site = Site::of(Ipv4Addr::new(198, 51, subnet, host).into());
        Owner { publisher: Some(PublisherKey([publisher; 32])), site: Some(site) }
    }

    /// Removes so many; how many are remembered of them.
    fn flood(
        removed: &mut Removed,
        numbers: std::ops::Range<usize>,
        owner: impl Fn(usize) -> Owner,
    ) -> usize {
        numbers.clone().for_each(|number| _ = removed.insert(swarm(number), owner(number)));
        numbers.filter(|number| removed.contains(swarm(*number))).count()
    }

    #[test]
    fn removals_are_remembered_up_to_a_share_and_can_be_taken_back() {
        let mut removed = Removed::default();
        let share = REMOVED_PER_PUBLISHER_MAX;
        (0..share).for_each(|number| assert_eq!(removed.insert(swarm(number), owner(1, 1, 1)), []));
        assert_eq!(removed.insert(swarm(5), owner(1, 1, 1)), [], "it is remembered already");
        assert_eq!(removed.insert(swarm(share), owner(1, 1, 1)), [swarm(0)]);
        assert!(!removed.contains(swarm(0)) && removed.contains(swarm(1)));
        assert!(removed.take(swarm(1)) && !removed.take(swarm(1)) && !removed.contains(swarm(1)));
        assert_eq!(removed.iter().next(), Some(swarm(2)));
    }

    #[test]
    fn a_publisher_an_address_and_a_subnet_forget_their_own_removals_and_those_of_others_stay() {
        let mut removed = Removed::default();
        removed.insert(swarm(0), owner(1, 1, 1));
        assert_eq!(flood(&mut removed, 10_000..11_000, |_| owner(2, 2, 1)), REMOVED_PER_PUBLISHER_MAX);
        let keys = |number: usize| owner(number as u8, 3, 1);
        assert_eq!(flood(&mut removed, 20_000..21_000, keys), REMOVED_PER_ADDRESS_MAX);
        let hosts = |number: usize| owner(number as u8, 4, (number / 7) as u8);
        assert_eq!(flood(&mut removed, 30_000..32_000, hosts), REMOVED_PER_SUBNET_MAX);
        let subnets = |number: usize| owner(number as u8, 100 + (number % 5) as u8, (number / 7) as u8);
        flood(&mut removed, 40_000..44_000, subnets);
        assert_eq!(removed.swarms.len(), REMOVED_MAX);
        assert!(removed.contains(swarm(0)), "the only one of its subnet");
        assert_eq!(removed.order.len(), removed.swarms.len());
    }
}
