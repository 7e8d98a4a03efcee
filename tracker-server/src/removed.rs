//! What publishers took off this tracker, so that nobody else brings it back.

use std::collections::{HashSet, VecDeque};

use swarm_core::SwarmId;

use crate::limits::REMOVED_MAX;

/// Swarms that were removed. Beyond the limit the oldest is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    swarms: HashSet<SwarmId>,
    order: VecDeque<SwarmId>,
}

impl Removed {
    /// Whether it was removed by its publisher.
    pub(crate) fn contains(&self, swarm: SwarmId) -> bool {
        self.swarms.contains(&swarm)
    }

    /// What was removed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = SwarmId> {
        self.order.iter().copied()
    }

    /// Notes a removal. Returns what is forgotten for it.
    pub(crate) fn insert(&mut self, swarm: SwarmId) -> Option<SwarmId> {
        if self.swarms.insert(swarm) {
            self.order.push_back(swarm);
        }
        if self.order.len() <= REMOVED_MAX {
            return None;
        }
        let oldest = self.order.pop_front()?;
        self.swarms.remove(&oldest);
        Some(oldest)
    }

    /// Its publisher brought it back. Whether it was removed before.
    pub(crate) fn take(&mut self, swarm: SwarmId) -> bool {
        let was_removed = self.swarms.remove(&swarm);
        if was_removed {
            self.order.retain(|other| *other != swarm);
        }
        was_removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removals_are_remembered_up_to_a_limit_and_can_be_taken_back() {
        let mut removed = Removed::default();
        let swarm = |number: usize| {
            let mut id = SwarmId::default();
            id.0.iter_mut().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
            id
        };
        (0..REMOVED_MAX).for_each(|number| assert_eq!(removed.insert(swarm(number)), None));
        assert_eq!(removed.insert(swarm(REMOVED_MAX)), Some(swarm(0)));
        assert!(!removed.contains(swarm(0)) && removed.contains(swarm(1)));
        assert!(removed.take(swarm(1)) && !removed.take(swarm(1)) && !removed.contains(swarm(1)));
    }
}
