//! What senders have of something that they share: at most so much for each address, for each subnet and in all.
//!
//! Owns the sums. What is shared, and what happens to those that get nothing, is decided by whom the account serves.

use std::collections::HashMap;
use std::hash::Hash;

use crate::decision::network::{Site, Subnet};

/// How much may be taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// By all together.
    pub(crate) all: usize,
    /// By one address (one /64 of IPv6).
    pub(crate) address: usize,
    /// By one subnet (a /24 of IPv4, a /48 of IPv6).
    pub(crate) subnet: usize,
    /// Of all, this much is for subnets that have nothing yet.
    pub(crate) kept: usize,
}

/// What is taken. An address or a subnet that has nothing is not in it.
#[derive(Debug)]
pub(crate) struct Account {
    bounds: Bounds,
    all: usize,
    sites: HashMap<Site, usize>,
    subnets: HashMap<Subnet, usize>,
}

impl Account {
    /// Nothing is taken.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, all: 0, sites: HashMap::new(), subnets: HashMap::new() }
    }

    /// Takes `amount` for a site. If that exceeds a bound, takes nothing and returns false.
    pub(crate) fn take(&mut self, site: Site, amount: usize) -> bool {
        let Bounds { all, address, subnet, kept } = self.bounds;
        let of_site = self.sites.get(&site).copied().unwrap_or(0);
        let of_subnet = self.subnets.get(&site.subnet()).copied().unwrap_or(0);
        let for_all = if of_subnet == 0 { all } else { all - kept };
        let fits =
            self.all + amount <= for_all && of_site + amount <= address && of_subnet + amount <= subnet;
        if fits && amount > 0 {
            self.all += amount;
            self.sites.insert(site, of_site + amount);
            self.subnets.insert(site.subnet(), of_subnet + amount);
        }
        fits
    }

    /// Gives back what was taken for a site.
    pub(crate) fn give_back(&mut self, site: Site, amount: usize) {
        self.all = self.all.saturating_sub(amount);
        subtract(&mut self.sites, site, amount);
        subtract(&mut self.subnets, site.subnet(), amount);
    }

    /// How much is taken, and by how many addresses and subnets.
    #[cfg(test)]
    pub(crate) fn sums(&self) -> (usize, usize, usize) {
        (self.all, self.sites.len(), self.subnets.len())
    }
}

/// Takes `amount` off an entry, which goes when nothing is left.
fn subtract<K: Eq + Hash>(entries: &mut HashMap<K, usize>, key: K, amount: usize) {
    if let Some(taken) = entries.get_mut(&key) {
        *taken = taken.saturating_sub(amount);
        if *taken == 0 {
            entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn site(subnet: u8, host: u8) -> Site {
        Site::of(Ipv4Addr::new(198, 51, subnet, host).into())
    }

    #[test]
    fn an_address_a_subnet_and_all_have_their_bounds_and_the_last_is_for_newcomers() {
        let mut account = Account::new(Bounds { all: 10, address: 3, subnet: 5, kept: 2 });
        assert!(account.take(site(1, 1), 3) && !account.take(site(1, 1), 1), "an address");
        assert!(account.take(site(1, 2), 2) && !account.take(site(1, 3), 1), "a subnet");
        assert!(account.take(site(2, 1), 3));
        assert!(!account.take(site(2, 2), 1), "what is kept is not for those that have some");
        assert!(account.take(site(3, 1), 2) && !account.take(site(4, 1), 1), "all");
        assert_eq!(account.sums(), (10, 4, 3));
        for (site, amount) in [(site(1, 1), 3), (site(1, 2), 2), (site(2, 1), 3), (site(3, 1), 2)] {
            account.give_back(site, amount);
        }
        assert_eq!(account.sums(), (0, 0, 0), "nothing is remembered");
    }

    #[test]
    fn who_takes_nothing_is_not_remembered() {
        let mut account = Account::new(Bounds { all: 10, address: 3, subnet: 5, kept: 2 });
        assert!(account.take(site(1, 1), 0));
        assert!(!account.take(site(1, 1), usize::MAX / 2));
        assert_eq!(account.sums(), (0, 0, 0));
    }
}
