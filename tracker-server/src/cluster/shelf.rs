//! What the engine of several trackers holds, as far as this tracker knows, and for how long.
//!
//! Every tracker reads all changes of the list, so each has this copy. It decides which titles of the same publisher have to
//! go for a new one, by the rule of [`shares`](crate::shares). The copy may be a second old. A publisher may exceed its share
//! for so long, and pays with its next title.

use std::collections::HashMap;
use std::time::Duration;

use swarm_core::{SwarmId, Timestamp};

use crate::decision::network::Site;
use crate::limits::{MANIFESTS_BYTES_MAX, MANIFESTS_MAX};
use crate::shares::{NoRoom, Stored, make_room};

/// What is held of a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holding {
    /// A publication of so many bytes.
    Title { site: Option<Site>, bytes: usize },
    /// The record of a removal.
    Removal,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    holding: Holding,
    /// When the engine forgets it by itself.
    until: Timestamp,
    /// Whether the engine has it. It may have lost it, or let it go for another title of the same publisher.
    is_there: bool,
}

/// The copy.
#[derive(Debug, Default)]
pub(crate) struct Shelf(HashMap<SwarmId, Held>);

impl Shelf {
    /// The engine holds this.
    pub(crate) fn put(&mut self, swarm: SwarmId, holding: Holding, until: Timestamp) {
        self.0.insert(swarm, Held { holding, until, is_there: true });
    }

    /// The engine does not hold it. For how long it would have is remembered.
    pub(crate) fn miss(&mut self, swarm: SwarmId) {
        self.0.entry(swarm).and_modify(|held| held.is_there = false);
    }

    /// The engine has forgotten everything.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Drops what the engine does not hold and would not hold any more.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        self.0.retain(|_, held| held.until > now);
    }

    /// For how much longer the engine is to hold it; none if that is over.
    pub(crate) fn life(&self, now: Timestamp, swarm: SwarmId) -> Option<Duration> {
        let held = self.0.get(&swarm).filter(|held| held.until > now)?;
        Some(held.until.since(now))
    }

    /// What the engine holds of a swarm.
    pub(crate) fn holding(&self, swarm: SwarmId) -> Option<Holding> {
        self.0.get(&swarm).filter(|held| held.is_there).map(|held| held.holding)
    }

    /// Which titles have to go for one of `bytes`, the one refreshed longest ago first.
    pub(crate) fn make_room(
        &self,
        swarm: SwarmId,
        (site, bytes): (Option<Site>, usize),
    ) -> Result<Vec<SwarmId>, NoRoom> {
        let others = self.0.iter().filter(|(other, held)| **other != swarm && held.is_there);
        let stored = others.filter_map(|(swarm, held)| {
            let Holding::Title { site, bytes } = held.holding else { return None };
            let used = held.until.as_micros();
            Some(Stored { swarm: *swarm, site, bytes, used, has_peers: false })
        });
        make_room(stored, (site, bytes), (MANIFESTS_MAX, MANIFESTS_BYTES_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MANIFESTS_BYTES_PER_ADDRESS_MAX;

    const MIB: usize = 1 << 20;

    fn swarm(number: usize) -> SwarmId {
        let mut id = SwarmId::default();
        id.0.iter_mut().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
        id
    }

    fn site(address: &str) -> Option<Site> {
        Some(Site::of(address.parse().unwrap()))
    }

    /// Puts a title and takes away what has to go for it.
    fn publish(shelf: &mut Shelf, number: usize, address: &str) -> Vec<SwarmId> {
        let (site, bytes) = (site(address), MIB);
        let gone = shelf.make_room(swarm(number), (site, bytes)).unwrap();
        gone.iter().for_each(|swarm| shelf.miss(*swarm));
        let until = Timestamp::from_millis(1_000 + number as u64);
        shelf.put(swarm(number), Holding::Title { site, bytes }, until);
        gone
    }

    #[test]
    fn who_exceeds_its_share_in_the_engine_loses_its_own_oldest_title() {
        let mut shelf = Shelf::default();
        publish(&mut shelf, 0, "192.0.2.1");
        let share = MANIFESTS_BYTES_PER_ADDRESS_MAX / MIB;
        for number in 1..=share {
            assert_eq!(publish(&mut shelf, number, "203.0.113.9"), []);
        }
        assert_eq!(publish(&mut shelf, share + 1, "203.0.113.9"), [swarm(1)]);
        // One that was refreshed stays.
        let holding = shelf.holding(swarm(2)).unwrap();
        shelf.put(swarm(2), holding, Timestamp::from_millis(9_000));
        assert_eq!(publish(&mut shelf, share + 2, "203.0.113.9"), [swarm(3)]);
        assert!(shelf.holding(swarm(0)).is_some(), "another's stays");
        assert_eq!(shelf.holding(swarm(1)), None);
        assert_eq!(publish(&mut shelf, share + 2, "203.0.113.9"), [], "it takes its own place again");
    }

    #[test]
    fn titles_in_the_engine_are_bounded_together_and_the_largest_holder_makes_room() {
        let mut shelf = Shelf::default();
        publish(&mut shelf, 0, "192.0.2.1");
        for number in 1..200 {
            publish(&mut shelf, number, &format!("198.51.{}.{}", number % 8, number % 250));
        }
        let held = (0..200).filter(|number| shelf.holding(swarm(*number)).is_some()).count();
        assert!(held <= MANIFESTS_BYTES_MAX / MIB, "{held} MiB");
        assert!(shelf.holding(swarm(0)).is_some());
    }

    #[test]
    fn what_the_engine_lost_keeps_its_end_and_what_is_over_is_dropped() {
        let mut shelf = Shelf::default();
        let at = Timestamp::from_millis;
        shelf.put(swarm(1), Holding::Removal, at(50));
        shelf.miss(swarm(1));
        assert_eq!(shelf.holding(swarm(1)), None);
        assert_eq!(shelf.life(at(10), swarm(1)), Some(Duration::from_millis(40)));
        assert_eq!(shelf.life(at(50), swarm(1)), None);
        shelf.prune(at(50));
        assert!(shelf.0.is_empty());
    }
}
