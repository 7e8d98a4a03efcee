//! Turns of publishers: so many manifests arrive at a time, since each takes memory until it is complete.
//!
//! A body may be slow, so each address and each subnet has a share of the turns, and the last ones are kept for subnets that have
//! none. Many addresses of one holder wait for one another, and hold up nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::decision::network::{Site, Subnet};
use crate::limits::{
    PUBLICATIONS_KEPT, PUBLICATIONS_MAX, PUBLICATIONS_PER_ADDRESS_MAX, PUBLICATIONS_PER_SUBNET_MAX,
};

/// All turns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    taken: Mutex<Taken>,
    /// A turn is over.
    over: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    sites: HashMap<Site, usize>,
    subnets: HashMap<Subnet, usize>,
}

/// A turn. Over when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    shared: Arc<Shared>,
    site: Site,
}

impl Turns {
    /// Waits for a turn. `None` if none comes in time.
    pub(crate) async fn take(&self, site: Site, patience: Duration) -> Option<Turn> {
        let turn = async {
            loop {
                let mut over = std::pin::pin!(self.0.over.notified());
                // Noted before the look, so that what ends in between is not missed.
                over.as_mut().enable();
                if self.0.lock().take(site) {
                    return Turn { shared: Arc::clone(&self.0), site };
                }
                over.await;
            }
        };
        timeout(patience, turn).await.ok()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.lock().give_back(self.site);
        self.shared.over.notify_waiters();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn take(&mut self, site: Site) -> bool {
        let subnet = site.subnet();
        let of_site = self.sites.get(&site).copied().unwrap_or(0);
        let of_subnet = self.subnets.get(&subnet).copied().unwrap_or(0);
        let room = if of_subnet == 0 { PUBLICATIONS_MAX } else { PUBLICATIONS_MAX - PUBLICATIONS_KEPT };
        let is_free = of_site < PUBLICATIONS_PER_ADDRESS_MAX
            && of_subnet < PUBLICATIONS_PER_SUBNET_MAX
            && self.all < room;
        if is_free {
            self.all += 1;
            self.sites.insert(site, of_site + 1);
            self.subnets.insert(subnet, of_subnet + 1);
        }
        is_free
    }

    fn give_back(&mut self, site: Site) {
        let subnet = site.subnet();
        self.all = self.all.saturating_sub(1);
        if let Some(count) = self.sites.get_mut(&site) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.subnets.get_mut(&subnet) {
            *count = count.saturating_sub(1);
        }
        self.sites.retain(|_, count| *count > 0);
        self.subnets.retain(|_, count| *count > 0);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    fn site(subnet: u8, host: u8) -> Site {
        Site::of(IpAddr::from([192, 0, subnet, host]))
    }

    /// Takes the turns that a site gets.
    async fn all_of(turns: &Turns, site: Site) -> Vec<Turn> {
        let mut taken = Vec::new();
        while let Some(turn) = turns.take(site, Duration::from_millis(1)).await {
            taken.push(turn);
        }
        taken
    }

    #[tokio::test]
    async fn one_address_does_not_take_the_turns_of_others() {
        let turns = Turns::default();
        let taken = all_of(&turns, site(2, 1)).await;
        assert_eq!(taken.len(), PUBLICATIONS_PER_ADDRESS_MAX);
        assert!(turns.take(site(2, 2), SOON).await.is_some());
        let (late, ()) = tokio::join!(turns.take(site(2, 1), Duration::from_secs(10)), async { drop(taken) });
        assert!(late.is_some(), "who waits is woken");
        drop(late);
        let left = turns.0.lock();
        assert_eq!((left.all, left.sites.len(), left.subnets.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn slow_bodies_from_many_addresses_of_a_few_subnets_leave_turns_to_others() {
        let turns = Turns::default();
        let mut taken = Vec::new();
        for host in 1..=48 {
            taken.extend(all_of(&turns, site(1, host)).await);
        }
        assert_eq!(taken.len(), PUBLICATIONS_PER_SUBNET_MAX);
        for subnet in 2..6 {
            for host in 1..=8 {
                taken.extend(all_of(&turns, site(subnet, host)).await);
            }
        }
        assert!(taken.len() <= PUBLICATIONS_MAX - PUBLICATIONS_KEPT + 4, "{}", taken.len());
        for subnet in 10..14 {
            let turn = turns.take(site(subnet, 1), SOON).await;
            assert!(turn.is_some(), "a turn is kept for {subnet}");
            taken.extend(turn);
        }
    }
}
