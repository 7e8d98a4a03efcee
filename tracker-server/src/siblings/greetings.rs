//! Connections that call themselves siblings and have not shown it yet: few of each address and subnet.
//!
//! Any program can open one. Once greeted, a connection has the place of a sibling and gives this one back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::{Account, Bounds};
use crate::decision::network::Site;
use crate::limits::{SIBLINGS_MAX, SIBLINGS_PER_ADDRESS_MAX};

/// As many as there may be siblings, four times: some are away and come again at once.
const BOUNDS: Bounds = Bounds {
    all: SIBLINGS_MAX * 4,
    address: SIBLINGS_PER_ADDRESS_MAX,
    subnet: SIBLINGS_MAX,
    kept: SIBLINGS_MAX,
};

/// The connections of one tracker.
#[derive(Debug)]
pub(crate) struct Greetings(Mutex<Account>);

impl Default for Greetings {
    fn default() -> Self {
        Self(Mutex::new(Account::new(BOUNDS)))
    }
}

impl Greetings {
    /// A turn to show that one is a sibling, if the address and its subnet have few.
    pub(crate) fn take(self: &Arc<Self>, site: Site) -> Option<Greeting> {
        self.lock().take(site, 1).then(|| Greeting { all: Arc::clone(self), site })
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Greeting {
    all: Arc<Greetings>,
    site: Site,
}

impl Drop for Greeting {
    fn drop(&mut self) {
        self.all.lock().give_back(self.site, 1);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_address_and_a_subnet_have_few_turns_and_get_them_back() {
        let greetings = Arc::new(Greetings::default());
        let site = |subnet, host| Site::of(Ipv4Addr::new(198, 51, subnet, host).into());
        let of_one: Vec<_> = (0..9).filter_map(|_| greetings.take(site(1, 1))).collect();
        assert_eq!(of_one.len(), SIBLINGS_PER_ADDRESS_MAX);
        let of_subnet: Vec<_> = (2..99).filter_map(|host| greetings.take(site(1, host))).collect();
        assert_eq!(of_one.len() + of_subnet.len(), SIBLINGS_MAX);
        assert!(greetings.take(site(2, 1)).is_some(), "another subnet");
        drop((of_one, of_subnet));
        assert_eq!(greetings.lock().sums(), (0, 0, 0));
    }
}
