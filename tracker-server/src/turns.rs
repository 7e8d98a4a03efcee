//! Turns of publishers: so many manifests arrive at a time, since each takes memory until it is complete.
//!
//! A body may be slow, so each address and each subnet has a share of the turns, and the last ones are kept for subnets that have
//! none. Many addresses of one holder wait for one another, and hold up nobody else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::account::{Account, Bounds};
use crate::decision::network::Site;
use crate::limits::{
    PUBLICATIONS_KEPT, PUBLICATIONS_MAX, PUBLICATIONS_PER_ADDRESS_MAX, PUBLICATIONS_PER_SUBNET_MAX,
};

/// Turns at a time.
const BOUNDS: Bounds = Bounds {
    all: PUBLICATIONS_MAX,
    address: PUBLICATIONS_PER_ADDRESS_MAX,
    subnet: PUBLICATIONS_PER_SUBNET_MAX,
    kept: PUBLICATIONS_KEPT,
};

/// All turns.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    taken: Mutex<Account>,
    /// A turn is over.
    over: Notify,
}

impl Default for Turns {
    fn default() -> Self {
        let taken = Mutex::new(Account::new(BOUNDS));
        Self(Arc::new(Shared { taken, over: Notify::new() }))
    }
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
                if self.0.lock().take(site, 1) {
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
        self.shared.lock().give_back(self.site, 1);
        self.shared.over.notify_waiters();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Account> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert_eq!(turns.0.lock().sums(), (0, 0, 0));
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
